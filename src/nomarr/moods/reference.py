"""Percentiles for a library that has no calibration of its own yet, so that its first track gets sensible words."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

from nomarr.scores import Calibration, Calibrations, LibraryCalibration


@cache
def reference_calibrations() -> Calibrations:
    """What reference.json holds; how it was measured is said there."""
    packs = json.loads(files("nomarr.moods").joinpath("reference.json").read_text(encoding="utf-8"))["packs"]
    return {(pack, head): Calibration(*ends) for pack, heads in packs.items() for head, ends in heads.items()}


# Whether somebody sings is a fact of each track. By a library's own percentiles a tenth of any library would sing,
# of piano music too: of 66 tracks with four songs among them, 15 became vocal by their own percentiles.
VOICE = frozenset(
    {("vibenet", "instrumentalness"), ("musicnn", "voice_none"), ("essentia-musicnn", "voice_instrumental")}
)


def for_words(calibration: LibraryCalibration) -> Calibrations:
    """What mood words are said by: a library's own percentiles; the reference for voice and where these lack a head."""
    own = {column: found for column, found in calibration.heads.items() if column not in VOICE}
    return {**reference_calibrations(), **own}
