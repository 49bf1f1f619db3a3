"""How the work goes on: what is scanned and listened to right now, how fast, and what has changed of late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nomarr.store import libraries
from nomarr.store.database import Row, Transaction
from nomarr.store.files import FROM, join_path
from nomarr.store.search import STATUSES, status_of

WINDOW_MS = 5 * 60_000  # what counts as now, for the rate
MEASURED = 100  # analyses that the average is taken from
LISTED = 500

ROW = """
    f.id, l.root_path, f.folder, f.name, f.missing_since, f.set_aside, f.error, f.write_error, f.write_failures,
    f.needs_tagging, f.needs_write, f.lease_until, f.analyzed_at, f.written_at, f.claimed_by
"""


@dataclass(frozen=True)
class Pace:
    """Measured speed: files a minute over the last minutes, seconds of listening for one; null if not measured."""

    rate_per_minute: float | None
    avg_time: float | None

    def eta_s(self, depth: int, workers: int) -> float | None:
        """Seconds until so many files are done; by the rate, or by the average where nothing was done of late."""
        if self.avg_time is None:
            return None
        if self.rate_per_minute:
            return round(depth / self.rate_per_minute * 60, 1)
        return round(depth * self.avg_time / max(1, workers), 1)


@dataclass(frozen=True)
class Running:
    """A file in a worker's hands."""

    file_id: int
    path: str
    worker: str | None


@dataclass(frozen=True)
class Job:
    """What became of a file: `pending`, `running`, `done`, `error`, `missing` or `new`; `at` is when it was done."""

    id: int
    path: str
    status: str
    error: str | None
    at: int


@dataclass(frozen=True)
class Scanning:
    """A library that is being scanned."""

    library_id: int
    name: str
    started_at: int


def pace(tx: Transaction, *, now: int) -> Pace:
    avg_time = tx.scalar(
        """
        SELECT AVG(recent.analysis_s)
          FROM (SELECT analysis_s
                  FROM library_files
                 WHERE missing_since IS NULL AND analyzed_at IS NOT NULL
                 ORDER BY analyzed_at DESC
                 LIMIT :measured) AS recent
        """,
        measured=MEASURED,
    )
    late = tx.one(
        """
        SELECT COUNT(*) AS files, MIN(analyzed_at) AS first
          FROM library_files
         WHERE missing_since IS NULL AND analyzed_at > :since
        """,
        since=now - WINDOW_MS,
    )
    assert late is not None  # noqa: S101 (an aggregate always has a row)
    if avg_time is None:
        return Pace(None, None)
    span_s = max((now - late["first"]) / 1000, float(avg_time), 1.0) if late["files"] else 1.0
    return Pace(round(late["files"] / span_s * 60, 2), round(float(avg_time), 3))


def running(tx: Transaction, *, now: int, limit: int = LISTED) -> list[Running]:
    """The files that workers have in hand, by id."""
    # Those with a lease are few and have an index, which SQLite else passes over.
    leased = "f.id IN (SELECT id FROM library_files WHERE lease_until >= :now)"
    rows = tx.all(
        f"SELECT {ROW} {FROM} WHERE {leased} AND {STATUSES['running']} ORDER BY f.id LIMIT :limit",
        now=now,
        limit=limit,
    )
    return [Running(row["id"], _path(row), row["claimed_by"]) for row in rows]


def scanning(tx: Transaction, *, now: int) -> list[Scanning]:
    return [
        Scanning(library.id, library.name, library.scan_started_at or now)
        for library in libraries.list_all(tx)
        if library.is_being_scanned(now=now)
    ]


def finished_since(tx: Transaction, since: int, *, limit: int = LISTED) -> list[int]:
    """Files that were analysed, written or set aside since then, the last ones first."""
    rows = tx.tuples(
        """
        SELECT id
          FROM library_files
         WHERE updated_at >= :since
           AND (analyzed_at >= :since OR written_at >= :since OR set_aside OR write_failures > 0)
         ORDER BY updated_at DESC, id
         LIMIT :limit
        """,
        since=since,
        limit=limit,
    )
    return [row[0] for row in rows]


def jobs(tx: Transaction, ids: Sequence[int], *, now: int) -> list[Job]:
    """What became of these files; those that are gone are left out."""
    rows = tx.all(f"SELECT {ROW} {FROM} WHERE f.id IN :ids ORDER BY f.id", ids=list(ids))
    return [
        Job(
            row["id"],
            _path(row),
            status_of(row, now=now),
            row["error"] or (row["write_error"] if row["write_failures"] else None),
            max(row["analyzed_at"] or 0, row["written_at"] or 0),
        )
        for row in rows
    ]


def marker(tx: Transaction) -> tuple[object, ...]:
    """Differs whenever the numbers of the queue may, but for files that workers take and leave."""
    row = tx.one(
        """
        SELECT (SELECT MAX(updated_at) FROM library_files) AS of_files,
               (SELECT MAX(id) FROM library_files)         AS last_file,
               (SELECT MAX(updated_at) FROM libraries)     AS of_libraries,
               (SELECT COUNT(*) FROM libraries)            AS libraries
        """
    )
    assert row is not None  # noqa: S101 (a SELECT without FROM always has a row)
    return tuple(row.values())


def _path(row: Row) -> str:
    return join_path(row["root_path"], row["folder"], row["name"])
