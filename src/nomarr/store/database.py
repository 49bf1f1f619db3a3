"""Connections and transactions; the one place that knows which database it is."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any

import psycopg
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Boolean, Connection, CursorResult, Engine, TextClause, bindparam, create_engine, event
from sqlalchemy import exc as sql_errors
from sqlalchemy import text as sql_text
from sqlalchemy.engine import URL, make_url

from nomarr.errors import DatabaseProblem, DatabaseTooNew, InvalidInput
from nomarr.store.schema import metadata

Row = Mapping[str, Any]

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_TIMEOUT_MS = 30_000  # a scan's batch holds SQLite's write lock far shorter than this
OLDEST_SQLITE = (3, 35)  # the first with RETURNING
NO_TEXT = "A text holds a NUL character or half a character, which no database can keep"
MIGRATION_LOCK = 0x6E6F6D61  # any number that only Nomarr asks PostgreSQL to lock
BOOLEANS = frozenset(c.name for t in metadata.tables.values() for c in t.columns if isinstance(c.type, Boolean))


class _BinaryCursor(psycopg.Cursor[Any]):
    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self.format = psycopg.pq.Format.BINARY


class Transaction:
    """An open transaction: SQL with named parameters in, numbers and rows out.

    A list or tuple as a parameter stands for the values of `IN :name`.
    """

    def __init__(self, connection: Connection, database: Database) -> None:
        self._connection = connection
        self.database = database  # for what is to be read beside, on other connections
        self.is_postgresql = connection.dialect.name == "postgresql"

    def run(self, sql: str, **params: Any) -> int:
        """The number of rows that the statement changed."""
        return self._execute(sql, params).rowcount

    def many(self, sql: str, rows: Sequence[Row]) -> None:
        """Run one statement for each of the rows."""
        if rows:
            self._executed(_statement(sql, ()), [dict(row) for row in rows])

    def one(self, sql: str, **params: Any) -> Row | None:
        """The first row, or None."""
        result = self._execute(sql, params)
        row = result.fetchone()
        rows = self._as_dicts(result, [] if row is None else [row])
        result.close()
        return rows[0] if rows else None

    def all(self, sql: str, **params: Any) -> list[Row]:
        """All rows; for those that fit in memory."""
        result = self._execute(sql, params)
        return self._as_dicts(result, result.fetchall())

    def tuples(self, sql: str, **params: Any) -> Sequence[Sequence[Any]]:
        """All rows as plain tuples, quicker for very many of them; the values are the driver's own."""
        return self._execute(sql, params).fetchall()

    def columns(self, sql: str, **params: Any) -> list[list[Any]]:
        """All rows as a list for each column: three times as quick for hundreds of thousands of rows.

        A few rows at a time, fewer than Python's garbage collector waits for before it looks through all tuples.
        """
        with self._in_binary():
            result = self._execute(sql, params)
        names = list(result.keys())
        found: list[list[Any]] = [[] for _ in names]
        cursor = result.cursor
        assert cursor is not None  # noqa: S101 (for queries that give rows)
        while rows := cursor.fetchmany(500):
            for column, values in zip(found, zip(*rows, strict=True), strict=True):
                column.extend(values)
        result.close()
        return found

    @contextmanager
    def _in_binary(self) -> Iterator[None]:
        """PostgreSQL's answers come as they are, not as text: a third of the time for vectors."""
        if not self.is_postgresql:
            yield
            return
        driver = self._connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)  # noqa: S101 (as the URL says)
        plain, driver.cursor_factory = driver.cursor_factory, _BinaryCursor
        try:
            yield
        finally:
            driver.cursor_factory = plain

    def scalar(self, sql: str, **params: Any) -> Any:
        """The first column of the first row, or None."""
        return self._execute(sql, params).scalar()

    def now_ms(self) -> int:
        """Milliseconds UTC by the clock that all who share the database have in common."""
        if self.is_postgresql:
            return int(self.scalar("SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"))
        return time.time_ns() // 1_000_000

    def _execute(self, sql: str, params: Row) -> CursorResult[Any]:
        lists = tuple(sorted(name for name, value in params.items() if isinstance(value, list | tuple)))
        return self._executed(_statement(sql, lists), params)

    def _executed(self, statement: TextClause, params: Row | list[dict[str, Any]]) -> CursorResult[Any]:
        try:
            return self._connection.execute(statement, params)
        except UnicodeEncodeError as error:
            raise InvalidInput(NO_TEXT) from error
        except sql_errors.DataError as error:
            if "NUL" in str(error.orig):  # SQLite takes it
                raise InvalidInput(NO_TEXT) from error
            raise

    def _as_dicts(self, result: CursorResult[Any], rows: Sequence[Any]) -> list[Row]:
        names = list(result.keys())
        dicts: list[Row] = [dict(zip(names, row, strict=True)) for row in rows]
        booleans = [] if self.is_postgresql else [name for name in names if name in BOOLEANS]
        if not booleans:
            return dicts
        # SQLite has no booleans of its own: it hands out 0 and 1.
        return [{**d, **{name: bool(d[name]) for name in booleans}} for d in dicts]


