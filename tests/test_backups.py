"""Backups of an SQLite database: whole, of one moment, some days of them, and back in its place."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from nomarr import backups, config
from nomarr.backups import HOUR_MS, NoRoom, found, make, make_if_due, restore
from nomarr.errors import Conflict, DatabaseProblem, DatabaseTooNew, NotFound
from nomarr.scores import Embedding
from nomarr.settings import Settings
from nomarr.store import database, files, libraries, preferences, scores, snapshots, workers
from nomarr.store.database import Database, patches_beside
from nomarr.store.files import NewFile
from nomarr.watching.keeper import Keeper

NOW = 1_800_000_000_000  # 2027-01-15T08:00:00Z
DAY_MS = 24 * HOUR_MS


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def embedded(settings: Settings) -> Database:
    db = Database(settings.database)
    db.migrate()
    with db.write() as tx:
        libraries.create(tx, name="Music", root_path="/music", now=NOW)
    return db


def add(db: Database, number: int) -> None:
    """One file in both of the database's files, in one transaction."""
    with db.write() as tx:
        file_id = files.insert(tx, 1, NewFile("", f"{number}.mp3", 1, 1), now=NOW)
        assert file_id is not None
        vector = np.zeros((2, 64))
        scores.save_embedding(tx, file_id, Embedding("b", "f", vector[0].astype(np.float32), vector.astype(np.float16)))


def test_a_backup_is_a_database_that_only_its_owner_may_read(embedded: Database, tmp_path: Path) -> None:
    add(embedded, 1)
    backup = make(embedded, tmp_path / "there", now=NOW)
    assert sorted(path.name for path in (tmp_path / "there").iterdir()) == [
        ".lock",
        "nomarr-20270115T080000Z-patches.db",
        "nomarr-20270115T080000Z.db",
    ]
    assert backup == found(tmp_path / "there")[0]
    assert stat.S_IMODE(backup.file.stat().st_mode) == 0o600
    with Database(f"sqlite:///{backup.file}") as db:
        db.migrate()
        with db.read() as tx:
            assert files.by_path(tx, 1, "", "1.mp3") is not None
            assert scores.load_embedding(tx, 1, "b") is not None


def test_both_files_are_of_one_moment_while_others_write(embedded: Database, tmp_path: Path) -> None:
    stop, written = threading.Event(), []

    def write() -> None:
        while not stop.is_set():
            add(embedded, len(written))
            written.append(1)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        made = [make(embedded, tmp_path / "there", now=NOW + 1000 * number) for number in range(6)]
    finally:
        stop.set()
        writer.join()
    counts = [snapshots.check(backup.file).counts for backup in made]
    assert [one["library_files"] for one in counts] == [one["patch_embeddings"] for one in counts]
    assert written, "somebody wrote meanwhile"


