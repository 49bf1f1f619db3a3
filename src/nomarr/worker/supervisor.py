"""Keeps N worker processes alive on this machine, and stops them without losing work."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from nomarr.errors import DatabaseProblem
from nomarr.settings import Settings
from nomarr.store import claims, workers
from nomarr.store.claims import Scope
from nomarr.store.database import Database

log = logging.getLogger(__name__)

MEMORY_PER_WORKER_MB = 450  # 310 MB measured with both default packs, and room for the file in hand
WATCH_S = 0.2
RESTART_PAUSE_S = (1, 2, 5, 10, 30)  # after each crash in a row
CALM_S = 60  # a worker that lived this long crashed for a new reason
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
NOTHING_WORKS = 2  # the exit status of a worker that found no models or no database


def default_workers() -> int:
    """One worker a core, as far as the memory that is free reaches; at least one."""
    cores = len(os.sched_getaffinity(0))
    return max(1, min(cores, _free_memory_mb() // MEMORY_PER_WORKER_MB))


def _free_memory_mb() -> int:
    free = _meminfo_mb()
    with suppress(OSError, ValueError):  # no limit set, or no cgroup v2 here
        limit, used = (int(Path(f"/sys/fs/cgroup/memory.{name}").read_text()) for name in ("max", "current"))
        free = min(free, (limit - used) // 2**20)
    return free


def _meminfo_mb() -> int:
    with suppress(OSError), open("/proc/meminfo") as file:
        for line in file:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) // 1024
    return MEMORY_PER_WORKER_MB


@dataclass
class _Slot:
    """One place for a worker: the process that holds it now, and how its predecessors fared."""

    number: int
    process: subprocess.Popen[bytes] | None = None
    worker: str = ""
    started: float = 0.0
    crashes: int = 0
    not_before: float = 0.0
    done: bool = False


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
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self._forget_the_dead()
        self.slots = [_Slot(number) for number in range(self.count)]
        for slot in self.slots:
            self._spawn(slot)
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._thread.start()

    @property
    def finished(self) -> bool:
        return all(slot.done for slot in self.slots)

    def stop(self, *, patience_s: float = 600.0) -> None:
        """Lets every worker finish its file; kills what is still busy after `patience_s`."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        for slot in self.slots:
            if slot.process is not None and slot.process.poll() is None:
                slot.process.terminate()
        deadline = time.monotonic() + patience_s
        for slot in self.slots:
            if slot.process is None:
                continue
            try:
                slot.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("worker %s is still busy after %.0f s; it is killed", slot.worker, patience_s)
                slot.process.kill()
                slot.process.wait()
                self._take_back(slot, counts=False)

    def _watch(self) -> None:
        while not self._stopping.wait(WATCH_S):
            for slot in self.slots:
                if not slot.done:
                    self._look_after(slot)

    def _look_after(self, slot: _Slot) -> None:
        if slot.process is None:
            if time.monotonic() >= slot.not_before:
                self._spawn(slot)
            return
        status = slot.process.poll()
        if status is None:
            return
        slot.process = None
        if status == 0 and self.drain:
            slot.done = True
            return
        self._take_back(slot, counts=status < 0)
        if status == NOTHING_WORKS and self.drain:
            self.failure, slot.done = "the workers could not start; the log above says why", True
            return
        slot.crashes = 0 if time.monotonic() - slot.started > CALM_S else slot.crashes
        slot.not_before = time.monotonic() + RESTART_PAUSE_S[min(slot.crashes, len(RESTART_PAUSE_S) - 1)]
        slot.crashes += 1
        log.warning("worker %s ended (%s); it is replaced", slot.worker, _how(status))

    def _spawn(self, slot: _Slot) -> None:
        slot.worker = f"{socket.gethostname()}:{os.getpid()}:{slot.number}:{time.monotonic_ns()}"
        order = {
            "id": slot.worker,
            "scopes": [asdict(scope) for scope in self.scopes],
            "drain": self.drain,
            "listen_only": self.listen_only,
            "batch": self.batch,
            "parent": os.getpid(),
        }
        slot.started = time.monotonic()
        # A session of its own: Ctrl-C reaches the supervisor alone, which then lets the workers finish.
        slot.process = subprocess.Popen(
            [sys.executable, "-m", "nomarr", "worker", "--order", json.dumps(order)],
            env={**os.environ, **ONE_THREAD, **self._log_level(), **self.settings.as_environment()},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _log_level(self) -> dict[str, str]:
        return {} if self.log_level is None else {"NOMARR_LOG_LEVEL": self.log_level}

    def _take_back(self, slot: _Slot, *, counts: bool) -> None:
        """Frees the dead worker's file at once instead of after its lease."""
        try:
            with self.db.write() as tx:
                claims.release_worker(tx, slot.worker, counts=counts)
                workers.remove(tx, slot.worker)
        except DatabaseProblem as error:
            log.warning("worker %s: its lease has to run out (%s)", slot.worker, error)

    def _forget_the_dead(self) -> None:
        """Workers of this machine whose process is gone, say after a power cut."""
        with self.db.write() as tx:
            for worker in workers.list_all(tx):
                if worker.host == socket.gethostname() and not _is_alive(worker.pid):
                    claims.release_worker(tx, worker.id)
                    workers.remove(tx, worker.id)


def _how(status: int) -> str:
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    return f"exit status {status}"


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
