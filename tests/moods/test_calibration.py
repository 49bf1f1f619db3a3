import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nomarr.moods.calibration import Histogram, calibrated, drift, odd_library
from nomarr.scores import Calibration

scores = st.floats(0, 1)


def test_a_score_halfway_between_the_percentiles_is_one_half() -> None:
    assert Calibration(0.25, 0.75).apply(0.5) == 0.5


def test_scores_beyond_the_percentiles_are_clamped() -> None:
    assert Calibration(0.2, 0.6).apply(0.1) == 0.0
    assert Calibration(0.2, 0.6).apply(0.9) == 1.0


def test_percentiles_that_lie_too_close_leave_the_raw_score() -> None:
    assert Calibration(0.2, 0.2099).apply(0.5) == 0.5


@given(scores, scores, scores, scores)
def test_a_higher_raw_score_never_gets_a_lower_calibrated_one(a: float, b: float, p: float, q: float) -> None:
    calibration = Calibration(min(p, q), max(p, q))
    assert calibration.apply(min(a, b)) <= calibration.apply(max(a, b))
    assert 0 <= calibration.apply(a) <= 1


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=50), scores, scores)
def test_many_scores_are_calibrated_as_each_alone(raw: list[float], p: float, q: float) -> None:
    calibration = Calibration(min(p, q), max(p, q))
    column = np.array(raw, np.float32)
    assert calibrated(column, calibration).tolist() == [calibration.apply(value) for value in raw]
    assert calibrated(column, None).tolist() == raw


def by_hand(values: np.ndarray, percent: int) -> float:
    """The lower edge of the bin in which that share of the values, in order, is reached."""
    ordered = np.sort(values.astype(np.float64))
    reached = ordered[-(-percent * len(ordered) // 100) - 1]
    return min(9999, np.floor(reached * 10_000)) / 10_000


@settings(deadline=None)
@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=300), st.integers(1, 300))
def test_percentiles_are_those_of_the_sorted_scores(values: list[float], piece: int) -> None:
    column = np.array(values, np.float32)
    histogram = Histogram(2)
    for first in range(0, len(column), piece):
        some = column[first : first + piece]
        histogram.add(np.stack([some, 1 - some]))
    found = histogram.calibrations()
    assert histogram.n.tolist() == [len(column)] * 2
    for calibration, expected in zip(found, (column, 1 - column), strict=True):
        assert calibration == Calibration(by_hand(expected, 5), by_hand(expected, 95))


def test_percentiles_of_a_large_library_are_numpys_within_a_bin() -> None:
    values = np.random.default_rng(1).beta(2, 5, (3, 20_000)).astype(np.float32)
    histogram = Histogram(3)
    histogram.add(values)
    for row, found in zip(values, histogram.calibrations(), strict=True):
        assert [found.p5, found.p95] == pytest.approx(np.percentile(row, [5, 95]), abs=2e-4)


def test_scores_beyond_the_scale_are_counted_apart_and_what_is_no_number_not_at_all() -> None:
    histogram = Histogram(1)
    histogram.add(np.array([[-0.1, 0.0, 1.0, 1.1, 1.2, np.nan]], np.float32))
    assert (histogram.n[0], histogram.underflow[0], histogram.overflow[0]) == (5, 1, 2)
    assert histogram.counts[0, 1] == 1
    assert histogram.counts[0, 10_000] == 1
    assert histogram.calibrations() == [Calibration(0.0, 1.0)]


@given(scores, scores, scores, scores, scores)
def test_no_score_moves_further_than_the_drift(a: float, b: float, c: float, d: float, raw: float) -> None:
    old, new = Calibration(min(a, b), max(a, b)), Calibration(min(c, d), max(c, d))
    assert abs(old.apply(raw) - new.apply(raw)) <= drift(old, new) + 1e-12
    assert drift(old, old) == 0


def test_few_files_and_music_that_is_all_alike_are_remarked_upon() -> None:
    wide = {("vibenet", "energy"): Calibration(0.1, 0.9), ("vibenet", "valence"): Calibration(0.2, 0.8)}
    alike = {("vibenet", "energy"): Calibration(0.7, 0.9), ("vibenet", "valence"): Calibration(0.5, 0.505)}
    assert odd_library(1000, wide, wide) is None
    assert "Only 12 analysed files" in (odd_library(12, wide, wide) or "")
    note = odd_library(1000, alike, wide) or ""
    assert "1 head hardly varies here and stays raw: valence" in note
    assert "2 of 2 heads cover less than a third" in note
