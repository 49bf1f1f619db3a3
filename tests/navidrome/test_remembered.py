from __future__ import annotations

import numpy as np
import pytest

from nomarr.store import files, libraries, scans
from nomarr.store.database import Database
from nomarr.store.playlists import FileQuery
from nomarr.store.remembered import REMEMBERED, Remembered

from .world import NOW, Track, add_library

TRACKS = (Track(year=1990, tags={"genre": ("Jazz",)}), Track(year=2000), Track(year=2010))


def count(db: Database, remembered: Remembered, operator: str, value: int, column: str = "year") -> int:
    with db.read() as tx:
        query = FileQuery(tx, remembered=remembered)
        return len(np.intersect1d(query.everything(), query.ids(query.column(column, operator, value))))


def scan(db: Database, *, now: int) -> None:
    """A scan that finds the first file of each library gone."""
    with db.write() as tx:
        for library in libraries.list_all(tx):
            scans.begin(tx, library.id, owner="scan", now=now)
            first = tx.scalar("SELECT MIN(id) FROM library_files WHERE missing_since IS NULL")
            files.mark_missing(tx, [first], now)
            scans.end(tx, library.id, owner="scan", now=now + 1)


def test_what_was_found_is_asked_again_after_a_scan(db: Database) -> None:
    add_library(db, TRACKS)
    remembered = Remembered()
    assert [count(db, remembered, "gt", year) for year in (0, 1995, 0, 1995)] == [3, 2, 3, 2]
    scan(db, now=NOW)
    assert [count(db, remembered, "gt", year) for year in (0, 1995)] == [2, 2]
    scan(db, now=NOW + 10)
    assert [count(db, remembered, "gt", year) for year in (0, 1995)] == [1, 1]


def test_what_was_found_is_asked_again_when_libraries_come_and_go(db: Database) -> None:
    add_library(db, TRACKS)
    remembered = Remembered()
    assert count(db, remembered, "gt", 0) == 3
    add_library(db, TRACKS, "More")
    assert count(db, remembered, "gt", 0) == 6
    with db.write() as tx:
        one, other = libraries.list_all(tx)
        libraries.update(tx, one.id, now=NOW, is_enabled=False)  # within the same millisecond
    assert count(db, remembered, "gt", 0) == 3
    with db.write() as tx:
        libraries.delete(tx, other.id)
    assert count(db, remembered, "gt", 0) == 0


def test_nothing_is_remembered_while_a_scan_runs(db: Database) -> None:
    ids = list(add_library(db, TRACKS))
    remembered = Remembered()
    with db.write() as tx:
        library = libraries.list_all(tx)[0]
        scans.begin(tx, library.id, owner="scan", now=NOW)
    for left in (3, 2, 1):
        assert count(db, remembered, "gt", 0) == left
        with db.write() as tx:
            files.mark_missing(tx, [ids.pop()], NOW)


def test_what_workers_change_is_asked_again_after_their_work(db: Database) -> None:
    ids = list(add_library(db, TRACKS))
    remembered = Remembered()
    assert count(db, remembered, "gt", 1000, "size") == 2
    with db.read() as tx:
        assert len(FileQuery(tx, remembered=remembered).written()) == 0
    with db.write() as tx:
        tx.run(
            """
            UPDATE library_files
               SET size = 9, written_hash = 'h', needs_write = TRUE, updated_at = :now
             WHERE id = :id
            """,
            now=NOW + 5,
            id=ids[-1],
        )
    assert count(db, remembered, "gt", 1000, "size") == 1
    with db.read() as tx:
        query = FileQuery(tx, remembered=remembered)
        assert query.written().tolist() == query.to_write().tolist() == [ids[-1]]


def test_the_values_of_tags_are_remembered_until_libraries_change(db: Database) -> None:
    add_library(db, TRACKS)
    remembered = Remembered()

    def genres() -> list[str]:
        with db.read() as tx:
            return sorted(FileQuery(tx, remembered=remembered).tag_values(["genre"]))

    assert genres() == genres() == ["Jazz"]
    add_library(db, [Track(tags={"genre": ("Soul",)})], "More")
    assert genres() == ["Jazz", "Soul"]


def test_what_is_remembered_is_bounded_and_the_oldest_goes_first() -> None:
    remembered = Remembered()
    asked: list[int] = []

    def ask(question: int, size: int = REMEMBERED // 3) -> None:
        def answer() -> int:
            asked.append(question)
            return question

        assert remembered.recall(question, answer, lambda _: size) == question

    for question in (1, 2, 3, 1, 4, 1, 3, 2):
        ask(question)
    assert asked == [1, 2, 3, 4, 2]
    ask(5, REMEMBERED + 1)
    ask(5, REMEMBERED + 1)
    ask(2)
    assert asked == [1, 2, 3, 4, 2, 5, 5]


def test_what_is_remembered_cannot_be_changed(db: Database) -> None:
    add_library(db, TRACKS)
    with db.read() as tx:
        ids = FileQuery(tx, remembered=Remembered()).ids("f.year > 0")
    with pytest.raises(ValueError, match="read-only"):
        ids[0] = 1
