"""The one scan that a library may have at a time: begun, kept alive, cancelled, ended."""

from __future__ import annotations

from typing import NoReturn

from nomarr.errors import Conflict, ScanCancelled
from nomarr.store import libraries
from nomarr.store.database import Transaction
from nomarr.store.libraries import SCAN_CANCELLED, SCAN_SILENT_MS


def begin(tx: Transaction, library_id: int, *, owner: str, now: int) -> None:
    """Mark the library as being scanned by this owner; Conflict while another scan is alive."""
    begun = tx.run(
        """
        UPDATE libraries
           SET scan_owner = :owner, scan_started_at = :now, scan_heartbeat_at = :now,
               scan_finished_at = NULL, scan_error = NULL
         WHERE id = :id
           AND (scan_owner IS NULL OR scan_heartbeat_at IS NULL OR scan_heartbeat_at < :silent_since)
        """,
        id=library_id,
        owner=owner,
        now=now,
        silent_since=now - SCAN_SILENT_MS,
    )
    if begun != 1:
        raise Conflict(f"A scan of library {libraries.get(tx, library_id).name} is already running")


def renew(tx: Transaction, library_id: int, *, owner: str, now: int) -> None:
    """Say that the scan is alive; ScanCancelled or Conflict if it may not go on."""
    renewed = tx.run(
        "UPDATE libraries SET scan_heartbeat_at = :now WHERE id = :id AND scan_owner = :owner",
        id=library_id,
        owner=owner,
        now=now,
    )
    if renewed != 1:
        _refuse_to_go_on(tx, library_id)


def check(tx: Transaction, library_id: int, *, owner: str) -> None:
    """ScanCancelled or Conflict if the scan may not go on; the database hears nothing of it."""
    if tx.scalar("SELECT scan_owner FROM libraries WHERE id = :id", id=library_id) != owner:
        _refuse_to_go_on(tx, library_id)


def cancel(tx: Transaction, library_id: int, *, now: int) -> None:
    """Take the mark from a running scan, which then ends without writing anything more; Conflict if none runs."""
    library = libraries.get(tx, library_id)
    if not library.is_being_scanned(now=now):
        raise Conflict(f"Library {library.name} is not being scanned")
    assert library.scan_owner is not None  # noqa: S101 (as it is being scanned)
    end(tx, library_id, owner=library.scan_owner, now=now, error=SCAN_CANCELLED)


def end(
    tx: Transaction, library_id: int, *, owner: str, now: int, error: str | None = None, is_whole: bool = False
) -> None:
    """Take the mark away; harmless if another scan took over. `is_whole`: nothing was left out."""
    tx.run(
        """
        UPDATE libraries
           SET scan_owner = NULL, scan_heartbeat_at = NULL, scan_finished_at = :now, scan_error = :error,
               whole_scan_at = CASE WHEN :is_whole THEN :now ELSE whole_scan_at END
         WHERE id = :id AND scan_owner = :owner
        """,
        id=library_id,
        owner=owner,
        now=now,
        error=error,
        is_whole=is_whole and error is None,
    )


def _refuse_to_go_on(tx: Transaction, library_id: int) -> NoReturn:
    row = tx.one("SELECT name, scan_error FROM libraries WHERE id = :id", id=library_id)
    if row is None:
        raise Conflict(f"Library {library_id} was removed")
    if row["scan_error"] == SCAN_CANCELLED:
        raise ScanCancelled(f"The scan of library {row['name']} was cancelled")
    raise Conflict(f"Another scan of library {row['name']} took over")
