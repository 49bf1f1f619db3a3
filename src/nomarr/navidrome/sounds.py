"""What Nomarr heard, as Navidrome finds it in the files: scores with four decimals, and mood words.

The one place that knows where stored scores come from; all else sees file ids and numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nomarr.inference.catalog import score_names
from nomarr.library_moods import block_tiers, written_names
from nomarr.moods.calibration import calibrated
from nomarr.moods.reference import reference_calibrations
from nomarr.moods.tags import STEPS, TIERS, score_steps
from nomarr.scores import LibraryCalibration
from nomarr.store.matrix import Block, Snapshot

Ids = NDArray[np.int64]
CalibrationOf = Callable[[int], LibraryCalibration]  # library -> its percentiles


def reference_only(_library_id: int) -> LibraryCalibration:
    """For libraries without a calibration of their own."""
    return LibraryCalibration()


def known_scores(snapshot: Snapshot) -> set[str]:
    """Names of all scores that there are, and of those that Nomarr's packs give once they are heard."""
    shipped: dict[str, list[str]] = {}
    for pack, head in reference_calibrations():
        shipped.setdefault(pack, []).append(head)
    return {
        *score_names(shipped.items()).values(),
        *(name for block in snapshot.blocks for name in written_names(block)),
    }


class Sounds:
    """The scores and mood words of all files, by name of the field."""

    def __init__(
        self,
        snapshot: Snapshot,
        calibration_of: CalibrationOf = reference_only,
        *,
        library_ids: Container[int] | None = None,
    ) -> None:
        self._blocks = [b for b in snapshot.blocks if library_ids is None or b.library_id in library_ids]
        self._calibration_of = calibration_of
        self._calibrations: dict[int, LibraryCalibration] = {}

    def values(self, score: str) -> tuple[Ids, NDArray[np.float64]]:
        """The files that have the score, and what is written of it: int64[n], float64[n]."""
        found = [(block.ids, self._written(block, score)) for block in self._blocks if score in written_names(block)]
        return _joined(ids for ids, _ in found), np.concatenate([np.empty(0), *(values for _, values in found)])

    def carrying(self, tier: str, matches: Callable[[str], bool]) -> Ids:
        """The files with at least one matching word in their tier or below it: int64[n]."""
        least = TIERS[f"mood-{tier}"]
        found = []
        for block in self._blocks:
            tiers = block_tiers(block, self._calibration(block))
            if words := [codes for word, codes in tiers.items() if matches(word)]:
                found.append(block.ids[np.logical_or.reduce([codes >= least for codes in words])])
        return _joined(found)

    @cached_property
    def scores(self) -> dict[str, int]:
        """Name of a score -> how many files have it."""
        counts: dict[str, int] = {}
        for block in self._blocks:
            for name in written_names(block):
                counts[name] = counts.get(name, 0) + len(block.ids)
        return counts

    def _written(self, block: Block, score: str) -> NDArray[np.float64]:
        column = written_names(block)[score]
        calibration = self._calibration(block).heads.get(column)
        return score_steps(calibrated(block.by_column[column], calibration)) / STEPS

    def _calibration(self, block: Block) -> LibraryCalibration:
        if block.library_id not in self._calibrations:
            self._calibrations[block.library_id] = self._calibration_of(block.library_id)
        return self._calibrations[block.library_id]


def _joined(parts: Iterable[Ids]) -> Ids:
    return np.concatenate([np.empty(0, dtype=np.int64), *parts])
