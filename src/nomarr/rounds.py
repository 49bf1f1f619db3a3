"""A thread that does a job again and again until it is told to stop, whatever becomes of it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from nomarr.errors import DatabaseProblem

log = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 60.0  # after what went wrong; twice as long each time in a row


class Stopped(Exception):
    """Raised in the middle of a job: it was told to stop, or there is nothing left to do for good."""


@dataclass
class Rounds:
    """Does a job every few seconds, the first time after as many or at once; several may share what stops them."""

    name: str
    job: Callable[[], object]
    every_s: float
    stopping: threading.Event = field(default_factory=threading.Event)
    at_once: bool = False
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    def stop(self, *, patience_s: float | None = 5.0) -> None:
        """Ends it after the job in hand, for which it waits so long, or for ever."""
        self.stopping.set()
        if self._thread is not None:
            self._thread.join(patience_s)

    @property
    def is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def go_on(self, *_: object) -> None:
        """For jobs that take long, to be called now and then: raises Stopped when told to stop."""
        if self.stopping.is_set():
            raise Stopped(self.name)

    def _run(self) -> None:
        pause_s = FIRST_PAUSE_S
        is_due = self.at_once
        while is_due or not self.stopping.wait(self.every_s):
            is_due = False
            try:
                self.job()
            except Stopped:
                return
            except DatabaseProblem as error:
                log.warning("%s: waiting for the database: %s", self.name, error)
            except Exception:  # the edge of the thread: it must go on
                log.exception("%s", self.name)
            else:
                pause_s = FIRST_PAUSE_S
                continue
            self.stopping.wait(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
