from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text

from nomarr.errors import DatabaseProblem
from nomarr.store import libraries, preferences
from nomarr.store.database import Database
from nomarr.store.schema import metadata

SPAWN = multiprocessing.get_context("spawn")


def test_the_migrations_make_the_tables_of_the_schema(db: Database) -> None:
    with db.read() as tx, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="autogenerate skipping")
        options = {"include_schemas": True, "compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(tx._connection, opts=options)
        differences = compare_metadata(context, metadata)
    # Alembic cannot compare an index with DESC on SQLite; the next test does.
    assert [d for d in differences if getattr(d[1], "name", "") != "ix_library_files_to_do"] == []


def test_the_migrations_make_the_very_indexes_of_the_schema_on_sqlite(tmp_path: Path) -> None:
    asked = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY name"
    with Database(f"sqlite:///{tmp_path / 'migrated.db'}") as db:
        db.migrate()
        with db.read() as tx:
            migrated = tx.all(asked)
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        connection.execute(text("ATTACH ':memory:' AS patches"))
        metadata.create_all(connection)
        made = [dict(row) for row in connection.execute(text(asked)).mappings()]
    engine.dispose()
    assert migrated == made


def test_migrating_twice_changes_nothing(db: Database) -> None:
    with db.write() as tx:
        preferences.put(tx, "a", 1)
    db.migrate()
    with db.read() as tx:
        assert preferences.get(tx, "a") == 1


def _migrate(url: str) -> None:
    with Database(url) as db:
        db.migrate()


def test_several_processes_may_migrate_at_once(empty_url: str) -> None:
    processes = [SPAWN.Process(target=_migrate, args=(empty_url,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0


def test_a_database_of_a_newer_version_is_refused(empty_url: str) -> None:
    with Database(empty_url) as db:
        db.migrate()
        with db.write() as tx:
            tx.run("UPDATE alembic_version SET version_num = '9999'")
        with pytest.raises(DatabaseProblem, match="newer Nomarr"):
            db.migrate()
        with db.read() as tx:
            assert tx.scalar("SELECT version_num FROM alembic_version") == "9999"


def test_a_folder_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseProblem, match="cannot make the folder"):
        Database(f"sqlite:///{tmp_path / 'file' / 'nomarr.db'}").migrate()


def test_a_file_that_is_no_database_is_explained(tmp_path: Path) -> None:
    (tmp_path / "nomarr.db").write_bytes(b"this is a letter, not a database" * 100)
    with pytest.raises(DatabaseProblem, match="file is not a database"):
        Database(f"sqlite:///{tmp_path / 'nomarr.db'}").migrate()


def test_a_server_that_does_not_answer_is_explained_without_its_password() -> None:
    with Database("postgresql://user:secret@127.0.0.1:9/nomarr") as db:
        with pytest.raises(DatabaseProblem, match="cannot be used") as caught:
            db.migrate()
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["sqlite://", "mysql://host/x", "what"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(DatabaseProblem):
        Database(url)


def test_a_reader_can_change_nothing(db: Database) -> None:
    with pytest.raises(Exception, match=r"read-?only"), db.read() as tx:
        preferences.put(tx, "a", 1)


def test_a_transaction_that_raises_leaves_nothing_behind(db: Database) -> None:
    def change_and_raise() -> None:
        with db.write() as tx:
            preferences.put(tx, "a", 1)
            raise KeyError

    with pytest.raises(KeyError):
        change_and_raise()
    with db.read() as tx:
        assert preferences.get(tx, "a") is None


def test_a_reader_sees_one_moment(db: Database) -> None:
    with db.read() as reader:
        assert preferences.get(reader, "a") is None
        with db.write() as tx:
            preferences.put(tx, "a", 1)
        assert preferences.get(reader, "a") is None


def test_a_list_of_values_can_be_empty(db: Database) -> None:
    with db.read() as tx:
        assert tx.all("SELECT id FROM libraries WHERE id IN :ids", ids=[]) == []


def test_truth_is_true_on_both_databases(db: Database) -> None:
    with db.write() as tx:
        assert libraries.create(tx, name="a", root_path="/a", now=1).is_enabled is True


def test_threads_share_a_database_without_losing_a_write(db: Database) -> None:
    def add(number: int) -> None:
        for i in range(20):
            with db.write() as tx:
                preferences.put(tx, f"{number}/{i}", i)

    threads = [threading.Thread(target=add, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with db.read() as tx:
        assert tx.scalar("SELECT COUNT(*) FROM preferences") == 120


def test_the_clock_is_in_milliseconds_of_now(db: Database) -> None:
    with db.read() as tx:
        assert abs(tx.now_ms() - time.time() * 1000) < 5000


WRITER = """
import sys
from nomarr.store import preferences
from nomarr.store.database import Database

db = Database(sys.argv[1])
number = 0
while True:
    with db.write() as tx:
        number = (preferences.get(tx, "left") or 0) + 1
        preferences.put(tx, "left", number)
        tx.run("INSERT INTO patches.patch_embeddings VALUES (:id, 'b', 'f', 1, :blob)", id=number, blob=bytes(50_000))
        preferences.put(tx, "right", number)
    print(number, flush=True)
"""


def test_a_writer_killed_at_any_moment_leaves_a_usable_database(db_url: str) -> None:
    confirmed = 0
    for delay_s in (0.0, 0.013, 0.029):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, db_url], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        confirmed = int(writer.stdout.readline())
        time.sleep(delay_s)
        os.kill(writer.pid, signal.SIGKILL)
        confirmed = max([confirmed, *(int(line) for line in writer.stdout.read().splitlines() if line)])
        writer.wait()
        writer.stdout.close()
        with Database(db_url) as db:
            db.migrate()
            with db.read() as tx:
                left, right = preferences.get(tx, "left"), preferences.get(tx, "right")
                assert left == right >= confirmed
    if db_url.startswith("sqlite"):
        connection = sqlite3.connect(db_url.removeprefix("sqlite:///"))
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        connection.close()
