from __future__ import annotations

from nomarr.store import analytics, files, libraries, scans, tags
from nomarr.store.analytics import Share, TagUse
from nomarr.store.database import Database
from nomarr.store.facts import Facts
from nomarr.store.libraries import Library

from .conftest import NOW, AddFile


def test_own_tags_count_files_and_values(db: Database, library: Library, add_file: AddFile) -> None:
    with db.write() as tx:
        other = libraries.create(tx, name="Other", root_path="/other", now=NOW)
    ids = [add_file(f"{n}.mp3") for n in range(3)] + [add_file("x.mp3", library_id=other.id)]
    with db.write() as tx:
        for file_id in ids:
            tags.replace_file_tags(tx, file_id, {"genre": ("Jazz", f"Style {file_id}"), "bpm": ("120",)})
        both = analytics.own_tags(tx, [library.id, other.id])
        assert both == [TagUse("bpm", 4, 1), TagUse("genre", 4, 5)]
        assert analytics.own_tags(tx, [other.id]) == [TagUse("bpm", 1, 1), TagUse("genre", 1, 2)]
        files.mark_missing(tx, ids[:2], NOW)
        assert analytics.own_tags(tx, [library.id, other.id]) == [TagUse("bpm", 2, 1), TagUse("genre", 2, 3)]


def test_durations_are_counted_by_whole_minutes(db: Database, library: Library, add_file: AddFile) -> None:
    for number, seconds in enumerate((0.5, 59.9, 60.0, 150.0, 179.99, 3599.0, 3600.0, 9000.0, None)):
        add_file(f"{number}.mp3", facts=Facts("mp3", seconds))
    with db.read() as tx:
        found = analytics.overview(tx, [library.id], genres=5).durations
    assert found == [Share(0, 2), Share(1, 1), Share(2, 2), Share(59, 1), Share(60, 2), Share(None, 1)]


def test_a_scan_and_a_finished_file_change_the_state(db: Database, library: Library, add_file: AddFile) -> None:
    add_file()
    with db.write() as tx:
        before, work = analytics.scan_state(tx), analytics.work_state(tx)
        assert analytics.scan_state(tx) == before
        scans.begin(tx, library.id, owner="me", now=NOW + 1)
        during = analytics.scan_state(tx)
        scans.end(tx, library.id, owner="me", now=NOW + 2)
        assert len({before, during, analytics.scan_state(tx)}) == 3
        tx.run("UPDATE library_files SET updated_at = :now", now=NOW + 3)
        assert analytics.work_state(tx) != (*analytics.scan_state(tx), work[-1])
