"""Who works on which file: a lease that runs out, and a token that fences off whoever lost it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nomarr.errors import ClaimLost, printable
from nomarr.store.database import Transaction
from nomarr.store.files import inside, inside_params, join_path

MAX_ATTEMPTS = 3
POISON = f"its analysis ended the worker {MAX_ATTEMPTS} times"

READY = """
        (f.needs_tagging OR f.needs_write) AND f.missing_since IS NULL AND NOT f.set_aside
    AND (f.not_before  IS NULL OR f.not_before <= :now)
    AND (f.lease_until IS NULL OR f.lease_until < :now)
"""
TRIED_ENOUGH = f"f.attempts >= {MAX_ATTEMPTS}"  # and its lease ran out: it brings workers down
CLAIMED = """
               id AS file_id, library_id, folder, name, claim_token AS token, claimed_by AS worker,
               needs_tagging, needs_write, attempts, write_failures, size, mtime_ns, container, duration_s,
               audio_key, audio_hash, suite, calibration, written_hash, hands_off,
""" + ", ".join(
    f"(SELECT l.{name} FROM libraries AS l WHERE l.id = library_files.library_id) AS {name}"
    for name in ("root_path", "file_write_mode", "standard_fields")
)
FREE = "claimed_by = NULL, lease_until = NULL"
RAN_OUT = "claimed_by = NULL, lease_until = 0"  # long over: the next claim sees whether it was the third
ATTEMPT_BACK = "attempts = CASE WHEN attempts > 0 THEN attempts - 1 ELSE 0 END"


@dataclass(frozen=True)
class Scope:
    """A part of the work: one library, of it only what lies in a folder, or only some files."""

    library_id: int
    folder: str | None = None
    file_ids: tuple[int, ...] | None = None


@dataclass(frozen=True)
class ClaimedFile:
    """A file in a worker's hands until its lease runs out; `token` proves it."""

    file_id: int
    library_id: int
    root_path: str
    folder: str
    name: str
    token: int
    worker: str
    needs_tagging: bool
    needs_write: bool
    attempts: int
    write_failures: int
    size: int
    mtime_ns: int
    container: str | None
    duration_s: float | None
    audio_key: str | None
    audio_hash: str | None
    suite: str | None
    calibration: str | None
    written_hash: str | None
    file_write_mode: str | None
    standard_fields: str | None
    hands_off: bool  # nothing is to be written into it

    @property
    def path(self) -> str:
        return join_path(self.root_path, self.folder, self.name)


def claim_next(
    tx: Transaction,
    *,
    worker: str,
    now: int,
    lease_ms: int,
    scope: Scope | None = None,
    listen_only: bool = False,
    write_only: bool = False,
    except_libraries: Sequence[int] = (),
) -> ClaimedFile | None:
    """The most urgent file that nobody works on, or None.

    `listen_only` passes over mere writing, `write_only` over all else.
    Without a scope only enabled libraries count; with one its library counts even if disabled.
    """
    parts = ("f.needs_tagging",) * listen_only + ("NOT f.needs_tagging",) * write_only
    chosen, params = _choice(tx, scope, parts, except_libraries)
    row = tx.one(
        f"""
        UPDATE library_files
           SET claim_token = claim_token + 1, attempts = attempts + 1,
               claimed_by = :worker, lease_until = :until
         WHERE id = ({chosen})
        RETURNING {CLAIMED}
        """,
        worker=worker,
        now=now,
        until=now + lease_ms,
        **params,
    )
    if row is None:
        set_aside_poison(tx, now=now)  # one statement a claim is enough; heartbeats see to it as well
        return None
    return ClaimedFile(**row)


