"""What workers add up, and that none of it is lost on the way into the database."""

from __future__ import annotations

from pathlib import Path

import pytest

from ground import Ground
from nomarr.scan import scan_library
from nomarr.store import counters, libraries
from nomarr.store.database import Database
from nomarr.worker.loop import Worker
from nomarr.worker.tally import Tally


def test_a_worker_says_what_it_did_and_how_long_each_stage_took(
    db: Database, db_url: str, tmp_path: Path, small_models: Path, tracks: dict[str, Path]
) -> None:
    here = Ground(tmp_path, small_models, db_url)
    here.add(tracks["mp3"], "track.mp3")
    here.add(tracks["flac"], "track.flac")
    (here.music / "noise.mp3").write_bytes(b"no music at all" * 1000)
    with db.write() as tx:
        made = libraries.create(tx, name="Music", root_path=here.music, now=tx.now_ms())
    scan_library(db, made)
    worker = Worker(here.settings(), db, "worker 1", drain=True)
    worker.run()
    with db.read() as tx:
        found = counters.read(tx)
    assert (found["analysed"], found["written"], found["failed:unreadable"]) == (2, 2, 1)
    assert found["heard_s"] == pytest.approx(8, abs=0.5)
    assert all(found[f"seconds:{stage}"] > 0 for stage in ("hash", "decode", "mel", "inference", "write"))
    assert worker.tally.files == 3


def test_what_could_not_be_told_is_told_the_next_time() -> None:
    tally = Tally()
    tally.add("analysed", 2)

    def fail() -> None:
        with tally.taken():
            tally.add("analysed")
            raise OSError

    with pytest.raises(OSError):
        fail()
    with tally.taken() as amounts:
        assert amounts == {"analysed": 3}
    with tally.taken() as amounts:
        assert amounts == {}


def test_the_rate_is_that_of_the_last_minutes() -> None:
    now = [0.0]
    tally = Tally(monotonic=lambda: now[0])
    assert tally.rate_per_minute() is None
    for at in (10.0, 20.0, 30.0, 70.0):
        now[0] = at
        tally.done()
    assert tally.rate_per_minute() == 4.0
    now[0] = 1000.0
    assert tally.rate_per_minute() == 0.0
