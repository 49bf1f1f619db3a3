"""A file's raw tags -> the values that Navidrome's scanner makes of them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nomarr.navidrome.matching import Plain
from nomarr.tagfiles.facts import date_of

ARTIST_SEPARATORS = (" / ", " feat. ", " feat ", " ft. ", " ft ", "; ")
_TRUE = ("1", "t", "T", "true", "TRUE", "True")


def splitter(separators: Sequence[str]) -> Callable[[str], list[str]]:
    """A function that takes a text apart at any of the separators, in whatever case; empty parts are dropped."""
    if not separators:
        return lambda text: [text]
    pattern = re.compile("|".join(map(re.escape, separators)), re.IGNORECASE)
    return lambda text: [part for part in map(str.strip, pattern.split(text)) if part]


def bpm(text: str) -> Plain:
    """A whole number, halves away from zero; None for 0 and for what is no number."""
    try:
        number = float(text)
    except ValueError:
        return None
    if not math.isfinite(number) or "_" in text:
        return None
    return int(math.copysign(math.floor(abs(number) + 0.5), number)) or None


@dataclass(frozen=True)
class Dates:
    """When music was recorded, first released and released in this edition; "" where that is not known."""

    date: str
    originaldate: str
    releasedate: str

    @property
    def originalyear(self) -> int:
        return int(self.originaldate[:4] or 0)

    @property
    def releaseyear(self) -> int:
        return int(self.releasedate[:4] or 0)


def dates_of(recorded: str, original: str, released: str) -> Dates:
    """Of the three tags. Many taggers write the date of the release as if it were that of the recording."""
    date, first, edition = date_of(recorded), date_of(original), date_of(released)
    if first and not edition and date >= first:
        return Dates(first, first, date)
    return Dates(date or first or edition, first, edition)


def flag_of(text: str) -> bool:
    return text in _TRUE
