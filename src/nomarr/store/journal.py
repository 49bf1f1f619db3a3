"""What Nomarr did to files, so that it can be shown and undone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nomarr.store.claims import Scope
from nomarr.store.database import Row, Transaction
from nomarr.store.files import FROM
from nomarr.store.runs import any_of

COLUMNS = """
    j.id, j.file_id, j.path, j.batch, j.action, j.before_json, j.after_hash, j.audio_hash, j.size, j.mtime_ns,
    j.at, j.undone_at
"""
# What can be undone: a change that no later undo has taken back. An undo itself is taken back by tagging again.
STANDING = "j.undone_at IS NULL AND j.action <> 'undo'"
# A change of a file that holds all our fields takes 4 KB here, 415 MB in 100,000 files. Each stays for so long, and the
# last one of a file until there is another.
KEPT_MS = 180 * 86_400_000
GONE_AT_ONCE = 1000


@dataclass(frozen=True)
class Entry:
    """One change of one file.

    `before` is what our fields held, `after_hash` stands for what they held then (moods.tags.tags_hash);
    `size` and `mtime_ns` are the file's right after it. They are missing where Nomarr was about to change the file
    when it was killed: whether it still did, only the file can tell.
    """

    id: int
    file_id: int | None
    path: str
    batch: str
    action: str
    before: dict[str, list[str]]
    after_hash: str
    audio_hash: str | None
    size: int | None
    mtime_ns: int | None
    at: int
    undone_at: int | None


def add(
    tx: Transaction,
    *,
    file_id: int | None,
    path: str,
    batch: str,
    action: str,
    before: Mapping[str, Sequence[str]],
    after_hash: str,
    at: int,
    audio_hash: str | None = None,
    size: int | None = None,
    mtime_ns: int | None = None,
) -> int:
    """The id of the new entry. `action` is write, remove or undo. Before the change itself: without its size."""
    return int(
        tx.scalar(
            """
            INSERT INTO journal ( file_id,  path,  batch,  action, before_json,  after_hash,
                                  audio_hash,  size,  mtime_ns,  at)
            VALUES              (:file_id, :path, :batch, :action, :before,     :after_hash,
                                 :audio_hash, :size, :mtime_ns, :at)
            RETURNING id
            """,
            file_id=file_id,
            path=path,
            batch=batch,
            action=action,
            before=json.dumps(before, ensure_ascii=False),
            after_hash=after_hash,
            audio_hash=audio_hash,
            size=size,
            mtime_ns=mtime_ns,
            at=at,
        )
    )


def confirm(tx: Transaction, entry_id: int, *, audio_hash: str | None, size: int, mtime_ns: int) -> None:
    """Note that an announced change was made; what it makes too old to be undone is forgotten."""
    tx.run(
        "UPDATE journal SET audio_hash = :audio_hash, size = :size, mtime_ns = :mtime_ns WHERE id = :id",
        audio_hash=audio_hash,
        size=size,
        mtime_ns=mtime_ns,
        id=entry_id,
    )
    # Not by an undo: what it leaves standing may be older.
    tx.run(
        """
        DELETE FROM journal
         WHERE file_id = (SELECT j.file_id FROM journal AS j WHERE j.id = :id AND j.action <> 'undo')
           AND at < (SELECT j.at FROM journal AS j WHERE j.id = :id) - :kept
           AND id < :id
        """,
        id=entry_id,
        kept=KEPT_MS,
    )


def forget_gone(tx: Transaction, *, now: int) -> int:
    """Forget some changes of files that were purged long ago; says how many."""
    return tx.run(
        """
        DELETE FROM journal
         WHERE id IN (SELECT id FROM journal WHERE file_id IS NULL AND at < :before LIMIT :n)
        """,
        before=now - KEPT_MS,
        n=GONE_AT_ONCE,
    )


def drop(tx: Transaction, ids: Sequence[int]) -> None:
    """Forget announced changes that were not made."""
    if ids:
        tx.run("DELETE FROM journal WHERE id IN :ids AND size IS NULL", ids=list(ids))


def mark_undone(tx: Transaction, entry_id: int, *, now: int) -> None:
    tx.run("UPDATE journal SET undone_at = :now WHERE id = :id", id=entry_id, now=now)


def get(tx: Transaction, entry_id: int) -> Entry | None:
    row = tx.one(f"SELECT {COLUMNS} FROM journal AS j WHERE j.id = :id", id=entry_id)
    return None if row is None else _entry(row)


def recent(
    tx: Transaction,
    *,
    limit: int,
    before_id: int | None = None,
    file_id: int | None = None,
    batch: str | None = None,
    scopes: Sequence[Scope] = (),
    path: str | None = None,
    standing_only: bool = False,
) -> list[Entry]:
    """Newest first; `before_id` pages on, the others narrow. `standing_only`: what can still be undone."""
    given = {"before_id": before_id, "file_id": file_id, "batch": batch, "path": path}
    params: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    all_conditions = {
        "before_id": "j.id < :before_id",
        "file_id": "j.file_id = :file_id",
        "batch": "j.batch = :batch",
        "path": "j.path = :path",
    }
    conditions = [all_conditions[name] for name in params]
    if standing_only:
        conditions.append(STANDING)
    if scopes:
        condition, own = any_of(scopes)
        conditions.append(f"j.file_id IN (SELECT f.id {FROM} WHERE {condition})")
        params.update(own)
    where = " AND ".join(conditions) or "1 = 1"
    rows = tx.all(
        f"SELECT {COLUMNS} FROM journal AS j WHERE {where} ORDER BY j.id DESC LIMIT :limit", limit=limit, **params
    )
    return [_entry(row) for row in rows]


def newest_of(tx: Transaction, entry: Entry) -> tuple[Entry, Entry]:
    """The newest change of the entry's file, and the newest that can still be undone (at least the entry itself)."""
    same_file: dict[str, Any] = {"path": entry.path} if entry.file_id is None else {"file_id": entry.file_id}
    newest = recent(tx, limit=1, **same_file)
    standing = recent(tx, limit=1, standing_only=True, **same_file)
    return (newest or [entry])[0], (standing or [entry])[0]


def last_batch(tx: Transaction) -> str | None:
    """The batch of the newest change that can be undone."""
    batch: str | None = tx.scalar(f"SELECT j.batch FROM journal AS j WHERE {STANDING} ORDER BY j.id DESC LIMIT 1")
    return batch


def writes_since(tx: Transaction, file_id: int, *, since: int) -> list[int]:
    """When our tags were written into the file, from a moment on."""
    rows = tx.all(
        "SELECT at FROM journal WHERE file_id = :id AND action = 'write' AND at >= :since ORDER BY at",
        id=file_id,
        since=since,
    )
    return [row["at"] for row in rows]


def _entry(row: Row) -> Entry:
    plain = {name: value for name, value in row.items() if name != "before_json"}
    return Entry(before=json.loads(row["before_json"]), **plain)
