"""SQLite databases as files: both of them copied at one moment while they are in use, looked through, and alone."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from alembic.script import ScriptDirectory
from sqlalchemy import MetaData
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateTable

from nomarr.errors import DatabaseProblem, DatabaseTooNew
from nomarr.store.database import BUSY_TIMEOUT_MS, MIGRATIONS, patches_beside
from nomarr.store.schema import patch_embeddings

PAGES = 2_000  # in one go, 8 MB; others get the processor in between

Progress = Callable[[int, int], None]  # pages done, pages in all, of both files


@dataclass(frozen=True)
class Checked:
    """A database that was found to be whole: rows by table, and the version of its tables."""

    counts: dict[str, int]
    revision: str


def snapshot(
    source: Path, target: Path, *, with_patches: bool = True, progress: Progress = lambda _done, _all: None
) -> dict[str, int]:
    """Copy both files as they are at one moment, on disk when it returns; -> rows by table at that moment.

    Others go on reading and writing meanwhile. Without patches the second file holds none. An exception that
    `progress` raises ends it.
    """
    try:
        with closing(_open(source)) as reader:
            _hold_one_moment(reader, source)
            schemas = {"main": target} | ({"patches": patches_beside(target)} if with_patches else {})
            pages = {schema: reader.execute(f"PRAGMA {schema}.page_count").fetchone()[0] for schema in schemas}
            counts = _counts(reader, "main") | (_counts(reader, "patches") if with_patches else {})
            before, total = 0, sum(pages.values())
            for schema, file in schemas.items():
                _copy(reader, schema, file, partial(_told, progress, before, total))
                before += pages[schema]
        if not with_patches:
            make_empty_patches(patches_beside(target))
            counts[patch_embeddings.name] = 0
        return counts
    except sqlite3.Error as error:
        raise DatabaseProblem(f"{source}: cannot be copied to {target}: {error}") from error


def check(file: Path) -> Checked:
    """Read all of a database that nobody uses, both files; DatabaseProblem with what is wrong with it."""
    if Path(f"{file}-wal").exists():
        raise DatabaseProblem(f"{file}: has a -wal file beside it, as a database in use has; it is no backup")
    try:
        with closing(_open_still(file)) as connection:
            _refuse_damage(connection, file)
            names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if not {"alembic_version", "library_files"} <= names:
                raise DatabaseProblem(f"{file}: is a database, but none of Nomarr's")
            revision = _known_revision(connection, file)
            counts = _counts(connection, "main")
        patches = patches_beside(file)
        if patches.exists():
            with closing(_open_still(patches)) as connection:
                _refuse_damage(connection, patches)
                counts |= _counts(connection, "main")
    except sqlite3.Error as error:
        raise DatabaseProblem(f"{file}: is not a database that can be read: {error}") from error
    return Checked(counts, revision)


def is_alone(file: Path) -> bool:
    """Whether no process has the database open; all that was written then is in its two files, and no other.

    DatabaseProblem where it is too damaged to tell.
    """
    try:
        with closing(sqlite3.connect(file, timeout=1.0, isolation_level=None)) as connection:
            # SQLite changes this only for its one user.
            return bool(connection.execute("PRAGMA journal_mode = DELETE").fetchone()[0] == "delete")
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            return False
        raise DatabaseProblem(f"{file}: {error}") from error
    except sqlite3.DatabaseError as error:
        raise DatabaseProblem(f"{file}: {error}") from error


def make_empty_patches(file: Path) -> None:
    """The second file of a database, without any content."""
    table = patch_embeddings.to_metadata(MetaData(), schema=None)  # type: ignore[arg-type]  # None takes it away
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(str(CreateTable(table).compile(dialect=sqlite.dialect())))
    _to_disk(file)


def _open(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{file.absolute().as_uri()}?mode=rw", uri=True, timeout=BUSY_TIMEOUT_MS / 1000, isolation_level=None
    )
    connection.execute("ATTACH DATABASE ? AS patches", (str(patches_beside(file)),))
    return connection


def _open_still(file: Path) -> sqlite3.Connection:
    """To read what nobody changes; makes no files beside it, so that it may lie on a disk that cannot be written."""
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro&immutable=1", uri=True)


def _hold_one_moment(reader: sqlite3.Connection, source: Path) -> None:
    """Begin a transaction that sees both files as they were between two writes."""
    with closing(_open(source)) as gate:
        gate.execute("BEGIN IMMEDIATE")  # nobody writes while the two are looked at, one after the other
        reader.execute("BEGIN")
        for schema in ("main", "patches"):
            reader.execute(f"SELECT COUNT(*) FROM {schema}.sqlite_master").fetchone()
        gate.execute("ROLLBACK")


def _told(progress: Progress, before: int, total: int, _status: int, left: int, pages: int) -> None:
    """One file's progress, as SQLite tells it, as that of both."""
    progress(before + pages - left, total)


def _copy(reader: sqlite3.Connection, schema: str, file: Path, progress: Callable[[int, int, int], None]) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as target:
        target.execute("PRAGMA journal_mode = OFF")  # half a copy is thrown away anyhow
        target.execute("PRAGMA synchronous = OFF")
        reader.backup(target, pages=PAGES, name=schema, progress=progress)
    with closing(sqlite3.connect(file, isolation_level=None)) as target:
        target.execute("PRAGMA journal_mode = DELETE")  # as it is one file that holds all
    _to_disk(file)


def _counts(connection: sqlite3.Connection, schema: str) -> dict[str, int]:
    names = connection.execute(
        f"SELECT name FROM {schema}.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    ).fetchall()
    return {name: connection.execute(f'SELECT COUNT(*) FROM {schema}."{name}"').fetchone()[0] for (name,) in names}


def _refuse_damage(connection: sqlite3.Connection, file: Path) -> None:
    answer = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if answer != "ok":
        raise DatabaseProblem(f"{file}: is damaged: {answer.strip().splitlines()[-1]}")


def _known_revision(connection: sqlite3.Connection, file: Path) -> str:
    revisions = [row[0] for row in connection.execute("SELECT version_num FROM alembic_version")]
    known = {script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}
    if len(revisions) != 1:
        raise DatabaseProblem(f"{file}: is a database whose tables were never completed")
    if revisions[0] not in known:
        raise DatabaseTooNew(
            f"{file}: comes from a newer Nomarr (its tables are at {revisions[0]}); use that version or a newer one"
        )
    return str(revisions[0])


def _to_disk(file: Path) -> None:
    with file.open("rb") as content:
        os.fsync(content.fileno())
