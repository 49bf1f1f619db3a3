"""Patches and windows are cut as documented, however the frames arrive; scores are pooled as documented."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nomarr.inference.catalog import Backbone
from nomarr.inference.scoring import Heard, PatchListener, WindowListener, decibels, evenly_spaced, pooled, spread

PATCHES = Backbone("b", "patches", lambda: b"", "musicnn", frames=187, hop=93, embedding_size=1)


def numbered(frames: int) -> np.ndarray:
    """Frames whose one band is their number."""
    return np.arange(frames, dtype=np.float32)[:, None]


def first_and_last(frames: np.ndarray, starts: np.ndarray) -> Heard:
    """A network that says which frames each patch begins and ends with."""
    ends = np.array([[frames[start, 0], frames[start + 186, 0]] for start in starts], np.float32)
    return Heard(ends, ends)


def patches_of(*blocks: np.ndarray) -> list[list[float]]:
    listener = PatchListener(PATCHES, first_and_last)
    for block in blocks:
        listener.feed(block)
    return listener.finish().activations.tolist()


@pytest.mark.parametrize("frames", [187, 279, 280, 1000, 1582, 1583, 15001])
def test_patches_of_187_frames_begin_every_93_and_the_incomplete_last_is_dropped(frames):
    expected = [[start, start + 186] for start in range(0, frames - 186, 93)]
    assert patches_of(numbered(frames)) == expected


@given(frames=st.integers(187, 4000), cuts=st.lists(st.integers(0, 4000), max_size=8))
@settings(deadline=None)
def test_patches_do_not_depend_on_how_the_frames_arrive(frames, cuts):
    assert patches_of(*np.split(numbered(frames), sorted(cuts))) == patches_of(numbered(frames))


def test_sound_too_short_for_a_patch_is_repeated():
    assert patches_of(numbered(100)) == [[0, 86]]
    assert patches_of(numbered(186)) == [[0, 0]]


def windows_of(size: int, *blocks: np.ndarray) -> list[tuple[int, float]]:
    """(length, decibels of the first frame) of each window the network is given."""
    heard: list[tuple[int, float]] = []

    def run(level: np.ndarray) -> np.ndarray:
        heard.append((len(level), float(level[0, 0])))
        return np.zeros(7, np.float32)

    listener = WindowListener(
        Backbone("w", "window", lambda: b"", "vibenet", frames=size, hop=size, embedding_size=0), run
    )
    for block in blocks:
        listener.feed(block)
    assert listener.finish().activations.shape == (len(heard), 7)
    return heard


def powers(frames: int) -> np.ndarray:
    """Frame i has i tenths of a decibel."""
    return (10 ** (numbered(frames) / 100)).astype(np.float32)


@pytest.mark.parametrize(
    ("frames", "begins"),
    [(400, [0]), (499, [0]), (500, [0, 100]), (799, [0, 399]), (800, [0, 400]), (1300, [0, 400, 800, 900])],
)
def test_windows_follow_one_another_and_a_quarter_left_over_makes_one_more(frames, begins):
    found = windows_of(400, powers(frames))
    assert [length for length, _ in found] == [400] * len(begins)
    assert [level for _, level in found] == pytest.approx([begin / 10 for begin in begins], abs=0.01)


def test_a_piece_shorter_than_a_window_is_heard_as_it_is():
    assert [length for length, _ in windows_of(400, powers(300))] == [300]


def test_a_very_short_piece_is_repeated_to_three_seconds():
    assert [length for length, _ in windows_of(400, powers(50))] == [149]


@given(frames=st.integers(1, 2000), cuts=st.lists(st.integers(0, 2000), max_size=8))
@settings(deadline=None)
def test_windows_do_not_depend_on_how_the_frames_arrive(frames, cuts):
    cut = windows_of(400, *np.split(powers(frames), sorted(cuts)))
    assert cut == windows_of(400, powers(frames))


def test_decibels_are_clipped_80_below_the_loudest():
    assert decibels(np.array([[1.0, 1e-3, 1e-9, 0.0]], np.float32)) == pytest.approx(
        np.array([[0.0, -30.0, -80.0, -80.0]]), abs=1e-4
    )


def plainly_trimmed(column: list[float]) -> float:
    """The mean without the lowest and the highest tenth, rounded down to whole values."""
    ordered, cut = sorted(column), len(column) // 10
    kept = ordered[cut : len(ordered) - cut]
    return sum(kept) / len(kept)


@given(st.lists(st.tuples(st.floats(0, 1, width=32), st.floats(0, 1, width=32)), min_size=1, max_size=60))
def test_scores_are_pooled_by_the_ten_percent_trimmed_mean(rows):
    matrix = np.array(rows, np.float32)
    expected = [plainly_trimmed(matrix[:, column].tolist()) for column in (0, 1)]
    assert pooled(matrix) == pytest.approx(expected, abs=1e-6)


def test_outliers_of_a_tenth_of_the_patches_do_not_count():
    column = np.full((20, 1), 0.5, np.float32)
    column[:2], column[-2:] = 0, 1
    assert pooled(column) == pytest.approx([0.5])


def test_the_spread_is_the_standard_deviation():
    assert spread(np.array([[0, 0.5], [1, 0.5]], np.float32)) == pytest.approx([0.5, 0.0])


@pytest.mark.parametrize(("count", "wanted"), [(1, 32), (32, 32), (33, 32), (1000, 32)])
def test_evenly_spaced_patches_include_the_first_and_the_last(count, wanted):
    chosen = evenly_spaced(count, wanted)
    assert len(set(chosen.tolist())) == min(count, wanted)
    assert (chosen[0], chosen[-1]) == (0, count - 1)
