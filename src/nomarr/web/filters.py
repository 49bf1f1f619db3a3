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
from nomarr.library_moods import block_tiers, written_names
from nomarr.moods.calibration import calibrated
from nomarr.moods.tags import TIERS
from nomarr.moods.tiers import IN_LOOSE, WORDS
from nomarr.scores import LibraryCalibration
from nomarr.store.matrix import Block

Ids = NDArray[np.int64]
Mask = NDArray[np.bool_]
Pairs = Iterable[tuple[Block, LibraryCalibration]]

HELP = (
    "`genre:House` or `genre`: a tag of the file's own; `mood:happy` in any tier, `mood-strict:happy` in that one, "
    "`nom:mood-strict` any word in it; `nom:danceability>0.7`: a score, `nom:*` any. A leading `!` turns it round, for "
    "moods and scores among analysed files. Several: all must hold"
)
COMPARISONS: Mapping[str, Callable[[NDArray[np.float64], float], NDArray[np.bool_]]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
ANY = "*"
SCORE = re.compile(r"([a-z0-9_]+)\s*(?:(>=|<=|>|<)\s*([0-9]*\.?[0-9]+))?")


@dataclass(frozen=True)
class MoodFilter:
    """Files that carry a mood in at least this tier; without a word any mood."""

    word: str | None
    tier: int

    def holds(self, block: Block, calibration: LibraryCalibration) -> Mask:
        tiers = block_tiers(block, calibration)
        said = tiers.values() if self.word is None else [tiers[self.word]] if self.word in tiers else []
        return reduce(operator.or_, (tier >= self.tier for tier in said), np.zeros(len(block.ids), np.bool_))


@dataclass(frozen=True)
class ScoreFilter:
    """Files with a score, or with one above or below a bound; `*` is any score."""

    name: str
    comparison: str | None = None
    bound: float = 0.0

    def holds(self, block: Block, calibration: LibraryCalibration) -> Mask:
        column = written_names(block).get(self.name)
        if column is None or self.comparison is None:
            return np.full(len(block.ids), column is not None or self.name == ANY)
        values = calibrated(block.by_column[column], calibration.heads.get(column))
        return COMPARISONS[self.comparison](values, self.bound)


@dataclass(frozen=True)
class Not:
    """Analysed files that another filter does not let through."""

    other: MoodFilter | ScoreFilter

    def holds(self, block: Block, calibration: LibraryCalibration) -> Mask:
        return ~self.other.holds(block, calibration)


@dataclass(frozen=True)
class Filters:
    """All `tag=` of a request: those that SQL answers, and those that the scores do."""

    tags: tuple[tuple[str, str | None], ...] = ()
    heard: tuple[MoodFilter | ScoreFilter | Not, ...] = field(default=())
    without: tuple[tuple[str, str | None], ...] = ()

    def ids(self, blocks: Pairs) -> Ids:
        """The files that all of `heard` let through, ascending."""
        found = [np.empty(0, np.int64)]
        for block, calibration in blocks:
            found.append(block.ids[reduce(operator.and_, (one.holds(block, calibration) for one in self.heard))])
        return np.sort(np.concatenate(found))


def read_filters(texts: Iterable[str], *, namespace: str) -> Filters:
    """InvalidInput for a mood that does not exist or a comparison that cannot be read."""
    tags: list[tuple[str, str | None]] = []
    without: list[tuple[str, str | None]] = []
    heard: list[MoodFilter | ScoreFilter | Not] = []
    for text in texts:
        is_denied = text.strip().startswith("!")
        plain = text.strip().removeprefix("!").strip()
        is_ours = plain.lower().startswith(f"{namespace}:")
        ours = plain[len(namespace) + 1 :].strip() if is_ours else plain
        name, colon, value = ours.partition(":")
        if colon and name.lower() in ("mood", *TIERS):
            heard.append(_denied(_mood(name.lower(), value), is_denied))
        elif is_ours and ours.lower() in TIERS:
            heard.append(_denied(MoodFilter(None, TIERS[ours.lower()]), is_denied))
        elif is_ours:
            heard.append(_denied(_score(ours), is_denied))
        elif not name:
            raise InvalidInput("tag: expected a name, as in genre:House")
        else:
            (without if is_denied else tags).append((name.strip().lower(), value.strip() or None))
    return Filters(tuple(tags), tuple(heard), tuple(without))


def _denied(one: MoodFilter | ScoreFilter, is_denied: bool) -> MoodFilter | ScoreFilter | Not:
    return Not(one) if is_denied else one


def _mood(tier: str, word: str) -> MoodFilter:
    wanted = word.strip().lower()
    if wanted not in WORDS:
        raise InvalidInput(f"tag: there is no mood {wanted!r}; there are {', '.join(WORDS)}")
    return MoodFilter(wanted, TIERS.get(tier, IN_LOOSE))


def _score(text: str) -> ScoreFilter:
    if text == ANY:
        return ScoreFilter(ANY)
    match = SCORE.fullmatch(text)
    if match is None:
        raise InvalidInput(f"tag: cannot read {text!r}; expected a score and a bound, as in danceability>0.7")
    return ScoreFilter(match[1], match[2], float(match[3] or 0))
