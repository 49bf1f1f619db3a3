"""Whole scans from time to time."""

from __future__ import annotations

from pathlib import Path

import pytest

from nomarr.scan import scan_library
from nomarr.settings import Settings
from nomarr.store import libraries, scans
from nomarr.store.database import Database
from nomarr.store.libraries import Library
from nomarr.watching.schedule import HOUR_MS, RETRY_MS, Schedule, next_scan_at

from .conftest import Song, names


def reload(db: Database, library: Library) -> Library:
    with db.read() as tx:
        return libraries.get(tx, library.id)


def test_a_library_is_scanned_when_its_time_has_come_and_then_not_for_a_day(
    db: Database, settings: Settings, library: Library, song: Song
) -> None:
    song("a/1.flac")
    created = library.created_at
    schedule = Schedule(db, settings)
    assert schedule.scan_due(now=created + 23 * HOUR_MS) == []
    assert schedule.scan_due(now=created + 27 * HOUR_MS) == ["Music"]
    assert names(db) == {"a/1.flac"}
    whole = reload(db, library).whole_scan_at
    assert whole is not None
    after_a_restart = Schedule(db, settings)
    assert after_a_restart.scan_due(now=whole + 23 * HOUR_MS) == []
    assert after_a_restart.scan_due(now=whole + 27 * HOUR_MS) == ["Music"]


def test_a_whole_scan_by_hand_counts_and_a_part_does_not(
    db: Database, library: Library, song: Song, root: Path
) -> None:
    song("a/1.flac")
    scan_library(db, library, paths=[root / "a"])
    assert reload(db, library).whole_scan_at is None
    scan_library(db, library, clean_missing=False)
    assert reload(db, library).whole_scan_at is None
    scan_library(db, library)
    assert reload(db, library).whole_scan_at is not None


def test_libraries_do_not_all_begin_at_once(db: Database, library: Library) -> None:
    due = next_scan_at(library, 24)
    assert due == next_scan_at(library, 24)
    assert due is not None
    assert 24 * HOUR_MS <= due - library.created_at <= 24 * HOUR_MS * 1.1


def test_without_an_interval_there_is_no_scan(db: Database, settings: Settings, library: Library, song: Song) -> None:
    song("a/1.flac")
    off = settings.model_copy(update={"scan_interval_h": 0})
    assert Schedule(db, off).scan_due(now=library.created_at + 10_000 * HOUR_MS) == []


def test_a_library_that_is_being_scanned_is_left_alone(
    db: Database, settings: Settings, library: Library, song: Song
) -> None:
    song("a/1.flac")
    now = library.created_at + 30 * HOUR_MS
    with db.write() as tx:
        scans.begin(tx, library.id, owner="somebody", now=now)
    assert Schedule(db, settings).scan_due(now=now) == []
    assert names(db) == set()


def test_a_lost_disk_is_tried_again_later(
    db: Database, settings: Settings, library: Library, song: Song, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    song("a/1.flac")
    scan_library(db, library)
    root.rename(root.with_name("away"))
    root.mkdir()
    schedule, now = Schedule(db, settings), library.created_at + 48 * HOUR_MS
    assert schedule.scan_due(now=now) == []
    assert "is the disk mounted?" in caplog.text
    assert names(db) == {"a/1.flac"}
    root.rmdir()
    root.with_name("away").rename(root)
    assert schedule.scan_due(now=now + 1) == []
    assert schedule.scan_due(now=now + RETRY_MS) == ["Music"]


def test_a_cancelled_scan_is_not_begun_again_at_once(
    db: Database, settings: Settings, library: Library, song: Song
) -> None:
    song("a/1.flac")
    now = library.created_at + 48 * HOUR_MS

    def cancel(_found: int, _folder: str) -> None:
        with db.write() as tx:
            scans.cancel(tx, library.id, now=tx.now_ms())

    schedule = Schedule(db, settings)
    assert schedule.scan_due(now=now, progress=cancel) == []
    assert schedule.scan_due(now=now + 23 * HOUR_MS) == []
    assert schedule.scan_due(now=now + 25 * HOUR_MS) == ["Music"]
