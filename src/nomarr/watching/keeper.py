"""Keeps the libraries up to date by itself: one server of several watches, scans what was announced or is due, and
backs the database up.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import uuid
from dataclasses import dataclass, field
from functools import partial

from nomarr.backups import make_if_due
from nomarr.errors import DatabaseProblem
from nomarr.rounds import Rounds, Stopped
from nomarr.settings import Settings
from nomarr.store import leases, libraries
from nomarr.store.database import Database
from nomarr.store.libraries import Library
from nomarr.watching.announced import scan_announced
from nomarr.watching.schedule import Schedule
from nomarr.watching.watch import Watch

log = logging.getLogger(__name__)

LEASE = "keeper"
LEASE_MS = 30_000
RENEW_S = 10.0
ROUND_S = 1.0
SCHEDULE_S = 15.0
BACKUP_S = 60.0


@dataclass
class Keeper:
    """Four threads: who watches what, what was announced, what is due, backups. Idle while another server does it."""

    db: Database
    settings: Settings
    owner: str = field(default_factory=lambda: f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}")
    watches: dict[int, Watch] = field(default_factory=dict)
    _held_until: float = 0.0  # by this process's clock
    _renew_at: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)
    _rounds: list[Rounds] = field(default_factory=list)

    def start(self) -> None:
        schedule = Schedule(self.db, self.settings)
        self._rounds = [
            Rounds("watches", self._tend_watches, ROUND_S, self._stop),
            Rounds("announced", self._scan_announced, ROUND_S, self._stop),
            Rounds("schedule", partial(self._scan_due, schedule), SCHEDULE_S, self._stop),
            Rounds("backups", self._back_up, BACKUP_S, self._stop),
        ]
        for rounds in self._rounds:
            rounds.start()

    def stop(self, *, patience_s: float = 15.0) -> None:
        """Ends all of it; a scan that runs ends with its folder."""
        self._stop.set()
        deadline = time.monotonic() + patience_s
        for watch in self.watches.values():
            watch.stop()
        for rounds in self._rounds:
            rounds.stop(patience_s=max(0.0, deadline - time.monotonic()))
        for watch in self.watches.values():
            watch.join(max(0.0, deadline - time.monotonic()))
        try:
            with self.db.write() as tx:
                leases.give_up(tx, LEASE, owner=self.owner)
        except DatabaseProblem as error:
            log.warning("another server can take over in %d s: %s", LEASE_MS // 1000, error)

    @property
    def is_at_work(self) -> bool:
        return time.monotonic() < self._held_until

    def _scan_announced(self) -> None:
        if self.is_at_work:
            scan_announced(self.db, self.settings, progress=self._go_on)

    def _scan_due(self, schedule: Schedule) -> None:
        if self.is_at_work:
            schedule.scan_due(progress=self._go_on)

    def _back_up(self) -> None:
        if self.is_at_work:
            make_if_due(self.db, self.settings, progress=self._go_on)

    def _go_on(self, _done: int, _what: object) -> None:
        if self._stop.is_set():
            raise Stopped("Nomarr was stopped")

    def _tend_watches(self) -> None:
        self._hold_lease()
        wanted = self._wanted() if self.is_at_work else {}
        for library_id, watch in list(self.watches.items()):
            library = wanted.get(library_id)
            if library is None or (library.root_path, library.watch_mode) != watch.what:
                self.watches.pop(library_id).stop()
        for library_id, library in wanted.items():
            if library_id not in self.watches and not self._stop.is_set():
                self.watches[library_id] = Watch(self.db, self.settings, library)
                self.watches[library_id].start()

    def _wanted(self) -> dict[int, Library]:
        with self.db.read() as tx:
            every = libraries.list_all(tx)
        watched = {library.id: library for library in every if library.is_enabled and library.watch_mode != "off"}
        settled = [library.id for library in every if library.watch_problem is not None and library.id not in watched]
        if settled:
            with self.db.write() as tx:
                for library_id in settled:
                    libraries.set_watch_problem(tx, library_id, None)
        return watched

    def _hold_lease(self) -> None:
        started = time.monotonic()
        if started < self._renew_at:
            return
        with self.db.write() as tx:
            is_ours = leases.take(tx, LEASE, owner=self.owner, now=tx.now_ms(), lease_ms=LEASE_MS)
        if is_ours and not self.is_at_work:
            log.info("this server watches the libraries and scans them on time")
        self._held_until = started + LEASE_MS / 1000 if is_ours else 0.0
        self._renew_at = started + (RENEW_S if is_ours else RENEW_S / 2)
