"""What a worker does: claim -> analyze -> write -> finish, until told to stop.

Workers ask for files once a second rather than being woken: an idle question costs a thousandth of a core, on either
database, and a new file waits half a second. LISTEN and NOTIFY would save that on one of the two databases only, for a
connection that has to be watched and restored; and a lease that runs out notifies nobody.
"""

from __future__ import annotations

import logging
import math
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from nomarr import __version__, config
from nomarr.analysis import Analysis, Models
from nomarr.errors import (
    ClaimLost,
    DatabaseProblem,
    FileProblem,
    NomarrError,
    UnreadableAudio,
    VanishedFile,
    printable,
)
from nomarr.moods.tags import TagValues
from nomarr.scores import Correction, LibraryCalibration
from nomarr.settings import Settings
from nomarr.store import calibrations, claims, corrections, counters, preferences, queue, scores, workers
from nomarr.store.claims import ClaimedFile, Scope
from nomarr.store.database import Database, Transaction
from nomarr.tagfiles.payload import audio_hash
from nomarr.wanted import tags_of, wanted_tags
from nomarr.worker import neighbour, tally
from nomarr.worker.tally import Tally
from nomarr.worker.trouble import Troubles
from nomarr.worker.watchdog import LOADING, limit_s
from nomarr.worker.writing import Outcome, Writer

log = logging.getLogger(__name__)
T = TypeVar("T")

POLL_S = 1.0
RETRY_READ_MS = 60_000
DATABASE_PATIENCE_S = 300  # how long a run that should come to an end waits for a database that went away