class Database:
    """The database behind a URL, SQLite or PostgreSQL. Connects when first used; threads may share it."""

    def __init__(self, url: str) -> None:
        self.url = _understood(url)
        self.is_postgresql = self.url.get_backend_name() == "postgresql"
        self.name = self.url.render_as_string(hide_password=True) if self.is_postgresql else str(self.url.database)
        self._engine = _postgresql(self.url) if self.is_postgresql else _sqlite(self.url)

    def __enter__(self) -> Database:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections that wait for their next use."""
        self._engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A transaction that sees one moment and can change nothing."""
        options: dict[str, Any] = {"sqlite_begin": ("PRAGMA query_only = ON", "BEGIN")}
        if self.is_postgresql:
            options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with self._explained(), self._engine.connect().execution_options(**options) as connection:
            yield Transaction(connection, self)

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A transaction that is kept as a whole when the block ends, or not at all when it raises.

        On SQLite only one is open at a time; the others wait.
        """
        with self._explained(), self._writing() as connection:
            yield Transaction(connection, self)

    def size_bytes(self) -> int:
        """What the database takes on disk."""
        if self.is_postgresql:
            with self.read() as tx:
                return int(tx.scalar("SELECT pg_database_size(current_database())"))
        file = Path(self.name)
        return sum(one.stat().st_size for one in file.parent.glob(f"{file.stem}*{file.suffix}*") if one.is_file())

    def outdated(self) -> str | None:
        """The version of the tables, where migrate() would change those that are there."""
        scripts = ScriptDirectory(str(MIGRATIONS))
        with self._explained(), self._engine.connect() as connection:
            heads = MigrationContext.configure(connection).get_current_heads()
        older = {script.revision for script in scripts.walk_revisions()} - {scripts.get_current_head()}
        return next((head for head in heads if head in older), None)

    def migrate(self) -> None:
        """Bring the tables up to what this version needs; raises DatabaseProblem where that is impossible."""
        if not self.is_postgresql:
            self._make_folder()
        try:
            with self._explained(), self._writing() as connection:
                if self.is_postgresql:
                    # Several machines may start at the same moment.
                    connection.execute(sql_text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
                self._upgrade(connection)
        except sql_errors.DBAPIError as error:
            raise self._problem(error) from error

    def _upgrade(self, connection: Connection) -> None:
        scripts = ScriptDirectory(str(MIGRATIONS))
        context = MigrationContext.configure(connection)
        known = {script.revision for script in scripts.walk_revisions()}
        unknown = set(context.get_current_heads()) - known
        if unknown:
            raise DatabaseTooNew(
                f"{self.name}: was last used by a newer Nomarr (its tables are at {min(unknown)}, this one "
                f"knows up to {scripts.get_current_head()}); start that version or a newer one"
            )
        context = MigrationContext.configure(
            connection, opts={"fn": lambda revision, _: scripts._upgrade_revs("head", revision)}
        )
        with Operations.context(context):
            context.run_migrations()

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        options = {} if self.is_postgresql else {"sqlite_begin": ("PRAGMA query_only = OFF", "BEGIN IMMEDIATE")}
        with self._engine.connect().execution_options(**options) as connection, connection.begin():
            yield connection

    def _make_folder(self) -> None:
        folder = Path(self.name).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DatabaseProblem(f"{folder}: cannot make the folder of the database: {error.strerror}") from error

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what is wrong with the database itself into a sentence; mistakes in SQL stay as they are."""
        try:
            yield
        except (sql_errors.OperationalError, sql_errors.InterfaceError, sql_errors.TimeoutError) as error:
            raise self._problem(error) from error
        except sql_errors.DatabaseError as error:
            if type(error) is sql_errors.DatabaseError:  # how SQLite says that a file is not a database
                raise self._problem(error) from error
            raise

    def _problem(self, error: sql_errors.SQLAlchemyError) -> DatabaseProblem:
        lines = str(getattr(error, "orig", None) or error).strip().splitlines() or ["no reason given"]
        return DatabaseProblem(f"{self.name}: the database cannot be used: {lines[0]}")


def patches_beside(file: Path) -> Path:
    """Where the patch embeddings of an SQLite database lie."""
    return file.with_name(f"{file.stem}-patches{file.suffix}")


@lru_cache(maxsize=512)
def _statement(sql: str, lists: tuple[str, ...]) -> TextClause:
    return sql_text(sql).bindparams(*(bindparam(name, expanding=True) for name in lists))


def _understood(url: str) -> URL:
    try:
        understood = make_url(url.replace("postgres://", "postgresql://", 1))
    except sql_errors.ArgumentError as error:
        raise DatabaseProblem("the database URL is not of the form sqlite:///file or postgresql://...") from error
    match understood.get_backend_name():
        case "postgresql":
            return understood.set(drivername="postgresql+psycopg")
        case "sqlite" if understood.database not in (None, "", ":memory:"):
            return understood.set(drivername="sqlite+pysqlite")
        case "sqlite":
            raise DatabaseProblem("an SQLite database needs a file: sqlite:////folder/nomarr.db")
        case other:
            raise DatabaseProblem(f"{other} is not a database that Nomarr knows; use sqlite or postgresql")


def _postgresql(url: URL) -> Engine:
    return create_engine(url, pool_size=4, max_overflow=40, pool_pre_ping=True, connect_args={"connect_timeout": 10})


def _sqlite(url: URL) -> Engine:
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise DatabaseProblem(f"SQLite {sqlite3.sqlite_version} is too old; Nomarr needs 3.35 or newer")
    engine = create_engine(url, pool_size=4, max_overflow=40, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000})
    patches = patches_beside(Path(str(url.database)))

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # BEGIN is said below, not guessed by the driver
        connection.execute("ATTACH DATABASE ? AS patches", (str(patches),))
        for schema in ("main", "patches"):
            _patiently(connection, f"PRAGMA {schema}.journal_mode = WAL")
            connection.execute(f"PRAGMA {schema}.synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        for statement in connection.get_execution_options().get("sqlite_begin", ("BEGIN",)):
            connection.exec_driver_sql(statement)

    return engine


def _patiently(connection: sqlite3.Connection, sql: str) -> None:
    """Run what SQLite refuses at once, whatever its timeout, while another process makes the same file."""
    deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            connection.execute(sql)
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(0.05)
