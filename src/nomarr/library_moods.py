"""The moods of whole libraries: tiers of every file, how often each is said, and which go together.

Everything is worked out block by block from the score matrix and remembered with the block, so that only blocks with
changed files are worked out again.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from nomarr.inference.catalog import score_names
from nomarr.moods.calibration import calibrated
from nomarr.moods.reference import for_words
from nomarr.moods.tags import STEPS, TIERS, score_steps
from nomarr.moods.tiers import WORDS, Heard, Strength, Tier, strengths_of, tiers_of
from nomarr.moods.words import settle
from nomarr.scores import ByHand, Correction, Levels, LibraryCalibration, PackScores
from nomarr.store.matrix import Block

Counts = NDArray[np.int64]
Sums = NDArray[np.float64]

# A block never changes, and most stay the same from one question to the next.
_tiers: WeakKeyDictionary[Block, tuple[LibraryCalibration, Mapping[str, Tier]]] = WeakKeyDictionary()

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


def block_tiers(block: Block, calibration: LibraryCalibration) -> Mapping[str, Tier]:
    """Mood -> its tier in each file of the block, as corrected by hand; without the moods that nothing here says.

    Remembered as long as the block lives: twenty bytes a file.
    """
    known = _tiers.get(block)
    if known is None or (known[0] is not calibration and known[0] != calibration):
        known = _tiers[block] = (calibration, _tiers_by(calibration, block, _strengths(block, calibration)))
    return known[1]


def tiers_of_files(pairs: Iterable[tuple[Block, LibraryCalibration]], ids: Sequence[int]) -> dict[int, dict[str, int]]:
    """Id -> mood -> its tier, of those of the files that were heard; without the moods that they have not."""
    wanted, found = np.unique(np.array(ids, np.int64)), dict[int, dict[str, int]]()
    for block, calibration in pairs:
        places = np.searchsorted(block.ids, wanted)
        places = places[np.take(block.ids, places, mode="clip") == wanted]
        if len(places):
            some = block.at(places)
            tiers = _tiers_by(calibration, some, _strengths(some, calibration))
            for place, file_id in enumerate(some.ids.tolist()):
                found[file_id] = {word: int(tier[place]) for word, tier in tiers.items() if tier[place]}
    return found


def model_tiers(block: Block, calibration: LibraryCalibration) -> Mapping[str, Tier]:
    """The same as the models alone would have it."""
    found = _strengths(block, calibration)
    return tiers_of(found, _heard(block), for_words(calibration), calibration.levels)


def tier_counts(block: Block, calibration: LibraryCalibration, levels: Mapping[str, Levels]) -> Counts:
    """With other levels than the calibration's: int64[moods, 4], files in each tier."""
    tiers = _tiers_by(replace(calibration, levels=levels), block, _strengths(block, calibration))
    return _counted(tiers, block)


def _strengths(block: Block, calibration: LibraryCalibration) -> dict[str, Strength]:
    return strengths_of(_heard(block), for_words(calibration))


def _tiers_by(calibration: LibraryCalibration, block: Block, found: Mapping[str, Strength]) -> dict[str, Tier]:
    tiers = tiers_of(found, _heard(block), for_words(calibration), calibration.levels)
    return settle(tiers, block.by_hand, block.ids)


def _heard(block: Block) -> Heard:
    return Heard(block.by_column, block.spreads_by_column)


def _counted(tiers: Mapping[str, Tier], block: Block) -> Counts:
    counts = np.zeros((len(WORDS), 4), np.int64)
    counts[:, 0] = len(block.ids)
    for word, codes in tiers.items():
        counts[WORDS.index(word)] = np.bincount(codes, minlength=4)
    return counts


