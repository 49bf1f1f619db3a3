"""Databases that are restarted, locked or full, disks that are full, folders that are gone: work goes on by itself."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from benchmarks.postgresql import Server, binary

from ground import Ground
from nomarr.scan import scan_library
from nomarr.store import database, files, libraries, queue, workers
from nomarr.store.database import Database
from nomarr.tagfiles.safewrite import DiskProblem
from nomarr.worker import trouble
from nomarr.worker.loop import Worker
from nomarr.worker.trouble import Troubles


@pytest.fixture
def here(ground: Ground, tracks: dict[str, Path]) -> Ground:
    for number, track in enumerate(tracks.values()):
        ground.add(track, f"{number}/{track.name}")
    return ground


@pytest.fixture(autouse=True)
def _impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trouble, "LONGEST_PAUSE_S", 0.5)
    monkeypatch.setattr(trouble, "AWAY_S", 0.5)


def library(db: Database, here: Ground) -> None:
    db.migrate()
    with db.write() as tx:
        made = libraries.create(tx, name="Music", root_path=here.music, now=tx.now_ms())
    scan_library(db, made)


@contextmanager
def working(db: Database, here: Ground) -> Iterator[Worker]:
    worker = Worker(here.settings(), db, "w")
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield worker
    finally:
        worker.stop.set()
        thread.join()


def until(true: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def done(db: Database) -> int:
    with db.read() as tx:
        return queue.queue_depth(tx, now=tx.now_ms()).completed


def all_is_well(db: Database, count: int) -> None:
    with db.read() as tx:
        assert queue.queue_depth(tx, now=tx.now_ms()) == queue.QueueDepth(0, 0, 0, count, 0)
        assert tx.scalar("SELECT COUNT(*) FROM journal WHERE size IS NOT NULL") == count
        assert tx.scalar("SELECT MAX(attempts) FROM library_files") == 0


def test_a_postgresql_that_is_restarted_costs_no_file(here: Ground, tracks: dict[str, Path]) -> None:
    if not Path(binary("initdb")).exists():
        pytest.skip("PostgreSQL's server programs are not installed")
    with Server(port=5433) as server, Database(server.url) as db:
        library(db, here)
        with working(db, here) as worker:
            until(lambda: done(db) >= 2)
            server.stop(signal.SIGQUIT)
            time.sleep(1.5)
            assert worker.in_hand is None or not worker.stop.is_set()
            server.start()
            until(lambda: done(db) == len(tracks))
            until(lambda: worker.in_hand is None)
        all_is_well(db, len(tracks))


def test_a_result_waits_for_a_locked_sqlite(
    here: Ground, tracks: dict[str, Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_MS", 100)
    url = here.settings().database
    with Database(url) as db:
        library(db, here)
        other = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        with working(db, here) as worker:
            until(lambda: worker.in_hand)
            other.execute("BEGIN IMMEDIATE")
            until(lambda: "database is locked" in caplog.text)
            other.execute("ROLLBACK")
            until(lambda: done(db) == len(tracks))
            until(lambda: worker.in_hand is None)
        other.close()
        all_is_well(db, len(tracks))


def test_a_result_waits_for_room_for_the_database(ground: Ground, long_track: Path) -> None:
    ground.add(long_track, "long.flac")
    said: list[str] = []
    with Database(ground.settings().database) as db:
        library(db, ground)
        with ground.start("worker", "--workers", "1", NOMARR_FILE_WRITE_MODE="none") as process:
            assert process.stderr is not None
            reader = threading.Thread(target=said.extend, args=(process.stderr,))
            reader.start()
            until(lambda: busy(db))
            limits = resource.prlimit(busy(db), resource.RLIMIT_FSIZE)
            resource.prlimit(busy(db), resource.RLIMIT_FSIZE, (4096, limits[1]))  # no commit fits into that
            until(lambda: any("waiting for the database" in line for line in said), 120)
            assert done(db) == 0
            resource.prlimit(busy(db), resource.RLIMIT_FSIZE, limits)
            until(lambda: done(db) == 1)
            process.terminate()
            reader.join(60)
        with db.read() as tx:
            assert tx.scalar("SELECT MAX(attempts) FROM library_files") == 0


def busy(db: Database) -> int:
    """The process that has a file in hand, 0 for none."""
    with db.read() as tx:
        claimed = tx.scalar("SELECT claimed_by FROM library_files WHERE claimed_by IS NOT NULL")
        return next((worker.pid for worker in workers.list_all(tx) if worker.id == claimed), 0)


def test_a_lost_mount_is_waited_for_and_no_file_is_blamed(here: Ground, tracks: dict[str, Path]) -> None:
    with Database(here.settings().database) as db:
        library(db, here)
        away = here.folder / "away"
        here.music.rename(away)
        with working(db, here) as worker:
            until(lambda: worker._troubles.text)
            assert worker._troubles.text == f"{here.music} holds nothing; is the disk mounted?"
            here.music.mkdir()  # as a mount point without its disk
            time.sleep(1.2)
            with db.read() as tx:
                found = [files.get(tx, row["id"]) for row in tx.all("SELECT id FROM library_files")]
            assert [(file.attempts, file.error) for file in found] == [(0, None)] * len(tracks)
            here.music.rmdir()
            away.rename(here.music)
            until(lambda: done(db) == len(tracks))
            until(lambda: worker.in_hand is None and worker._troubles.text is None)
        all_is_well(db, len(tracks))


def test_another_library_is_worked_on_while_one_is_away(here: Ground, tracks: dict[str, Path]) -> None:
    with Database(here.settings().database) as db:
        library(db, here)
        other = shutil.copytree(here.music / "0", here.folder / "other")
        with db.write() as tx:
            made = libraries.create(tx, name="Other", root_path=other, now=tx.now_ms())
        scan_library(db, made)
        with db.write() as tx:  # copies are not listened to otherwise
            tx.run("UPDATE library_files SET needs_tagging = TRUE, analyzed_at = NULL")
        here.music.rename(here.folder / "away")
        Worker(here.settings(), db, "w", drain=True).run()
        assert done(db) == 1


def test_a_full_disk_is_spoken_of_until_a_write_goes_well() -> None:
    troubles = Troubles(threading.Event())
    troubles.wrote(DiskProblem("/music/a.mp3", OSError(errno.EIO, "broken")))
    assert troubles.text is None
    troubles.wrote(DiskProblem("/music/a.mp3", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))))
    assert troubles.text is not None
    assert troubles.text.startswith("tags cannot be written: /music/a.mp3: ")
    troubles.wrote(None)
    assert troubles.text is None


def test_models_leave_memory_when_there_is_nothing_to_do(here: Ground, tracks: dict[str, Path]) -> None:
    with Database(here.settings().database) as db:
        library(db, here)
        worker = Worker(here.settings(models_idle_s=1), db, "w")
        thread = threading.Thread(target=worker.run)
        thread.start()
        try:
            until(lambda: done(db) == len(tracks) and worker.in_hand is None)
            assert worker.models is not None
            until(lambda: worker.models is None)
            here.add(here.music / "0" / "track.mp3", "again.mp3")
            with db.write() as tx:
                ids = [row["id"] for row in tx.all("SELECT id FROM library_files LIMIT 1")]
                queue.request_analysis(tx, ids, force=True, now=tx.now_ms())
            until(lambda: worker.models is not None)
        finally:
            worker.stop.set()
            thread.join()


def test_outside_the_hours_of_work_nothing_is_taken(here: Ground, tracks: dict[str, Path]) -> None:
    with Database(here.settings().database) as db:
        library(db, here)
        now = time.localtime()
        later = f"{(now.tm_hour + 2) % 24:02}:00-{(now.tm_hour + 3) % 24:02}:00"
        assert Worker(here.settings(work_hours=later), db, "w")._claim() is None
        assert Worker(here.settings(work_hours=later), db, "w", drain=True)._take() is not None
        assert Worker(here.settings(work_hours="00:00-00:00"), db, "w")._take() is not None


def test_new_music_comes_before_what_a_library_held_from_the_beginning(here: Ground, tracks: dict[str, Path]) -> None:
    with Database(here.settings().database) as db:
        library(db, here)
        here.add(tracks["mp3"], "z new.mp3").write_bytes(tracks["mp3"].read_bytes() + b"\0")
        with db.read() as tx:
            made = libraries.list_all(tx)[0]
        scan_library(db, made)
        file = Worker(here.settings(), db, "w")._take()
        assert file is not None
        assert file.name == "z new.mp3"
