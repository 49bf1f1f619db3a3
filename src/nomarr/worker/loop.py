"""What a worker does: claim -> analyze -> write -> finish, until told to stop."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from nomarr import __version__, config
from nomarr.analysis import Analysis, Models
from nomarr.errors import (
    ClaimLost,
    DatabaseProblem,
    FileProblem,
    NomarrError,
    TagsNotSupported,
    UnreadableAudio,
    VanishedFile,
    WriteFailed,
    printable,
)
from nomarr.moods.tags import TagValues, tags_hash
from nomarr.settings import Settings
from nomarr.store import calibrations, claims, journal, preferences, queue, scores, workers
from nomarr.store.claims import ClaimedFile, Scope
from nomarr.store.database import Database, Transaction
from nomarr.tagfiles.audiofile import Fields, Written, write_tags
from nomarr.tagfiles.payload import audio_hash
from nomarr.tagfiles.safewrite import HardLinked
from nomarr.wanted import tags_of, wanted_tags

log = logging.getLogger(__name__)

POLL_S = 1.0
RETRY_READ_MS = 60_000
RETRY_WRITE_MS = 3_600_000  # a read-only folder or a full disk seldom mends itself in minutes
DATABASE_PATIENCE_S = 300  # how long a worker waits for a database that went away


@dataclass
class Worker:
    """One worker process. `stop` ends it after the file in hand."""

    settings: Settings
    db: Database
    id: str
    scopes: Sequence[Scope] = ()  # empty: everything in enabled libraries
    drain: bool = False  # end when nothing is left to do
    listen_only: bool = False  # analyse, but leave the files alone
    batch: str = ""  # the journal's name for this run
    stop: threading.Event = field(default_factory=threading.Event)
    models: Models | None = None
    in_hand: ClaimedFile | None = None
    _given: Settings = field(init=False)  # without what was changed since

    def __post_init__(self) -> None:
        self._given = self.settings

    def run(self) -> None:
        """Works until stopped, or drained. Raises DatabaseProblem after five minutes without a database."""
        failing_since: float | None = None
        with self._heartbeat():
            while not self.stop.is_set():
                try:
                    file = self._claim()
                    if file is not None:
                        self._handle(file)
                    elif self.drain:
                        return
                    else:
                        self.stop.wait(POLL_S)
                    failing_since = None
                except DatabaseProblem as error:
                    failing_since = failing_since or time.monotonic()
                    if time.monotonic() - failing_since > DATABASE_PATIENCE_S:
                        raise
                    log.warning("waiting for the database: %s", error)
                    self.stop.wait(5)

    def _claim(self) -> ClaimedFile | None:
        with self.db.write() as tx:
            if preferences.get(tx, config.PAUSED, False) and not self.drain:
                return None
            self.settings = config.effective(tx, self._given)
            for scope in self.scopes or (None,):
                file = claims.claim_next(
                    tx,
                    worker=self.id,
                    now=tx.now_ms(),
                    lease_ms=self.settings.lease_s * 1000,
                    scope=scope,
                    listen_only=self.listen_only,
                )
                if file is not None:
                    return file
        return None

    def _handle(self, file: ClaimedFile) -> None:
        self.in_hand = file
        try:
            if file.needs_tagging:
                self._listen(file)
            else:
                self._write_again(file)
        except ClaimLost as error:
            log.warning("%s", error)
        except UnreadableAudio as error:
            self._fail(file, error, "unreadable", permanent=True)
        except VanishedFile as error:
            self._fail(file, error, "vanished", permanent=False)
        except FileProblem as error:
            self._fail(file, error, "file", permanent=False)
        except NomarrError:  # nothing to do with this file: the models or the database
            self._give_back(file)
            raise
        except Exception as error:  # the edge of the process: one file must not end the run
            log.exception("%s", file.path)
            why = f"its analysis failed ({type(error).__name__}: {error})"
            self._fail(file, FileProblem(file.path, why), "crash", permanent=False)
        finally:
            self.in_hand = None

    def _listen(self, file: ClaimedFile) -> None:
        if self.models is None:
            self.models = Models(self.settings.models)
        path = Path(file.path)
        started = time.monotonic()
        identity = audio_hash(path)
        analysis = self.models.analyze(path)
        seconds = time.monotonic() - started
        with self.db.read() as tx:
            calibration = calibrations.for_library(tx, file.library_id)
        wanted = tags_of(analysis.packs, calibration, file.file_write_mode, analysis.suite, self.settings)
        outcome = _Outcome() if self.listen_only else self._write(file, wanted, identity)
        if outcome.stale:
            raise FileProblem(path, "another program changed it while it was analysed")
        # The file first: a crash between the two only repeats harmless work.
        with self.db.write() as tx:
            _save(tx, file, analysis)
            now = tx.now_ms()
            claims.finish(
                tx,
                file,
                now=now,
                suite=analysis.suite,
                patches=analysis.patches,
                duration_s=analysis.duration_s,
                audio_hash=identity,
                analysis_s=seconds,
                needs_write=True,
            )
            self._record(tx, file, outcome, calibration.label)
        log.info("analysed %s in %.2f s", printable(path), seconds)

    def _write_again(self, file: ClaimedFile) -> None:
        """Results are there, the file does not hold them yet."""
        with self.db.read() as tx:
            wanted = wanted_tags(tx, file.file_id, self.settings)
            label = calibrations.current_label(tx, file.library_id)
        outcome = self._write(file, wanted, file.audio_hash)
        with self.db.write() as tx:
            if outcome.stale:
                claims.release(tx, file)
                queue.request_analysis(tx, [file.file_id], force=True, now=tx.now_ms())
                return
            self._record(tx, file, outcome, label)

    def _write(self, file: ClaimedFile, wanted: TagValues, identity: str | None) -> _Outcome:
        if (file.file_write_mode or self.settings.file_write_mode) == "none":
            return _Outcome(not_wanted="this library's results stay in the database")
        if file.hands_off:
            return _Outcome(not_wanted="its tags were taken out, and come back when somebody asks for them")
        announced: list[int] = []
        try:
            written = write_tags(
                file.path,
                wanted,
                namespace=self.settings.namespace,
                mtime_policy=self.settings.mtime_policy,
                hardlink_policy=self.settings.hardlink_policy,
                about_to_write=lambda before: announced.append(self._announce(file, before, wanted)),
            )
        except (TagsNotSupported, HardLinked) as error:
            return _Outcome(not_wanted=error.why, announced=announced)
        except (WriteFailed, VanishedFile) as error:
            return _Outcome(failure=error, announced=announced)
        for note in written.notes:
            log.warning("%s: %s", printable(file.path), note)
        stale = written.changed and identity is not None and written.audio_hash != identity
        return _Outcome(written=written, stale=stale, announced=announced)

    def _announce(self, file: ClaimedFile, before: Fields, wanted: TagValues) -> int:
        """The journal first: a crash right after the file was replaced must not lose what it held."""
        with self.db.write() as tx:
            return journal.add(
                tx,
                file_id=file.file_id,
                path=file.path,
                batch=self.batch or self.id,
                action="write",
                before=before,
                after_hash=tags_hash(wanted),
                at=tx.now_ms(),
            )

    def _record(self, tx: Transaction, file: ClaimedFile, outcome: _Outcome, calibration: str) -> None:
        now = tx.now_ms()
        if outcome.failure is not None:
            log.warning("%s", outcome.failure)
            claims.record_write_failure(tx, file, now=now, error=outcome.failure.why, retry_in_ms=RETRY_WRITE_MS)
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
            current = calibrations.current_label(tx, file.library_id)
            if current != calibration:  # a new one came while the file was in hand
                calibrations.request_writes(tx, [file.file_id], current, now=now)
            if written.changed:
                journal.confirm(
                    tx,
                    outcome.announced.pop(),
                    audio_hash=written.audio_hash,
                    size=written.size,
                    mtime_ns=written.mtime_ns,
                )
        journal.drop(tx, outcome.announced)

    def _fail(self, file: ClaimedFile, error: FileProblem, kind: str, *, permanent: bool) -> None:
        log.warning("%s", error)
        with self.db.write() as tx:
            try:
                claims.fail(
                    tx,
                    file,
                    now=tx.now_ms(),
                    error=error.why,
                    kind=kind,
                    permanent=permanent,
                    retry_in_ms=RETRY_READ_MS,
                )
            except ClaimLost as lost:
                log.warning("%s", lost)

    def _give_back(self, file: ClaimedFile) -> None:
        with suppress(DatabaseProblem, ClaimLost), self.db.write() as tx:
            claims.release(tx, file)

    @contextmanager
    def _heartbeat(self) -> Iterator[None]:
        """Tells the database, from a thread beside, that this worker lives and keeps its file."""
        done = threading.Event()

        def beat() -> None:
            while True:
                try:
                    self._beat()
                except NomarrError as error:  # the loop meets the same problem and decides
                    log.debug("heartbeat: %s", error)
                if done.wait(self.settings.lease_s / 4):
                    return

        thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join(timeout=5)
            with suppress(DatabaseProblem), self.db.write() as tx:
                workers.remove(tx, self.id)

    def _beat(self) -> None:
        file = self.in_hand
        with self.db.write() as tx:
            now = tx.now_ms()
            workers.heartbeat(
                tx,
                worker=self.id,
                host=socket.gethostname(),
                pid=os.getpid(),
                version=__version__,
                now=now,
                state="busy" if file else "idle",
                file_id=file.file_id if file else None,
            )
            if file is not None:
                with suppress(ClaimLost):  # finishing the file will say so
                    claims.renew(tx, file, now=now, lease_ms=self.settings.lease_s * 1000)


@dataclass(frozen=True)
class _Outcome:
    """What became of writing the file; nothing at all where it was not tried."""

    written: Written | None = None
    failure: WriteFailed | VanishedFile | None = None
    not_wanted: str | None = None
    stale: bool = False
    announced: list[int] = field(default_factory=list)  # entries of the journal, the last one for what was written


def _save(tx: Transaction, file: ClaimedFile, analysis: Analysis) -> None:
    scores.replace(tx, file.file_id, analysis.packs)
    for embedding in analysis.embeddings:
        scores.save_embedding(tx, file.file_id, embedding)
