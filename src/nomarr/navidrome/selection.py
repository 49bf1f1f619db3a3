"""Which files a playlist lists: its rules, as Navidrome gets them, over our own database.

Conditions on columns and plain tags are SQL, and whole groups of them one statement. Scores, moods and whatever
Navidrome's scanner takes apart first (genres, artists, dates) are looked up by value. The two meet as masks over
the files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nomarr.navidrome import values
from nomarr.navidrome.checks import PERIOD
from nomarr.navidrome.fields import Field, Fields
from nomarr.navidrome.lowering import OPPOSITES, lower
from nomarr.navidrome.matching import Test, comparison
from nomarr.navidrome.nsp import Order, Playlist
from nomarr.navidrome.rules import AllOf, AnyOf, Node, Not, Rule, rules_in
from nomarr.navidrome.sounds import Sounds
from nomarr.store.playlists import NO_ARTIST, VARIOUS, ByText, FileQuery

Ids = NDArray[np.int64]
Mask = NDArray[np.bool_]

_IN_SQL = ("column", "tag")
_NEGATIONS = ("isNot", "notContains", "isMissing")
_READERS: dict[str, Callable[[str], Any]] = {
    "bpm": values.bpm,
    "flag": values.flag_of,
}
_WITHOUT: dict[str, Any] = {"bpm": None, "flag": False}  # what a file without the tag has


@dataclass(frozen=True)
class Selection:
    """What a playlist lists: how many files match, how many are listed, the first of them, in its order.

    Rules on fields that only Navidrome knows are left out of account and named in `not_evaluated`. `not_written`
    counts matching files whose scores or moods, if the rules ask for any, are not in the files yet.
    """

    matching: int
    listed: int
    first: tuple[int, ...]
    not_written: int
    not_evaluated: tuple[str, ...]


def select(playlist: Playlist, fields: Fields, files: FileQuery, sounds: Sounds, *, show: int) -> Selection:
    """What the playlist lists; the ids of at most `show` files."""
    rules = lower(playlist.rules, fields)
    unknown = [rule.field.name for rule in rules_in(rules) if not _is_known(rule)]
    unknown += [order.field.name for order in playlist.sort if not _has_order(order)]
    order = [order for order in playlist.sort if _has_order(order)] or [Order(fields.find("title"))]
    kept = _evaluable(rules)
    evaluation = _Evaluation(files, sounds)
    mask = evaluation.universe_mask(kept)
    matching = int(np.count_nonzero(mask))
    listed = playlist.listed(matching)
    offset = playlist.offset if playlist.limit_of(matching) else 0
    asks_for_ours = any(rule.field.kind in ("score", "words") for rule in rules_in(rules))
    not_written = int(np.count_nonzero(mask & evaluation.unwritten_mask())) if asks_for_ours else 0
    ids = evaluation.universe[mask]
    first = evaluation.in_order(ids, order, limit=min(show, listed), offset=offset)
    return Selection(matching, listed, tuple(first), not_written, tuple(dict.fromkeys(unknown)))


def count_each(rules: Sequence[Node], fields: Fields, files: FileQuery, sounds: Sounds) -> list[int]:
    """How many files match each of several trees; what they have in common is looked up once."""
    evaluation = _Evaluation(files, sounds)
    kept = [_evaluable(lower(node, fields)) for node in rules]
    return [int(np.count_nonzero(evaluation.universe_mask(node))) for node in kept]


def _is_known(rule: Rule) -> bool:
    return bool(rule.field.source) and rule.operator not in PERIOD


def _has_order(order: Order) -> bool:
    return bool(order.field.source) or order.field.kind == "random"


def _evaluable(node: Node) -> Node | None:
    """The tree without rules that only Navidrome can evaluate; None where nothing is left."""
    match node:
        case AllOf(parts) | AnyOf(parts):
            kept = tuple(part for part in map(_evaluable, parts) if part is not None)
            return replace(node, parts=kept) if kept else None
        case Rule():
            return node if _is_known(node) else None
        case Not():
            raise AssertionError("lowering leaves no NOT")


class _Evaluation:
    """One tree over one state of the database."""

    def __init__(self, files: FileQuery, sounds: Sounds) -> None:
        self.files = files
        self.sounds = sounds

    @cached_property
    def universe(self) -> Ids:
        """Every file in question, ascending."""
        return self.files.everything()

    def universe_mask(self, node: Node | None) -> Mask:
        return np.ones(len(self.universe), np.bool_) if node is None else self._mask(node)

    def unwritten_mask(self) -> Mask:
        return ~self._mask_of(self.files.written()) | self._mask_of(self.files.to_write())

    def _mask(self, node: Node) -> Mask:
        condition = self._condition(node)
        if condition is not None:
            return self._mask_of(self.files.ids(condition))
        if isinstance(node, Rule):
            return self._rule_mask(node)
        assert isinstance(node, AllOf | AnyOf)  # noqa: S101 (lowering leaves no NOT)
        parts = [(part, self._condition(part)) for part in node.parts]
        masks = [self._mask(part) for part, condition in parts if condition is None]
        conditions = [condition for _, condition in parts if condition is not None]
        if conditions:
            masks.append(self._mask_of(self.files.ids(self._together(node, conditions))))
        together = np.logical_and if isinstance(node, AllOf) else np.logical_or
        result: Mask = together.reduce(masks)
        return result

    def _condition(self, node: Node) -> str | None:
        """The node as SQL, or None where some of it cannot be."""
        match node:
            case Rule(field=Field(source="column"), operator=operator, value=value):
                return self.files.column(node.field.name, operator, value)
            case AllOf(parts) | AnyOf(parts):
                conditions = [condition for part in parts if (condition := self._condition(part)) is not None]
                return self._together(node, conditions) if len(conditions) == len(parts) else None
        return None

    def _together(self, node: Node, conditions: Sequence[str]) -> str:
        return self.files.all_of(conditions) if isinstance(node, AllOf) else self.files.any_of(conditions)

    def _mask_of(self, ids: Ids) -> Mask:
        """True at those of the files that are in question."""
        mask = np.zeros(len(self.universe), np.bool_)
        if len(self.universe) and len(ids):
            at = np.minimum(np.searchsorted(self.universe, ids), len(self.universe) - 1)
            mask[at[self.universe[at] == ids]] = True
        return mask

    def _rule_mask(self, rule: Rule) -> Mask:
        source = rule.field.source
        if source in _READERS:
            return self._column_mask(rule)
        if source == "dates":
            return self._dates_mask(rule)
        is_negated = rule.operator in _NEGATIONS
        operator = OPPOSITES[rule.operator] if is_negated else rule.operator
        mask = self._any_value(rule.field, comparison(operator, rule.value), operator, rule.value)
        return ~mask if is_negated else mask

    def _column_mask(self, rule: Rule) -> Mask:
        """A column that Navidrome fills from a tag: the first value counts, and a file may have none."""
        source = rule.field.source
        read, test = _READERS[source], _with_negation(rule)
        mask = self._tag_mask(rule.field.tags, lambda text: test(read(text)))
        if test(_WITHOUT[source]):
            mask |= ~self._tag_mask(rule.field.tags, lambda _: True)
        return mask

    def _dates_mask(self, rule: Rule) -> Mask:
        test, (codes, dates) = _with_negation(rule), self.dates
        passing = np.array([test(getattr(one, rule.field.name)) for one in dates], np.bool_)
        result: Mask = passing[codes]
        return result

    @cached_property
    def dates(self) -> tuple[Ids, list[values.Dates]]:
        """For each file which of the dates are its own."""
        recorded, original, released = self._column(), self._column(), self._column()
        self._put(recorded, ["date"])
        self._put(original, ["origyear", "originalyear", "originaldate"])
        is_mp4 = self._mask_of(self.files.in_mp4())
        released.codes[is_mp4] = recorded.codes[is_mp4]  # where there is but one date for both
        released.values = [*recorded.values]
        self._put(released, ["releasedate"])
        columns = (recorded, original, released)
        every, codes = np.unique(
            (recorded.codes * len(original.values) + original.codes) * len(released.values) + released.codes,
            return_inverse=True,
        )
        dates = []
        for code in every.tolist():
            rest, last = divmod(code, len(released.values))
            first, middle = divmod(rest, len(original.values))
            texts = (column.values[at] for column, at in zip(columns, (first, middle, last), strict=True))
            dates.append(values.dates_of(*texts))
        return codes, dates

    def _column(self, without: Any = "") -> _Column:
        return _Column(np.zeros(len(self.universe), np.int64), [without])

    def _put(self, column: _Column, tags: Sequence[str], read: Callable[[str], Any] = str) -> None:
        """The tags' values over what the column holds; of several values the least, of several tags the last."""
        for tag in tags:
            self._put_texts(column, self.files.by_tag(tag), read)

    def _put_texts(self, column: _Column, found: ByText, read: Callable[[str], Any]) -> None:
        codes = len(column.values) + np.repeat(np.arange(len(found.texts)), found.counts)
        column.values.extend(map(read, found.texts))
        if not len(self.universe) or not len(found.ids):
            return
        at = np.minimum(np.searchsorted(self.universe, found.ids), len(self.universe) - 1)
        ours = self.universe[at] == found.ids
        column.codes[at[ours]] = codes[ours]

    def _any_value(self, field: Field, test: Test, operator: str, value: object) -> Mask:
        """The files of which some value passes."""
        if field.source == "score":
            ids, numbers = self.sounds.values(field.name.partition(":")[2])
            return self._mask_of(ids[_compared(numbers, operator, value)])
        if field.source == "artist":
            return self._artist_mask(field, test)
        if field.source == "albumartist":
            return self._album_artist_mask(field, test)
        if field.source == "tag" and not field.split:
            return self._mask_of(self.files.ids_with_tag(field.tags, operator, value))
        mask = self._tag_mask(field.tags, _some_part(field.split, test))
        if field.source == "words":
            mask |= self._mask_of(self.sounds.carrying(field.tier, test))
        return mask

    def _tag_mask(self, tags: Sequence[str], passes: Callable[[str], bool]) -> Mask:
        if not tags:
            return np.zeros(len(self.universe), np.bool_)
        found = [text for text in self.files.tag_values(tags) if passes(text)]
        return self._mask_of(self.files.ids_with_values(tags, found))

    def _artist_mask(self, field: Field, test: Test) -> Mask:
        """By the tag with one name a value where there is one, else by the names in the usual text."""
        mask = self._named_mask("artist", test)
        if test(NO_ARTIST):
            mask |= self._mask_of(self.files.ids_without_artist("artist"))
        return self._by_tag(field, test, mask)

    def _album_artist_mask(self, field: Field, test: Test) -> Mask:
        """Where nobody is named: various artists on a compilation, else the track's own."""
        mask = self._named_mask("albumartist", test)
        nameless = self._mask_of(self.files.ids_without_artist("albumartist"))
        if nameless.any():
            compilations = self._tag_mask(("compilation",), values.flag_of)
            artists = self._artist_mask(replace(field, tags=("artists",)), test)
            mask |= nameless & np.where(compilations, test(VARIOUS), artists)
        return self._by_tag(field, test, mask)

    def _named_mask(self, column: str, test: Test) -> Mask:
        part = _some_part(values.ARTIST_SEPARATORS, test)
        found = [text for text in self.files.artists(column) if part(text)]
        return self._mask_of(self.files.ids_with_artist(column, found))

    def _by_tag(self, field: Field, test: Test, mask: Mask) -> Mask:
        """The mask, but where a file has the field's tag, that alone counts."""
        tagged = self._mask_of(self.files.ids_with_tag(field.tags))
        return mask & ~tagged | self._tag_mask(field.tags, test) if tagged.any() else mask

    # order

    def in_order(self, ids: Ids, order: Sequence[Order], *, limit: int, offset: int) -> list[int]:
        """Some of the ids by several fields; equal ones by id."""
        if limit <= 0 or not len(ids):
            return []
        columns = [(o.field.name, o.descending) for o in order]
        if all(self.files.can_sort(name) for name, _ in columns):
            among = None if len(ids) == len(self.universe) else ids
            return self.files.first(among, columns, limit=limit, offset=offset)
        rank = np.zeros(len(ids), np.int64)
        for one in order:
            # Those that cannot come among the first any more need not be looked at by the next field.
            rank = _refined(rank, self._ranks(one.field, ids) * (-1 if one.descending else 1))
            if offset + limit < len(ids):
                near = rank <= np.partition(rank, offset + limit - 1)[offset + limit - 1]
                ids, rank = ids[near], rank[near]
        return [int(i) for i in ids[np.lexsort([ids, rank])][offset : offset + limit]]

    def _ranks(self, field: Field, ids: Ids) -> NDArray[np.int64]:
        """Numbers that sort the files as the field does."""
        if field.kind == "random" or field.source == "column":
            by_file = self.files.values(field.name, ids)
            return _ranked([by_file[i] for i in ids.tolist()])
        at = np.searchsorted(self.universe, ids)
        if field.source == "score":
            known, numbers = self.sounds.values(field.name.partition(":")[2])
            scores = np.zeros(len(self.universe))
            is_ours = np.isin(known, self.universe)
            scores[np.searchsorted(self.universe, known[is_ours])] = numbers[is_ours]
            return np.unique(scores[at], return_inverse=True)[1]
        column = self._sort_column(field)
        ranks: NDArray[np.int64] = _ranked(column.values)[column.codes[at]]
        return ranks

    def _sort_column(self, field: Field) -> _Column:
        if field.source == "dates":
            codes, dates = self.dates
            return _Column(codes, [getattr(one, field.name) for one in dates])
        if field.source in ("artist", "albumartist"):
            return self._first_names(field)
        if field.source in _READERS:
            without = _WITHOUT[field.source]
            column = self._column(-1 if without is None else without)
            read = _READERS[field.source]
            self._put(column, field.tags, lambda text: -1 if read(text) is None else read(text))
            return column
        column = self._column()
        first = _first_part(field.split, "")
        if field.name == "genre":  # of which the column has the first
            self._put_texts(column, self.files.by_column("genre"), first)
        else:
            self._put(column, field.tags, first)
        return column

    def _first_names(self, field: Field) -> _Column:
        column = self._column(NO_ARTIST)
        first = _first_part(values.ARTIST_SEPARATORS, NO_ARTIST)
        self._put_texts(column, self.files.by_column("artist"), first)
        self._put(column, ["artists"])
        if field.source == "albumartist":
            column.values.append(VARIOUS)
            column.codes[self._tag_mask(("compilation",), values.flag_of)] = len(column.values) - 1
            self._put_texts(column, self.files.by_column("album_artist"), first)
            self._put(column, ["albumartists"])
        return column