def set_aside_poison(tx: Transaction, *, now: int) -> int:
    """Set aside files whose lease ran out for the third time: they bring workers down."""
    return tx.run(
        f"""
        UPDATE library_files
           SET set_aside = TRUE, error_kind = 'poison',
               error = CASE WHEN error_kind = 'worker' THEN :error || '; the last time ' || error ELSE :error END,
               claim_token = claim_token + 1,
               updated_at = :now, {FREE}
         WHERE lease_until < :now
           AND attempts >= :max_attempts
        """,
        error=POISON,
        max_attempts=MAX_ATTEMPTS,
        now=now,
    )


def renew(tx: Transaction, file: ClaimedFile, *, now: int, lease_ms: int) -> None:
    """Keep the file for another while; ClaimLost if it was given to somebody else."""
    _change(tx, file, "lease_until = :until", condition="claimed_by IS NOT NULL", until=now + lease_ms)


def finish(
    tx: Transaction,
    file: ClaimedFile,
    *,
    now: int,
    suite: str,
    patches: int,
    duration_s: float,
    audio_hash: str,
    needs_write: bool,
    analysis_s: float | None = None,
) -> None:
    """Record that the file was listened to, and let go of it. `needs_write`: its tags still want writing."""
    _change(
        tx,
        file,
        f"""
        needs_tagging = FALSE, needs_write = :needs_write, attempts = 0, not_before = NULL, priority = 0,
        error = NULL, error_kind = NULL, suite = :suite, analyzed_at = :now, patches = :patches,
        duration_s = :duration_s, audio_hash = :audio_hash, analysis_s = :analysis_s,
        updated_at = :now, {FREE}
        """,
        needs_write=needs_write,
        suite=suite,
        patches=patches,
        duration_s=duration_s,
        audio_hash=audio_hash,
        analysis_s=analysis_s,
        now=now,
    )


def fail(
    tx: Transaction,
    file: ClaimedFile,
    *,
    now: int,
    error: str,
    kind: str,
    permanent: bool,
    retry_in_ms: int = 0,
) -> None:
    """Record why the file could not be analysed. Permanent, or for the third time: it is set aside."""
    set_aside = permanent or file.attempts >= MAX_ATTEMPTS
    _change(
        tx,
        file,
        f"""
        set_aside = :set_aside, error = :error, error_kind = :kind, not_before = :not_before,
        updated_at = :now, {FREE}
        """,
        set_aside=set_aside,
        error=error,
        kind=kind,
        not_before=None if set_aside else now + retry_in_ms,
        now=now,
    )


def record_write(
    tx: Transaction,
    file: ClaimedFile,
    *,
    now: int,
    size: int,
    mtime_ns: int,
    written_hash: str,
    calibration: str | None,
) -> None:
    """Record what was written into the file, and its size and time since, lest a scan take it for changed.

    `written_hash` (moods.tags.tags_hash) tells a scan whether the file still holds it.
    After `finish` in the same transaction where the file was listened to as well.
    """
    _change(
        tx,
        file,
        f"""
        needs_write = FALSE, size = :size, mtime_ns = :mtime_ns,
        written_hash = :written_hash, written_at = :now, calibration = :calibration,
        write_error = NULL, write_failures = 0, attempts = 0, not_before = NULL,
        updated_at = :now, {FREE}
        """,
        size=size,
        mtime_ns=mtime_ns,
        written_hash=written_hash,
        calibration=calibration,
        now=now,
    )


def record_write_failure(tx: Transaction, file: ClaimedFile, *, now: int, error: str, retry_in_ms: int) -> None:
    """Record why the tags could not be written; the analysis stays, and writing is tried again later."""
    _change(
        tx,
        file,
        f"""
        needs_write = TRUE, write_error = :error, write_failures = write_failures + 1, attempts = 0,
        not_before = :not_before, updated_at = :now, {FREE}
        """,
        error=error,
        not_before=now + retry_in_ms,
        now=now,
    )


def no_write_needed(tx: Transaction, file: ClaimedFile, *, now: int, reason: str | None = None) -> None:
    """Let go of a file into which nothing is to be written; `reason` is shown if nothing can be."""
    _change(
        tx,
        file,
        f"""
        needs_write = FALSE, write_error = :reason, write_failures = 0, attempts = 0, not_before = NULL,
        updated_at = :now, {FREE}
        """,
        reason=reason,
        now=now,
    )


