"""What is announced is scanned, that alone, and when it holds still."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest

from nomarr.errors import ScanCancelled
from nomarr.scan import scan_library
from nomarr.settings import Settings
from nomarr.store import announcements, leases, libraries, scans
from nomarr.store.announcements import Place
from nomarr.store.database import Database
from nomarr.store.libraries import SCAN_CANCELLED, Library
from nomarr.watching.announced import scan_announced
from nomarr.worker.loop import Worker

from .conftest import Song, announce, announced, names, scan


def scans_begun(db: Database) -> object:
    with db.read() as tx:
        return tx.scalar("SELECT scan_started_at FROM libraries")


def test_only_the_folder_that_was_announced_is_scanned(
    db: Database, settings: Settings, library: Library, song: Song
) -> None:
    song("a/1.flac")
    song("a/below/2.flac")
    song("b/3.flac")
    announce(db, Place(library.id, "a"))
    scan(db, settings)
    assert names(db) == {"a/1.flac"}
    announce(db, Place(library.id, "a", is_tree=True))
    scan(db, settings)
    assert names(db) == {"a/1.flac", "a/below/2.flac"}
    assert announced(db) == set()


def test_a_folder_that_is_as_it_was_needs_no_scan(
    db: Database, settings: Settings, library: Library, song: Song
) -> None:
    song("a/1.flac")
    scan_library(db, library)
    before = scans_begun(db)
    announce(db, Place(library.id, "a"))
    scan(db, settings)
    assert (announced(db), scans_begun(db)) == (set(), before)


def test_our_own_writing_is_no_change(db: Database, settings: Settings, library: Library, song: Song) -> None:
    song("a/1.flac")
    scan_library(db, library)
    Worker(settings, db, "w", drain=True).run()
    before = scans_begun(db)
    announce(db, Place(library.id, "a"))
    scan(db, settings)
    assert scans_begun(db) == before
    with db.read() as tx:
        assert tx.one("SELECT needs_tagging, needs_write FROM library_files") == {
            "needs_tagging": False,
            "needs_write": False,
        }


def test_a_folder_that_moved_keeps_the_analysis_of_its_files(
    db: Database, settings: Settings, library: Library, song: Song, root: Path
) -> None:
    song("old/1.flac")
    song("old/disc 2/2.mp3", "mp3")
    scan_library(db, library)
    Worker(settings, db, "w", drain=True).run()
    (root / "old").rename(root / "new")
    announce(db, Place(library.id, "old", is_tree=True), Place(library.id, "new", is_tree=True))
    scan(db, settings)
    assert names(db) == {"new/1.flac", "new/disc 2/2.mp3"}
    assert names(db, missing=True) == set()
    with db.read() as tx:
        assert tx.scalar("SELECT COUNT(*) FROM library_files WHERE needs_tagging") == 0


def test_a_folder_that_is_gone_is_missing_with_all_below(
    db: Database, settings: Settings, library: Library, song: Song, root: Path
) -> None:
    song("a/b/1.flac")
    song("a/b/c/2.flac")
    song("stays.flac")
    scan_library(db, library)
    shutil.rmtree(root / "a")
    announce(db, Place(library.id, "a", is_tree=True))
    scan(db, settings)
    assert names(db, missing=True) == {"a/b/1.flac", "a/b/c/2.flac"}


def test_a_file_that_is_gone_is_missing(
    db: Database, settings: Settings, library: Library, song: Song, root: Path
) -> None:
    song("1.flac").unlink()
    song("2.flac")
    song("1.flac")
    scan_library(db, library)
    (root / "1.flac").unlink()
    announce(db, Place(library.id, "1.flac", is_tree=True))
    scan(db, settings)
    assert (names(db), names(db, missing=True)) == ({"2.flac"}, {"1.flac"})


def test_a_folder_into_which_somebody_still_writes_is_waited_for(
    db: Database, settings: Settings, library: Library, song: Song
) -> None:
    path = song("a/1.flac")
    whole = path.read_bytes()
    path.write_bytes(whole[:5000])
    announce(db, Place(library.id, "a"))
    scan(db, settings, looks=1)
    path.write_bytes(whole)
    scan(db, settings, looks=2)
    assert names(db) == set()
    scan(db, settings, looks=4)
    assert names(db) == {"a/1.flac"}


def test_what_is_ignored_stays_so(db: Database, settings: Settings, library: Library, song: Song, root: Path) -> None:
    song("a/1.flac")
    song("samples/2.flac")
    song("b/3.flac")
    (root / "b/.nomarrignore").write_text("3.flac\n")
    ignoring = settings.model_copy(update={"library_ignore_patterns": ("samples/",)})
    announce(db, Place(library.id, "samples"), Place(library.id, "a"), Place(library.id, "b"))
    scan(db, ignoring)
    assert names(db) == {"a/1.flac"}
    assert announced(db) == set()


def test_nothing_is_reached_through_a_link(
    db: Database, settings: Settings, library: Library, song: Song, root: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    shutil.copy(song("a/1.flac"), outside / "2.flac")
    (root / "link").symlink_to(outside)
    announce(
        db,
        Place(library.id, "link"),
        Place(library.id, "link", is_tree=True),
        Place(library.id, "link/2.flac", is_promised=True),
        Place(library.id, "../outside/2.flac", is_promised=True),
    )
    scan(db, settings)
    assert (names(db), announced(db)) == (set(), set())


@pytest.mark.parametrize("how", ["empty", "gone"])
def test_a_disk_that_is_gone_is_waited_for(
    db: Database,
    settings: Settings,
    library: Library,
    song: Song,
    root: Path,
    how: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    song("a/1.flac")
    scan_library(db, library)
    root.rename(root.with_name("away"))
    if how == "empty":
        root.mkdir()
    announce(db, Place(library.id, "a", is_tree=True))
    scan(db, settings)
    assert (names(db), announced(db)) == ({"a/1.flac"}, {"a"})
    assert "what is new waits" in caplog.text
    if how == "empty":
        root.rmdir()
    root.with_name("away").rename(root)
    song("a/2.flac")
    scan(db, settings, looks=20)
    assert names(db) == {"a/1.flac", "a/2.flac"}


def test_a_disk_that_is_taken_out_during_a_scan_is_no_deletion(
    db: Database, settings: Settings, library: Library, song: Song, root: Path
) -> None:
    for number in range(3):
        song(f"{number}/1.flac")
    scan_library(db, library)

    def take_out(_found: int, folder: str) -> None:
        if folder == "0":
            root.rename(root.with_name("away"))
            root.mkdir()
            (root / "something").touch()

    announce(db, Place(library.id, "", is_tree=True))
    assert scan_announced(db, settings, progress=take_out) == 0
    assert len(names(db)) == 3
    with db.read() as tx:
        assert "was the disk taken out" in str(libraries.get(tx, library.id).scan_error)


def test_what_is_heard_of_again_during_its_scan_is_scanned_again(
    db: Database, settings: Settings, library: Library, song: Song
) -> None:
    song("a/1.flac")
    announce(db, Place(library.id, "a", is_tree=True))

    def add(_found: int, _folder: str) -> None:
        song("a/2.flac")
        with db.write() as tx:
            place = Place(library.id, "a", is_tree=True)
            announcements.announce(tx, [place], now=tx.now_ms() + 1, quiet_ms=0)

    scan_announced(db, settings, progress=add)
    assert announced(db) == {"a"}


def test_disabled_libraries_are_left_alone(db: Database, settings: Settings, library: Library, song: Song) -> None:
    song("a/1.flac")
    with db.write() as tx:
        libraries.update(tx, library.id, is_enabled=False, now=1)
    announce(db, Place(library.id, "a", is_tree=True))
    scan(db, settings)
    assert (names(db), announced(db)) == (set(), {"a"})


# cancelling


def test_a_cancelled_scan_ends_and_writes_nothing_more(db: Database, library: Library, song: Song) -> None:
    for number in range(6):
        song(f"{number}/1.flac")

    def cancel(_found: int, folder: str) -> None:
        if folder == "1":
            with db.write() as tx:
                scans.cancel(tx, library.id, now=tx.now_ms())

    with pytest.raises(ScanCancelled, match="The scan of library Music was cancelled"):
        scan_library(db, library, progress=cancel)
    assert names(db) == set()
    with db.read() as tx:
        now, after = tx.now_ms(), libraries.get(tx, library.id)
    assert (after.scan_status(now=now), after.scan_error, after.whole_scan_at) == ("cancelled", SCAN_CANCELLED, None)
    assert scan_library(db, library).new == 6
    with db.read() as tx:
        assert libraries.get(tx, library.id).scan_status(now=now) == "complete"


def test_what_a_cancelled_scan_was_to_look_at_is_dropped(
    db: Database, settings: Settings, library: Library, song: Song
) -> None:
    song("a/1.flac")

    def cancel(_found: int, _folder: str) -> None:
        with db.write() as tx:
            scans.cancel(tx, library.id, now=tx.now_ms())

    announce(db, Place(library.id, "a", is_tree=True))
    scan_announced(db, settings, progress=cancel)
    assert (names(db), announced(db)) == (set(), set())


# the books


def test_an_announcement_is_put_off_while_more_is_heard_but_not_for_ever(db: Database, library: Library) -> None:
    one, two = Place(library.id, "a/1.flac", is_promised=True), Place(library.id, "a/2.flac", is_promised=True)
    for now in range(0, 600_000, 7_000):
        with db.write() as tx:
            announcements.announce(tx, [one if now // 7_000 % 2 else two], now=now, quiet_ms=10_000)
        with db.read() as tx:
            due = announcements.due(tx, now=now)
        assert not due or now >= 300_000
    assert {place.path for place in due} == {"a/1.flac", "a/2.flac"}


def test_a_library_that_was_removed_meanwhile_is_no_matter(db: Database, library: Library) -> None:
    with db.write() as tx:
        libraries.delete(tx, library.id)
    announce(db, Place(library.id, "a"))
    assert announced(db) == set()


def test_many_announce_at_once(db: Database, library: Library) -> None:
    def tell(first: int) -> None:
        for number in range(20):
            places = [Place(library.id, f"a/{(first + n) % 10}.flac", is_promised=True) for n in range(5)]
            with db.write() as tx:
                announcements.announce(tx, places[:: -1 if number % 2 else 1], now=number, quiet_ms=10)

    threads = [threading.Thread(target=tell, args=(first,)) for first in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(announced(db)) == 10


def test_a_lease_is_one_owners_until_it_runs_out_or_is_given_up(db: Database) -> None:
    def take(owner: str, now: int) -> bool:
        with db.write() as tx:
            return leases.take(tx, "x", owner=owner, now=now, lease_ms=100)

    assert [take("a", 0), take("b", 50), take("a", 90), take("b", 150), take("b", 191), take("a", 200)] == [
        True,
        False,
        True,
        False,
        True,
        False,
    ]
    with db.write() as tx:
        leases.give_up(tx, "x", owner="a")
    assert not take("a", 201)
    with db.write() as tx:
        leases.give_up(tx, "x", owner="b")
    assert take("a", 202)


def test_a_file_that_can_be_read_again_is_noticed(
    db: Database, settings: Settings, library: Library, song: Song
) -> None:
    path = song("a/1.flac")
    scan_library(db, library)
    with db.write() as tx:
        tx.run("UPDATE library_files SET set_aside = TRUE, error = 'x', error_kind = 'no_access'")
    assert os.access(path, os.R_OK)
    announce(db, Place(library.id, "a"))
    scan(db, settings)
    with db.read() as tx:
        assert tx.scalar("SELECT COUNT(*) FROM library_files WHERE set_aside") == 0
