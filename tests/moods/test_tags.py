import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heard import HEADS, some_scores, together
from nomarr.inference.catalog import score_names
from nomarr.moods.calibration import calibrated
from nomarr.moods.reference import for_words
from nomarr.moods.tags import (
    hash_text,
    hashes_of,
    score_steps,
    score_text,
    suite_term,
    tag_scores,
    tags_for,
    tags_hash,
)
from nomarr.moods.tiers import moods_of, strengths_of, tiers_of
from nomarr.scores import Calibration, LibraryCalibration, Moods

MOODS = Moods(strict=("happy",), regular=("happy", "party"), loose=("happy", "party", "bright"))


def tags(mode: str, **more: str) -> dict[str, tuple[str, ...]]:
    facts = {"version": "1.0", "suite": "abc"} | more
    return tags_for({"mood_happy": 0.87123, "era_80s": 0.0}, MOODS, mode=mode, **facts)


def test_native_mode_writes_scores_words_and_bookkeeping() -> None:
    assert tags("native") == {
        "mood-strict": ("happy",),
        "mood-regular": ("happy", "party"),
        "mood-loose": ("happy", "party", "bright"),
        "mood_happy": ("0.8712",),
        "era_80s": ("0.0000",),
        "version": ("1.0",),
        "suite": ("abc",),
        "calibration": ("reference",),
    }


def test_moods_mode_writes_the_words_alone() -> None:
    assert set(tags("moods")) == {"mood-strict", "mood-regular", "mood-loose"}


def test_none_mode_writes_nothing() -> None:
    assert tags("none") == {}


def test_a_tier_without_words_leaves_no_empty_field() -> None:
    found = tags_for({}, Moods(loose=("sad",)), mode="moods", version="1", suite="a")
    assert found == {"mood-loose": ("sad",)}


def test_the_hash_sees_every_value_but_neither_version_nor_calibration() -> None:
    assert tags_hash(tags("native")) == tags_hash(tags("native", version="2.0"))
    assert tags_hash(tags("native")) == tags_hash(tags("native", calibration="v2"))
    assert tags_hash(tags("native")) != tags_hash(tags("native", suite="other"))
    assert tags_hash({"a": ("b", "c")}) != tags_hash({"a": ("bc",)})
    assert tags_hash({"a": ("b", "c")}) != tags_hash({"a": ("b",), "c": ()})
    assert tags_hash({"a": ("b",)}) != tags_hash({"b": ("a",)})


def test_the_hash_does_not_mind_the_order_of_words() -> None:
    assert tags_hash({"mood-loose": ("sad", "calm")}) == tags_hash({"mood-loose": ("calm", "sad")})


@given(st.floats(0, 1), st.floats(0, 1, width=32))
def test_a_score_is_written_with_four_decimals(double: float, single: float) -> None:
    for value in (double, single):
        assert re.fullmatch(r"[01]\.[0-9]{4}", score_text(value))
        assert abs(float(score_text(value)) - value) <= 0.5001e-4
        assert f"{score_steps(np.array([value]))[0] / 10_000:.4f}" == score_text(value)


@pytest.mark.parametrize("mode", ["native", "moods", "none"])
@pytest.mark.parametrize("own", [True, False])
@settings(deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 5))
def test_hashes_of_many_tracks_are_those_of_each(mode: str, own: bool, seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    tracks = [some_scores(rng) for _ in range(count)]
    heads = {(pack, head): Calibration(0.01, rng.uniform(0.015, 1)) for pack in HEADS for head in HEADS[pack]}
    calibration = LibraryCalibration("v1", heads) if own else LibraryCalibration()
    names = score_names(HEADS.items())
    heard, percentiles = together(tracks), for_words(calibration)
    written = {names[key]: calibrated(raw, calibration.heads.get(key)) for key, raw in heard.scores.items()}
    tiers = tiers_of(strengths_of(heard, percentiles), heard, percentiles)
    hashes = hashes_of(written, tiers, tracks=count, mode=mode).tolist()
    for track, number in zip(tracks, hashes, strict=True):
        one = tags_for(
            tag_scores(track, names, calibration.heads),
            moods_of(track, for_words(calibration)),
            mode=mode,
            version="1",
            suite="s",
            calibration=calibration.label,
        )
        assert hash_text(number + suite_term("s", mode=mode)) == tags_hash(one)
