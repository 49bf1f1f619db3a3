"""Keeps N worker processes alive on this machine, and stops them without losing work."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field

import psutil

from nomarr.errors import DatabaseProblem
from nomarr.rounds import Rounds
from nomarr.settings import Settings
from nomarr.store import claims, workers
from nomarr.store.claims import Scope
from nomarr.store.database import Database
from nomarr.worker.machine import default_workers, memory_limit_mb, memory_of_mb, threads_for
from nomarr.worker.neighbour import be_nice
from nomarr.worker.watchdog import Watchdog

__all__ = ["NOTHING_WORKS", "Supervisor", "default_workers"]

log = logging.getLogger(__name__)

WATCH_S = 0.2
RESTART_PAUSE_S = (1, 2, 5, 10, 30)  # after each crash in a row
CALM_S = 60  # a worker that lived this long crashed for a new reason
LOADING_PAUSE_S = (10, 60, 300, 900)  # before models are loaded again, after each time in a row that they did not
LOADED_ENOUGH = 3  # times that a run which should come to an end tries that
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
NOTHING_WORKS = 2  # the exit status of a worker that found no models or no database
FAR_TOO_MUCH = 2  # times its limit: of a worker's memory, so that it is not even left to finish its file
LONG_SILENT = 5  # leases: of a worker that nobody need hear about any more


@dataclass
class _Slot:
    """One place for a worker: the process that holds it now, and how its predecessors fared."""

    number: int
    process: subprocess.Popen[bytes] | None = None
    watchdog: Watchdog | None = None
    worker: str = ""
    is_to_be_replaced: bool = False  # it finishes its file and ends
    killed_for: str | None = None
    started: float = 0.0
    crashes: int = 0
    failed_loads: int = 0  # in a row
    trouble: str | None = None  # what became of the last of them
    not_before: float = 0.0
    done: bool = False

    @property
    def pause_s(self) -> int:
        """Before models are loaded that did not load."""
        return LOADING_PAUSE_S[min(self.failed_loads, len(LOADING_PAUSE_S)) - 1] if self.failed_loads else 0

    def open(self) -> Watchdog:
        self.watchdog = Watchdog()
        self.is_to_be_replaced, self.killed_for = False, None
        return self.watchdog

    def close(self) -> None:
        if self.watchdog is not None:
            self.watchdog.close()
            self.watchdog = None


@dataclass
class Supervisor:
    """Starts workers, replaces those that die, and ends them after the file in hand.

    With `drain` a worker that finds nothing left to do is not replaced, and `finished` says when all are done.
    """

    settings: Settings
    db: Database
    count: int
    scopes: Sequence[Scope] = ()
    drain: bool = False
    listen_only: bool = False
    batch: str = ""
    log_level: str | None = None  # of the workers, where nobody set one
    slots: list[_Slot] = field(default_factory=list)
    failure: str | None = None  # why no worker can work here
    memory_limit_mb: int = field(init=False)
    threads: int = field(init=False)
    _forgot_at: float = 0.0
    _rounds: Rounds = field(init=False)

    def __post_init__(self) -> None:
        self._rounds = Rounds("supervisor", self._watch, WATCH_S)
        self.memory_limit_mb = memory_limit_mb(self.settings, self.count)
        self.threads = threads_for(self.count) if self.settings.workers is None else 1

    def start(self) -> None:
        self._forget_the_dead()
        self.slots = [_Slot(number) for number in range(self.count)]
        for slot in self.slots:
            self._spawn(slot)
        self._rounds.start()

    @property
    def finished(self) -> bool:
        return all(slot.done for slot in self.slots)

    def stop(self, *, patience_s: float = 600.0) -> None:
        """Lets every worker finish its file; kills what is still busy after `patience_s`, or hangs meanwhile."""
        self._rounds.stop(patience_s=None)
        deadline = time.monotonic() + patience_s
        for slot in self.slots:
            if slot.process is not None and slot.process.poll() is None:
                slot.process.terminate()
        for slot in self.slots:
            if slot.process is not None:
                self._wait_for(slot, slot.process, deadline)

    def _wait_for(self, slot: _Slot, process: subprocess.Popen[bytes], deadline: float) -> None:
        while process.poll() is None:
            self._watch_over(slot, process)
            if slot.killed_for is None and time.monotonic() >= deadline:
                log.warning("worker %s takes too long to end; it is killed", slot.worker)
                process.kill()
                process.wait()
            with suppress(subprocess.TimeoutExpired):
                process.wait(WATCH_S)
        if process.returncode < 0:
            self._take_back(slot, counts=slot.killed_for is not None, how=slot.killed_for)

    def _watch(self) -> None:
        for slot in self.slots:
            if not slot.done:
                self._look_after_all_the_same(slot)
        if time.monotonic() - self._forgot_at > self.settings.lease_s / 2:
            with suppress(DatabaseProblem):  # there is another time
                self._forget_the_dead()

    def _look_after_all_the_same(self, slot: _Slot) -> None:
        """A system that cannot start a process at the moment must not end the watch over the others."""
        try:
            self._look_after(slot)
        except OSError as error:
            log.error("worker %s cannot be started: %s", slot.worker, error)
            slot.close()
            slot.not_before = time.monotonic() + RESTART_PAUSE_S[-1]

    def _look_after(self, slot: _Slot) -> None:
        if slot.process is None:
            if time.monotonic() >= slot.not_before:
                self._spawn(slot)
            return
        status = slot.process.poll()
        if status is None:
            self._watch_over(slot, slot.process)
            return
        slot.process = None
        self._note_loading(slot)
        slot.close()
        if status == 0 and slot.is_to_be_replaced:
            self._spawn(slot)
            return
        if status == 0 and self.drain:
            slot.done = True
            return
        self._take_back(slot, counts=status < 0, how=slot.killed_for or f"it was {_how(status)}")
        if status == NOTHING_WORKS and self.drain:
            self.failure, slot.done = "the workers could not start; the log above says why", True
            return
        if slot.failed_loads >= LOADED_ENOUGH and self.drain:
            self.failure, slot.done = f"the workers could not start: {slot.trouble}", True
            return
        slot.crashes = 0 if time.monotonic() - slot.started > CALM_S else slot.crashes
        slot.not_before = time.monotonic() + RESTART_PAUSE_S[min(slot.crashes, len(RESTART_PAUSE_S) - 1)]
        slot.crashes += 1
        log.warning("worker %s ended (%s); it is replaced", slot.worker, slot.killed_for or _how(status))

    def _note_loading(self, slot: _Slot) -> None:
        """Whether the worker that ended got its models; if it hung there, the next waits before it tries that again."""
        if slot.watchdog is None:
            return
        slot.watchdog.listen()
        if slot.watchdog.has_loaded:
            slot.failed_loads, slot.trouble = 0, None
        if slot.watchdog.is_loading and slot.killed_for is not None:
            slot.failed_loads += 1
            times = "once" if slot.failed_loads == 1 else f"{slot.failed_loads} times in a row"
            slot.trouble = f"the models did not load, {times} ({slot.killed_for}); tried again after {slot.pause_s} s"

    def _watch_over(self, slot: _Slot, process: subprocess.Popen[bytes]) -> None:
        """Has a worker replaced that holds too much, and ends one whose file, or loading, takes too long."""
        if slot.killed_for is not None:
            return
        memory_mb = memory_of_mb(process.pid)
        if slot.watchdog is not None and slot.watchdog.is_overdue():
            slot.killed_for = f"it took longer than {slot.watchdog.limit_s:.0f} s"
        elif memory_mb > FAR_TOO_MUCH * self.memory_limit_mb:
            slot.killed_for = f"it took {memory_mb} MB of memory"
        elif memory_mb > self.memory_limit_mb and not slot.is_to_be_replaced:
            log.info("worker %s holds %d MB; it is replaced after its file", slot.worker, memory_mb)
            slot.is_to_be_replaced = True
            process.terminate()
        if slot.killed_for is not None:
            process.kill()

    def _spawn(self, slot: _Slot) -> None:
        slot.worker = f"{socket.gethostname()}:{os.getpid()}:{slot.number}:{time.monotonic_ns()}"
        watchdog = slot.open()
        order = {
            "id": slot.worker,
            "scopes": [asdict(scope) for scope in self.scopes],
            "drain": self.drain,
            "listen_only": self.listen_only,
            "batch": self.batch,
            "parent": os.getpid(),
            "threads": self.threads,
            "watchdog": watchdog.fd,
            "models_wait_s": 0 if self.drain else slot.pause_s,
            "trouble": slot.trouble,
        }
        slot.started = time.monotonic()
        # A session of its own: Ctrl-C reaches the supervisor alone, which then lets the workers finish.
        slot.process = subprocess.Popen(
            [sys.executable, "-m", "nomarr", "worker", "--order", json.dumps(order)],
            env={**os.environ, **ONE_THREAD, **self._log_level(), **self.settings.as_environment()},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=(watchdog.fd,),
        )
        watchdog.started()
        be_nice(slot.process.pid, self.settings)

    def _log_level(self) -> dict[str, str]:
        return {} if self.log_level is None else {"NOMARR_LOG_LEVEL": self.log_level}

    def _take_back(self, slot: _Slot, *, counts: bool, how: str | None = None) -> None:
        """Frees the dead worker's file at once instead of after its lease."""
        try:
            with self.db.write() as tx:
                claims.release_worker(tx, slot.worker, counts=counts, how=how)
                workers.remove(tx, slot.worker)
        except DatabaseProblem as error:
            log.warning("worker %s: its lease has to run out (%s)", slot.worker, error)

    def _forget_the_dead(self) -> None:
        """Workers of this machine whose process is gone, say after a power cut, and any that was silent for long.

        Only silent ones: another container may have this one's name, and processes that cannot be seen from here.
        """
        self._forgot_at = time.monotonic()
        lease_ms = self.settings.lease_s * 1000
        with self.db.write() as tx:
            now = tx.now_ms()
            for worker in workers.silent(tx, now=now, silent_ms=lease_ms // 2):
                is_dead = worker.host == socket.gethostname() and not psutil.pid_exists(worker.pid)
                if is_dead or worker.heartbeat_at < now - LONG_SILENT * lease_ms:
                    claims.release_worker(tx, worker.id)
                    workers.remove(tx, worker.id)


def _how(status: int) -> str:
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    return f"exit status {status}"
