"""The small facts that rooms hand to one another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]


@dataclass(frozen=True)
class PackScores:
    """The pooled scores of one pack for one track, in the pack's fixed head order.

    `values` and `spreads` are float32[len(heads)]; values lie in 0..1, spreads in 0..0.5.
    """

    pack: str
    fingerprint: str
    heads: tuple[str, ...]
    values: Vector
    spreads: Vector


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


Scores = Mapping[str, float]  # head name -> score, 0..1