def test_of_each_day_the_newest_stays_and_nothing_else_is_touched(embedded: Database, tmp_path: Path) -> None:
    place = tmp_path / "there"
    place.mkdir()
    (place / "nomarr-notes.txt").write_text("mine")
    for at in (0, HOUR_MS, DAY_MS, 2 * DAY_MS, 2 * DAY_MS + HOUR_MS, 3 * DAY_MS):
        make(embedded, place, now=NOW + at, keep=3)
    assert [(NOW - one.made_at) // HOUR_MS for one in found(place)] == [-72, -49, -24]
    assert len(list(place.glob("*.db"))) == 6
    assert (place / "nomarr-notes.txt").exists()


def test_it_is_made_when_it_is_due_and_not_before(embedded: Database, settings: Settings) -> None:
    first = make_if_due(embedded, settings)
    assert first is not None
    assert first.file.parent == settings.data_dir / "backups"
    assert make_if_due(embedded, settings) is None
    older = first.made_at - 25 * HOUR_MS
    backups._forget_old(first.file.parent, 0, newest=first)
    make(embedded, first.file.parent, now=older)
    with embedded.write() as tx:
        config.change(tx, settings, "backup_interval_h", "0")
    assert make_if_due(embedded, settings) is None
    with embedded.write() as tx:
        config.change(tx, settings, "backup_interval_h", "24")
    assert make_if_due(embedded, settings) is not None


def test_a_backup_of_the_future_puts_off_none_and_costs_none(embedded: Database, settings: Settings) -> None:
    place = backups.folder(settings)
    future = make(embedded, place, now=NOW + 3650 * DAY_MS)
    (place / "nomarr-20271399T080000Z.db").write_text("no time at all")
    with embedded.write() as tx:
        config.change(tx, settings, "backup_keep", "1")
    first = make_if_due(embedded, settings)
    assert first is not None
    assert [one.file for one in found(place)] == [future.file, first.file]
    assert make_if_due(embedded, settings) is None


def test_of_several_servers_one_makes_it(embedded: Database, settings: Settings) -> None:
    first, second = Keeper(embedded, settings), Keeper(embedded, settings)
    for keeper in (first, second):
        keeper._hold_lease()
    second._back_up()
    assert found(backups.folder(settings)) == []
    first._back_up()
    assert len(found(backups.folder(settings))) == 1


def test_a_failure_is_noted_and_tried_again_after_an_hour(embedded: Database, settings: Settings) -> None:
    (settings.data_dir / "backups").write_text("a file where the folder should be")
    assert make_if_due(embedded, settings) is None
    with embedded.write() as tx:
        problem = preferences.get(tx, backups.PROBLEM)
        assert "no backup can be made there" in problem["why"]
    (settings.data_dir / "backups").unlink()
    assert make_if_due(embedded, settings) is None, "it has just failed"
    with embedded.write() as tx:
        preferences.put(tx, backups.PROBLEM, {**problem, "at": problem["at"] - HOUR_MS})
    assert make_if_due(embedded, settings) is not None
    with embedded.read() as tx:
        assert preferences.get(tx, backups.PROBLEM) is None


def test_a_full_disk_is_noticed_before_anything_is_written(
    embedded: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backups, "SPARE_BYTES", 2**62)
    with pytest.raises(NoRoom, match="are needed for the copy"):
        make(embedded, tmp_path / "there", now=NOW)
    assert [path.name for path in (tmp_path / "there").iterdir()] == [".lock"]


def test_one_at_a_time_and_what_a_killed_one_left_is_removed(embedded: Database, tmp_path: Path) -> None:
    place = tmp_path / "there"
    with backups._only_one(place):
        (place / ".part-nomarr-20270101T000000Z.db").write_text("half")
        (place / "nomarr-20270101T000000Z-patches.db").write_text("half")
        (place / "mine-patches.db").write_text("not ours")
        assert backups.is_being_made(place)
        with pytest.raises(Conflict, match="is being made there already"):
            make(embedded, place, now=NOW)
    make(embedded, place, now=NOW)
    assert not list(place.glob(".part*"))
    assert len(list(place.glob("nomarr-*-patches.db"))) == 1
    assert (place / "mine-patches.db").exists()
    assert not backups.is_being_made(place)


class Stopped(Exception):
    pass


def test_a_server_that_ends_does_not_wait_for_it(embedded: Database, tmp_path: Path) -> None:
    def stop(_done: int, _all: int) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        make(embedded, tmp_path / "there", now=NOW, progress=stop)
    assert found(tmp_path / "there") == []
    assert not list((tmp_path / "there").glob(".part*"))


def test_without_patches_it_is_still_a_whole_database(embedded: Database, settings: Settings, tmp_path: Path) -> None:
    add(embedded, 1)
    backup = make(embedded, tmp_path / "there", now=NOW, with_patches=False)
    embedded.close()
    restore(settings, backup.file, now=NOW)
    with Database(settings.database) as db, db.read() as tx:
        embedding = scores.load_embedding(tx, 1, "b")
    assert embedding is not None
    assert embedding.patches.shape == (0, 64)


# putting back


@pytest.fixture
def backup(embedded: Database, tmp_path: Path) -> Path:
    """A backup with one file, made before a second was added."""
    add(embedded, 1)
    made = make(embedded, tmp_path / "there", now=NOW)
    add(embedded, 2)
    return made.file


def names(settings: Settings) -> list[str]:
    with Database(settings.database) as db:
        db.migrate()
        with db.read() as tx:
            return sorted(files.in_folder(tx, 1, ""))


def test_what_was_there_is_kept_aside(embedded: Database, settings: Settings, backup: Path) -> None:
    embedded.close()
    aside = restore(settings, backup, now=NOW)
    assert names(settings) == ["1.mp3"]
    assert aside is not None
    assert names(Settings(data_dir=aside)) == ["1.mp3", "2.mp3"]
    assert backup.exists()


def test_a_database_in_use_is_left_alone_unless_forced(embedded: Database, settings: Settings, backup: Path) -> None:
    with pytest.raises(Conflict, match="is in use: stop the server"):
        restore(settings, backup, now=NOW)
    assert names(settings) == ["1.mp3", "2.mp3"]
    restore(settings, backup, now=NOW, force=True)
    embedded.close()
    assert names(settings) == ["1.mp3"]


def test_workers_of_other_machines_count_as_well(embedded: Database, settings: Settings, backup: Path) -> None:
    with embedded.write() as tx:
        for host in ("elsewhere", socket.gethostname()):
            workers.heartbeat(tx, worker=host, host=host, pid=1, version="1", now=tx.now_ms(), state="idle")
    embedded.close()
    with pytest.raises(Conflict, match=r"in use by worker elsewhere\. Nothing"):
        restore(settings, backup, now=NOW)
    assert names(settings) == ["1.mp3", "2.mp3"]


def _cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def _scribble(file: Path) -> None:
    with file.open("r+b") as content:
        content.seek(4096 * 3)
        content.write(b"\xaa" * 4096 * 20)


def _cut_patches(file: Path) -> None:
    os.truncate(patches_beside(file), 100)


def _make_newer(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")


def _make_another(file: Path) -> None:
    file.unlink()
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE TABLE books (title TEXT)")


def _take_from_use(file: Path) -> None:
    Path(f"{file}-wal").write_bytes(b"x")


@pytest.mark.parametrize(
    ("harm", "kind", "words"),
    [
        (_cut, DatabaseProblem, "damaged|cannot|malformed"),
        (_scribble, DatabaseProblem, "damaged|cannot|malformed"),
        (_cut_patches, DatabaseProblem, "patches.db|not a database"),
        (_make_newer, DatabaseTooNew, "comes from a newer Nomarr"),
        (_make_another, DatabaseProblem, "none of Nomarr's"),
        (_take_from_use, DatabaseProblem, "-wal file beside it"),
        (Path.unlink, NotFound, "there is no such file"),
    ],
)
def test_what_is_no_good_backup_changes_nothing(
    embedded: Database,
    settings: Settings,
    backup: Path,
    harm: Callable[[Path], None],
    kind: type[Exception],
    words: str,
) -> None:
    embedded.close()
    harm(backup)
    with pytest.raises(kind, match=words):
        restore(settings, backup, now=NOW)
    assert names(settings) == ["1.mp3", "2.mp3"]


def test_a_damaged_database_is_replaced_when_forced(embedded: Database, settings: Settings, backup: Path) -> None:
    embedded.close()
    (settings.data_dir / "nomarr.db").write_bytes(b"this was a database" * 1000)
    with pytest.raises(Conflict, match="the database is damaged"):
        restore(settings, backup, now=NOW)
    restore(settings, backup, now=NOW, force=True)
    assert names(settings) == ["1.mp3"]


def test_it_comes_back_where_nothing_is_left(embedded: Database, settings: Settings, backup: Path) -> None:
    embedded.close()
    shutil.rmtree(settings.data_dir)
    assert restore(settings, backup, now=NOW) is None
    assert names(settings) == ["1.mp3"]


# before the tables change

CHANGE = """
import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("libraries", sa.Column("colour", sa.Text()))
"""


@pytest.fixture
def update(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Makes this version the next one that changes the tables."""

    def run() -> None:
        scripts = Path(shutil.copytree(database.MIGRATIONS, tmp_path / "migrations"))
        (scripts / "versions" / "0002_more.py").write_text(CHANGE)
        for module in (database, snapshots):
            monkeypatch.setattr(module, "MIGRATIONS", scripts)

    return run


def columns(db: Database) -> list[str]:
    with db.read() as tx:
        return [row["name"] for row in tx.all("SELECT name FROM pragma_table_info('libraries')")]


def test_before_the_tables_change_a_copy_is_kept_that_an_older_nomarr_can_use(
    embedded: Database, settings: Settings, update: Callable[[], None]
) -> None:
    make(embedded, backups.folder(settings), now=NOW, keep=1)
    add(embedded, 1)
    backups.migrate(embedded, settings)
    copy = backups.folder(settings) / "nomarr-tables-0001.db"
    assert (embedded.outdated(), copy.exists()) == (None, False)
    update()
    assert embedded.outdated() == "0001"
    backups.migrate(embedded, settings)
    assert "colour" in columns(embedded)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    checked = snapshots.check(copy)
    assert (checked.revision, checked.counts["patch_embeddings"]) == ("0001", 1)
    first = copy.stat().st_mtime_ns
    backups.migrate(embedded, settings)
    make(embedded, backups.folder(settings), now=NOW + 9 * DAY_MS, keep=1)
    assert copy.stat().st_mtime_ns == first, "it is made once, and does not grow old"
    assert [one.made_at for one in found(copy.parent)] == [NOW + 9 * DAY_MS]


def test_a_version_that_was_put_back_is_kept_anew_when_its_tables_change_again(
    embedded: Database, settings: Settings, update: Callable[[], None]
) -> None:
    update()
    backups.migrate(embedded, settings)
    embedded.close()
    copy = backups.folder(settings) / "nomarr-tables-0001.db"
    restore(settings, copy, now=NOW)
    with Database(settings.database) as db:
        assert "colour" not in columns(db)
        add(db, 1)
        backups.migrate(db, settings)
        assert "colour" in columns(db)
    assert snapshots.check(copy).counts["library_files"] == 1
    assert len(list(copy.parent.glob("nomarr-tables-*"))) == 2


def test_several_processes_that_start_at_once_keep_one_copy_and_change_the_tables_once(
    embedded: Database, settings: Settings, update: Callable[[], None]
) -> None:
    update()

    def start(_number: int) -> None:
        with Database(settings.database) as db:
            backups.migrate(db, settings)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(start, range(4)))
    assert columns(embedded).count("colour") == 1
    assert snapshots.check(backups.folder(settings) / "nomarr-tables-0001.db").revision == "0001"


def test_without_room_for_a_copy_the_tables_stay_as_they_are(
    embedded: Database, settings: Settings, update: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    update()
    monkeypatch.setattr(backups, "SPARE_BYTES", 2**62)
    with pytest.raises(NoRoom, match=r"Before its tables change, .* NOMARR_BACKUP_DIR\. Nothing was changed"):
        backups.migrate(embedded, settings)
    assert (embedded.outdated(), "colour" in columns(embedded)) == ("0001", False)
    assert [path.name for path in backups.folder(settings).iterdir()] == [".lock"]


def test_postgresql_is_left_to_its_own_tools_before_its_tables_change(
    postgresql_server: str, settings: Settings
) -> None:
    with Database(f"postgresql://nomarr@/nomarr?host={postgresql_server}") as db:
        backups.migrate(db, settings)
    assert not backups.folder(settings).exists()
