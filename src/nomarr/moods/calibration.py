"""How a library's raw scores are spread, and where one score lies among them.

Histogram -> 5th and 95th percentile -> a calibrated score, so that "happy" means the same in every library.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nomarr.scores import Calibration, Calibrations

BINS = 10_000
LOW, HIGH = 5, 95  # per cent
SMALL = 200  # files; below this ten tracks more or less move the percentiles visibly
SHRUNK = 1 / 3  # of the reference's width: the library's tracks are unusually alike in this
ODD_SHARE = 1 / 4  # of the heads

Column = NDArray[np.float32] | NDArray[np.float64]


class Histogram:
    """Counts of some heads' raw scores in 10,000 bins on [0, 1], the highest of which holds 1.0 too.

    Takes 80 kB a head, whatever is counted. What is not a number is left out.
    """

    def __init__(self, heads: int) -> None:
        self.counts = np.zeros((heads, BINS + 2), np.int64)  # below 0, the bins, above 1

    def add(self, values: Column) -> None:
        """Count some files' scores, float[heads, files]."""
        for counts, column in zip(self.counts, values, strict=True):
            known = column.astype(np.float64)
            if np.isnan(known).any():
                known = known[~np.isnan(known)]
            bins = np.floor(known * BINS)
            bins[known == 1.0] = BINS - 1
            counts += np.bincount(np.clip(bins, -1, BINS).astype(np.int64) + 1, minlength=BINS + 2)

    @property
    def n(self) -> NDArray[np.int64]:
        """How many scores each head has, int64[heads]."""
        return self.counts.sum(axis=1)

    @property
    def underflow(self) -> NDArray[np.int64]:
        return self.counts[:, 0]

    @property
    def overflow(self) -> NDArray[np.int64]:
        return self.counts[:, -1]

    def calibrations(self) -> list[Calibration]:
        """Each head's percentiles: the lower edge of the first bin at or above 5 % and 95 % of its scores."""
        low, high = self._edge(LOW), self._edge(HIGH)
        return [Calibration(float(p5), float(p95)) for p5, p95 in zip(low, high, strict=True)]

    def _edge(self, percent: int) -> NDArray[np.float64]:
        reached = 100 * self.counts.cumsum(axis=1) >= percent * self.n[:, None]  # whole numbers: no rounding
        return np.clip(reached.argmax(axis=1) - 1, 0, BINS) / BINS


def calibrated(raw: Column, calibration: Calibration | None) -> NDArray[np.float64]:
    """Calibration.apply for many scores at once, bit for bit the same; raw where there is no calibration."""
    wide = raw.astype(np.float64)
    if calibration is None or calibration.is_narrow:
        return wide
    wide -= calibration.p5
    wide /= calibration.p95 - calibration.p5
    return np.clip(wide, 0.0, 1.0, out=wide)


def drift(old: Calibration, new: Calibration) -> float:
    """How far the new percentiles move a calibrated score at most, 0..1."""
    corners = (0.0, 1.0, old.p5, old.p95, new.p5, new.p95)  # between them both are straight lines
    return max(abs(new.apply(raw) - old.apply(raw)) for raw in corners)


def odd_library(files: int, found: Calibrations, reference: Calibrations) -> str | None:
    """What to bear in mind about percentiles of so few files, or of music that is so much alike; None if nothing."""
    notes = []
    if files < SMALL:
        notes.append(f"Only {files} analysed {'file' if files == 1 else 'files'}: below {SMALL}, percentiles are rough")
    narrow = sorted(head for (_, head), one in found.items() if one.is_narrow)
    if narrow:
        which = (
            "1 head hardly varies here and stays"
            if len(narrow) == 1
            else f"{len(narrow)} heads hardly vary here and stay"
        )
        notes.append(f"{which} raw: {', '.join(narrow[:5])}{', ...' if len(narrow) > 5 else ''}")
    shrunk, shared = _shrunk(found, reference)
    if shared and shrunk >= ODD_SHARE * shared:
        notes.append(
            f"{shrunk} of {shared} heads cover less than a third of their usual range: this music is alike, and its "
            "tracks are compared with one another rather than with music at large"
        )
    return ". ".join(notes) or None


def _shrunk(found: Calibrations, reference: Calibrations) -> tuple[int, int]:
    shared = [(found[key], reference[key]) for key in found if key in reference]
    return sum(own.p95 - own.p5 < SHRUNK * (usual.p95 - usual.p5) for own, usual in shared), len(shared)
