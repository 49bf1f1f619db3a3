"""How the raw scores of whole libraries are spread: a histogram a head, coarse enough to be looked at.

Counted block by block and remembered with the block, so that only blocks with changed files are counted again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from nomarr.inference.catalog import preference
from nomarr.moods.calibration import BINS, Histogram
from nomarr.store.matrix import Block, ScorePack

STEPS = 50
ENDS = (0.05, 0.1, 0.2, 0.25, 0.5, 1.0)  # where a picture may end: MusiCNN's heads seldom leave the first tenth
SHOWN = 0.99  # of the scores, at least
FINE = 1000  # bins that are remembered; every end is a whole number of them for each step

# int32[columns, FINE + 2] of a block that never changes: 230 kB with 57 heads, beside 7 MB of scores
_counts: WeakKeyDictionary[Block, NDArray[np.int32]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Spread:
    """One head's scores: how many lie in each of the equal steps from 0 to `end`, below them, and above."""

    pack: ScorePack
    head: str
    end: float
    counts: tuple[int, ...]
    below: int
    above: int

    @property
    def n(self) -> int:
        return sum(self.counts) + self.below + self.above


def spreads(blocks: Iterable[Block]) -> list[Spread]:
    """Every head, preferred packs first; of each pack the version that most files were heard with."""
    files: dict[ScorePack, int] = {}
    counts: dict[ScorePack, NDArray[np.int64]] = {}
    for block in blocks:
        row, counted = 0, _counted(block)
        for pack in block.packs:
            some = counted[row : row + len(pack.heads)]
            files[pack] = files.get(pack, 0) + len(block.ids)
            counts[pack] = counts[pack] + some if pack in counts else some
            row += len(pack.heads)
    chosen = {pack.pack: pack for pack in sorted(files, key=lambda pack: (files[pack], pack.id))}
    return [
        _spread(pack, head, of_head)
        for pack in sorted(chosen.values(), key=lambda pack: preference(pack.pack))
        for head, of_head in zip(pack.heads, counts[pack], strict=True)
    ]


def _spread(pack: ScorePack, head: str, fine: NDArray[np.int64]) -> Spread:
    up_to = fine.cumsum()
    end = next((end for end in ENDS if up_to[round(end * FINE)] >= SHOWN * up_to[-1]), ENDS[-1])
    bins = round(end * FINE)
    counts = fine[1 : bins + 1].reshape(STEPS, -1).sum(axis=1)
    return Spread(pack, head, end, tuple(counts.tolist()), int(fine[0]), int(fine[bins + 1 :].sum()))


def _counted(block: Block) -> NDArray[np.int64]:
    known = _counts.get(block)
    if known is None:
        histogram = Histogram(len(block.values))
        histogram.add(block.values)
        all_bins = histogram.counts
        fine = all_bins[:, 1:-1].reshape(len(all_bins), FINE, BINS // FINE).sum(axis=2)
        known = np.concatenate([all_bins[:, :1], fine, all_bins[:, -1:]], axis=1).astype(np.int32)
        _counts[block] = known
    return known.astype(np.int64)