def release(tx: Transaction, file: ClaimedFile) -> None:
    """Give the file back unfinished; the attempt does not count."""
    _change(
        tx,
        file,
        f"claim_token = claim_token + 1, {ATTEMPT_BACK}, {FREE}",
        condition="claimed_by IS NOT NULL",
    )


def release_worker(tx: Transaction, worker: str, *, counts: bool = True, how: str | None = None) -> int:
    """Take everything from a worker that is gone, so that it can finish none of it; says how many files.

    The attempts count, for the file may be what ended it, unless `counts` is False; `how` it ended then becomes part
    of the reason for which the file is set aside in the end.
    """
    reason = "error = :how, error_kind = 'worker'," if counts and how is not None else ""
    return tx.run(
        f"""
        UPDATE library_files
           SET claim_token = claim_token + 1, {reason}
               {f"{ATTEMPT_BACK}, {FREE}" if not counts else RAN_OUT}
         WHERE lease_until IS NOT NULL
           AND claimed_by = :worker
        """,
        worker=worker,
        **({"how": how} if reason else {}),
    )


def _choice(
    tx: Transaction, scope: Scope | None, conditions: Sequence[str], except_libraries: Sequence[int]
) -> tuple[str, dict[str, Any]]:
    """SQL that names the file to claim, and its parameters."""
    ready = " AND ".join((READY, f"NOT {TRIED_ENOUGH}", *conditions))
    lock = "FOR UPDATE OF f SKIP LOCKED" if tx.is_postgresql else ""
    if scope is not None:
        condition, params = within(scope)
        if scope.library_id in except_libraries:
            condition = "1 = 0"
        return (
            f"""
            SELECT f.id FROM library_files AS f
             WHERE {ready} AND {condition}
             ORDER BY f.priority DESC, f.id
             LIMIT 1 {lock}
            """,
            params,
        )
    # The best of each library by its index, then the best of those: a disabled library costs nothing.
    best = f"""
        SELECT f.id FROM library_files AS f
         WHERE f.library_id = l.id AND {ready}
         ORDER BY f.priority DESC, f.id
         LIMIT 1 {lock}
        """
    if tx.is_postgresql:
        best = best.replace("SELECT f.id", "SELECT f.id, f.priority", 1)
        joined = f"CROSS JOIN LATERAL ({best}) AS b"
    else:
        joined = f"JOIN library_files AS b ON b.id = ({best})"
    # Nothing is said of others where there are none: a list is a statement of its own for each of its lengths.
    others = "AND l.id NOT IN :except_libraries" if except_libraries else ""
    return (
        f"SELECT b.id FROM libraries AS l {joined} WHERE l.is_enabled {others} ORDER BY b.priority DESC, b.id LIMIT 1",
        {"except_libraries": list(except_libraries)} if except_libraries else {},
    )


def within(scope: Scope) -> tuple[str, dict[str, Any]]:
    condition = "f.library_id = :library"
    params: dict[str, Any] = {"library": scope.library_id}
    if scope.folder:
        condition, params = f"{condition} AND {inside('f.folder')}", {**params, **inside_params(scope.folder)}
    if scope.file_ids is not None:
        condition, params = f"{condition} AND f.id IN :file_ids", {**params, "file_ids": list(scope.file_ids)}
    return condition, params


def _change(tx: Transaction, file: ClaimedFile, assignments: str, *, condition: str = "1 = 1", **params: Any) -> None:
    changed = tx.run(
        f"UPDATE library_files SET {assignments} WHERE id = :id AND claim_token = :token AND {condition}",
        id=file.file_id,
        token=file.token,
        **params,
    )
    if changed != 1:
        raise ClaimLost(f"{printable(file.path)}: another worker has taken it over; nothing was recorded")
