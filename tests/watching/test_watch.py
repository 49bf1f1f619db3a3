"""Watches over real folders: whatever happens in them is announced."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nomarr.scan import scan_library
from nomarr.settings import Settings
from nomarr.store import libraries
from nomarr.store.database import Database
from nomarr.store.libraries import Library
from nomarr.watching import watch as watch_module
from nomarr.watching.keeper import Keeper
from nomarr.watching.watch import Watch

from .conftest import Song, announced, names, scan, wait_until

Begin = Callable[..., Watch]


@pytest.fixture
def begin(db: Database, settings: Settings, library: Library) -> Iterator[Begin]:
    """Start a watch, and wait until it looks."""
    started: list[Watch] = []

    def run(mode: str, **more: object) -> Watch:
        with db.write() as tx:
            watched = libraries.update(tx, library.id, watch_mode=mode, now=1)
        watch = Watch(db, settings.model_copy(update=more), watched)
        watch.start()
        started.append(watch)
        return watch

    yield run
    for watch in started:
        watch.stop()
        watch.join(10)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_module, "LOOK_MS", 200)
    monkeypatch.setattr(watch_module, "RETRY_S", 0.2)


@pytest.mark.parametrize("mode", ["events", "poll"])
def test_whatever_happens_in_a_watched_library_is_found(
    db: Database,
    settings: Settings,
    library: Library,
    song: Song,
    root: Path,
    begin: Begin,
    tmp_path: Path,
    impatient: None,
    mode: str,
) -> None:
    song("before/0.flac")
    begin(mode)
    wait_until(lambda: announced(db))
    scan(db, settings)
    assert names(db) == {"before/0.flac"}, "what came while nobody watched"

    song("new/deep/er/1.flac")
    wait_until(lambda: scan(db, settings) or len(names(db)) == 2)
    (root / "new").rename(root / "moved")
    wait_until(lambda: scan(db, settings) or names(db, missing=True) or "moved/deep/er/1.flac" in names(db))
    wait_until(lambda: scan(db, settings) or names(db) == {"before/0.flac", "moved/deep/er/1.flac"})
    whole = tmp_path / "whole"
    (whole / "disc").mkdir(parents=True)
    shutil.copy(root / "before/0.flac", whole / "disc/2.flac")
    whole.rename(root / "came at once")
    wait_until(lambda: scan(db, settings) or "came at once/disc/2.flac" in names(db))
    (root / "before/0.flac").unlink()
    wait_until(lambda: scan(db, settings) or "before/0.flac" in names(db, missing=True))


def test_what_is_nothing_to_us_is_not_announced(
    db: Database, settings: Settings, song: Song, root: Path, begin: Begin, impatient: None
) -> None:
    song("a/0.flac")
    begin("events")
    wait_until(lambda: announced(db))
    scan(db, settings)
    (root / "a/cover.jpg").write_bytes(b"x")
    (root / "a/.0.flac.123456789012345678901234.nomtmp").write_bytes(b"x")
    (root / ".hidden").mkdir()
    (root / ".hidden/1.flac").write_bytes(b"x")
    song("last/2.flac")
    wait_until(lambda: announced(db))
    assert announced(db) <= {"last"}


@pytest.mark.parametrize("mode", ["events", "poll"])
@pytest.mark.parametrize("how", ["gone", "empty"])
def test_a_disk_that_is_taken_out_is_told_and_waited_for(
    db: Database,
    settings: Settings,
    library: Library,
    song: Song,
    root: Path,
    begin: Begin,
    impatient: None,
    mode: str,
    how: str,
) -> None:
    song("a/0.flac")
    scan_library(db, library)
    watch = begin(mode)
    if mode == "events":
        wait_until(lambda: announced(db))
        scan(db, settings)
    root.rename(root.with_name("away"))
    if how == "empty":
        root.mkdir()
    wait_until(lambda: watch.problem)
    scan(db, settings)
    with db.read() as tx:
        assert "is the disk mounted?" in str(libraries.get(tx, library.id).watch_problem)
    assert names(db) == {"a/0.flac"}, "nothing was marked as missing"
    if how == "empty":
        root.rmdir()
    root.with_name("away").rename(root)
    song("a/1.flac")
    wait_until(lambda: scan(db, settings, looks=20) or names(db) == {"a/0.flac", "a/1.flac"})
    wait_until(lambda: watch.problem is None)
    with db.read() as tx:
        assert libraries.get(tx, library.id).watch_problem is None


def test_one_server_of_several_watches_and_another_takes_over(
    db: Database, settings: Settings, library: Library, song: Song, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nomarr.watching.keeper.RENEW_S", 0.4)
    song("a/0.flac")
    with db.write() as tx:
        libraries.update(tx, library.id, watch_mode="events", now=1)
    keepers = [Keeper(db, settings), Keeper(db, settings)]
    try:
        for keeper in keepers:
            keeper.start()
        wait_until(lambda: any(keeper.watches for keeper in keepers))
        wait_until(lambda: names(db) == {"a/0.flac"})
        first, second = sorted(keepers, key=lambda keeper: not keeper.is_at_work)
        assert (bool(first.watches), bool(second.watches)) == (True, False)
        first.stop()
        wait_until(lambda: second.watches)
        song("a/1.flac")
        wait_until(lambda: names(db) == {"a/0.flac", "a/1.flac"}, seconds=30)
        with db.write() as tx:
            libraries.update(tx, library.id, watch_mode="off", now=2)
        wait_until(lambda: not second.watches)
    finally:
        for keeper in keepers:
            keeper.stop()
