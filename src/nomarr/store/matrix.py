"""All scores of all files as arrays in memory, kept up to date by what changed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nomarr.store.database import Transaction
from nomarr.store.files import CHUNK
from nomarr.store.scores import FLOAT32

Ids = NDArray[np.int64]
Matrix = NDArray[np.float32]

SPAN = 1 << 15  # file ids that a block covers: its columns fit into a core's cache
REREAD = 2_000  # changed files of a span from which on reading it whole is quicker than picking them


@dataclass(frozen=True)
class _Rows:
    """Files that are not missing, and scores with theirs: columns, joined here because that is quicker."""

    ids: list[int]
    libraries: list[int]
    files: list[int]
    packs: list[int]
    vectors: list[bytes]


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

    @cached_property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """(pack, score) of each row of `values`."""
        return tuple((pack.pack, head) for pack in self.packs for head in pack.heads)

    @cached_property
    def by_column(self) -> Mapping[tuple[str, str], Matrix]:
        """(pack, score) -> float32[files]."""
        return dict(zip(self.columns, self.values, strict=True))

    def at(self, places: NDArray[np.intp]) -> Block:
        """Some of the files, by where they stand, in order."""
        if len(places) == len(self.ids):
            return self
        return Block(self.library_id, self.packs, self.ids[places], np.take(self.values, places, axis=1))


@dataclass(frozen=True)
class Snapshot:
    """The scores of all files that are not missing; `version` counts up whenever something changed."""

    version: int
    blocks: tuple[Block, ...]


_Key = tuple[int, tuple[int, ...], int]  # library, packs, span


class ScoreMatrix:
    """The scores of one database, for one process. Threads may share it.

    Float32, because tags and tiers must come out as they do for one file: a million files with 57 scores are 230 MB.
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
                self._mark = _mark(tx)
                for span in _spans(tx):
                    self._replace(tx, span, None)
                self._publish()
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
        rows = _rows_of_span(tx, span) if changed is None else _rows_of(tx, changed)
        if set(rows.packs) - self._packs.keys():
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
                    kept = np.compress(stays, old.values, axis=1)
                    self._blocks[key] = Block(old.library_id, old.packs, old.ids[stays], kept)
        for block in fresh:
            key = (block.library_id, tuple(pack.id for pack in block.packs), span)
            self._blocks[key] = _joined(self._blocks[key], block) if key in self._blocks else block


def read_blocks(tx: Transaction) -> Iterator[Block]:
    """The same blocks, read one span after the other and kept nowhere: for those who need them once."""
    packs = _packs(tx)
    for span in _spans(tx):
        yield from _blocks(_rows_of_span(tx, span), packs)


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


def _rows(tx: Transaction, *, of: str, **params: Any) -> _Rows:
    return _Rows(
        *tx.columns(
            f"SELECT id, library_id FROM library_files WHERE missing_since IS NULL AND id {of} ORDER BY id", **params
        ),
        *tx.columns(f"SELECT file_id, pack_id, scores FROM file_scores WHERE file_id {of} ORDER BY file_id", **params),
    )


def _rows_of_span(tx: Transaction, span: int) -> _Rows:
    return _rows(tx, of="BETWEEN :first AND :last", first=span * SPAN, last=(span + 1) * SPAN - 1)


def _rows_of(tx: Transaction, ids: Ids) -> _Rows:
    parts = [_rows(tx, of="IN :ids", ids=ids[i : i + CHUNK].tolist()) for i in range(0, len(ids), CHUNK)]
    names = [field.name for field in fields(_Rows)]
    return _Rows(*([value for part in parts for value in getattr(part, name)] for name in names))


def _blocks(rows: _Rows, packs: Mapping[int, ScorePack]) -> list[Block]:
    """Rows of one span, sorted into blocks."""
    if not rows.ids or not rows.files:
        return []
    ids, libraries = np.array(rows.ids, np.int64), np.array(rows.libraries, np.int64)
    files, of_pack = np.array(rows.files, np.int64), np.array(rows.packs, np.int64)
    place = np.minimum(np.searchsorted(ids, files), len(ids) - 1)
    is_there = ids[place] == files
    kind = libraries  # what tells blocks apart: the library, then each pack
    found = []
    for pack in sorted({packs[i] for i in set(rows.packs)}, key=lambda pack: (pack.pack, pack.id)):
        mine = np.flatnonzero((of_pack == pack.id) & is_there)
        joined = np.frombuffer(b"".join([rows.vectors[i] for i in mine.tolist()]), FLOAT32)
        at = np.full(len(ids), -1)
        at[place[mine]] = np.arange(len(mine))
        found.append((pack, joined.reshape(len(mine), len(pack.heads)), at))
        kind = np.unique(kind * 2 + (at >= 0), return_inverse=True)[1]
    groups = [np.flatnonzero(kind == number) for number in range(int(kind.max()) + 1)]
    blocks = [_block(int(libraries[some[0]]), ids[some], some, found) for some in groups]
    return [block for block in blocks if block.packs]


def _block(library_id: int, ids: Ids, chosen: Ids, found: Sequence[tuple[ScorePack, Matrix, Ids]]) -> Block:
    heard = [(pack, vectors, at[chosen]) for pack, vectors, at in found if at[chosen[0]] >= 0]
    values = np.empty((sum(len(pack.heads) for pack, _, _ in heard), len(ids)), np.float32)
    row = 0
    for pack, vectors, at in heard:
        is_all = len(at) == len(vectors) and np.array_equal(at, np.arange(len(at)))
        values[row : row + len(pack.heads)] = (vectors if is_all else vectors[at]).T
        row += len(pack.heads)
    return Block(library_id, tuple(pack for pack, _, _ in heard), ids, values)


def _joined(one: Block, other: Block) -> Block:
    ids = np.concatenate([one.ids, other.ids])
    order = np.argsort(ids, kind="stable")
    values = np.take(np.concatenate([one.values, other.values], axis=1), order, axis=1)
    return Block(one.library_id, one.packs, ids[order], values)
