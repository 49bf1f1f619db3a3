"""Writing a claimed file: the journal first, then the file, then what became of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from nomarr.errors import TagsNotSupported, VanishedFile, WriteFailed, printable
from nomarr.moods.tags import TagValues, tags_hash
from nomarr.scores import Correction
from nomarr.settings import Settings
from nomarr.store import calibrations, claims, corrections, journal, queue, tags
from nomarr.store.claims import ClaimedFile
from nomarr.store.database import Database, Transaction
from nomarr.tagfiles.audiofile import Written, write_tags
from nomarr.tagfiles.family import Fields
from nomarr.tagfiles.safewrite import HardLinked
from nomarr.worker import tally
from nomarr.worker.tally import Tally
from nomarr.worker.trouble import Troubles

log = logging.getLogger(__name__)
T = TypeVar("T")

RETRY_WRITE_MS = 300_000  # twice as long after each failure, up to an hour
LONGEST_RETRY_MS = 3_600_000


class Patiently(Protocol):
    """Does something with the database as soon as that can be used."""

    def __call__(self, work: Callable[[], T], /) -> T: ...


@dataclass(frozen=True)
class Outcome:
    """What became of writing the file; nothing at all where it was not tried."""

    written: Written | None = None
    failure: WriteFailed | VanishedFile | None = None
    not_wanted: str | None = None
    stale: bool = False
    announced: list[int] = field(default_factory=list)  # entries of the journal, the last one for what was written


@dataclass(frozen=True)
class Writer:
    db: Database
    settings: Settings
    batch: str  # the journal's name for this run
    tally: Tally
    troubles: Troubles
    patiently: Patiently

    def write(self, file: ClaimedFile, wanted: TagValues, identity: str | None) -> Outcome:
        """Write a file's tags, where its library wants them written; problems of the file are part of the outcome.

        ClaimLost where this worker was away for too long.
        """
        if (file.file_write_mode or self.settings.file_write_mode) == "none":
            return Outcome(not_wanted="this library's results stay in the database")
        if file.hands_off:
            return Outcome(not_wanted="its tags were taken out, and come back when somebody asks for them")
        announced: list[int] = []
        try:
            with self.tally.timed("write"):
                written = write_tags(
                    self.settings.here(file.path),
                    wanted,
                    namespace=self.settings.namespace,
                    mtime_policy=self.settings.mtime_policy,
                    hardlink_policy=self.settings.hardlink_policy,
                    about_to_write=lambda before: announced.append(
                        self.patiently(lambda: self._announce(file, before, wanted))
                    ),
                )
        except (TagsNotSupported, HardLinked) as error:
            return Outcome(not_wanted=error.why, announced=announced)
        except (WriteFailed, VanishedFile) as error:
            self.troubles.wrote(error)
            return Outcome(failure=error, announced=announced)
        self.troubles.wrote(None)
        for note in written.notes:
            log.warning("%s: %s", printable(file.path), note)
        self.tally.add(tally.WRITTEN, written.changed)
        stale = written.changed and identity is not None and written.audio_hash != identity
        return Outcome(written=written, stale=stale, announced=announced)

    def _announce(self, file: ClaimedFile, before: Fields, wanted: TagValues) -> int:
        """The journal first: a crash right after the file was replaced must not lose what it held.

        ClaimLost where this worker was away for too long: the file is its successor's now.
        """
        with self.db.write() as tx:
            claims.renew(tx, file, now=tx.now_ms(), lease_ms=self.settings.lease_s * 1000)
            return journal.add(
                tx,
                file_id=file.file_id,
                path=file.path,
                batch=self.batch,
                action="write",
                before=before,
                after_hash=tags_hash(wanted),
                at=tx.now_ms(),
            )

    def record(
        self, tx: Transaction, file: ClaimedFile, outcome: Outcome, calibration: str, correction: Correction
    ) -> None:
        """Note with the file, in the caller's transaction, what became of its writing."""
        now, announced = tx.now_ms(), outcome.announced
        if outcome.failure is not None:
            log.warning("%s", outcome.failure)
            pause_ms = min(RETRY_WRITE_MS << min(file.write_failures, 10), LONGEST_RETRY_MS)
            self.tally.add(f"{tally.FAILED}write")
            claims.record_write_failure(tx, file, now=now, error=outcome.failure.why, retry_in_ms=pause_ms)
        elif outcome.not_wanted is not None:
            claims.no_write_needed(tx, file, now=now, reason=outcome.not_wanted)
        elif outcome.written is not None:
            written = outcome.written
            claims.record_write(
                tx,
                file,
                now=now,
                size=written.size,
                mtime_ns=written.mtime_ns,
                written_hash=tags_hash(written.after),
                calibration=calibration,
            )
            tags.note_standard(tx, file.file_id, before=written.before, after=written.after)
            current = calibrations.current_label(tx, file.library_id)
            if current != calibration:  # a new one came while the file was in hand
                calibrations.request_writes(tx, [file.file_id], current, now=now)
            if corrections.of(tx, file.file_id) != correction:  # so did a correction
                queue.request_write(tx, [file.file_id], now=now)
            if written.changed:
                journal.confirm(
                    tx,
                    outcome.announced[-1],
                    audio_hash=written.audio_hash,
                    size=written.size,
                    mtime_ns=written.mtime_ns,
                )
                announced = announced[:-1]
        journal.drop(tx, announced)
