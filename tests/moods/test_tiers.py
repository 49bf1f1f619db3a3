import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heard import some_scores
from nomarr.inference.vocabulary import MSD, VIBENET
from nomarr.moods.calibration import Calibration
from nomarr.moods.reference import reference_calibrations
from nomarr.moods.tiers import (
    IN_LOOSE,
    IN_REGULAR,
    IN_STRICT,
    MOODS,
    REGULAR,
    STRICT,
    moods_of,
    strengths,
    strengths_of,
    tiers_of,
)
from nomarr.scores import PackScores

MSD_HEADS = tuple(output.head for output in MSD)
VIBENET_HEADS = tuple(output.head for output in VIBENET)


def pack(name: str, heads: tuple[str, ...], values: object) -> PackScores:
    vector = np.asarray(values, np.float32)
    return PackScores(name, "f", heads, vector, np.zeros_like(vector))


def vibenet(**scores: float) -> PackScores:
    return pack("vibenet", VIBENET_HEADS, [scores.get(head, 0.5) for head in VIBENET_HEADS])


def full_scale(*packs: PackScores) -> dict[tuple[str, str], Calibration]:
    return {(p.pack, head): Calibration(0.0, 1.0) for p in packs for head in p.heads}


def words(*packs: PackScores) -> object:
    return moods_of(packs, full_scale(*packs))


def test_loud_and_dark_music_is_aggressive_and_not_relaxed() -> None:
    found = words(vibenet(energy=1.0, valence=0.0, acousticness=0.0))
    assert "aggressive" in found.strict
    assert "energetic" in found.strict
    assert "relaxed" not in found.loose


def test_quiet_acoustic_music_is_calm_and_acoustic() -> None:
    found = words(vibenet(energy=0.0, acousticness=1.0))
    assert {"calm", "acoustic"} <= set(found.strict)
    assert "energetic" not in found.loose


def test_a_score_without_a_calibration_has_no_say() -> None:
    assert strengths([vibenet(energy=1.0)], {}) == {}


def test_a_head_whose_percentiles_lie_too_close_has_no_say() -> None:
    scores = vibenet(energy=0.5)
    narrow = {**full_scale(scores), ("vibenet", "energy"): Calibration(0.4, 0.405)}
    assert "energetic" not in strengths([scores], narrow)


def test_essentia_heads_count_whatever_their_folder_is_called() -> None:
    heads = pack("essentia-mine", ("mood_happy",), [0.9])
    assert words(heads).strict == ("happy",)


def test_evidence_that_only_supports_a_mood_cannot_say_it() -> None:
    alone = pack("musicnn", ("genre_ambient",), [0.0])
    assert "happy" not in strengths([alone], full_scale(alone))


def test_the_default_packs_alone_can_say_eighteen_moods() -> None:
    packs = [pack("musicnn", MSD_HEADS, [0.5] * 50), pack("vibenet", VIBENET_HEADS, [0.5] * 7)]
    assert len(strengths(packs, reference_calibrations())) == 18


def test_every_opposite_is_a_mood_of_the_table() -> None:
    known = {mood.word for mood in MOODS}
    assert len(known) == len(MOODS)
    assert all(mood.opposite is None or mood.opposite in known for mood in MOODS)


def test_the_reference_knows_every_score_of_the_default_packs() -> None:
    known = set(reference_calibrations())
    assert {("musicnn", head) for head in MSD_HEADS} <= known
    assert {("vibenet", head) for head in VIBENET_HEADS} <= known
    assert all(0 <= c.p5 < c.p95 <= 1 for c in reference_calibrations().values())


@pytest.mark.parametrize("reference", [True, False])
@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=57, max_size=57))
def test_tiers_nest_and_opposites_are_never_both_strict(reference: bool, values: list[float]) -> None:
    packs = [pack("musicnn", MSD_HEADS, values[:50]), pack("vibenet", VIBENET_HEADS, values[50:])]
    calibrations = reference_calibrations() if reference else full_scale(*packs)
    found, strength = moods_of(packs, calibrations), strengths(packs, calibrations)
    assert set(found.strict) <= set(found.regular) <= set(found.loose) <= set(strength)
    for mood in MOODS:
        assert not (mood.word in found.strict and mood.opposite in found.strict)
        if strength.get(mood.word, 0) >= STRICT:
            assert mood.word in found.regular
        assert (strength.get(mood.word, 0) >= REGULAR) == (mood.word in found.regular)


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 20))
def test_many_tracks_at_once_get_the_words_that_each_gets_alone(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    tracks = [some_scores(rng, ("essentia-net", "musicnn", "vibenet")) for _ in range(count)]
    calibrations = {
        **reference_calibrations(),
        **{(p.pack, head): Calibration(0.02, rng.uniform(0.02, 1)) for p in tracks[0] for head in p.heads[::2]},
    }
    columns = {
        (p.pack, head): np.array([track[i].values[j] for track in tracks])
        for i, p in enumerate(tracks[0])
        for j, head in enumerate(p.heads)
    }
    found = strengths_of(columns, calibrations)
    tiers = tiers_of(found)
    for number, track in enumerate(tracks):
        assert {word: values[number] for word, values in found.items()} == strengths(track, calibrations)
        alone = moods_of(track, calibrations)
        for least, words in ((IN_STRICT, alone.strict), (IN_REGULAR, alone.regular), (IN_LOOSE, alone.loose)):
            assert {word for word, tier in tiers.items() if tier[number] >= least} == set(words)
