"""Everything of one database in another: the same, resumable, and never over something else."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from conftest import _administer, _url
from heard import some_scores
from nomarr.errors import Conflict, InvalidInput
from nomarr.scores import Correction, Embedding
from nomarr.store import copying, corrections, counters, files, journal, keys, libraries, preferences, scores, workers
from nomarr.store.copying import MARK, NOT_COPIED, checksum, copy
from nomarr.store.database import Database
from nomarr.store.facts import Facts
from nomarr.store.files import NewFile
from nomarr.store.schema import metadata

NOW = 1_800_000_000_000
FILES = 1_200  # more than two batches
_numbers = itertools.count(1)


def silent(*_: object) -> None:
    """Progress that nobody looks at."""


@pytest.fixture
def other(postgresql_server: str) -> Iterator[Database]:
    """An empty PostgreSQL database of its own."""
    server, name = Path(postgresql_server), f"copy_{os.getpid()}_{next(_numbers)}"
    _administer(server, f"CREATE DATABASE {name}")
    with Database(_url(server, name)) as made:
        made.migrate()
        yield made
    _administer(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def embedded(tmp_path: Path) -> Database:
    return migrated(tmp_path / "embedded.db")


def migrated(file: Path) -> Database:
    db = Database(f"sqlite:///{file}")
    db.migrate()
    return db


def fill(db: Database, count: int = FILES) -> list[int]:
    """A library of files that were heard, with something in every table that people care for; the last is gone."""
    rng = np.random.default_rng(5)
    with db.write() as tx:
        library = libraries.create(tx, name="Müsik", root_path="/music", now=NOW)
        ids = []
        for number in range(count):
            facts = Facts(title=f"Tïtle {number}", duration_s=number / 3, year=1990)
            file_id = files.insert(tx, library.id, NewFile(f"f{number % 7}", f"{number}.mp3", 9, 5, facts), now=NOW)
            assert file_id is not None
            ids.append(file_id)
        tx.many(
            "INSERT INTO file_tags (file_id, name, position, value) VALUES (:id, 'genre', :n, :value)",
            [{"id": i, "n": n, "value": f"Gênre {n}"} for i in ids for n in range(2)],
        )
        for file_id in ids[:300]:
            for pack in some_scores(rng, ("vibenet",)):
                scores.save(tx, file_id, pack)
            patches = rng.random((3, 4)).astype(np.float16)
            scores.save_embedding(tx, file_id, Embedding("b", "f", rng.random(4).astype(np.float32), patches))
        corrections.save(tx, {ids[3]: Correction({"mood_happy": 2}, None)}, now=NOW)
        journal.add(
            tx, file_id=ids[0], path="/x", batch="b", action="write", before={"a": ["1"]}, after_hash="h", at=NOW
        )
        preferences.put(tx, "something", {"ä": [1, None]})
        counters.add(tx, {"files": 3.25})
        keys.add(tx, name="key", scope="read", key_hash="x", now=NOW)
        files.delete(tx, ids[-1:])
    return ids[:-1]


def contents(db: Database) -> dict[str, copying.Checksum]:
    with db.read() as tx:
        return {t.name: checksum(tx, t) for t in metadata.sorted_tables if t.name not in NOT_COPIED}


def test_all_of_it_goes_to_postgresql_and_back_the_same(embedded: Database, other: Database, tmp_path: Path) -> None:
    ids = fill(embedded)
    there = copy(embedded, other, progress=silent)
    back = migrated(tmp_path / "back.db")
    copy(other, back, progress=silent)
    assert contents(embedded) == contents(other) == contents(back)
    assert {one.table: one.rows for one in there}["library_files"] == len(ids)
    for db in (other, back):
        with db.write() as tx:
            new = files.insert(tx, 1, NewFile("", "new.mp3", 1, 1), now=NOW)
            assert new == ids[-1] + 2, "the id of the file that is gone is not given again"
            assert corrections.of(tx, ids[3]) == Correction({"mood_happy": 2}, None)
            assert preferences.get(tx, MARK) is None
            assert libraries.create(tx, name="Next", root_path="/next", now=NOW).id == 2


def test_patches_can_stay_behind(embedded: Database, other: Database) -> None:
    ids = fill(embedded, 20)
    copy(embedded, other, with_patches=False, progress=silent)
    with other.read() as tx:
        found = scores.load_embedding(tx, ids[0], "b")
    assert found is not None
    assert found.patches.shape == (0, 4)


def test_a_database_with_other_content_is_refused_and_stays_as_it_is(embedded: Database, tmp_path: Path) -> None:
    fill(embedded, 5)
    target = migrated(tmp_path / "target.db")
    with target.write() as tx:
        libraries.create(tx, name="Mine", root_path="/mine", now=NOW)
    before = contents(target)
    with pytest.raises(Conflict, match=r"holds other content already \(libraries\)"):
        copy(embedded, target, progress=silent)
    assert contents(target) == before
    with pytest.raises(InvalidInput, match="is where it comes from"):
        copy(embedded, embedded, progress=silent)


class Stop(Exception):
    pass


def stopped_copy(source: Database, target: Database) -> None:
    def stop(_what: str, table: str, done: int, _total: int) -> None:
        if table == "library_files" and done >= 500:
            raise Stop

    with pytest.raises(Stop):
        copy(source, target, progress=stop)


def test_a_copy_of_something_else_is_not_gone_on_with(embedded: Database, tmp_path: Path) -> None:
    fill(embedded)
    target, second = migrated(tmp_path / "target.db"), migrated(tmp_path / "second.db")
    stopped_copy(embedded, target)
    with pytest.raises(Conflict, match="beginnings of a copy of"):
        copy(second, target, progress=silent)
    with pytest.raises(Conflict, match="never completed"):
        copy(target, second, progress=silent)


def test_a_source_that_changed_between_two_runs_is_noticed_and_can_be_copied_anew(
    embedded: Database, tmp_path: Path
) -> None:
    ids = fill(embedded)
    target = migrated(tmp_path / "target.db")
    stopped_copy(embedded, target)
    with embedded.write() as tx:
        tx.run("UPDATE library_files SET title = 'another' WHERE id = :id", id=ids[0])
    with pytest.raises(Conflict, match=r"library_files is not the same.*--restart"):
        copy(embedded, target, progress=silent)
    copy(embedded, target, restart=True, progress=silent)
    assert contents(embedded) == contents(target)


def test_those_who_use_a_database_are_known(db: Database) -> None:
    with db.write() as tx:
        now = tx.now_ms()
        workers.heartbeat(tx, worker="w1", host="nas", pid=1, version="1", now=now, state="idle")
        workers.heartbeat(tx, worker="w2", host="pi", pid=1, version="1", now=now - 90_000, state="idle")
        tx.run("INSERT INTO leases (name, owner, until) VALUES ('keeper', 'nas:1:x', :until)", until=now + 30_000)
        assert copying.users(tx, now=now, silent_ms=60_000) == ["worker w1", "server nas:1:x"]
        assert copying.users(tx, now=now, silent_ms=60_000, except_host="nas") == []


def test_a_killed_copy_is_gone_on_with(embedded: Database, other: Database, tmp_path: Path) -> None:
    fill(embedded, 4_000)
    url = other.url.render_as_string(hide_password=False)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NOMARR_")}
    environment |= {"NOMARR_DATA_DIR": str(tmp_path / "data"), "NOMARR_DATABASE_URL": f"sqlite:///{embedded.name}"}
    command = [sys.executable, "-m", "nomarr", "db", "copy", "--to", url]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 90
        while not _rows(other):
            assert process.poll() is None, process.stderr and process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    at_kill = _rows(other)
    assert 0 < at_kill < 3_999
    half = environment | {"NOMARR_DATABASE_URL": url}
    refused = subprocess.run(
        [*command[:3], "status"], env=half, capture_output=True, text=True, check=False, timeout=60
    )
    assert (refused.returncode, "is a copy of" in refused.stderr) == (2, True), refused.stderr
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert contents(embedded) == contents(other)
    with other.read() as tx:
        assert preferences.get(tx, MARK) is None


def _rows(db: Database) -> int:
    with db.read() as tx:
        return int(tx.scalar("SELECT COUNT(*) FROM library_files"))
