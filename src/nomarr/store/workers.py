"""The worker processes, on this machine and on others."""

from __future__ import annotations

from dataclasses import dataclass

from nomarr.store.database import Transaction

COLUMNS = """
    id, host, pid, version, started_at, heartbeat_at, state, file_id, files, rate_per_minute, memory_bytes, trouble
"""


@dataclass(frozen=True)
class Worker:
    """A worker as it last spoke of itself; `file_id` is the file it has in hand, `files` those it is done with.

    `trouble` is what keeps it from working, or from writing tags.
    """

    id: str
    host: str
    pid: int
    version: str
    started_at: int
    heartbeat_at: int
    state: str
    file_id: int | None
    files: int
    rate_per_minute: float | None
    memory_bytes: int | None
    trouble: str | None


def heartbeat(
    tx: Transaction,
    *,
    worker: str,
    host: str,
    pid: int,
    version: str,
    now: int,
    state: str,
    file_id: int | None = None,
    files: int = 0,
    rate_per_minute: float | None = None,
    memory_bytes: int | None = None,
    trouble: str | None = None,
) -> None:
    """Say that the worker is alive and what it does."""
    tx.run(
        f"""
        INSERT INTO workers ({COLUMNS})
        VALUES (:worker, :host, :pid, :version, :now, :now, :state, :file_id, :files, :rate_per_minute, :memory_bytes,
                :trouble)
        ON CONFLICT (id) DO UPDATE
           SET heartbeat_at = excluded.heartbeat_at, state = excluded.state, file_id = excluded.file_id,
               files = excluded.files, rate_per_minute = excluded.rate_per_minute,
               memory_bytes = excluded.memory_bytes, trouble = excluded.trouble
        """,
        worker=worker,
        host=host,
        pid=pid,
        version=version,
        now=now,
        state=state,
        file_id=file_id,
        files=files,
        rate_per_minute=rate_per_minute,
        memory_bytes=memory_bytes,
        trouble=trouble,
    )


def list_all(tx: Transaction) -> list[Worker]:
    return [Worker(**row) for row in tx.all(f"SELECT {COLUMNS} FROM workers ORDER BY started_at, id")]


def silent(tx: Transaction, *, now: int, silent_ms: int) -> list[Worker]:
    """Workers that have not spoken for that long."""
    rows = tx.all(f"SELECT {COLUMNS} FROM workers WHERE heartbeat_at < :since ORDER BY id", since=now - silent_ms)
    return [Worker(**row) for row in rows]


def remove(tx: Transaction, worker: str) -> None:
    tx.run("DELETE FROM workers WHERE id = :worker", worker=worker)
