"""A worker that was away for longer than its lease changes nothing that its successor did."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from ground import Ground
from nomarr import config
from nomarr.scan import scan_library
from nomarr.store import claims, files, libraries, workers
from nomarr.store.database import Database
from nomarr.tagfiles.audiofile import read_tags
from nomarr.worker.loop import Worker


def only_file(db: Database) -> files.LibraryFile:
    with db.read() as tx:
        return files.get(tx, tx.scalar("SELECT id FROM library_files"))


def busy_pid(db: Database, file: int) -> int | None:
    with db.read() as tx:
        claimed = tx.scalar("SELECT claimed_by FROM library_files WHERE id = :id", id=file)
        return next((worker.pid for worker in workers.list_all(tx) if worker.id == claimed), None)


def test_a_worker_paused_beyond_its_lease_leaves_its_successors_work_alone(
    db: Database, here: Ground, long_track: Path
) -> None:
    path = here.add(long_track, "long.flac")
    with db.write() as tx:
        library = libraries.create(tx, name="Music", root_path=here.music, now=tx.now_ms())
    scan_library(db, library)
    file_id = only_file(db).id
    deadline = time.monotonic() + 120
    with here.start("worker", "--workers", "1") as process:
        while (paused := busy_pid(db, file_id)) is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.kill(paused, signal.SIGSTOP)
        try:
            with db.write() as tx:  # what the successor writes is not what the first would have
                config.change(tx, here.settings(), "file_write_mode", "moods")
            while only_file(db).analyzed_at is None:
                assert time.monotonic() < deadline
                Worker(here.settings(), db, "successor", drain=True).run()
                time.sleep(0.2)
            row, content, state = only_file(db), path.read_bytes(), path.stat()
            with db.read() as tx:
                entries = tx.tuples("SELECT * FROM journal")
        finally:
            os.kill(paused, signal.SIGCONT)
        process.terminate()
        _, err = process.communicate(timeout=120)
    assert "another worker has taken it over; nothing was recorded" in err
    assert set(read_tags(path)) <= {"mood-strict", "mood-regular", "mood-loose"}
    assert path.read_bytes() == content
    assert path.stat().st_ino == state.st_ino
    assert os.listdir(here.music) == ["long.flac"]
    assert only_file(db) == row
    with db.read() as tx:
        assert tx.tuples("SELECT * FROM journal") == entries


def test_who_lost_a_file_does_not_even_replace_it(db: Database, here: Ground, tracks: dict[str, Path]) -> None:
    path = here.add(tracks["flac"], "track.flac")
    before = path.stat()
    with db.write() as tx:
        library = libraries.create(tx, name="Music", root_path=here.music, now=tx.now_ms())
    scan_library(db, library)
    with db.write() as tx:
        mine = claims.claim_next(tx, worker="slow", now=tx.now_ms(), lease_ms=1)
        assert mine is not None
        theirs = claims.claim_next(tx, worker="quick", now=tx.now_ms() + 10, lease_ms=60_000)
        assert theirs is not None
    worker = Worker(here.settings(), db, "slow")
    worker._load()
    worker._handle(mine)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert only_file(db).claimed_by == "quick"


def test_a_wrong_clock_of_one_machine_steals_no_lease(
    db: Database, here: Ground, tracks: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not db.is_postgresql:
        pytest.skip("all who share an SQLite database have one machine's clock")
    here.add(tracks["flac"], "track.flac")
    with db.write() as tx:
        library = libraries.create(tx, name="Music", root_path=here.music, now=tx.now_ms())
    scan_library(db, library)
    assert Worker(here.settings(), db, "right")._take() is not None
    real = time.time_ns
    for wrong_s in (-3600, 60, 3600):
        monkeypatch.setattr(time, "time_ns", lambda wrong_s=wrong_s: real() + wrong_s * 10**9)
        monkeypatch.setattr(time, "time", lambda wrong_s=wrong_s: real() / 10**9 + wrong_s)
        assert Worker(here.settings(), db, "wrong")._claim() is None
        worker = Worker(here.settings(), db, "wrong")
        worker._beat()
        with db.read() as tx:
            (row,) = (one for one in workers.list_all(tx) if one.id == "wrong")
            assert abs(row.heartbeat_at - tx.now_ms()) < 30_000
