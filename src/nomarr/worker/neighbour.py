"""Being a good neighbour: low priority, a share of a core, hours of work, and memory given back."""

from __future__ import annotations

import ctypes
import datetime
import gc
import time
from collections.abc import Sequence
from contextlib import suppress

import psutil

from nomarr.settings import Settings

LONGEST_SLEEP_S = 1.0
M_ARENA_MAX = -8  # of glibc's malloc.h


def be_nice(pid: int, settings: Settings) -> None:
    """Lower the priority of a process that has just been started; what the system refuses is left as it is."""
    with suppress(psutil.Error, OSError):
        process = psutil.Process(pid)
        process.nice(max(process.nice(), settings.worker_nice))
        if settings.worker_io == "idle":
            process.ionice(psutil.IOPRIO_CLASS_IDLE)
        elif settings.worker_io == "best-effort":
            process.ionice(psutil.IOPRIO_CLASS_BE, 7)


def is_time_to_work(hours: Sequence[str], now: datetime.time) -> bool:
    """Whether it is one of the hours, such as 22:00-07:00; without any it always is."""
    return not hours or any(_is_within(part, now) for part in hours)


def _is_within(part: str, now: datetime.time) -> bool:
    begin, end = (datetime.time.fromisoformat(text) for text in part.split("-"))
    if begin < end:
        return begin <= now < end
    return now >= begin or now < end  # over midnight; 00:00-00:00 is all day


class Pace:
    """Called all the while that work goes on, sleeps as much as keeps this process to its share of a core."""

    def __init__(self) -> None:
        self._since = (time.monotonic(), time.process_time())

    def __call__(self, share: int) -> None:
        wall_s, cpu_s = time.monotonic() - self._since[0], time.process_time() - self._since[1]
        ahead_s = cpu_s * 100 / share - wall_s
        if share < 100 and ahead_s > 0:
            if ahead_s < 0.02:  # not worth a sleep yet
                return
            time.sleep(min(ahead_s, LONGEST_SLEEP_S))
            if ahead_s > LONGEST_SLEEP_S:
                return
        self._since = (time.monotonic(), time.process_time())


def share_memory() -> None:
    """Has the allocator keep what threads free in two places for all, not in up to eight a core: a server's threads
    read a library's scores in turn, and each place would keep what the largest answer took.
    """
    with suppress(AttributeError, OSError):  # another C library
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 2)


def give_back_memory() -> None:
    """Has the allocator return what is free to the system; glibc keeps it otherwise."""
    gc.collect()
    with suppress(AttributeError, OSError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
