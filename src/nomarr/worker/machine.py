"""What the machine, or the container around us, lets us use: cores and memory, as cgroups of either version say."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from nomarr.settings import Settings

MEMORY_PER_WORKER_MB = 450  # 310 MB measured with both default packs, and room for the file in hand
LEAST_LIMIT_MB, MOST_LIMIT_MB = 700, 2000  # of a worker's memory, where nobody set one
GPU_MB = 2500  # what CUDA's libraries take in each process
GPU = Path("/dev/nvidiactl")
NO_LIMIT = 2**60  # bytes; version 1 of cgroups says "none" by a number near 2**63
_ROOT = Path("/")


def cores(root: Path = _ROOT) -> int:
    """How many cores' time we may use; at least one."""
    found = float(len(os.sched_getaffinity(0)))
    for folder in _groups(root, "cpu"):
        with suppress(OSError, ValueError):
            quota, period = (folder / "cpu.max").read_text().split()
            if quota != "max":
                found = min(found, int(quota) / int(period))
        with suppress(OSError, ValueError):
            quota_us = int((folder / "cpu.cfs_quota_us").read_text())
            if quota_us > 0:
                found = min(found, quota_us / int((folder / "cpu.cfs_period_us").read_text()))
    return max(1, math.floor(found))


def memory_mb(root: Path = _ROOT) -> int:
    """All the memory that we could have."""
    limits = [limit for limit, _ in _memory_groups(root)]
    return int(min([psutil.virtual_memory().total, *limits]) // 2**20)


def free_memory_mb(root: Path = _ROOT) -> int:
    """The memory that we can have now."""
    free = [limit - used for limit, used in _memory_groups(root)]
    return max(0, int(min([psutil.virtual_memory().available, *free]) // 2**20))


def default_workers(root: Path = _ROOT) -> int:
    """One worker a core, as far as the memory that is free reaches; at least one."""
    return max(1, min(cores(root), free_memory_mb(root) // MEMORY_PER_WORKER_MB))


def threads_for(workers: int, root: Path = _ROOT) -> int:
    """Threads for each of the workers: more than one only where memory, not a person, keeps cores from a worker."""
    return max(1, cores(root) // workers) if workers == default_workers(root) else 1


def memory_limit_mb(settings: Settings, workers: int, root: Path = _ROOT) -> int:
    """Above this a worker finishes its file and is replaced."""
    if settings.worker_memory_mb is not None:
        return settings.worker_memory_mb
    share = min(MOST_LIMIT_MB, int(0.8 * memory_mb(root) / max(1, workers)))
    return max(LEAST_LIMIT_MB, share) + (GPU_MB if settings.device != "cpu" and GPU.exists() else 0)


def memory_of_mb(pid: int) -> int:
    """What the process alone holds: not the files it has mapped, which cost the machine nothing. 0 if it is gone."""
    try:
        memory = psutil.Process(pid).memory_info()
    except psutil.Error:
        return 0
    return int((memory.rss - memory.shared) // 2**20)


def _memory_groups(root: Path) -> Iterator[tuple[int, int]]:
    """Limit and use in bytes of each group around us that has a limit; what the kernel could drop is not used."""
    for folder in _groups(root, "memory"):
        for limit, used, droppable in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            with suppress(OSError, ValueError):  # "max" is no number
                most = int((folder / limit).read_text())
                if most < NO_LIMIT:
                    stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
                    yield most, int((folder / used).read_text()) - int(stat.get(droppable, 0))


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """The folders of the groups that hold this process, the innermost first."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, names, path = line.split(":", 2)
        if controller not in names.split(",") and number != "0":
            continue
        base = root / "sys/fs/cgroup" / (controller if names else "")
        # In a container the path may be the host's, of which only the top is to be seen.
        parts = [part for part in path.split("/") if part not in ("", "..")]
        yield from (base.joinpath(*parts[:length]) for length in range(len(parts), -1, -1))
