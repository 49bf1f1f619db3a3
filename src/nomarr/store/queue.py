"""What waits for the workers, what they could not handle, and what should be taken up again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nomarr.store.database import Transaction
from nomarr.store.files import FRESH_START, FROM, join_path
from nomarr.store.manyids import run_in_chunks
from nomarr.store.schema import TO_DO

# Priorities: what a library held when it was first scanned waits for what came since, and all for what is asked for.
ASKED_FOR, NEW_MUSIC, BACK_CATALOGUE = 10, 5, 0
# As its partial index has it; a reason why nothing is to be written, without failures, is no problem.
PROBLEM = "(f.set_aside OR f.write_error IS NOT NULL) AND (f.set_aside OR f.write_failures > 0)"


@dataclass(frozen=True)
class QueueDepth:
    """The queue in numbers, over files that are not missing.

    `pending` and `running` count listening and writing; `completed` counts current analyses, so a file whose
    results still wait to be written is in both.
    """

    depth: int
    pending: int
    running: int
    completed: int
    errors: int


@dataclass(frozen=True)
class Problem:
    """A file that could not be analysed or written, and why."""

    file_id: int
    library_id: int
    path: str
    set_aside: bool
    error: str | None
    error_kind: str | None
    write_error: str | None
    updated_at: int


def request_analysis(tx: Transaction, ids: Sequence[int], *, force: bool = False, priority: int = 0, now: int) -> int:
    """Have the files listened to: those without a current analysis, with `force` all. Says how many.

    What went wrong before is forgotten, so that each gets all its attempts again.
    """
    return run_in_chunks(
        tx,
        f"""
        UPDATE library_files
           SET needs_tagging = TRUE, updated_at = :now, {FRESH_START},
               priority = CASE WHEN priority < :priority THEN :priority ELSE priority END
         WHERE id IN :ids
           AND missing_since IS NULL
           {"" if force else "AND (needs_tagging OR analyzed_at IS NULL)"}
        """,
        ids,
        priority=priority,
        now=now,
    )


def request_write(tx: Transaction, ids: Sequence[int], *, now: int) -> int:
    """Have the stored results of the files written (again)."""
    return run_in_chunks(
        tx,
        """
        UPDATE library_files
           SET needs_write = TRUE, write_error = NULL, write_failures = 0, not_before = NULL,
               updated_at = :now
         WHERE id IN :ids AND analyzed_at IS NOT NULL
        """,
        ids,
        now=now,
    )


def bring_back_tags(tx: Transaction, ids: Sequence[int], *, now: int) -> int:
    """Have the stored results written, also into files whose tags were taken out; says how many."""
    return run_in_chunks(
        tx,
        """
        UPDATE library_files
           SET needs_write = TRUE, hands_off = FALSE, write_error = NULL, write_failures = 0, not_before = NULL,
               updated_at = :now
         WHERE id IN :ids AND analyzed_at IS NOT NULL AND missing_since IS NULL
        """,
        ids,
        now=now,
    )


def put_off_write(tx: Transaction, file_id: int, *, until: int, reason: str, now: int) -> None:
    """Have the file's results written, but not before a moment that is still to come."""
    tx.run(
        """
        UPDATE library_files
           SET needs_write = TRUE, not_before = :until, write_error = :reason, write_failures = 1, updated_at = :now
         WHERE id = :id
        """,
        id=file_id,
        until=until,
        reason=reason,
        now=now,
    )


def retry(tx: Transaction, ids: Sequence[int] | None = None, *, now: int) -> int:
    """Give files with problems another chance, all of them if `ids` is None; says how many."""
    sql = f"""
        UPDATE library_files AS f
           SET {FRESH_START}, write_error = NULL, write_failures = 0, updated_at = :now
         WHERE {PROBLEM}
        """
    if ids is None:
        return tx.run(sql, now=now)
    return run_in_chunks(tx, f"{sql} AND id IN :ids", ids, now=now)


def problems(tx: Transaction, limit: int, offset: int = 0) -> list[Problem]:
    """Files that were set aside or could not be written, by id; missing ones left out."""
    rows = tx.all(
        f"""
        SELECT f.id AS file_id, f.library_id, l.root_path, f.folder, f.name,
               f.set_aside, f.error, f.error_kind, f.write_error, f.updated_at
          {FROM}
         WHERE {PROBLEM}
           AND f.missing_since IS NULL
         ORDER BY f.id
         LIMIT :limit OFFSET :offset
        """,
        limit=limit,
        offset=offset,
    )
    parts = ("root_path", "folder", "name")
    return [
        Problem(path=join_path(*(row[p] for p in parts)), **{k: v for k, v in row.items() if k not in parts})
        for row in rows
    ]


def problem_count(tx: Transaction) -> int:
    """How many files `problems` would list."""
    return int(tx.scalar(f"SELECT COUNT(*) FROM library_files AS f WHERE {PROBLEM} AND f.missing_since IS NULL"))


def set_aside_by_kind(tx: Transaction) -> dict[str, int]:
    """How many files were set aside, by the kind of failure."""
    rows = tx.all(
        f"""
        SELECT COALESCE(f.error_kind, 'other') AS kind, COUNT(*) AS files
          FROM library_files AS f
         WHERE {PROBLEM} AND f.set_aside AND f.missing_since IS NULL
         GROUP BY 1
        """
    )
    return {row["kind"]: row["files"] for row in rows}


def waiting_since(tx: Transaction) -> int | None:
    """When the file that has waited longest was queued, or last tried; None where nothing waits."""
    first: int | None = tx.scalar(f"SELECT updated_at FROM library_files WHERE {TO_DO} ORDER BY updated_at LIMIT 1")
    return first


def queue_depth(tx: Transaction, *, library_id: int | None = None, now: int) -> QueueDepth:
    """The queue of one library, or of all enabled ones."""
    row = tx.one(_depth_sql(library_id), now=now, **({} if library_id is None else {"library": library_id}))
    assert row is not None  # noqa: S101 (a SELECT without FROM always has a row)
    depth = row["listening"] + row["writing"]
    return QueueDepth(
        depth=depth,
        pending=depth - row["running"],
        running=row["running"],
        completed=row["written"] + row["unwritten"],
        errors=row["errors"],
    )


def _depth_sql(library_id: int | None) -> str:
    """Every number is one range of an index, which is quicker by far than conditions on each row.

    The plus keeps SQLite on the few rows of the index of leases.
    """
    chosen = "= :library" if library_id is not None else "IN (SELECT id FROM libraries WHERE is_enabled)"
    present = f"FROM library_files WHERE library_id {chosen} AND missing_since IS NULL"
    in_order = f"{present} AND set_aside = FALSE"
    heard = f"{in_order} AND needs_tagging = FALSE"
    return f"""
        SELECT (SELECT COUNT(*) {in_order} AND needs_tagging = TRUE)                           AS listening,
               (SELECT COUNT(*) {heard} AND needs_write = TRUE)                                AS writing,
               (SELECT COUNT(*) {heard} AND needs_write = TRUE  AND analyzed_at IS NOT NULL)   AS unwritten,
               (SELECT COUNT(*) {heard} AND needs_write = FALSE AND analyzed_at IS NOT NULL)   AS written,
               (SELECT COUNT(*) {present} AND set_aside = TRUE)                                AS errors,
               (SELECT COUNT(*) FROM library_files
                 WHERE lease_until >= :now AND +library_id {chosen}
                   AND missing_since IS NULL AND NOT set_aside AND (needs_tagging OR needs_write)
               )                                                                               AS running
        """
