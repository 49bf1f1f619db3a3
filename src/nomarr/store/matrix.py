"""All scores of all files as arrays in memory, kept up to date by what changed."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nomarr.scores import NOBODYS, ByHand, Steps, spread_steps
from nomarr.store import corrections
from nomarr.store.database import Transaction
from nomarr.store.manyids import among
from nomarr.store.scores import FLOAT32

Ids = NDArray[np.int64]
Matrix = NDArray[np.float32]

SPAN = 1 << 13  # file ids that a block covers: its columns fit into a core's cache
READERS = 2  # each holds a span's rows, 12 MB of 60 scores
REREAD = 2_000  # changed files of a span from which on reading it whole is quicker than picking them


@dataclass(frozen=True)
class _Present:
    """Files that are not missing, ascending, and their libraries."""

    ids: Ids
    libraries: Ids

    def within(self, first: int, last: int) -> _Present:
        some = slice(*np.searchsorted(self.ids, (first, last + 1)))
        return _Present(self.ids[some], self.libraries[some])


@dataclass(frozen=True)
class _Rows:
    """Files that are not missing, scores and corrections with theirs: columns, joined here because that is quicker."""

    present: _Present
    files: Ids  # of each vector, and the pack it is from
    packs: Ids
    scores: Matrix  # all vectors, one after the other, float32[...]
    spreads: Matrix
    corrected: list[int]
    moods: list[str]
    kept: list[str | None]


@dataclass(frozen=True)
class ScorePack:
    """A version of a pack that scores are stored of."""

    id: int
    pack: str
    fingerprint: str
    backbone: str
    heads: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Block:
    """Scores of files of one library that were heard with the same packs. Never changes; a newer one replaces it."""

    library_id: int
    packs: tuple[ScorePack, ...]  # by name
    ids: Ids  # int64[files], ascending
    values: Matrix  # float32[columns, files], raw
    spreads: Steps  # uint8[columns, files], as scores.spread_steps gives them
    by_hand: ByHand = NOBODYS  # what people settled for some of the files

    @cached_property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """(pack, score) of each row of `values`."""
        return tuple((pack.pack, head) for pack in self.packs for head in pack.heads)

    @cached_property
    def by_column(self) -> Mapping[tuple[str, str], Matrix]:
        """(pack, score) -> float32[files]."""
        return dict(zip(self.columns, self.values, strict=True))

    @cached_property
    def spreads_by_column(self) -> Mapping[tuple[str, str], Steps]:
        """(pack, score) -> uint8[files]."""
        return dict(zip(self.columns, self.spreads, strict=True))

    def at(self, places: NDArray[np.intp]) -> Block:
        """Some of the files, by where they stand, in order."""
        if len(places) == len(self.ids):
            return self
        ids, values = self.ids[places], np.take(self.values, places, axis=1)
        spreads = np.take(self.spreads, places, axis=1)
        return Block(self.library_id, self.packs, ids, values, spreads, self.by_hand.among(ids))


@dataclass(frozen=True)
class Snapshot:
    """The scores of all files that are not missing; `version` counts up whenever something changed."""

    version: int
    blocks: tuple[Block, ...]


_Key = tuple[int, tuple[int, ...], int]  # library, packs, span


class ScoreMatrix:
    """The scores of one database, for one process. Threads may share it.

    Float32, because tags and tiers must come out as they do for one file: a million files with 60 scores are 240 MB,
    and 60 MB for their spreads in bytes.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blocks: dict[_Key, Block] = {}
        self._mark: int | None = None  # changes with a later stamp are not in here yet
        self._snapshot = Snapshot(0, ())

    def refresh(self, tx: Transaction) -> Snapshot:
        """What the transaction sees, or newer; `tx` must be a reading one. Costs a query where nothing changed."""
        with self._lock:
            if self._mark is None:
                mark = _mark(tx)
                self._blocks = {_key(block): block for block in read_blocks(tx)}
                self._publish()
                self._mark = mark  # only now: what was cut off begins anew
                return self._snapshot
            mark, changed = _mark(tx), _changed(tx, self._mark)
            for span in np.unique(changed // SPAN).tolist():
                some = changed[changed // SPAN == span]
                self._replace(tx, span, some if len(some) < REREAD else None)
            if len(changed):
                self._publish()
            self._mark = max(mark, self._mark)
            return self._snapshot

    def _publish(self) -> None:
        blocks = tuple(self._blocks[key] for key in sorted(self._blocks))
        self._snapshot = Snapshot(self._snapshot.version + 1, blocks)

    def _replace(self, tx: Transaction, span: int, changed: Ids | None) -> None:
        """Make the span's blocks anew, as a whole or only what concerns the changed files."""
        fresh = _blocks(tx, _rows_of_span(tx, span) if changed is None else _rows_of(tx, changed))
        for key in [key for key in self._blocks if key[2] == span]:
            if changed is None:
                del self._blocks[key]
                continue
            old = self._blocks[key]
            stays = ~np.isin(old.ids, changed, assume_unique=True)
            if not stays.all():
                del self._blocks[key]
                if stays.any():
                    self._blocks[key] = old.at(np.flatnonzero(stays))
        for block in fresh:
            key = _key(block)
            self._blocks[key] = _joined(self._blocks[key], block) if key in self._blocks else block


def read_blocks(tx: Transaction) -> Iterator[Block]:
    """The blocks as the transaction sees them, or newer, kept nowhere: for those who need them once.

    A few spans are read at once, each on a connection of its own: a database works on one core for each.
    """
    present = _present(tx)

    def read(span: int) -> list[Block]:
        with tx.database.read() as beside:
            return _blocks(beside, _rows_of_span(beside, span, present))

    with ThreadPoolExecutor(READERS) as readers:
        ahead: deque[Future[list[Block]]] = deque()
        for span in _spans(tx):
            ahead.append(readers.submit(read, span))
            if len(ahead) > READERS:
                yield from ahead.popleft().result()
        while ahead:
            yield from ahead.popleft().result()


def _key(block: Block) -> _Key:
    return block.library_id, tuple(pack.id for pack in block.packs), int(block.ids[0]) // SPAN


def _mark(tx: Transaction) -> int:
    """Changes with a stamp below this, or up to this on SQLite, are visible to the transaction."""
    if tx.is_postgresql:
        return int(tx.scalar("SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint)"))
    return int(tx.scalar("SELECT COALESCE(MAX(stamp), 0) FROM score_changes"))


def _changed(tx: Transaction, mark: int) -> Ids:
    """Files that changed since the mark was taken, ascending; on PostgreSQL perhaps some more."""
    later = "stamp > :mark"
    if tx.is_postgresql:
        # Transactions end in any order: what ran when the mark was taken counts again. Stamps from the future came
        # with a dump of another server.
        later = "stamp >= :mark AND stamp < CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS text) AS bigint)"
    rows = tx.tuples(f"SELECT file_id FROM score_changes WHERE {later}", mark=mark)
    return np.unique(np.array([row[0] for row in rows], np.int64))


def _spans(tx: Transaction) -> range:
    ends = tx.one("SELECT MIN(file_id) AS first, MAX(file_id) AS last FROM file_scores")
    assert ends is not None  # noqa: S101 (an aggregate always has a row)
    return range(0) if ends["first"] is None else range(ends["first"] // SPAN, ends["last"] // SPAN + 1)


def _packs(tx: Transaction) -> dict[int, ScorePack]:
    rows = tx.all("SELECT id, pack, fingerprint, backbone, heads FROM score_packs")
    return {row["id"]: ScorePack(**{**row, "heads": tuple(json.loads(row["heads"]))}) for row in rows}


def _present(tx: Transaction, condition: str = "1 = 1", **params: Any) -> _Present:
    where = f"missing_since IS NULL AND {condition}"
    ids, libraries = _arrays(tx, "library_files", where, numbers=("id", "library_id"), **params)
    order = np.argsort(ids, kind="stable")
    return _Present(ids[order], libraries[order])


def _rows_of_span(tx: Transaction, span: int, present: _Present | None = None) -> _Rows:
    ends = {"first": span * SPAN, "last": (span + 1) * SPAN - 1}
    present = present.within(**ends) if present else _present(tx, "id BETWEEN :first AND :last", **ends)
    return _rows(tx, present, "file_id BETWEEN :first AND :last", **ends)


def _rows_of(tx: Transaction, ids: Ids) -> _Rows:
    these, listed = among(tx, ids.tolist())
    return _rows(tx, _present(tx, f"id {these}", ids=listed), f"file_id {these}", ids=listed)


def _rows(tx: Transaction, present: _Present, condition: str, **params: Any) -> _Rows:
    files, packs, scores, spreads = _arrays(
        tx, "file_scores", condition, numbers=("file_id", "pack_id"), vectors=("scores", "spreads"), **params
    )
    settled = tx.columns(f"SELECT file_id, moods, kept FROM corrections WHERE {condition} ORDER BY file_id", **params)
    return _Rows(present, files, packs, scores, spreads, *settled)


def _arrays(
    tx: Transaction, table: str, condition: str, *, numbers: Sequence[str], vectors: Sequence[str] = (), **params: Any
) -> list[NDArray[Any]]:
    """Columns as int64[rows], those of vectors as float32[...] with one after the other; rows in any order.

    The database joins the values, its aggregates all seeing the rows in the same order: that takes half the time of
    fetching them row by row.
    """
    if tx.is_postgresql:
        chosen = [f"string_agg(int4send({name}), CAST('' AS bytea))" for name in numbers]
        chosen += [f"string_agg({name}, CAST('' AS bytea))" for name in vectors]
    else:
        chosen = [f"group_concat({name})" for name in numbers]
        chosen += [f"CAST(group_concat({name}, '') AS BLOB)" for name in vectors]
    found = [
        value or b"" for (value,) in tx.columns(f"SELECT {', '.join(chosen)} FROM {table} WHERE {condition}", **params)
    ]
    whole = (_numbers(value, tx) for value in found[: len(numbers)])
    return [*whole, *(np.frombuffer(value, FLOAT32) for value in found[len(numbers) :])]


def _numbers(joined: Any, tx: Transaction) -> Ids:
    if tx.is_postgresql:
        return np.frombuffer(joined, ">i4").astype(np.int64)
    return np.fromstring(joined or "", np.int64, sep=",")


def _blocks(tx: Transaction, rows: _Rows) -> list[Block]:
    """Rows of one span, sorted into blocks."""
    ids, libraries = rows.present.ids, rows.present.libraries
    if not len(ids) or not len(rows.files):
        return []
    packs = _packs(tx)
    place = np.minimum(np.searchsorted(ids, rows.files), len(ids) - 1)
    is_there = ids[place] == rows.files
    known, which = np.unique(rows.packs, return_inverse=True)
    sizes = np.array([len(packs[i].heads) for i in known.tolist()])[which]
    begins = np.cumsum(sizes) - sizes
    kind = libraries  # what tells blocks apart: the library, then each pack
    found = []
    for pack in sorted((packs[i] for i in known.tolist()), key=lambda pack: (pack.pack, pack.id)):
        mine = np.flatnonzero((rows.packs == pack.id) & is_there)
        values, spreads = (_stacked(part, begins[mine], len(pack.heads)) for part in (rows.scores, rows.spreads))
        at = np.full(len(ids), -1)
        at[place[mine]] = np.arange(len(mine))
        found.append((pack, values, spread_steps(spreads), at))
        kind = np.unique(kind * 2 + (at >= 0), return_inverse=True)[1]
    groups = [np.flatnonzero(kind == number) for number in range(int(kind.max()) + 1)]
    settled = zip(rows.corrected, rows.moods, rows.kept, strict=True)
    by_hand = ByHand.of({file_id: corrections.read(moods, kept) for file_id, moods, kept in settled})
    blocks = [_block(int(libraries[some[0]]), ids[some], some, found, by_hand) for some in groups]
    return [block for block in blocks if block.packs]


def _stacked(vectors: Matrix, begins: Ids, size: int) -> Matrix:
    """Those of the vectors that begin there, float32[begins, size]; where they lie evenly, as nearly always, a view."""
    steps = np.diff(begins)
    if len(steps) and (steps == steps[0]).all():
        strides = (int(steps[0]) * vectors.itemsize, vectors.itemsize)
        return np.lib.stride_tricks.as_strided(vectors[begins[0] :], (len(begins), size), strides, writeable=False)
    return vectors[begins[:, None] + np.arange(size)]


def _block(
    library_id: int, ids: Ids, chosen: Ids, found: Sequence[tuple[ScorePack, Matrix, Steps, Ids]], by_hand: ByHand
) -> Block:
    heard = [(pack, scores, steps, at[chosen]) for pack, scores, steps, at in found if at[chosen[0]] >= 0]
    columns = sum(len(pack.heads) for pack, *_ in heard)
    values, spreads = np.empty((columns, len(ids)), np.float32), np.empty((columns, len(ids)), np.uint8)
    row = 0
    for pack, scores, steps, at in heard:
        rows = slice(row, row + len(pack.heads))
        is_all = len(at) == len(scores) and np.array_equal(at, np.arange(len(at)))
        values[rows] = (scores if is_all else scores[at]).T
        spreads[rows] = (steps if is_all else steps[at]).T
        row += len(pack.heads)
    return Block(library_id, tuple(pack for pack, *_ in heard), ids, values, spreads, by_hand.among(ids))


def _joined(one: Block, other: Block) -> Block:
    ids = np.concatenate([one.ids, other.ids])
    order = np.argsort(ids, kind="stable")
    values, spreads = (
        np.take(np.concatenate(parts, axis=1), order, axis=1)
        for parts in ((one.values, other.values), (one.spreads, other.spreads))
    )
    by_hand = ByHand.joined([one.by_hand, other.by_hand])
    return Block(one.library_id, one.packs, ids[order], values, spreads, by_hand)
