"""The moods of whole libraries: tiers of every file, how often each is said, and which go together.

Everything is worked out block by block from the score matrix and remembered with the block, so that only blocks with
changed files are worked out again.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from nomarr.inference.catalog import score_names
from nomarr.moods.calibration import calibrated
from nomarr.moods.reference import for_words
from nomarr.moods.tags import STEPS, TIERS, score_steps
from nomarr.moods.tiers import WORDS, strengths_of, tiers_of
from nomarr.scores import LibraryCalibration
from nomarr.store.matrix import Block

Counts = NDArray[np.int64]
Sums = NDArray[np.float64]

STILL = 1e-12  # variance; a strength that varies less does not vary


@dataclass(frozen=True)
class ScoreUse:
    """How many files have a score, and a bit for each of its 10,001 values: whether it occurs."""

    files: int
    seen: NDArray[np.uint8]

    def __add__(self, other: ScoreUse) -> ScoreUse:
        return ScoreUse(self.files + other.files, self.seen | other.seen)

    @property
    def unique_values(self) -> int:
        return int(np.bitwise_count(self.seen).sum())


@dataclass(frozen=True)
class MoodSums:
    """What can be added up over files. Moods are in the order of `moods.tiers.WORDS`."""

    files: int
    tiers: Counts  # int64[moods, 4]: files in each tier
    carrying: Counts  # int64[3]: files with any word in strict, regular, loose
    together: Counts  # int64[moods, moods]: files that carry both
    both: Sums  # [moods, moods]: files in which both can be told
    first: Sums  # [a, b]: sum of a's strength over those, less one half each
    squares: Sums  # [a, b]: sum of a's squared
    products: Sums  # [a, b]: sum of the product of a's and b's

    def __add__(self, other: MoodSums) -> MoodSums:
        return MoodSums(**{name: value + getattr(other, name) for name, value in vars(self).items()})

    @property
    def counts(self) -> Counts:
        """Files that carry each mood, in any tier."""
        return self.tiers[:, 1:].sum(axis=1)

    def correlations(self) -> Sums:
        """Pearson's r of the strengths of every two moods; 0 where one of them never varies."""
        n = self.both
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = n * self.squares - self.first**2
            r = (n * self.products - self.first * self.first.T) / np.sqrt(spread * spread.T)
        varies = spread > STILL * n * n
        return np.where(varies & varies.T, np.clip(r, -1.0, 1.0), 0.0)


NOTHING = MoodSums(
    0,
    np.zeros((len(WORDS), 4), np.int64),
    np.zeros(3, np.int64),
    np.zeros((len(WORDS), len(WORDS)), np.int64),
    *(np.zeros((len(WORDS), len(WORDS))) for _ in range(4)),
)


@dataclass(frozen=True)
class _Known:
    label: str  # of the calibration
    moods: MoodSums | None = None
    scores: dict[str, ScoreUse] | None = None


class LibraryMoods:
    """Remembers what was worked out for the blocks of one matrix. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: WeakKeyDictionary[Block, _Known] = WeakKeyDictionary()

    def moods(self, blocks: Iterable[tuple[Block, LibraryCalibration]]) -> MoodSums:
        """Over all files of the blocks."""
        return reduce(MoodSums.__add__, (self._moods(*one) for one in blocks), NOTHING)

    def scores(self, blocks: Iterable[tuple[Block, LibraryCalibration]]) -> dict[str, ScoreUse]:
        """Name of a score, as in tags -> its use in all files of the blocks."""
        total: dict[str, ScoreUse] = {}
        for one in blocks:
            for name, use in self._scores(*one).items():
                total[name] = total[name] + use if name in total else use
        return total

    def _moods(self, block: Block, calibration: LibraryCalibration) -> MoodSums:
        known = self._recall(block, calibration.label)
        if known.moods is not None:
            return known.moods
        sums = mood_sums(block, calibration)
        self._keep(block, _Known(calibration.label, sums, known.scores))
        return sums

    def _scores(self, block: Block, calibration: LibraryCalibration) -> dict[str, ScoreUse]:
        known = self._recall(block, calibration.label)
        if known.scores is not None:
            return known.scores
        uses = score_uses(block, calibration)
        self._keep(block, _Known(calibration.label, known.moods, uses))
        return uses

    def _recall(self, block: Block, label: str) -> _Known:
        with self._lock:
            known = self._known.get(block)
        return known if known is not None and known.label == label else _Known(label)

    def _keep(self, block: Block, known: _Known) -> None:
        with self._lock:
            self._known[block] = known


def written_names(block: Block) -> dict[str, tuple[str, str]]:
    """Name of a score, as the tags of these files name it -> its column in the block."""
    return {name: column for column, name in score_names((pack.pack, pack.heads) for pack in block.packs).items()}


def written_scores(block: Block, calibration: LibraryCalibration) -> dict[str, NDArray[np.float64]]:
    """Name of a score -> what is written of it: calibrated where there is a calibration, else raw."""
    return {
        name: calibrated(block.by_column[column], calibration.heads.get(column))
        for name, column in written_names(block).items()
    }


def block_tiers(block: Block, calibration: LibraryCalibration) -> dict[str, NDArray[np.uint8]]:
    """Mood -> its tier in each file of the block; without the moods that these packs cannot tell."""
    return tiers_of(strengths_of(block.by_column, for_words(calibration)))


def mood_sums(block: Block, calibration: LibraryCalibration) -> MoodSums:
    strengths = strengths_of(block.by_column, for_words(calibration))
    at = np.array([WORDS.index(word) for word in strengths], np.intp)
    files = len(block.ids)
    tiers, pairs = np.zeros((len(WORDS), 4), np.int64), np.ix_(at, at)
    tiers[:, 0] = files
    carrying, together = np.zeros(3, np.int64), np.zeros((len(WORDS), len(WORDS)), np.int64)
    both, first, squares, products = (np.zeros((len(WORDS), len(WORDS))) for _ in range(4))
    if strengths:
        codes = np.array(list(tiers_of(strengths).values()))
        tiers[at] = np.array([np.bincount(row, minlength=4) for row in codes])
        carrying[:] = [np.count_nonzero((codes >= tier).any(axis=0)) for tier in TIERS.values()]
        carried = (codes > 0).astype(np.float32)  # whole numbers below 2^24 stay exact
        together[pairs] = np.rint(carried @ carried.T).astype(np.int64)
        centred = np.array(list(strengths.values())) - 0.5  # near zero: little is lost in the sums
        both[pairs] = files
        first[pairs] = centred.sum(axis=1)[:, None]
        squares[pairs] = (centred * centred).sum(axis=1)[:, None]
        products[pairs] = centred @ centred.T
    return MoodSums(files, tiers, carrying, together, both, first, squares, products)


def score_uses(block: Block, calibration: LibraryCalibration) -> dict[str, ScoreUse]:
    uses = {}
    for name, values in written_scores(block, calibration).items():
        seen = np.zeros(STEPS + 1, np.bool_)
        seen[score_steps(values)] = True
        uses[name] = ScoreUse(len(block.ids), np.packbits(seen))
    return uses
