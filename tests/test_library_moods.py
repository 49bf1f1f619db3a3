"""Sums over whole libraries against plain NumPy, and against what each track gets alone."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from heard import HEADS, some_scores
from nomarr.library_moods import NOTHING, LibraryMoods, MoodSums, mood_sums, score_uses
from nomarr.moods.reference import for_words
from nomarr.moods.tags import score_text
from nomarr.moods.tiers import WORDS, moods_of, strengths
from nomarr.scores import Calibration, LibraryCalibration, PackScores, spread_steps
from nomarr.store.matrix import Block, ScorePack

OWN = LibraryCalibration("v1", {(pack, head): Calibration(0.01, 0.15) for pack in HEADS for head in HEADS[pack][::2]})


def make_block(tracks: list[list[PackScores]]) -> Block:
    packs = tuple(ScorePack(i, p.pack, p.fingerprint, p.backbone, p.heads) for i, p in enumerate(tracks[0]))
    values = np.array([np.concatenate([p.values for p in track]) for track in tracks]).T
    spreads = spread_steps(np.array([np.concatenate([p.spreads for p in track]) for track in tracks]).T)
    return Block(1, packs, np.arange(len(tracks)), np.ascontiguousarray(values), np.ascontiguousarray(spreads))


def make_tracks(seed: int, count: int, names: tuple[str, ...] = tuple(HEADS)) -> list[list[PackScores]]:
    rng = np.random.default_rng(seed)
    return [some_scores(rng, names) for _ in range(count)]


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 40))
def test_sums_are_those_of_each_track(seed: int, first: int, second: int) -> None:
    some, more = make_tracks(seed, first), make_tracks(seed + 1, second, ("vibenet",))
    sums = mood_sums(make_block(some), OWN) + mood_sums(make_block(more), OWN)
    words = [moods_of(track, for_words(OWN)) for track in (*some, *more)]
    assert sums.files == first + second
    for number, word in enumerate(WORDS):
        strict = sum(word in one.strict for one in words)
        regular = sum(word in one.regular for one in words)
        loose = sum(word in one.loose for one in words)
        assert sums.tiers[number, 1:].tolist() == [loose - regular, regular - strict, strict]
        assert sums.counts[number] == loose
        for other, second_word in enumerate(WORDS):
            assert sums.together[number, other] == sum({word, second_word} <= set(one.loose) for one in words)
    assert sums.carrying.tolist() == [
        sum(bool(getattr(one, tier)) for one in words) for tier in ("strict", "regular", "loose")
    ]


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 60))
def test_correlations_are_numpys(seed: int, count: int) -> None:
    tracks = make_tracks(seed, count)
    r = mood_sums(make_block(tracks), OWN).correlations()
    known = [strengths(track, for_words(OWN)) for track in tracks]
    told = [word for word in WORDS if word in known[0]]
    with np.errstate(invalid="ignore"):
        expected = np.nan_to_num(np.corrcoef([[track[word] for track in known] for word in told]))
    at = [WORDS.index(word) for word in told]
    assert np.allclose(r[np.ix_(at, at)], expected, atol=1e-6)
    assert np.array_equal(r, r.T)


def test_correlations_over_blocks_are_those_of_one_block() -> None:
    tracks = make_tracks(3, 50)
    whole = mood_sums(make_block(tracks), OWN)
    parts = mood_sums(make_block(tracks[:20]), OWN) + mood_sums(make_block(tracks[20:]), OWN)
    assert np.allclose(whole.correlations(), parts.correlations())


def test_what_never_varies_correlates_with_nothing() -> None:
    track = make_tracks(1, 1)[0]
    same: MoodSums = mood_sums(make_block([track] * 5), OWN)
    assert not same.correlations().any()
    assert not NOTHING.correlations().any()


def test_the_use_of_a_score_counts_its_written_values() -> None:
    tracks = make_tracks(1, 300)
    uses = score_uses(make_block(tracks), LibraryCalibration())
    energy = HEADS["vibenet"].index("energy")
    assert uses["energy"].files == 300
    assert uses["energy"].unique_values == len({score_text(float(t[1].values[energy])) for t in tracks})


def test_a_block_is_worked_out_again_only_for_another_calibration() -> None:
    known, block = LibraryMoods(), make_block(make_tracks(1, 30))
    first = known.moods([(block, OWN)])
    assert known._moods(block, OWN) is known._moods(block, OWN)
    other = known.moods([(block, LibraryCalibration())])
    assert first.tiers.tolist() != other.tiers.tolist()
    assert known.moods([(block, OWN)]).tiers.tolist() == first.tiers.tolist()
    assert known.scores([(block, OWN), (block, OWN)])["energy"].files == 60
