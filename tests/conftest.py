"""Fixtures that several rooms' tests share: real databases, SQLite and PostgreSQL."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from ground import TRACKS, Ground, tone
from models import make_models_dir
from nomarr.store.database import Database
from nomarr.store.schema import metadata

DATABASES = ("sqlite", "postgresql")
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The folder of the socket of a PostgreSQL server of our own, with a migrated database `nomarr`."""
    initdb, postgres = _binary("initdb"), _binary("postgres")
    if initdb is None or postgres is None:
        if os.environ.get("CI"):
            pytest.fail("CI must have PostgreSQL's server programs")
        pytest.skip("PostgreSQL's server programs are not installed")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # short, for a socket's path ends at 107 bytes
    user = _unprivileged_user()
    as_user = {} if user is None else {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}
    if user is not None:
        shutil.chown(folder, user)
    data = folder / "data"
    try:
        subprocess.run(
            [initdb, "-D", data, "-A", "trust", "-U", "nomarr", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"],
            check=True,
            capture_output=True,
            cwd=folder,
            **as_user,
        )
        quick = ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=32MB"]
        options = ["listen_addresses=", f"unix_socket_directories={folder}", "max_connections=60", *quick]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [postgres, "-D", data, *(part for option in options for part in ("-c", option))],
                stdout=log,
                stderr=log,
                cwd=folder,
                **as_user,
            )
        try:
            _wait_until_ready(folder, server)
            with Database(_url(folder, "nomarr")) as database:
                database.migrate()
            yield str(folder)
        finally:
            server.send_signal(signal.SIGINT)  # end without waiting for connections
            server.wait(timeout=30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=DATABASES)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without tables, on each of the systems that Nomarr runs on."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'database' / 'nomarr.db'}"
    else:
        server = Path(request.getfixturevalue("postgresql_server"))
        name = f"empty_{next(_numbers)}"
        _administer(server, f"CREATE DATABASE {name}")
        yield _url(server, name)
        _administer(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=DATABASES)
def db_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a migrated database, on each of the systems that Nomarr runs on."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'database' / 'nomarr.db'}"
        with Database(url) as database:
            database.migrate()
        yield url
    else:
        server = Path(request.getfixturevalue("postgresql_server"))
        yield _url(server, "nomarr")
        # Far quicker than a database for each test.
        _administer(server, *(f"DELETE FROM {t.fullname}" for t in reversed(metadata.sorted_tables)), database="nomarr")


@pytest.fixture
def db(db_url: str) -> Iterator[Database]:
    with Database(db_url) as database:
        yield database


def _url(socket_folder: Path, name: str) -> str:
    return f"postgresql://nomarr@/{name}?host={socket_folder}"


def _administer(socket_folder: Path, *statements: str, database: str = "postgres") -> None:
    address = f"host={socket_folder} user=nomarr dbname={database}"
    with psycopg.connect(address, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def _wait_until_ready(folder: Path, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            _administer(folder, "CREATE DATABASE nomarr")
            return
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"PostgreSQL did not start: {(folder / 'log').read_text()}")
        time.sleep(0.1)


def _binary(name: str) -> str | None:
    on_path = shutil.which(name)
    if on_path:
        return on_path
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(found[-1]) if found else None


def _unprivileged_user() -> str | None:
    """Whom to start the server as; it refuses to run as root."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in known)


@pytest.fixture(scope="session")
def small_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder that is quick to run and always the same."""
    return make_models_dir(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def tracks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A short track in every container that can carry tags, by ending."""
    folder = tmp_path_factory.mktemp("tracks")
    return {
        ending: tone(folder / f"track.{ending}", seconds=4, hertz=300 + 50 * number)
        for number, ending in enumerate(TRACKS)
    }


@pytest.fixture(scope="session")
def long_track(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty minutes, which keep a worker busy for a moment."""
    return tone(tmp_path_factory.mktemp("long") / "long.flac", seconds=1200)


@pytest.fixture
def here(tmp_path: Path, small_models: Path, db_url: str) -> Ground:
    """Nomarr with each kind of database, and an empty folder for music."""
    (tmp_path / "music").mkdir()
    return Ground(tmp_path, small_models, db_url)


@pytest.fixture
def ground(tmp_path: Path, small_models: Path) -> Ground:
    """Nomarr with an embedded database of its own."""
    return Ground(tmp_path, small_models)
