"""The small facts that rooms hand to one another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]
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
class HeadScore:
    """One head's pooled score (0..1) and its spread over the patches (standard deviation)."""

    head: str
    value: float
    spread: float


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


Scores = Mapping[str, float]  # head name -> score, 0..1
Calibrations = Mapping[tuple[str, str], Calibration]  # (pack, score) -> its percentiles


@dataclass(frozen=True)
class LibraryCalibration:
    """The percentiles that hold for a library, and the label that its files carry; none of its own by default."""

    label: str = "reference"
    heads: Calibrations = field(default_factory=dict)