@dataclass
class _Column:
    """A value for each file of the universe: `values[codes[n]]`."""

    codes: Ids
    values: list[Any]


def _ranked(found: Sequence[Any]) -> NDArray[np.int64]:
    ranks = {value: rank for rank, value in enumerate(sorted(set(found)))}
    return np.array([ranks[value] for value in found], np.int64)


def _first_part(separators: Sequence[str], without: str) -> Callable[[str], str]:
    split = values.splitter(separators)
    return lambda text: next(iter(split(text)), without)


def _refined(rank: NDArray[np.int64], by: NDArray[np.int64]) -> NDArray[np.int64]:
    """The ranks, with equal ones told apart by a second key."""
    order = np.lexsort([by, rank])
    steps = (np.diff(rank[order]) != 0) | (np.diff(by[order]) != 0)
    refined = np.empty_like(rank)
    refined[order] = np.concatenate([[0], np.cumsum(steps)])
    return refined


def _with_negation(rule: Rule) -> Test:
    if rule.operator != "notContains":
        return comparison(rule.operator, rule.value)
    contains = comparison("contains", rule.value)
    return lambda x: x is not None and not contains(x)


def _some_part(separators: Sequence[str], test: Test) -> Callable[[str], bool]:
    split = values.splitter(separators)
    return lambda text: any(test(part) for part in split(text))


def _compared(numbers: NDArray[np.float64], operator: str, value: Any) -> Mask:
    match operator:
        case "is":
            return numbers == value
        case "gt":
            return numbers > value
        case "lt":
            return numbers < value
        case _:  # isPresent
            return np.ones(len(numbers), np.bool_)
