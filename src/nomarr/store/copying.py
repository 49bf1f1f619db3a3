"""All that one database holds, put into another, SQLite or PostgreSQL: in batches, resumable, compared at the end."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Boolean, Float, Integer, Table
from sqlalchemy import exc as sql_errors

from nomarr.errors import Conflict, DatabaseProblem, InvalidInput
from nomarr.store import preferences
from nomarr.store.database import Database, Transaction
from nomarr.store.schema import metadata, patch_embeddings

# What processes of the source say of themselves, and what triggers of the target make anew.
NOT_COPIED = frozenset({"workers", "leases", "score_changes"})
MARK = "copied_from"  # the target's preference while a copy is not complete: where it comes from
KEYS_AT_ONCE = 500
PATCHES_AT_ONCE = 50  # files: a track's patches take up to 80 KB for each backbone

Progress = Callable[[str, str, int, int], None]  # what is done ("copying", "comparing"), table, rows done, rows in all
Values = Sequence[tuple[Any, ...]]


@dataclass(frozen=True)
class Copied:
    """One table, the same on both sides."""

    table: str
    rows: int
    checksum: str


@dataclass(frozen=True)
class Checksum:
    """So many rows, and a hash of all their values that does not depend on the database."""

    rows: int
    digest: str


def copy(
    source: Database, target: Database, *, with_patches: bool = True, restart: bool = False, progress: Progress
) -> list[Copied]:
    """Make the target, which must be empty or hold the beginnings of this very copy, equal to the source.

    Both must be migrated. The source is read as it is at one moment. `restart` begins anew what was begun before.
    Conflict if the target holds anything else, or if what was copied before a stop has changed in the source since.
    """
    tables = [t for t in metadata.sorted_tables if t.name not in NOT_COPIED and (with_patches or not _is_patches(t))]
    with source.read() as tx:
        _begin(target, source, restart=restart)
        totals = {table.name: _count(tx, table) for table in tables}
        for table in tables:
            _copy_table(tx, target, table, totals[table.name], progress)
        _set_counters(tx, target, tables)
        copied = [_compared(tx, target, table, totals[table.name], progress) for table in tables]
    with target.write() as into:
        preferences.remove(into, MARK)
        into.run("ANALYZE")
    return copied


def checksum(tx: Transaction, table: Table, told: Callable[[int], None] = lambda _: None) -> Checksum:
    """Equal for equal content, whatever database holds it: values as Python has them, rows in the order of the key."""
    digest, rows = hashlib.blake2b(digest_size=16), 0
    for batch in _batches(tx, table):
        for text in sorted(repr(tuple(_short(value) for value in row)) for row in batch):
            digest.update(text.encode("utf-8", "surrogatepass"))
        rows += len(batch)
        told(rows)
    return Checksum(rows, digest.hexdigest())


def users(tx: Transaction, *, now: int, silent_ms: int, except_host: str | None = None) -> list[str]:
    """Servers and workers that have spoken of themselves in that time."""
    spoken = tx.all("SELECT id, host FROM workers WHERE heartbeat_at >= :since ORDER BY id", since=now - silent_ms)
    held = tx.all("SELECT name, owner FROM leases WHERE until >= :now ORDER BY name", now=now)
    found = [(f"worker {row['id']}", row["host"]) for row in spoken]
    found += [(f"server {row['owner']}", row["owner"].partition(":")[0]) for row in held]
    return [who for who, host in found if host != except_host]


# the target


def _begin(target: Database, source: Database, *, restart: bool) -> None:
    if target.name == source.name:
        raise InvalidInput(f"{target.name} is where it comes from; say another database")
    with source.read() as tx:
        if preferences.get(tx, MARK) is not None:
            raise Conflict(f"{source.name} is itself a copy that was never completed")
    with target.write() as tx:
        begun = preferences.get(tx, MARK)
        filled = [t.name for t in metadata.sorted_tables if t.name not in NOT_COPIED and _has_rows(tx, t)]
        if begun is None and filled:
            raise Conflict(
                f"{target.name} holds other content already ({', '.join(filled)}); copy into an empty database. "
                "Nothing was changed"
            )
        if begun is not None and begun != source.name:
            raise Conflict(f"{target.name} holds the beginnings of a copy of {begun}; copy into an empty database")
        if restart:
            for table in reversed(metadata.sorted_tables):
                tx.run(f"DELETE FROM {table.fullname}")
        preferences.put(tx, MARK, source.name)


def _copy_table(tx: Transaction, target: Database, table: Table, total: int, progress: Progress) -> None:
    with target.read() as into:
        done, last = _count(into, table), None
        if _has_number(table):
            last = into.scalar(f"SELECT MAX({_key(table)}) FROM {table.fullname}")
        elif done:
            return  # all in one transaction, before a stop
    names = [column.name for column in table.columns]
    insert = f"INSERT INTO {table.fullname} ({', '.join(names)}) VALUES ({', '.join(f':{name}' for name in names)})"
    for batch in _batches(tx, table, after=last):
        try:
            with target.write() as into:
                into.many(insert, [dict(zip(names, row, strict=True)) for row in batch])
        except (sql_errors.DBAPIError, InvalidInput) as error:
            why = str(getattr(error, "orig", error)).strip().splitlines()[0]
            raise DatabaseProblem(f"{target.name}: rows of {table.name} could not be taken over: {why}") from error
        done += len(batch)
        progress("copying", table.name, done, total)


def _compared(tx: Transaction, target: Database, table: Table, total: int, progress: Progress) -> Copied:
    there = checksum(tx, table, lambda rows: progress("comparing", table.name, rows // 2, total))
    with target.read() as into:
        here = checksum(into, table, lambda rows: progress("comparing", table.name, (total + rows) // 2, total))
    if there != here:
        raise Conflict(
            f"{table.name} is not the same in {target.name} ({here.rows} rows) and in the source ({there.rows} rows), "
            "which must have changed since the copy began; begin anew with --restart"
        )
    return Copied(table.name, here.rows, here.digest)


def _set_counters(tx: Transaction, target: Database, tables: Sequence[Table]) -> None:
    """An id that was given once is never given again, not even that of a row which is gone."""
    with target.write() as into:
        for table in tables:
            if table.autoincrement_column is not None:
                set_highest_id(into, table, _highest_id(tx, table))


def _highest_id(tx: Transaction, table: Table) -> int:
    column = _key(table)
    highest = tx.scalar(f"SELECT MAX({column}) FROM {table.fullname}") or 0
    if tx.is_postgresql:
        counter = tx.one(f"SELECT last_value, is_called FROM {_sequence(tx, table)}") or {}
        given = counter["last_value"] if counter["is_called"] else 0
    else:
        given = tx.scalar("SELECT seq FROM sqlite_sequence WHERE name = :table", table=table.name) or 0
    return max(int(highest), int(given))


def set_highest_id(tx: Transaction, table: Table, highest: int) -> None:
    """Let the next row that asks for an id get a greater one."""
    if tx.is_postgresql:
        tx.scalar(
            "SELECT setval(CAST(:sequence AS regclass), GREATEST(:highest, 1), :is_used)",
            sequence=_sequence(tx, table),
            highest=highest,
            is_used=highest > 0,
        )
    elif table.dialect_options["sqlite"]["autoincrement"]:
        tx.run("DELETE FROM sqlite_sequence WHERE name = :table", table=table.name)
        tx.run("INSERT INTO sqlite_sequence (name, seq) VALUES (:table, :highest)", table=table.name, highest=highest)


def _sequence(tx: Transaction, table: Table) -> str:
    return str(tx.scalar("SELECT pg_get_serial_sequence(:table, :column)", table=table.fullname, column=_key(table)))


# rows as plain Python values


def _batches(tx: Transaction, table: Table, *, after: int | None = None) -> Iterator[Values]:
    """All rows after a key, those of one key together; tables whose key is a text are small and come as one."""
    names = ", ".join(column.name for column in table.columns)
    if not _has_number(table):
        condition = "WHERE key <> :mark" if table.name == "preferences" else ""
        rows = tx.tuples(f"SELECT {names} FROM {table.fullname} {condition}", **({"mark": MARK} if condition else {}))
        if rows:
            yield _plain(table, rows)
        return
    key, last = _key(table), -(2**62) if after is None else after
    while True:
        upto = tx.scalar(
            f"""
            SELECT MAX(k)
              FROM (SELECT DISTINCT {key} AS k FROM {table.fullname} WHERE {key} > :last ORDER BY k LIMIT :n) AS next
            """,
            last=last,
            n=PATCHES_AT_ONCE if _is_patches(table) else KEYS_AT_ONCE,
        )
        if upto is None:
            return
        rows = tx.tuples(
            f"SELECT {names} FROM {table.fullname} WHERE {key} > :last AND {key} <= :upto ORDER BY {key}",
            last=last,
            upto=upto,
        )
        yield _plain(table, rows)
        last = upto


def _plain(table: Table, rows: Sequence[Sequence[Any]]) -> Values:
    """SQLite has no booleans, and each driver its own kind of bytes."""
    kinds = [
        bool if isinstance(c.type, Boolean) else float if isinstance(c.type, Float) else None for c in table.columns
    ]
    odd = [(place, kind) for place, kind in enumerate(kinds) if kind is not None]
    found = []
    for row in rows:
        values = list(row)
        for place, kind in odd:
            if values[place] is not None:
                values[place] = kind(values[place])
        found.append(tuple(values))
    return found


def _short(value: object) -> object:
    return hashlib.blake2b(value, digest_size=16).digest() if isinstance(value, bytes) else value


def _key(table: Table) -> str:
    """What rows are ordered and counted off by: the first column of the key."""
    return next(iter(table.primary_key.columns), table.columns[0]).name


def _has_number(table: Table) -> bool:
    return isinstance(table.columns[_key(table)].type, Integer)


def _is_patches(table: Table) -> bool:
    return table is patch_embeddings


def _has_rows(tx: Transaction, table: Table) -> bool:
    return tx.scalar(f"SELECT 1 FROM {table.fullname} LIMIT 1") is not None


def _count(tx: Transaction, table: Table) -> int:
    condition = "WHERE key <> :mark" if table.name == "preferences" else ""
    return int(tx.scalar(f"SELECT COUNT(*) FROM {table.fullname} {condition}", **({"mark": MARK} if condition else {})))
