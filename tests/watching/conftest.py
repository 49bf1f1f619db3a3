"""A library of short real songs on both databases, and what a worker would do to them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nomarr.settings import Settings
from nomarr.store import announcements, libraries
from nomarr.store.announcements import Place
from nomarr.store.database import Database
from nomarr.store.libraries import Library
from nomarr.watching.announced import scan_announced


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "music"
    folder.mkdir()
    return folder


@pytest.fixture
def settings(tmp_path: Path, small_models: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", models_dir=small_models, arrival_quiet_s=0, watch_poll_s=1)


@pytest.fixture
def library(db: Database, root: Path) -> Library:
    with db.write() as tx:
        return libraries.create(tx, name="Music", root_path=root, now=tx.now_ms())


@pytest.fixture
def song(root: Path, tracks: dict[str, Path]) -> Callable[..., Path]:
    def put(name: str, ending: str = "flac") -> Path:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copyfile(tracks[ending], path))

    return put


Song = Callable[..., Path]


def announced(db: Database) -> set[str]:
    with db.read() as tx:
        return {row["path"] for row in tx.all("SELECT path FROM announcements")}


def announce(db: Database, *places: Place) -> None:
    with db.write() as tx:
        announcements.announce(tx, places, now=tx.now_ms(), quiet_ms=0)


def scan(db: Database, settings: Settings, *, looks: int = 2) -> None:
    """What the server does within seconds."""
    with db.read() as tx:
        now = tx.now_ms()
    for number in range(looks):
        scan_announced(db, settings, now=now + number * 4_000)


def names(db: Database, *, missing: bool = False) -> set[str]:
    with db.read() as tx:
        rows = tx.all("SELECT folder, name, missing_since FROM library_files")
    return {f"{r['folder']}/{r['name']}".lstrip("/") for r in rows if (r["missing_since"] is not None) is missing}


def wait_until(is_so: Callable[[], object], *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)
