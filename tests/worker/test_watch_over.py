"""A worker that hangs or holds too much memory is ended or replaced, and its file is told why."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ground import Ground
from nomarr.scan import scan_library
from nomarr.settings import Settings
from nomarr.store import claims, files, libraries
from nomarr.store.claims import ClaimedFile
from nomarr.store.database import Database
from nomarr.worker.supervisor import Supervisor, _Slot
from nomarr.worker.watchdog import Watchdog, limit_s, reporter

HANG = "import os, sys, time; os.write(int(sys.argv[1]), b'1\\n'); time.sleep(60)"
HOLD = "import sys, time; held = bytearray(int(sys.argv[2]) * 2**20); time.sleep(60)"
HOLD_ON = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {HOLD}"


@pytest.fixture
def claimed(db: Database, tmp_path: Path, tracks: dict[str, Path], small_models: Path, db_url: str) -> ClaimedFile:
    """A file in the hands of the worker `w`."""
    ground = Ground(tmp_path, small_models, db_url)
    ground.add(tracks["flac"], "track.flac")
    with db.write() as tx:
        library = libraries.create(tx, name="Music", root_path=ground.music, now=tx.now_ms())
    scan_library(db, library)
    with db.write() as tx:
        file = claims.claim_next(tx, worker="w", now=tx.now_ms(), lease_ms=600_000)
    assert file is not None
    return file


def watched(db: Database, program: str, *, limit_mb: int, holds_mb: int = 0) -> tuple[Supervisor, _Slot]:
    """A supervisor with one worker that does nothing but be a nuisance."""
    supervisor = Supervisor(Settings(), db, 1, drain=True)
    supervisor.memory_limit_mb = limit_mb
    slot = _Slot(0, worker="w", not_before=float("inf"))
    watchdog = slot.open()
    command = [sys.executable, "-c", program, str(watchdog.fd), str(holds_mb)]
    slot.process = subprocess.Popen(command, pass_fds=(watchdog.fd,))
    watchdog.started()
    return supervisor, slot


def until(true: Callable[[], object], supervisor: Supervisor, slot: _Slot) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        supervisor._look_after(slot)
        time.sleep(0.05)


def test_a_worker_that_hangs_is_ended_and_counts_against_its_file(db: Database, claimed: ClaimedFile) -> None:
    supervisor, slot = watched(db, HANG, limit_mb=10_000)
    process = slot.process
    until(lambda: slot.process is None, supervisor, slot)
    assert process is not None
    assert process.returncode == -9
    with db.read() as tx:
        file = files.get(tx, claimed.file_id)
    assert (file.attempts, file.error, file.error_kind) == (1, "it took longer than 1 s", "worker")
    for attempt in (2, 3):
        with db.write() as tx:
            again = claims.claim_next(tx, worker="w", now=tx.now_ms(), lease_ms=600_000)
            assert again is not None
            assert again.attempts == attempt
            claims.release_worker(tx, "w", how="it took longer than 1 s")
    with db.write() as tx:
        assert claims.claim_next(tx, worker="w", now=tx.now_ms(), lease_ms=600_000) is None
        file = files.get(tx, claimed.file_id)
    assert file.set_aside
    assert file.error == "its analysis ended the worker 3 times; the last time it took longer than 1 s"


def test_a_worker_that_holds_too_much_finishes_its_file_and_is_replaced(db: Database, claimed: ClaimedFile) -> None:
    supervisor, slot = watched(db, HOLD, limit_mb=100, holds_mb=130)
    process = slot.process
    until(lambda: slot.is_to_be_replaced, supervisor, slot)
    assert process is not None
    assert process.wait(30) == -15, "it was asked to end, not killed"
    slot.close()


def test_a_worker_that_holds_far_too_much_is_ended(db: Database, claimed: ClaimedFile) -> None:
    supervisor, slot = watched(db, HOLD_ON, limit_mb=100, holds_mb=300)
    until(lambda: slot.process is None, supervisor, slot)
    with db.read() as tx:
        error = files.get(tx, claimed.file_id).error or ""
    assert error.startswith("it took ")
    assert error.endswith(" MB of memory")


def test_a_long_file_may_take_longer_and_so_may_a_slow_worker(claimed: ClaimedFile) -> None:
    assert limit_s(claimed, Settings()) == 120
    long = ClaimedFile(**{**claimed.__dict__, "duration_s": 7200.0})
    assert limit_s(long, Settings()) == 7200
    assert limit_s(long, Settings(cpu_share=25)) == 28800
    unknown = ClaimedFile(**{**claimed.__dict__, "duration_s": None, "size": 80_000_000})
    assert limit_s(unknown, Settings()) == 10_000


def test_only_the_last_word_of_a_worker_counts() -> None:
    watchdog = Watchdog()
    report = reporter(watchdog.fd)
    report(1)
    report(0)
    time.sleep(1.1)
    assert not watchdog.is_overdue()
    report(1)
    assert not watchdog.is_overdue()
    time.sleep(1.1)
    assert watchdog.is_overdue()
    watchdog.close()


def watched_loading(db: Database, program: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Supervisor, _Slot]:
    for limit in ("STARTING_S", "LOADING_S"):
        monkeypatch.setattr(f"nomarr.worker.watchdog.{limit}", 1.0)
    return watched(db, program, limit_mb=10_000)


@pytest.mark.parametrize("said", ["", "0\\n-1\\n"])
def test_a_worker_that_hangs_before_it_has_its_models_is_ended_and_no_file_is_blamed(
    db: Database, claimed: ClaimedFile, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    hang = f"import os, sys, time; os.write(int(sys.argv[1]), b'{said}'); time.sleep(60)"
    supervisor, slot = watched_loading(db, hang, monkeypatch)
    until(lambda: slot.process is None, supervisor, slot)
    assert (slot.killed_for, slot.failed_loads) == ("it took longer than 1 s", 1)
    assert slot.trouble == "the models did not load, once (it took longer than 1 s); tried again after 10 s"


def test_models_that_loaded_make_an_end_of_what_was_before(
    db: Database, claimed: ClaimedFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor, slot = watched_loading(db, "import os, sys; os.write(int(sys.argv[1]), b'0\\n-1\\n0\\n')", monkeypatch)
    slot.failed_loads, slot.trouble = 2, "the models did not load"
    until(lambda: slot.process is None, supervisor, slot)
    assert (slot.failed_loads, slot.trouble, slot.pause_s) == (0, None, 0)


def test_a_worker_that_only_started_says_nothing_about_models() -> None:
    watchdog = Watchdog()
    reporter(watchdog.fd)(0)
    reporter(watchdog.fd)(120)
    assert not watchdog.is_overdue()
    assert not watchdog.is_loading
    assert not watchdog.has_loaded
    watchdog.close()
