"""What `tag=` may say when files are looked for: a mood, a score's bound, or a tag of the files' own."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from nomarr.errors import InvalidInput
from nomarr.library_moods import written_names
from nomarr.moods.calibration import calibrated
from nomarr.moods.reference import for_words
from nomarr.moods.tags import TIERS
from nomarr.moods.tiers import IN_LOOSE, MOODS, OPPOSITES, WORDS, strengths_of, tiers_of
from nomarr.scores import LibraryCalibration
from nomarr.store.matrix import Block

Ids = NDArray[np.int64]
Pairs = Iterable[tuple[Block, LibraryCalibration]]

HELP = (
    "`genre:House` or `genre`: a tag of the file's own; `mood:happy` in any tier, `mood-strict:happy` in that one; "
    "`nom:danceability>0.7`: a score. Several: all must hold"
)
COMPARISONS: Mapping[str, Callable[[NDArray[np.float64], float], NDArray[np.bool_]]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
SCORE = re.compile(r"([a-z0-9_]+)\s*(?:(>=|<=|>|<)\s*([0-9]*\.?[0-9]+))?")
EVIDENCE = {mood.word: frozenset((e.pack, e.score) for e in (*mood.said_by, *mood.supported_by)) for mood in MOODS}


@dataclass(frozen=True)
class MoodFilter:
    """Files that carry a mood in at least this tier."""

    word: str
    tier: int

    def ids_in(self, block: Block, calibration: LibraryCalibration) -> Ids:
        # Only what this mood hangs on: opposites decide who is strict.
        words = {self.word, *OPPOSITES[self.word]}
        wanted = frozenset[tuple[str, str]]().union(*(EVIDENCE[word] for word in words))
        columns = {
            (pack, score): values
            for (pack, score), values in block.by_column.items()
            if ("essentia" if pack.startswith("essentia-") else pack, score) in wanted
        }
        found = strengths_of(columns, for_words(calibration))
        if self.word not in found:
            return block.ids[:0]
        return block.ids[tiers_of({word: found[word] for word in words & found.keys()})[self.word] >= self.tier]


@dataclass(frozen=True)
class ScoreFilter:
    """Files with a score, or with one above or below a bound."""

    name: str
    comparison: str | None
    bound: float

    def ids_in(self, block: Block, calibration: LibraryCalibration) -> Ids:
        column = written_names(block).get(self.name)
        if column is None:
            return block.ids[:0]
        if self.comparison is None:
            return block.ids
        values = calibrated(block.by_column[column], calibration.heads.get(column))
        return block.ids[COMPARISONS[self.comparison](values, self.bound)]


@dataclass(frozen=True)
class Filters:
    """All `tag=` of a request: those that SQL answers, and those that the scores do."""

    tags: tuple[tuple[str, str | None], ...] = ()
    heard: tuple[MoodFilter | ScoreFilter, ...] = field(default=())

    def ids(self, blocks: Pairs) -> Ids:
        """The files that all of `heard` let through, ascending."""
        found = [np.empty(0, np.int64)]
        for pair in blocks:
            found.append(reduce(_in_both, (one.ids_in(*pair) for one in self.heard)))
        return np.sort(np.concatenate(found))


def _in_both(some: Ids, others: Ids) -> Ids:
    return np.intersect1d(some, others, assume_unique=True)


def read_filters(texts: Iterable[str], *, namespace: str) -> Filters:
    """InvalidInput for a mood that does not exist or a comparison that cannot be read."""
    tags: list[tuple[str, str | None]] = []
    heard: list[MoodFilter | ScoreFilter] = []
    for text in texts:
        plain = text.strip()
        is_ours = plain.lower().startswith(f"{namespace}:")
        ours = plain[len(namespace) + 1 :].strip() if is_ours else plain
        name, colon, value = ours.partition(":")
        if colon and name.lower() in ("mood", *TIERS):
            heard.append(_mood(name.lower(), value))
        elif is_ours:
            heard.append(_score(ours))
        elif not name:
            raise InvalidInput("tag: expected a name, as in genre:House")
        else:
            tags.append((name.strip().lower(), value.strip() or None))
    return Filters(tuple(tags), tuple(heard))


def _mood(tier: str, word: str) -> MoodFilter:
    wanted = word.strip().lower()
    if wanted not in WORDS:
        raise InvalidInput(f"tag: there is no mood {wanted!r}; there are {', '.join(WORDS)}")
    return MoodFilter(wanted, TIERS.get(tier, IN_LOOSE))


def _score(text: str) -> ScoreFilter:
    match = SCORE.fullmatch(text)
    if match is None:
        raise InvalidInput(f"tag: cannot read {text!r}; expected a score and a bound, as in danceability>0.7")
    return ScoreFilter(match[1], match[2], float(match[3] or 0))
