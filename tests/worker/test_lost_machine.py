"""A machine that is gone, with its server and its workers: its file is another's when the lease has run out."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest

from ground import Ground
from nomarr.scan import scan_library
from nomarr.store import libraries, workers
from nomarr.store.database import Database
from nomarr.worker.loop import POLL_S

from .test_supervisor import busy_pid, depth, wait_for

LEASE_S = 5
SLACK_S = 5


def test_its_file_is_taken_up_elsewhere_one_lease_later(
    db: Database, db_url: str, tmp_path: Path, small_models: Path, long_track: Path
) -> None:
    if not db.is_postgresql:
        pytest.skip("several machines share a PostgreSQL")
    here = Ground(tmp_path, small_models, db_url)
    here.add(long_track, "long.flac")
    with db.write() as tx:
        library = libraries.create(tx, name="Music", root_path=here.music, now=tx.now_ms())
    scan_library(db, library)
    lease = {"NOMARR_LEASE_S": str(LEASE_S)}
    with here.start("serve", "--port", "0", "--workers", "1", NOMARR_CPU_SHARE="1", **lease) as lost:
        wait_for(lambda: busy_pid(db))
        with here.start("worker", "--workers", "1", **lease) as other:
            wait_for(lambda: len(alive(db)) == 2)
            first = holder(db)
            for process in (psutil.Process(lost.pid), *psutil.Process(lost.pid).children(recursive=True)):
                process.kill()
            died = time.monotonic()
            with db.write() as tx:  # seen from another machine, where nobody can look for its processes
                tx.run("UPDATE workers SET host = 'elsewhere' WHERE id = :id", id=first)
            wait_for(lambda: holder(db) not in (first, None))
            took = time.monotonic() - died
            wait_for(lambda: depth(db).completed)
            other.terminate()
            other.communicate(timeout=60)
        lost.communicate(timeout=60)
    assert LEASE_S * 0.5 < took < LEASE_S + POLL_S + SLACK_S, f"{took:.1f} s"
    assert depth(db).errors == 0


def alive(db: Database) -> list[workers.Worker]:
    with db.read() as tx:
        return workers.list_all(tx)


def holder(db: Database) -> str | None:
    with db.read() as tx:
        name: str | None = tx.scalar("SELECT claimed_by FROM library_files")
        return name
