"""Real worker processes, killed, stopped and starved."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ground import Ground, tone
from nomarr.scan import scan_library
from nomarr.store import libraries, queue, workers
from nomarr.store.database import Database
from nomarr.store.libraries import Library
from nomarr.tagfiles.audiofile import read_tags
from nomarr.worker import supervisor as supervisor_module
from nomarr.worker.supervisor import Supervisor, default_workers


@pytest.fixture
def here(ground: Ground) -> Iterator[tuple[Ground, Database]]:
    ground.music.mkdir()
    with Database(ground.settings().database) as db:
        db.migrate()
        yield ground, db


def library(db: Database, ground: Ground) -> Library:
    with db.write() as tx:
        made = libraries.create(tx, name="Music", root_path=ground.music, now=tx.now_ms())
    scan_library(db, made)
    return made


@contextmanager
def supervised(ground: Ground, db: Database, count: int = 1, **more: object) -> Iterator[Supervisor]:
    supervisor = Supervisor(ground.settings(), db, count, **more)
    supervisor.start()
    try:
        yield supervisor
    finally:
        supervisor.stop(patience_s=30)


def wait_for(true: Callable[[], object], seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def busy_pid(db: Database) -> int | None:
    """The process that has a file in hand."""
    with db.read() as tx:
        claimed = tx.scalar("SELECT claimed_by FROM library_files WHERE lease_until > :now", now=tx.now_ms())
        return next((worker.pid for worker in workers.list_all(tx) if worker.id == claimed), None)


def depth(db: Database) -> queue.QueueDepth:
    with db.read() as tx:
        return queue.queue_depth(tx, now=tx.now_ms())


def test_workers_share_the_files_and_end_when_all_are_done(
    here: tuple[Ground, Database], tracks: dict[str, Path]
) -> None:
    ground, db = here
    for ending, track in tracks.items():
        ground.add(track, f"{ending}/track.{ending}")
    library(db, ground)
    with supervised(ground, db, 2, drain=True) as supervisor:
        wait_for(lambda: supervisor.finished)
    assert depth(db) == queue.QueueDepth(depth=0, pending=0, running=0, completed=len(tracks), errors=0)


def test_a_killed_workers_file_is_finished_by_its_successor(
    here: tuple[Ground, Database], long_track: Path, tracks: dict[str, Path]
) -> None:
    ground, db = here
    path = ground.add(long_track, "long.flac")
    before = path.read_bytes()
    library(db, ground)
    with supervised(ground, db, drain=True) as supervisor:
        wait_for(lambda: busy_pid(db))
        pid = busy_pid(db)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        assert path.read_bytes() == before or read_tags(path)
        wait_for(lambda: supervisor.finished)
    assert depth(db).completed == 1
    assert read_tags(path)
    assert [name for name in os.listdir(ground.music) if name != "long.flac"] == []


def test_a_file_that_ends_three_workers_is_set_aside_and_blocks_nobody(
    here: tuple[Ground, Database], long_track: Path, tracks: dict[str, Path]
) -> None:
    ground, db = here
    ground.add(long_track, "a poison.flac")
    made = library(db, ground)
    with supervised(ground, db, 1, drain=True) as supervisor:
        killed: set[int] = set()
        while len(killed) < 3:
            wait_for(lambda: busy_pid(db) not in {None, *killed})
            pid = busy_pid(db)
            if pid is not None:
                killed.add(pid)
                os.kill(pid, signal.SIGKILL)
        ground.add(tracks["flac"], "b good.flac")
        scan_library(db, made)
        wait_for(lambda: supervisor.finished)
    with db.read() as tx:
        problems = queue.problems(tx, 10)
    assert [(problem.path, problem.error) for problem in problems] == [
        (
            str(ground.music / "a poison.flac"),
            "its analysis ended the worker 3 times; the last time it was killed by SIGKILL",
        )
    ]
    assert depth(db).completed == 1


def test_stopping_finishes_the_file_in_hand(here: tuple[Ground, Database], long_track: Path) -> None:
    ground, db = here
    ground.add(long_track, "1.flac")
    ground.add(tone(ground.folder / "other.flac", seconds=900, hertz=500), "2.flac")
    library(db, ground)
    with supervised(ground, db):
        wait_for(lambda: busy_pid(db))
    done = depth(db)
    assert (done.completed, done.running, done.errors) == (1, 0, 0)
    assert done.pending == 1
    with db.read() as tx:
        assert workers.list_all(tx) == []


def test_workers_end_when_their_supervisor_is_killed(here: tuple[Ground, Database]) -> None:
    ground, db = here
    with ground.start("worker", "--workers", "2") as process:
        try:
            with_workers: list[workers.Worker] = []

            def both() -> bool:
                with db.read() as tx:
                    with_workers[:] = workers.list_all(tx)
                return len(with_workers) == 2

            wait_for(both)
            process.kill()
            wait_for(lambda: not any(Path(f"/proc/{worker.pid}").exists() for worker in with_workers))
        finally:
            process.kill()


def test_a_full_disk_keeps_the_results_and_a_later_run_writes_them(here: tuple[Ground, Database]) -> None:
    ground, _ = here
    path = tone(ground.music / "big.wav", seconds=400)
    limit = path.stat().st_size - 1_000_000
    before = path.read_bytes()
    # No file of this process may grow beyond the limit: the copy fails as on a full disk, the database does not.
    limited = subprocess.run(
        [sys.executable, "-m", "nomarr", "tag", str(ground.music), "-j", "1"],
        env=ground.environment(),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert limited.returncode == 1, limited.stderr
    assert "1 analysed, 0 tagged" in limited.stdout
    assert "too large" in limited.stdout
    assert path.read_bytes() == before
    assert os.listdir(ground.music) == ["big.wav"]
    again = ground.run("tag", ground.music)
    assert again.returncode == 0, again.stdout
    assert "0 analysed, 1 tagged" in again.stdout
    assert read_tags(path)


def test_there_is_always_at_least_one_worker() -> None:
    assert 1 <= default_workers() <= len(os.sched_getaffinity(0))


def test_a_worker_that_cannot_be_started_is_tried_again(
    here: tuple[Ground, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    ground, db = here
    monkeypatch.setattr(supervisor_module, "RESTART_PAUSE_S", (0.1,))
    with supervised(ground, db) as supervisor:
        (slot,) = supervisor.slots
        with monkeypatch.context() as broken:
            broken.setattr(sys, "executable", "/nowhere/python")
            assert slot.process is not None
            first = slot.worker
            slot.process.kill()
            wait_for(lambda: slot.worker != first and slot.process is None)
            assert supervisor._rounds.is_running
        wait_for(lambda: slot.process is not None)
