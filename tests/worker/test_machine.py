"""Cores, memory and cgroups of either version; hours of work; a share of a core."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from nomarr.settings import Settings
from nomarr.worker import machine
from nomarr.worker.machine import cores, default_workers, free_memory_mb, memory_limit_mb, memory_mb, memory_of_mb
from nomarr.worker.neighbour import Pace, be_nice, is_time_to_work

MB = 2**20


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


@pytest.fixture
def many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))


@pytest.mark.usefixtures("many_cores")
def test_without_a_limit_every_core_and_all_memory_counts(tmp_path: Path) -> None:
    root = tree(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"})
    assert cores(root) == 16
    assert memory_mb(root) == psutil.virtual_memory().total // MB
    assert cores(tmp_path / "no proc") == 16


@pytest.mark.usefixtures("many_cores")
def test_limits_of_version_2_count_on_every_level(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "0::/user.slice/nomarr.service\n",
            "sys/fs/cgroup/user.slice/cpu.max": "350000 100000\n",
            "sys/fs/cgroup/user.slice/nomarr.service/cpu.max": "max 100000\n",
            "sys/fs/cgroup/user.slice/memory.max": "max\n",
            "sys/fs/cgroup/user.slice/nomarr.service/memory.max": f"{1000 * MB}\n",
            "sys/fs/cgroup/user.slice/nomarr.service/memory.current": f"{700 * MB}\n",
            "sys/fs/cgroup/user.slice/nomarr.service/memory.stat": f"anon 1\ninactive_file {600 * MB}\n",
        },
    )
    assert cores(root) == 3
    assert memory_mb(root) == 1000
    assert free_memory_mb(root) == 900, "what the kernel keeps of files can be dropped"
    assert default_workers(root) == 2
    assert machine.threads_for(2, root) == 1


@pytest.mark.usefixtures("many_cores")
def test_limits_of_version_1_count_also_where_a_container_sees_only_the_top(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "5:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "400000\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{600 * MB}\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{100 * MB}\n",
            "sys/fs/cgroup/memory/memory.stat": "total_inactive_file 0\n",
        },
    )
    assert (cores(root), memory_mb(root), free_memory_mb(root)) == (4, 600, 500)
    assert default_workers(root) == 1
    assert machine.threads_for(1, root) == 4, "the cores that memory keeps from workers help the one there is"
    tree(tmp_path, {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n"})
    tree(tmp_path, {"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"})
    assert (cores(root), memory_mb(root)) == (16, psutil.virtual_memory().total // MB)


def test_a_workers_limit_follows_the_machine_or_the_setting(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "0::/\n",
            "sys/fs/cgroup/memory.max": f"{3000 * MB}\n",
            "sys/fs/cgroup/memory.current": "0\n",
            "sys/fs/cgroup/memory.stat": "",
        },
    )
    settings = Settings(device="cpu")
    assert [memory_limit_mb(settings, workers, root) for workers in (1, 2, 8)] == [2000, 1200, 700]
    assert memory_limit_mb(Settings(worker_memory_mb=512), 1, root) == 512


def test_a_process_that_is_gone_holds_nothing() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert memory_of_mb(process.pid) == 0
    assert memory_of_mb(os.getpid()) > 0


@pytest.mark.parametrize(
    ("hours", "now", "expected"),
    [
        ((), "12:00", True),
        (("22:00-07:00",), "23:30", True),
        (("22:00-07:00",), "06:59", True),
        (("22:00-07:00",), "07:00", False),
        (("22:00-07:00",), "21:59", False),
        (("09:00-11:00", "13:00-14:00"), "13:30", True),
        (("09:00-11:00", "13:00-14:00"), "12:00", False),
        (("00:00-00:00",), "12:00", True),
    ],
)
def test_hours_of_work_may_pass_midnight(hours: tuple[str, ...], now: str, expected: bool) -> None:
    assert is_time_to_work(hours, datetime.time.fromisoformat(now)) is expected


@pytest.mark.parametrize("text", ["22-07", "25:00-07:00", "22:00", "22:00-07:60"])
def test_what_are_no_hours_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not of the form 22:00-07:00"):
        Settings(work_hours=text)


def test_a_share_of_a_core_is_kept_to() -> None:
    pace, wall, cpu = Pace(), time.monotonic(), time.process_time()
    while time.process_time() - cpu < 0.2:
        sum(range(2000))
        pace(20)
    assert (time.process_time() - cpu) / (time.monotonic() - wall) < 0.3


def test_a_process_is_made_nice() -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(30)"])
    try:
        be_nice(process.pid, Settings(worker_nice=13))
        assert psutil.Process(process.pid).nice() >= 13
        assert psutil.Process(process.pid).ionice().ioclass == psutil.IOPRIO_CLASS_IDLE
    finally:
        process.kill()
        process.wait()
    be_nice(process.pid, Settings())  # gone already
