"""Percentiles for a library that has no calibration of its own yet, so that its first track gets sensible words."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

from nomarr.scores import Calibration, Calibrations, LibraryCalibration

__all__ = ["Calibrations", "for_words", "reference_calibrations"]


@cache
def reference_calibrations() -> Calibrations:
    """What reference.json holds; how it was measured is said there."""
    packs = json.loads(files("nomarr.moods").joinpath("reference.json").read_text(encoding="utf-8"))["packs"]
    return {(pack, head): Calibration(*ends) for pack, heads in packs.items() for head, ends in heads.items()}


def for_words(calibration: LibraryCalibration) -> Calibrations:
    """What mood words are said by: a library's own percentiles, the reference for heads that these leave out."""
    return {**reference_calibrations(), **calibration.heads}
