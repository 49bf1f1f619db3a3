"""What Nomarr did to files, so that it can be shown and undone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nomarr.store.database import Row, Transaction

COLUMNS = "id, file_id, path, batch, action, before_json, after_json, audio_hash, size, mtime_ns, at"


@dataclass(frozen=True)
class Entry:
    """One change of one file; `size` and `mtime_ns` are the file's right after it."""

    id: int
    file_id: int | None
    path: str
    batch: str
    action: str
    before: Any
    after: Any
    audio_hash: str | None
    size: int | None
    mtime_ns: int | None
    at: int


def add(
    tx: Transaction,
    *,
    file_id: int | None,
    path: str,
    batch: str,
    action: str,
    before: Mapping[str, Sequence[str]] | None,
    after: Mapping[str, Sequence[str]] | None,
    at: int,
    audio_hash: str | None = None,
    size: int | None = None,
    mtime_ns: int | None = None,
) -> int:
    """The id of the new entry. `action` is write, remove or undo."""
    return int(
        tx.scalar(
            """
            INSERT INTO journal ( file_id,  path,  batch,  action, before_json, after_json,
                                  audio_hash,  size,  mtime_ns,  at)
            VALUES              (:file_id, :path, :batch, :action, :before,     :after,
                                 :audio_hash, :size, :mtime_ns, :at)
            RETURNING id
            """,
            file_id=file_id,
            path=path,
            batch=batch,
            action=action,
            before=json.dumps(before),
            after=json.dumps(after),
            audio_hash=audio_hash,
            size=size,
            mtime_ns=mtime_ns,
            at=at,
        )
    )


def recent(
    tx: Transaction,
    *,
    limit: int,
    before_id: int | None = None,
    file_id: int | None = None,
    batch: str | None = None,
) -> list[Entry]:
    """Newest first; `before_id` pages on, `file_id` and `batch` narrow."""
    given = {"before_id": before_id, "file_id": file_id, "batch": batch}
    params = {name: value for name, value in given.items() if value is not None}
    conditions = {"before_id": "id < :before_id", "file_id": "file_id = :file_id", "batch": "batch = :batch"}
    where = " AND ".join(["1 = 1", *(conditions[name] for name in params)])
    rows = tx.all(f"SELECT {COLUMNS} FROM journal WHERE {where} ORDER BY id DESC LIMIT :limit", limit=limit, **params)
    return [_entry(row) for row in rows]


def last_batch(tx: Transaction) -> str | None:
    """The batch of the newest entry."""
    batch: str | None = tx.scalar("SELECT batch FROM journal ORDER BY id DESC LIMIT 1")
    return batch


def _entry(row: Row) -> Entry:
    plain = {name: value for name, value in row.items() if not name.endswith("_json")}
    return Entry(before=json.loads(row["before_json"]), after=json.loads(row["after_json"]), **plain)