class _ModelsFirst(Exception):
    """The next file is to be listened to, and there is nothing to listen with; it was not taken."""


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
    threads: int = 1
    report_limit: Callable[[float], None] = lambda _: None  # tells the supervisor how long what it does may take
    models_wait_s: float = 0.0  # before they are loaded, for they did not load in this one's predecessors
    trouble: str | None = None  # what became of that
    stop: threading.Event = field(default_factory=threading.Event)
    models: Models | None = None
    in_hand: ClaimedFile | None = None
    tally: Tally = field(default_factory=Tally)
    _given: Settings = field(init=False)  # without what was changed since
    _troubles: Troubles = field(init=False)
    _pace: neighbour.Pace = field(default_factory=neighbour.Pace)
    _models_from: float = field(init=False)  # when they may be loaded
    _worked_at: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self._given = self.settings
        self._troubles = Troubles(self.stop, models=self.trouble)
        self._models_from = time.monotonic() + self.models_wait_s

    def run(self) -> None:
        """Works until stopped, or drained. A database that goes away is waited for, though not for ever in a drain."""
        self.report_limit(0)
        with self._heartbeat():
            while not self.stop.is_set():
                file = self._take()
                if file is not None:
                    self._handle(file)
                    self._worked_at = time.monotonic()
                elif self.drain:
                    return
                else:
                    if time.monotonic() - self._worked_at > self.settings.models_idle_s:
                        self._unload()
                    self.stop.wait(POLL_S)

    def _patiently(self, work: Callable[[], T]) -> T:
        return self._troubles.patiently(work, at_most_s=DATABASE_PATIENCE_S if self.drain else math.inf)

    def _take(self) -> ClaimedFile | None:
        """A file, and the models where it needs them. Nobody holds it while they load: it is not to blame for that."""
        try:
            return self._patiently(self._claim)
        except _ModelsFirst:
            self._load()
        return None if self.stop.is_set() else self._patiently(self._claim)

    def _load(self) -> None:
        self.report_limit(LOADING)
        self.models = Models(
            self.settings.models,
            threads=self.threads,
            device=self.settings.device,
            between_blocks=lambda: self._pace(self.settings.cpu_share),
        )
        self.report_limit(0)
        self._troubles.models = None
        self._worked_at = time.monotonic()

    def _unload(self) -> None:
        if self.models is not None:
            self.models.close()
            self.models = None
            neighbour.give_back_memory()
            log.info("nothing to do; the models have left memory")

    def _is_held_back(self, tx: Transaction) -> bool:
        """Whether nothing is to be taken now; a person who waits for a run to end is not kept waiting."""
        if self.drain:
            return False
        hours, now = self.settings.work_hours, datetime.now().time()  # by the clock on the wall
        return preferences.get(tx, config.PAUSED, False) or not neighbour.is_time_to_work(hours, now)

    def _claim(self) -> ClaimedFile | None:
        with self.db.write() as tx:
            self.settings = config.effective(tx, self._given)
            if self._is_held_back(tx):
                return None
            for scope in self.scopes or (None,):
                file = claims.claim_next(
                    tx,
                    worker=self.id,
                    now=tx.now_ms(),
                    lease_ms=self.settings.lease_s * 1000,
                    scope=scope,
                    listen_only=self.listen_only,
                    write_only=self.models is None and time.monotonic() < self._models_from,
                    except_libraries=self._troubles.away(),
                )
                if file is not None:
                    if file.needs_tagging and self.models is None:
                        raise _ModelsFirst
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
        except FileProblem as error:
            self._give_up(file, error)
        except NomarrError:  # nothing to do with this file: the models or the database
            self._give_back(file)
            raise
        except Exception as error:  # the edge of the process: one file must not end the run
            log.exception("%s", file.path)
            why = f"its analysis failed ({type(error).__name__}: {error})"
            self._fail(file, FileProblem(file.path, why), "crash", permanent=False)
        else:
            self._troubles.went_well(file.library_id)
        finally:
            self.report_limit(0)
            self.in_hand = None
            self.tally.done()

    def _listen(self, file: ClaimedFile) -> None:
        assert self.models is not None  # noqa: S101 (or the file would not have been taken)
        self.report_limit(limit_s(file, self.settings))
        path = Path(self.settings.here(file.path))
        started = time.monotonic()
        with self.tally.timed("hash"):
            identity = audio_hash(path)
        analysis = self.models.analyze(path)
        seconds = time.monotonic() - started
        self.tally.stages(analysis.seconds)
        calibration, correction = self._patiently(lambda: self._words_of(file, identity))
        wanted = tags_of(analysis.packs, calibration, correction, file, analysis.suite, self.settings)
        outcome = Outcome() if self.listen_only else self._writer().write(file, wanted, identity)
        if outcome.stale:
            raise FileProblem(path, "another program changed it while it was analysed")

        def record() -> None:
            with self.db.write() as tx:
                _save(tx, file, analysis)
                corrections.adopt(tx, file.file_id, identity)
                claims.finish(
                    tx,
                    file,
                    now=tx.now_ms(),
                    suite=analysis.suite,
                    patches=analysis.patches,
                    duration_s=analysis.duration_s,
                    audio_hash=identity,
                    analysis_s=seconds,
                    needs_write=True,
                )
                self._writer().record(tx, file, outcome, calibration.label, correction)

        # The file first: a crash between the two only repeats harmless work.
        self._patiently(record)
        self.tally.add(tally.ANALYSED)
        self.tally.add(tally.HEARD_S, analysis.duration_s)
        log.info("analysed %s in %.2f s", printable(path), seconds)

    def _words_of(self, file: ClaimedFile, identity: str) -> tuple[LibraryCalibration, Correction]:
        with self.db.read() as tx:
            return calibrations.for_library(tx, file.library_id), corrections.of_sound(tx, file.file_id, identity)

    def _write_again(self, file: ClaimedFile) -> None:
        """Results are there, the file does not hold them yet."""

        def look() -> tuple[TagValues, str, Correction]:
            with self.db.read() as tx:
                wanted = wanted_tags(tx, file.file_id, self.settings)
                return wanted, calibrations.current_label(tx, file.library_id), corrections.of(tx, file.file_id)

        def record() -> None:
            with self.db.write() as tx:
                if outcome.stale:
                    claims.release(tx, file)
                    queue.request_analysis(tx, [file.file_id], force=True, now=tx.now_ms())
                    return
                self._writer().record(tx, file, outcome, label, correction)

        self.report_limit(limit_s(file, self.settings))
        wanted, label, correction = self._patiently(look)
        outcome = self._writer().write(file, wanted, file.audio_hash)
        self._patiently(record)

    def _writer(self) -> Writer:
        """With the settings that hold now."""
        return Writer(self.db, self.settings, self.batch or self.id, self.tally, self._troubles, self._patiently)

    def _give_up(self, file: ClaimedFile, error: FileProblem) -> None:
        """What one file is guilty of is recorded with it; where all are gone, none is."""
        if self._troubles.is_away(file.library_id, self.settings.here(file.root_path)):
            self._give_back(file)
        elif not os.path.exists(self.settings.here(file.path)):
            self._fail(file, error, "vanished", permanent=False)
        elif isinstance(error, UnreadableAudio):
            self._fail(file, error, "unreadable", permanent=True)
        else:
            kind = "vanished" if isinstance(error, VanishedFile) else "file"
            self._fail(file, error, kind, permanent=False)

    def _fail(self, file: ClaimedFile, error: FileProblem, kind: str, *, permanent: bool) -> None:
        log.warning("%s", error)
        self.tally.add(tally.FAILED + kind)

        def record() -> None:
            with self.db.write() as tx:
                claims.fail(
                    tx,
                    file,
                    now=tx.now_ms(),
                    error=error.why,
                    kind=kind,
                    permanent=permanent,
                    retry_in_ms=RETRY_READ_MS,
                )

        try:
            self._patiently(record)
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
                except Exception:  # the loop meets the same problem and decides; this thread must go on
                    log.debug("heartbeat", exc_info=True)
                if done.wait(self.settings.lease_s / 4):
                    return

        thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join(timeout=5)
            with suppress(DatabaseProblem), self.tally.taken() as amounts, self.db.write() as tx:
                counters.add(tx, amounts)
                workers.remove(tx, self.id)

    def _beat(self) -> None:
        file = self.in_hand
        with self.tally.taken() as amounts, self.db.write() as tx:
            counters.add(tx, amounts)
            now = tx.now_ms()
            claims.set_aside_poison(tx, now=now)
            workers.heartbeat(
                tx,
                worker=self.id,
                host=socket.gethostname(),
                pid=os.getpid(),
                version=__version__,
                now=now,
                state="busy" if file else "idle",
                file_id=file.file_id if file else None,
                files=self.tally.files,
                rate_per_minute=self.tally.rate_per_minute(),
                memory_bytes=tally.memory_bytes(),
                trouble=self._troubles.text,
            )
            if file is not None:
                with suppress(ClaimLost):  # finishing the file will say so
                    claims.renew(tx, file, now=now, lease_ms=self.settings.lease_s * 1000)


def _save(tx: Transaction, file: ClaimedFile, analysis: Analysis) -> None:
    scores.replace(tx, file.file_id, analysis.packs)
    for embedding in analysis.embeddings:
        scores.save_embedding(tx, file.file_id, embedding)
