"""A library, and files in it, without any disk."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nomarr.store import claims, files, libraries
from nomarr.store.claims import ClaimedFile
from nomarr.store.database import Database
from nomarr.store.facts import Facts
from nomarr.store.files import NewFile
from nomarr.store.libraries import Library

NOW = 1_800_000_000_000
LEASE_MS = 60_000

AddFile = Callable[..., int]


@pytest.fixture
def library(db: Database) -> Library:
    with db.write() as tx:
        return libraries.create(tx, name="Music", root_path="/music", now=NOW)


@pytest.fixture
def add_file(db: Database, library: Library) -> AddFile:
    def add(name: str = "a.mp3", folder: str = "", **given: object) -> int:
        library_id = given.pop("library_id", library.id)
        facts = given.pop("facts", Facts(container="mp3", duration_s=100.0, artist="Nina", album="Blue"))
        new = NewFile(folder, name, size=1000, mtime_ns=5, facts=facts, **given)
        with db.write() as tx:
            file_id = files.insert(tx, library_id, new, now=NOW)
        assert file_id is not None
        return file_id

    return add


def claim(db: Database, worker: str = "w1", now: int = NOW, **given: object) -> ClaimedFile | None:
    with db.write() as tx:
        return claims.claim_next(tx, worker=worker, now=now, lease_ms=LEASE_MS, **given)


def finish(db: Database, file: ClaimedFile, *, now: int = NOW, needs_write: bool = False) -> None:
    with db.write() as tx:
        claims.finish(
            tx,
            file,
            now=now,
            suite="suite-1",
            patches=12,
            duration_s=99.5,
            audio_hash=f"hash of {file.name}",
            needs_write=needs_write,
        )


def row(db: Database, file_id: int) -> files.LibraryFile:
    with db.read() as tx:
        return files.get(tx, file_id)
