import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heard import some_scores, together
from nomarr.inference.vocabulary import MSD, VIBENET
from nomarr.moods.reference import for_words, reference_calibrations
from nomarr.moods.tiers import (
    IN_LOOSE,
    IN_REGULAR,
    IN_STRICT,
    LEVELS,
    MOODS,
    OPPOSITES,
    WORDS,
    moods_of,
    strengths,
    strengths_of,
    tiers_of,
)
from nomarr.scores import Calibration, Levels, LibraryCalibration, PackScores, spread_steps

MSD_HEADS = tuple(output.head for output in MSD)
VIBENET_HEADS = tuple(output.head for output in VIBENET)


def pack(name: str, heads: tuple[str, ...], values: object, spreads: object = 0.0) -> PackScores:
    vector = np.asarray(values, np.float32)
    return PackScores(name, "f", heads, vector, np.zeros_like(vector) + np.asarray(spreads, np.float32))


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
    assert all(set(mood.opposites) <= known - {mood.word} for mood in MOODS)
    assert all(word in OPPOSITES[other] for word in known for other in OPPOSITES[word])


def test_the_reference_knows_every_score_of_the_default_packs() -> None:
    known = set(reference_calibrations())
    assert {("musicnn", head) for head in MSD_HEADS} <= known
    assert {("vibenet", head) for head in VIBENET_HEADS} <= known
    assert all(0 <= c.p5 < c.p95 <= 1 for c in reference_calibrations().values())


def test_of_two_opposites_only_the_stronger_is_more_than_loose() -> None:
    loud = pack("essentia-net", ("mood_sad", "mood_happy"), [0.7, 0.75])
    found = words(loud)
    assert found.regular == ("happy",)
    assert found.loose == ("happy", "sad")


def test_two_opposites_that_are_heard_alike_are_both_loose_only() -> None:
    found = words(pack("essentia-net", ("mood_sad", "mood_happy"), [0.9, 0.9]))
    assert found.regular == ()
    assert set(found.loose) == {"happy", "sad"}


def test_a_word_whose_opposite_is_strict_is_not_said_at_all() -> None:
    assert words(pack("essentia-net", ("mood_sad", "mood_happy"), [0.6, 0.9])).loose == ("happy",)


def test_a_mood_that_holds_for_parts_of_a_track_only_is_not_strict() -> None:
    steady = pack("essentia-net", ("mood_happy",), [0.85], spreads=0.2)
    changing = pack("essentia-net", ("mood_happy",), [0.85], spreads=0.45)
    assert words(steady).strict == ("happy",)
    assert (words(changing).strict, words(changing).regular) == ((), ("happy",))


def test_a_score_far_above_the_percentiles_may_waver_there() -> None:
    scores = pack("essentia-net", ("mood_happy",), [0.7], spreads=0.3)
    usual = {("essentia-net", "mood_happy"): Calibration(0.0, 0.2)}
    assert moods_of([scores], usual).strict == ("happy",)


def test_levels_of_one_mood_leave_the_others_as_they_are() -> None:
    scores = pack("essentia-net", ("mood_happy", "danceability"), [0.7, 0.7])
    found = moods_of([scores], full_scale(scores), {"happy": Levels(0.69, 0.69, 0.69)})
    assert (found.strict, found.regular) == (("happy",), ("happy", "danceable"))


def some_levels() -> st.SearchStrategy[dict[str, Levels]]:
    one = st.lists(st.floats(0.01, 1), min_size=3, max_size=3).map(lambda v: Levels(*sorted(v, reverse=True)))
    return st.dictionaries(st.sampled_from(WORDS), one)


@pytest.mark.parametrize("reference", [True, False])
@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=57, max_size=57), st.floats(0, 0.5), some_levels())
def test_tiers_nest_and_of_opposites_only_the_stronger_stands_out(
    reference: bool, values: list[float], spread: float, levels: dict[str, Levels]
) -> None:
    packs = [pack("musicnn", MSD_HEADS, values[:50], spread), pack("vibenet", VIBENET_HEADS, values[50:], spread)]
    calibrations = reference_calibrations() if reference else full_scale(*packs)
    found, strength = moods_of(packs, calibrations, levels), strengths(packs, calibrations)
    assert set(found.strict) <= set(found.regular) <= set(found.loose) <= set(strength)
    for word in strength:
        own, others = levels.get(word, LEVELS), OPPOSITES[word] & strength.keys()
        leads = all(strength[word] > strength[other] for other in others)
        assert (word in found.regular) == (leads and strength[word] >= own.regular)
        if word in found.strict:
            assert leads
            assert strength[word] >= own.strict
            assert not others & set(found.loose)
        if strength[word] >= own.loose and not others & set(found.strict):
            assert word in found.loose
        if spread == 0 and leads and strength[word] >= own.strict:
            assert word in found.strict


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 20), some_levels())
def test_many_tracks_at_once_get_the_words_that_each_gets_alone(
    seed: int, count: int, levels: dict[str, Levels]
) -> None:
    rng = np.random.default_rng(seed)
    tracks = [some_scores(rng, ("essentia-net", "musicnn", "vibenet")) for _ in range(count)]
    calibrations = {
        **reference_calibrations(),
        **{(p.pack, head): Calibration(0.02, rng.uniform(0.02, 1)) for p in tracks[0] for head in p.heads[::2]},
    }
    heard = together(tracks)
    found = strengths_of(heard, calibrations)
    tiers = tiers_of(found, heard, calibrations, levels)
    for number, track in enumerate(tracks):
        assert {word: values[number] for word, values in found.items()} == strengths(track, calibrations)
        alone = moods_of(track, calibrations, levels)
        for least, said in ((IN_STRICT, alone.strict), (IN_REGULAR, alone.regular), (IN_LOOSE, alone.loose)):
            assert {word for word, tier in tiers.items() if tier[number] >= least} == set(said)


@settings(deadline=None)
@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_a_higher_raw_score_never_has_a_lower_calibrated_one(a: float, b: float, p5: float, p95: float) -> None:
    calibration = Calibration(min(p5, p95), max(p5, p95))
    low, high = sorted((a, b))
    assert 0 <= calibration.apply(low) <= calibration.apply(high) <= 1


@given(st.lists(st.floats(0, 1, width=32), min_size=1))
def test_spreads_are_kept_in_bytes_to_a_thousandth(values: list[float]) -> None:
    spreads = np.array(values, np.float32)
    assert np.all(np.abs(spread_steps(spreads) / 510 - np.minimum(spreads, 0.5)) <= 0.001)


def test_voice_is_heard_the_same_in_every_library() -> None:
    hardly_any = LibraryCalibration(heads={("vibenet", "instrumentalness"): Calibration(0.7, 0.9)})
    assert for_words(hardly_any) == for_words(LibraryCalibration())
