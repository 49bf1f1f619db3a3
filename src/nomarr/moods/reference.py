"""Percentiles for a library that has no calibration of its own yet, so that its first track gets sensible words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from nomarr.moods.calibration import Calibration

Calibrations = Mapping[tuple[str, str], Calibration]  # (pack, score) -> its percentiles


@cache
def reference_calibrations() -> Calibrations:
    """What reference.json holds; how it was measured is said there."""
    packs = json.loads(files("nomarr.moods").joinpath("reference.json").read_text(encoding="utf-8"))["packs"]
    return {(pack, head): Calibration(*ends) for pack, heads in packs.items() for head, ends in heads.items()}