def mood_sums(block: Block, calibration: LibraryCalibration) -> MoodSums:
    strengths = _strengths(block, calibration)
    settled = _tiers_by(calibration, block, strengths)
    files, size = len(block.ids), len(WORDS)
    carrying, together = np.zeros(3, np.int64), np.zeros((size, size), np.int64)
    both, first, squares, products = (np.zeros((size, size)) for _ in range(4))
    if settled:
        said = _pairs(settled)
        codes = np.array(list(settled.values()))
        carrying[:] = [np.count_nonzero((codes >= tier).any(axis=0)) for tier in TIERS.values()]
        carried = (codes > 0).astype(np.float32)  # whole numbers below 2^24 stay exact
        together[said] = np.rint(carried @ carried.T).astype(np.int64)
    if strengths:
        told = _pairs(strengths)
        centred = np.array(list(strengths.values())) - 0.5  # near zero: little is lost in the sums
        both[told] = files
        first[told] = centred.sum(axis=1)[:, None]
        squares[told] = (centred * centred).sum(axis=1)[:, None]
        products[told] = centred @ centred.T
    return MoodSums(files, _counted(settled, block), carrying, together, both, first, squares, products)


def _pairs(words: Iterable[str]) -> tuple[NDArray[np.intp], ...]:
    """Where the moods' rows and columns meet."""
    at = np.array([WORDS.index(word) for word in words], np.intp)
    return np.ix_(at, at)


def score_uses(block: Block, calibration: LibraryCalibration) -> dict[str, ScoreUse]:
    uses = {}
    for name, values in written_scores(block, calibration).items():
        seen = np.zeros(STEPS + 1, np.bool_)
        seen[score_steps(values)] = True
        uses[name] = ScoreUse(len(block.ids), np.packbits(seen))
    return uses


@dataclass(frozen=True)
class Judged:
    """How what the models alone say of a mood compares with people's verdicts, in files."""

    judged: int = 0
    should_carry: int = 0
    carry: int = 0  # of the judged ones, by the models
    both: int = 0

    def __add__(self, other: Judged) -> Judged:
        return Judged(*(getattr(self, name) + value for name, value in vars(other).items()))


def agreement(
    blocks: Iterable[tuple[Block, LibraryCalibration]], verdicts: Mapping[int, Correction]
) -> dict[str, Judged]:
    """Mood -> agreement over all analysed files with a verdict on it; `verdicts` by file, locks do not count."""
    by_hand = ByHand.of({file_id: Correction(one.moods) for file_id, one in verdicts.items()})
    total = dict.fromkeys(WORDS, Judged())
    for block, calibration in blocks:
        mine = by_hand.among(block.ids)
        if not len(mine.ids):
            continue
        tiers = model_tiers(block.at(np.searchsorted(block.ids, mine.ids)), calibration)
        for word in WORDS:
            given = mine.settled(word)
            is_judged, wanted = given >= 0, given > 0
            said = is_judged & (tiers[word] > 0) if word in tiers else np.zeros(len(mine.ids), np.bool_)
            sums = (np.count_nonzero(one) for one in (is_judged, wanted, said, said & wanted))
            total[word] += Judged(*map(int, sums))
    return total


def shares_below(blocks: Iterable[Block], packs: Iterable[PackScores]) -> dict[tuple[str, str], float]:
    """(pack, score) -> which share of the blocks' files, heard with the same models, has a lower raw score."""
    own = {(pack.pack, head): (pack.fingerprint, value) for pack in packs for head, value in _by_head(pack)}
    lower, files = dict.fromkeys(own, 0), dict.fromkeys(own, 0)
    for block in blocks:
        known = {pack.pack: pack.fingerprint for pack in block.packs}
        for column, values in block.by_column.items():
            if column in own and own[column][0] == known[column[0]]:
                lower[column] += int(np.count_nonzero(values < own[column][1]))
                files[column] += len(values)
    return {column: lower[column] / files[column] for column in own if files[column]}


def _by_head(pack: PackScores) -> Iterable[tuple[str, np.float32]]:
    return zip(pack.heads, pack.values, strict=True)
