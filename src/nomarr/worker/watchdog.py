"""A worker says how long what it does may take; its supervisor ends it when that is over.

Decoders hang in C, and so do drivers while models load, where nothing in the worker itself could interrupt them. A pipe
carries the word, not the database: that may be away when it matters.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress

from nomarr.settings import Settings
from nomarr.store.claims import ClaimedFile

BYTES_A_SECOND = 8000  # 64 kbit/s, where nothing says how long a file plays
# For the process and for its models to be there: a hundred times what it takes, for disks that are slow and much asked.
STARTING_S = LOADING_S = 300.0
LOADING = -1.0  # said in place of a limit: its length is the supervisor's affair
READ = 65536


def limit_s(file: ClaimedFile, settings: Settings) -> float:
    """How long a file may take: as long as it plays, which is a hundred times what it should need."""
    plays_s = file.duration_s or file.size / BYTES_A_SECOND
    return max(settings.file_limit_s, plays_s) * 100 / settings.cpu_share


def reporter(fd: int) -> Callable[[float], None]:
    """The worker's end: call it with the seconds that the file in hand may take from now on, or with LOADING.

    0 when either is done.
    """

    def report(seconds: float) -> None:
        with suppress(BrokenPipeError, BlockingIOError):  # the supervisor is gone, or not looking
            os.write(fd, f"{seconds:.0f}\n".encode())

    return report


class Watchdog:
    """The supervisor's end, for one worker. `fd` is what the worker inherits; `close` both when it is gone.

    A worker is loading from its start on, until it says otherwise. `has_loaded` once models came after LOADING.
    """

    def __init__(self) -> None:
        self._read, self.fd = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self.fd, False)
        self.is_loading, self.has_loaded = True, False
        self.limit_s = STARTING_S
        self._until: float | None = time.monotonic() + STARTING_S
        self._has_started = False

    def started(self) -> None:
        """The worker has its own copy of `fd`."""
        os.close(self.fd)
        self.fd = -1

    def is_overdue(self) -> bool:
        """Whether what the worker does has taken longer than it may."""
        self.listen()
        return self._until is not None and time.monotonic() > self._until

    def listen(self) -> None:
        """Take in what the worker has said, also before it ended."""
        lines: list[bytes] = []
        with suppress(BlockingIOError):
            lines = os.read(self._read, READ).split()
        for line in lines:
            seconds = float(line)
            self.has_loaded |= self._has_started and self.is_loading and seconds != LOADING
            self._has_started, self.is_loading = True, seconds == LOADING
            self.limit_s = LOADING_S if self.is_loading else seconds
            self._until = time.monotonic() + self.limit_s if self.limit_s else None

    def close(self) -> None:
        for fd in (self._read, self.fd):
            if fd >= 0:
                os.close(fd)
        self._read = self.fd = -1
