from hypothesis import given
from hypothesis import strategies as st

from nomarr.moods.calibration import Calibration

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
