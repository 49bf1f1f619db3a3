"""A worker says how long the file in hand may take; its supervisor ends it when that is over.

Decoders hang in C, where nothing in the worker itself could interrupt them. A pipe carries the word, not the
database: that may be away when it matters.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress

from nomarr.settings import Settings
from nomarr.store.claims import ClaimedFile

BYTES_A_SECOND = 8000  # 64 kbit/s, where nothing says how long a file plays
READ = 65536


def limit_s(file: ClaimedFile, settings: Settings) -> float:
    """How long a file may take: as long as it plays, which is a hundred times what it should need."""
    plays_s = file.duration_s or file.size / BYTES_A_SECOND
    return max(settings.file_limit_s, plays_s) * 100 / settings.cpu_share


def reporter(fd: int) -> Callable[[float], None]:
    """The worker's end: call it with the seconds that the file in hand may take from now on, 0 when it is done."""

    def report(seconds: float) -> None:
        with suppress(BrokenPipeError, BlockingIOError):  # the supervisor is gone, or not looking
            os.write(fd, f"{seconds:.0f}\n".encode())

    return report


class Watchdog:
    """The supervisor's end, for one worker. `fd` is what the worker inherits; `close` both when it is gone."""

    def __init__(self) -> None:
        self._read, self.fd = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self.fd, False)
        self._until: float | None = None
        self.limit_s = 0.0

    def started(self) -> None:
        """The worker has its own copy of `fd`."""
        os.close(self.fd)
        self.fd = -1

    def is_overdue(self) -> bool:
        """Whether the file in hand has taken longer than it may."""
        with suppress(BlockingIOError):
            lines = os.read(self._read, READ).split()
            if lines:
                self.limit_s = float(lines[-1])
                self._until = time.monotonic() + self.limit_s if self.limit_s else None
        return self._until is not None and time.monotonic() > self._until

    def close(self) -> None:
        for fd in (self._read, self.fd):
            if fd >= 0:
                os.close(fd)
        self._read = self.fd = -1
