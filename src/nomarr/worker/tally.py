"""What a worker has done since it last told the database: files, failures, and the seconds of each stage."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil

WINDOW_S = 300.0  # what the rate is measured over
ANALYSED, WRITTEN, HEARD_S = "analysed", "written", "heard_s"
FAILED = "failed:"  # before the kind of failure
SECONDS = "seconds:"  # before the stage


@dataclass
class Tally:
    """Threads may share it: one works, the other takes what there is to tell."""

    monotonic: Callable[[], float] = time.monotonic
    files: int = 0  # that it was done with, one way or another
    _fresh: dict[str, float] = field(default_factory=dict)
    _done: deque[float] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, name: str, amount: float = 1) -> None:
        with self._lock:
            self._fresh[name] = self._fresh.get(name, 0) + amount

    def done(self) -> None:
        with self._lock:
            self.files += 1
            self._done.append(self.monotonic())

    def stages(self, seconds: Mapping[str, float]) -> None:
        for stage, spent in seconds.items():
            self.add(SECONDS + stage, spent)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        started = self.monotonic()
        try:
            yield
        finally:
            self.add(SECONDS + stage, self.monotonic() - started)

    @contextmanager
    def taken(self) -> Iterator[dict[str, float]]:
        """What there is to tell; it is not forgotten where telling fails."""
        with self._lock:
            fresh, self._fresh = self._fresh, {}
        try:
            yield fresh
        except BaseException:
            for name, amount in fresh.items():
                self.add(name, amount)
            raise

    def rate_per_minute(self) -> float | None:
        """Files a minute over the last minutes; None before the first."""
        with self._lock:
            now = self.monotonic()
            while self._done and self._done[0] < now - WINDOW_S:
                self._done.popleft()
            if not self._done:
                return None if not self.files else 0.0
            return round(len(self._done) / max(1.0, now - self._done[0]) * 60, 2)


def memory_bytes() -> int:
    """What this process holds of the machine's memory."""
    held: int = psutil.Process().memory_info().rss
    return held
