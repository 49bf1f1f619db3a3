"""What a server counts beforehand, and what it leaves for the next."""

from __future__ import annotations

from pathlib import Path

import pytest

from heard import fill
from nomarr.settings import Settings
from nomarr.store import libraries, preferences, scans, tags
from nomarr.store.analytics import TagUse
from nomarr.store.database import Database
from nomarr.store.libraries import Library
from nomarr.store.matrix import ScoreMatrix
from nomarr.web.memory import OWN_TAGS, Memory, own_tags, warm


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


@pytest.fixture
def library(db: Database) -> Library:
    with db.write() as tx:
        made = libraries.create(tx, name="Main Library", root_path="/music", now=1)
    of_files = {file_id: {"genre": ("Jazz", "Soul")} for file_id in fill(db, made.id, 3)}
    with db.write() as tx:
        tags.add_file_tags(tx, of_files)
    return made


def counted(db: Database, library: Library, settings: Settings) -> list[TagUse]:
    """By a server that has just started."""
    with db.read() as tx:
        return own_tags(tx, [library.id], Memory(), settings)


def forget_tags(db: Database) -> None:
    with db.write() as tx:
        tx.run("DELETE FROM file_tags")


def test_own_tags_are_counted_once_for_all_servers_until_the_next_scan(
    db: Database, library: Library, settings: Settings
) -> None:
    warm(db, ScoreMatrix(), Memory(), settings)
    forget_tags(db)  # behind the servers' backs, to see which numbers are the kept ones
    assert counted(db, library, settings) == [TagUse("genre", 3, 2)]
    with db.write() as tx:
        scans.begin(tx, library.id, owner="me", now=tx.now_ms())
    assert counted(db, library, settings) == []


def test_nothing_is_counted_again_before_what_changes_has_come_to_rest(
    db: Database, library: Library, settings: Settings
) -> None:
    memory = Memory()
    warm(db, ScoreMatrix(), memory, settings)
    with db.write() as tx:
        scans.begin(tx, library.id, owner="me", now=tx.now_ms())
        tx.run("DELETE FROM file_tags")
        scans.end(tx, library.id, owner="me", now=tx.now_ms() + 1)
    for counts in (False, True):
        warm(db, ScoreMatrix(), memory, settings)
        with db.read() as tx:
            kept = preferences.get(tx, OWN_TAGS)
        assert (kept["tags"] == []) is counts


def test_nothing_is_kept_while_a_scan_changes_it(db: Database, library: Library, settings: Settings) -> None:
    with db.write() as tx:
        scans.begin(tx, library.id, owner="me", now=tx.now_ms())
    warm(db, ScoreMatrix(), Memory(), settings)
    forget_tags(db)
    assert counted(db, library, settings) == []


def test_what_was_kept_of_other_libraries_counts_for_none(db: Database, library: Library, settings: Settings) -> None:
    warm(db, ScoreMatrix(), Memory(), settings)
    with db.write() as tx:
        second = libraries.create(tx, name="Second", root_path="/more", now=2)
    assert counted(db, second, settings) == []
    assert counted(db, library, settings) == [TagUse("genre", 3, 2)]
