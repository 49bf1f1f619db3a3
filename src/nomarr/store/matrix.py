"""All scores of all files as arrays in memory, kept up to date by what changed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nomarr.scores import NOBODYS, ByHand, Steps, spread_steps
from nomarr.store import corrections
from nomarr.store.database import Transaction
from nomarr.store.files import among
from nomarr.store.scores import FLOAT32

Ids = NDArray[np.int64]
Matrix = NDArray[np.float32]

SPAN = 1 << 15  # file ids that a block covers: its columns fit into a core's cache
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

    Float32, because tags and tiers must come out as they do for one file: a million files with 57 scores are 230 MB,
    and 57 MB for their spreads in bytes.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blocks: dict[_Key, Block] = {}
        self._packs: dict[int, ScorePack] = {}
        self._mark: int | None = None  # changes with a later stamp are not in here yet
        self._snapshot = Snapshot(0, ())

    def refresh(self, tx: Transaction) -> Snapshot:
        """What the transaction sees, or newer; `tx` must be a reading one. Costs a query where nothing changed."""
        with self._lock:
            if self._mark is None:
                mark, present = _mark(tx), _present(tx)
                for span in _spans(tx):
                    self._replace(tx, span, None, present)
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

    def _replace(self, tx: Transaction, span: int, changed: Ids | None, present: _Present | None = None) -> None:
        """Make the span's blocks anew, as a whole or only what concerns the changed files."""
        rows = _rows_of_span(tx, span, present) if changed is None else _rows_of(tx, changed)
        if set(rows.packs.tolist()) - self._packs.keys():
            self._packs = _packs(tx)
        fresh = _blocks(rows, self._packs)
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
            key = (block.library_id, tuple(pack.id for pack in block.packs), span)
            self._blocks[key] = _joined(self._blocks[key], block) if key in self._blocks else block


def read_blocks(tx: Transaction) -> Iterator[Block]:
    """The same blocks, read one span after the other and kept nowhere: for those who need them once."""
    packs, present = _packs(tx), _present(tx)
    for span in _spans(tx):
        yield from _blocks(_rows_of_span(tx, span, present), packs)


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
    ids, libraries = (
        np.array(column, np.int64)
        for column in tx.columns(
            f"SELECT id, library_id FROM library_files WHERE missing_since IS NULL AND {condition}", **params
        )
    )
    order = np.argsort(ids, kind="stable")
    return _Present(ids[order], libraries[order])


def _rows_of_span(tx: Transaction, span: int, present: _Present | None) -> _Rows:
    ends = {"first": span * SPAN, "last": (span + 1) * SPAN - 1}
    present = present.within(**ends) if present else _present(tx, "id BETWEEN :first AND :last", **ends)
    return _rows(tx, present, "file_id BETWEEN :first AND :last", **ends)


def _rows_of(tx: Transaction, ids: Ids) -> _Rows:
    these, listed = among(tx, ids.tolist())
    return _rows(tx, _present(tx, f"id IN {these}", ids=listed), f"file_id IN {these}", ids=listed)


def _rows(tx: Transaction, present: _Present, condition: str, **params: Any) -> _Rows:
    settled = tx.columns(f"SELECT file_id, moods, kept FROM corrections WHERE {condition} ORDER BY file_id", **params)
    return _Rows(present, *_vectors(tx, condition, **params), *settled)


def _vectors(tx: Transaction, condition: str, **params: Any) -> tuple[Ids, Ids, Matrix, Matrix]:
    """Files, packs, and what is stored of each file and pack, end to end."""
    if tx.is_postgresql:
        files, packs, *parts = tx.columns(
            f"SELECT file_id, pack_id, scores, spreads FROM file_scores WHERE {condition}", **params
        )
        scores, spreads = (b"".join(part) for part in parts)
        return np.array(files, np.int64), np.array(packs, np.int64), *_floats(scores, spreads)
    # Joined by SQLite, whose aggregates all see the rows in the same order: a third less than row by row.
    ((listed_files, listed_packs, scores, spreads),) = tx.tuples(
        f"""
        SELECT group_concat(file_id), group_concat(pack_id),
               CAST(group_concat(scores, '') AS BLOB), CAST(group_concat(spreads, '') AS BLOB)
          FROM file_scores
         WHERE {condition}
        """,
        **params,
    )
    of_files, of_packs = (np.fromstring(text, np.int64, sep=",") for text in (listed_files or "", listed_packs or ""))
    return of_files, of_packs, *_floats(scores or b"", spreads or b"")


def _floats(scores: bytes, spreads: bytes) -> tuple[Matrix, Matrix]:
    return np.frombuffer(scores, FLOAT32), np.frombuffer(spreads, FLOAT32)


def _blocks(rows: _Rows, packs: Mapping[int, ScorePack]) -> list[Block]:
    """Rows of one span, sorted into blocks."""
    ids, libraries = rows.present.ids, rows.present.libraries
    if not len(ids) or not len(rows.files):
        return []
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
