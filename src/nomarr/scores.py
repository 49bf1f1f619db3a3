"""The small facts that rooms hand to one another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]
Steps = NDArray[np.uint8]
NARROWEST = 0.01  # percentiles closer than this say nothing about the music, and the raw score stays


@dataclass(frozen=True)
class PackScores:
    """The pooled scores of one pack for one track, in the pack's fixed head order.

    `values` and `spreads` are float32[len(heads)]; values lie in 0..1, spreads in 0..0.5. `backbone` names the
    network that listened.
    """

    pack: str
    fingerprint: str
    heads: tuple[str, ...]
    values: Vector
    spreads: Vector
    backbone: str = ""


@dataclass(frozen=True)
class Embedding:
    """What a backbone made of one track, before any head.

    `mean` is float32[size]; `patches` is float16[n <= 32, size], evenly spaced over the track.
    """

    backbone: str
    fingerprint: str
    mean: Vector
    patches: NDArray[np.float16]


@dataclass(frozen=True)
class Moods:
    """Mood words of one track; each list holds the one before it."""

    strict: tuple[str, ...] = ()
    regular: tuple[str, ...] = ()
    loose: tuple[str, ...] = ()


@dataclass(frozen=True)
class Calibration:
    """One head's 5th and 95th percentile over a library, raw scores."""

    p5: float
    p95: float

    @property
    def is_narrow(self) -> bool:
        return self.p95 - self.p5 < NARROWEST

    def apply(self, raw: float) -> float:
        """clamp((raw - p5) / (p95 - p5), 0, 1); raw where the percentiles lie closer than 0.01."""
        if self.is_narrow:
            return raw
        return min(1.0, max(0.0, (raw - self.p5) / (self.p95 - self.p5)))


Calibrations = Mapping[tuple[str, str], Calibration]  # (pack, score) -> its percentiles


@dataclass(frozen=True)
class Levels:
    """Strengths from which on a mood is said strictly, regularly, loosely: 0 < loose <= regular <= strict <= 1."""

    strict: float
    regular: float
    loose: float


@dataclass(frozen=True)
class LibraryCalibration:
    """What a library's words are said by: its percentiles, the moods whose levels were set by hand, and the label of
    both that its files carry. None of its own by default.
    """

    label: str = "reference"
    heads: Calibrations = field(default_factory=dict)
    levels: Mapping[str, Levels] = field(default_factory=dict)


@dataclass(frozen=True)
class Correction:
    """What a person settled for one track: tiers of moods as numbers, 0 for "not this one".

    `kept` are the words of a locked track, None where it is not locked; what it does not name is not said.
    """

    moods: Mapping[str, int] = field(default_factory=dict)
    kept: Mapping[str, int] | None = None

    def __bool__(self) -> bool:
        return bool(self.moods) or self.kept is not None


@dataclass(frozen=True, eq=False)
class ByHand:
    """The corrections of many files: ids ascending, mood -> int8[files] with -1 for "as the models say", and locks."""

    ids: NDArray[np.int64]
    tiers: Mapping[str, NDArray[np.int8]]
    is_locked: NDArray[np.bool_]

    @classmethod
    def of(cls, corrections: Mapping[int, Correction]) -> ByHand:
        ids = sorted(corrections)
        some = [corrections[file_id] for file_id in ids]
        is_locked = np.array([one.kept is not None for one in some], np.bool_)
        words = sorted({word for one in some for word in (*one.moods, *(one.kept or ()))})
        tiers = {
            word: np.array([one.moods.get(word, -1 if one.kept is None else one.kept.get(word, 0)) for one in some])
            for word in words
        }
        return cls(np.array(ids, np.int64), {w: t.astype(np.int8) for w, t in tiers.items()}, is_locked)

    @classmethod
    def joined(cls, parts: Iterable[ByHand]) -> ByHand:
        """The corrections of different files as one."""
        some = [part for part in parts if len(part.ids)]
        if len(some) < 2:
            return some[0] if some else NOBODYS
        ids = np.concatenate([part.ids for part in some])
        order = np.argsort(ids, kind="stable")
        words = sorted({word for part in some for word in part.tiers})
        tiers = {word: np.concatenate([part.settled(word) for part in some])[order] for word in words}
        return cls(ids[order], tiers, np.concatenate([part.is_locked for part in some])[order])

    def among(self, ids: NDArray[np.int64]) -> ByHand:
        """Those of these files."""
        if not len(self.ids):
            return self
        chosen = np.isin(self.ids, ids)
        return ByHand(self.ids[chosen], {w: t[chosen] for w, t in self.tiers.items()}, self.is_locked[chosen])

    def settled(self, word: str) -> NDArray[np.int8]:
        """The mood's tier in each of the files, -1 where nobody settled it."""
        return self.tiers.get(word, self._unnamed)

    @cached_property
    def _unnamed(self) -> NDArray[np.int8]:
        return np.where(self.is_locked, 0, -1).astype(np.int8)


NOBODYS = ByHand.of({})


SPREAD_STEPS = 2 * 255  # in 1


def spread_steps(spreads: Vector) -> Steps:
    """Spreads in 255 steps up to 0.5, their largest: all that tiers ask of them, in a quarter of the memory."""
    steps = np.rint(spreads * np.float32(SPREAD_STEPS))
    return np.fmin(np.fmax(steps, 0, out=steps), 255, out=steps).astype(np.uint8)  # what is no number becomes 0
