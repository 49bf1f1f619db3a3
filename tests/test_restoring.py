"""What Nomarr wrote can be taken back, and then stays away until somebody asks for it."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import mutagen
import pytest

from ground import Ground, row
from nomarr.arrivals import DAY_MS, MOST_WRITES_A_DAY, QUARREL
from nomarr.moods.tags import tags_hash
from nomarr.restoring import Outcome, Restorer, remove_page, undo_page
from nomarr.scan import scan_library
from nomarr.store import claims, journal, libraries, queue, runs
from nomarr.store.claims import Scope
from nomarr.store.database import Database
from nomarr.store.libraries import Library
from nomarr.tagfiles.audiofile import read_tags, remove_tags, write_tags
from nomarr.tagfiles.payload import audio_hash
from nomarr.worker.loop import Worker


@pytest.fixture
def song(here: Ground, tracks: dict[str, Path]) -> Path:
    return here.add(tracks["flac"], "song.flac")


@pytest.fixture
def made(db: Database, here: Ground, song: Path) -> Library:
    """A library of one song with tags."""
    with db.write() as tx:
        made = libraries.create(tx, name="Music", root_path=here.music, now=tx.now_ms())
    scan_library(db, made)
    work(db, here, batch="first")
    assert read_tags(song)
    return made


def work(db: Database, here: Ground, *, batch: str = "") -> None:
    Worker(here.settings(), db, "worker 1", drain=True, batch=batch).run()


def undo(db: Database, here: Ground, **which: object) -> list[Outcome]:
    return undo_page(Restorer(db, here.settings(), "undoing"), limit=100, **which).outcomes


def undoable(db: Database) -> list[journal.Entry]:
    with db.read() as tx:
        return journal.recent(tx, limit=100, standing_only=True)


def test_undo_gives_a_file_back_as_it_was(db: Database, here: Ground, made: Library, song: Path, tracks) -> None:
    assert [one.status for one in undo(db, here, batch="first")] == ["restored"]
    assert read_tags(song) == {}
    assert audio_hash(song) == audio_hash(tracks["flac"])
    assert undo(db, here, batch="first") == []
    assert undoable(db) == []


def test_undo_brings_older_values_of_ours_back(db: Database, here: Ground, tracks: dict[str, Path]) -> None:
    song = here.add(tracks["mp3"], "song.mp3")
    write_tags(song, {"mood_happy": ["0.1234"], "from": ["another installation"]})
    with db.write() as tx:
        made = libraries.create(tx, name="Music", root_path=here.music, now=tx.now_ms())
    scan_library(db, made)
    work(db, here)
    assert "from" not in read_tags(song)
    undo(db, here, scopes=[Scope(made.id)])
    assert read_tags(song) == {"mood_happy": ("0.1234",), "from": ("another installation",)}


def test_no_scan_or_worker_writes_again_after_an_undo(db: Database, here: Ground, made: Library, song: Path) -> None:
    undo(db, here, scopes=[Scope(made.id)])
    file = row(db, made)
    assert (file.size, file.mtime_ns) == (song.stat().st_size, song.stat().st_mtime_ns)
    state = song.stat()
    for force in (False, True):  # listened to again: the results stay in the database
        scan_library(db, made, force=force)
        work(db, here)
    with db.write() as tx:
        queue.request_write(tx, [file.id], now=tx.now_ms())
    work(db, here)
    assert song.stat().st_mtime_ns == state.st_mtime_ns
    assert read_tags(song) == {}
    with db.write() as tx:
        runs.take_up_again(tx, [Scope(made.id)], now=tx.now_ms())  # as `nomarr tag` does
    work(db, here)
    assert read_tags(song)


def test_a_file_that_another_program_changed_is_refused(db: Database, here: Ground, made: Library, song: Path) -> None:
    audio = mutagen.File(song)
    audio["TITLE"] = "Another title"
    audio.save()
    assert undo(db, here, batch="first")[0].why == "another program changed the file since"
    assert read_tags(song)
    scan_library(db, made)
    assert undo(db, here, batch="first")[0].status == "refused"  # a scan that saw it changes nothing
    assert undo(db, here, batch="first", even_if_changed=True)[0].status == "restored"
    assert read_tags(song) == {}
    assert mutagen.File(song)["TITLE"] == ["Another title"]


def test_a_file_with_other_tags_of_ours_is_refused(db: Database, here: Ground, made: Library, song: Path) -> None:
    write_tags(song, {"mood_happy": ["0.5555"]}, mtime_policy="keep")
    (outcome,) = undo(db, here, batch="first")
    assert outcome.status == "refused"
    assert outcome.why is not None
    assert "something else changed them" in outcome.why
    assert read_tags(song) == {"mood_happy": ("0.5555",)}


def test_writes_are_undone_newest_first(db: Database, here: Ground, made: Library, song: Path) -> None:
    first = read_tags(song)
    file = row(db, made)
    with db.write() as tx:
        queue.request_write(tx, [file.id], now=tx.now_ms())
    worker = Worker(here.settings(file_write_mode="moods"), db, "worker 2", drain=True, batch="second")
    worker.run()
    assert set(read_tags(song)) < set(first)
    (refused,) = undo(db, here, batch="first")
    assert refused.why == "its tags were changed again since, by second"
    assert [one.status for one in undo(db, here, batch="second")] == ["restored"]
    assert read_tags(song) == first
    assert [one.status for one in undo(db, here, batch="first")] == ["restored"]
    assert read_tags(song) == {}


def test_a_whole_library_is_undone_over_several_writes(db: Database, here: Ground, made: Library, song: Path) -> None:
    with db.write() as tx:
        queue.request_write(tx, [row(db, made).id], now=tx.now_ms())
    Worker(here.settings(file_write_mode="moods"), db, "worker 2", drain=True).run()
    assert [one.status for one in undo(db, here, scopes=[Scope(made.id)])] == ["restored", "restored"]
    assert read_tags(song) == {}


def test_undo_follows_a_file_that_was_renamed(db: Database, here: Ground, made: Library, song: Path) -> None:
    moved = song.rename(song.with_name("moved.flac"))
    scan_library(db, made)
    assert undo(db, here, batch="first")[0] == Outcome(str(moved), "restored")
    assert read_tags(moved) == {}


def test_a_vanished_file_is_said_to_be_so(db: Database, here: Ground, made: Library, song: Path) -> None:
    song.unlink()
    assert undo(db, here, batch="first")[0] == Outcome(str(song), "failed", "there is no such file")


def test_a_file_in_a_workers_hands_is_refused(db: Database, here: Ground, made: Library, song: Path) -> None:
    with db.write() as tx:
        queue.request_write(tx, [row(db, made).id], now=tx.now_ms())
        assert claims.claim_next(tx, worker="w", now=tx.now_ms(), lease_ms=60_000)
    assert undo(db, here, batch="first")[0].status == "refused"
    assert not row(db, made).hands_off
    assert read_tags(song)


def test_a_write_that_was_cut_short_by_a_crash_can_be_undone(
    db: Database, here: Ground, made: Library, song: Path
) -> None:
    with db.write() as tx:
        tx.run("UPDATE journal SET size = NULL, mtime_ns = NULL, audio_hash = NULL")
    assert [one.status for one in undo(db, here, batch="first")] == ["restored"]
    assert read_tags(song) == {}


def test_a_write_that_never_happened_needs_no_undo(db: Database, here: Ground, made: Library, song: Path) -> None:
    state, ours = song.stat(), read_tags(song)
    with db.write() as tx:
        about = {"file_id": row(db, made).id, "path": str(song), "batch": "crashed", "action": "write"}
        journal.add(tx, **about, before={k: list(v) for k, v in ours.items()}, after_hash=tags_hash({}), at=tx.now_ms())
    assert [one.status for one in undo(db, here, batch="crashed")] == ["unchanged"]
    assert song.stat().st_mtime_ns == state.st_mtime_ns
    assert [one.status for one in undo(db, here, batch="first")] == ["restored"]


def test_a_failed_undo_changes_nothing(db: Database, here: Ground, made: Library, song: Path, monkeypatch) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise OSError(28, "no space")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fail)
        (outcome,) = undo(db, here, batch="first")
    assert (outcome.status, outcome.why) == ("failed", "no space left on the device")
    assert read_tags(song)
    assert not row(db, made).hands_off
    assert [entry.batch for entry in undoable(db)] == ["first"]
    assert [one.status for one in undo(db, here, batch="first")] == ["restored"]


def test_removal_leaves_nothing_in_any_container(
    db: Database, here: Ground, made: Library, tracks: dict[str, Path]
) -> None:
    for ending, track in tracks.items():
        here.add(track, f"Album/{ending}.{ending}")
    scan_library(db, made)
    work(db, here)
    album = sorted((here.music / "Album").iterdir())
    sounds = {path: audio_hash(path) for path in album}
    assert all(read_tags(path) for path in album)
    page = remove_page(Restorer(db, here.settings(), "removing"), [Scope(made.id, "Album")], limit=100)
    assert [one.status for one in page.outcomes] == ["removed"] * len(tracks)
    for path in album:
        assert read_tags(path) == {}
        assert b"nom:" not in path.read_bytes()
        assert audio_hash(path) == sounds[path]
    assert read_tags(here.music / "song.flac")
    assert {one.status for one in undo(db, here, batch="removing")} == {"restored"}
    assert all(read_tags(path) for path in album)


def test_long_work_goes_page_by_page(db: Database, here: Ground, made: Library, tracks: dict[str, Path]) -> None:
    for number in range(4):
        here.add(tracks["mp3"], f"{number}.mp3")
    scan_library(db, made)
    work(db, here)
    restorer, seen, after = Restorer(db, here.settings(), "removing"), 0, 0
    for _ in range(10):
        page = remove_page(restorer, [Scope(made.id)], limit=2, after=after)
        seen += len(page.outcomes)
        if page.next is None:
            break
        after = page.next
    assert seen == 5


def test_our_own_write_is_no_change_for_a_scan(db: Database, made: Library) -> None:
    assert scan_library(db, made).unchanged == 1


def test_stripped_tags_come_back_but_not_for_ever(db: Database, here: Ground, made: Library, song: Path) -> None:
    tagged = read_tags(song)
    for _ in range(MOST_WRITES_A_DAY - 1):
        remove_tags(song)
        scan_library(db, made)
        work(db, here)
        assert read_tags(song) == tagged
        assert scan_library(db, made).unchanged == 1
        work(db, here)
    remove_tags(song)
    for _ in range(2):  # the third time within a day: enough
        scan_library(db, made)
        work(db, here)
        assert read_tags(song) == {}
    file = row(db, made)
    assert file.write_error == QUARREL
    assert file.not_before is not None
    assert file.not_before > time.time() * 1000 + DAY_MS / 2
    assert len(undoable(db)) == MOST_WRITES_A_DAY
    with db.write() as tx:
        runs.take_up_again(tx, [Scope(made.id)], now=tx.now_ms())
    work(db, here)
    assert read_tags(song) == tagged


def test_a_day_later_stripped_tags_are_tried_again(db: Database, here: Ground, made: Library, song: Path) -> None:
    with db.write() as tx:
        tx.run("UPDATE journal SET at = at - :day", day=DAY_MS)
    for _ in range(MOST_WRITES_A_DAY):
        remove_tags(song)
        scan_library(db, made)
        work(db, here)
        assert read_tags(song)


def test_what_the_journal_keeps_is_small(db: Database, here: Ground, made: Library, song: Path) -> None:
    (entry,) = undoable(db)
    assert entry.before == {}
    assert entry.after_hash == tags_hash(read_tags(song))
    assert (entry.size, entry.mtime_ns) == (song.stat().st_size, song.stat().st_mtime_ns)


def test_a_refused_write_leaves_no_entry(db: Database, here: Ground, made: Library, tracks, monkeypatch) -> None:
    path = Path(shutil.copy(tracks["mp3"], here.music / "other.mp3"))
    scan_library(db, made)

    def fail(*_arguments: object) -> None:
        raise OSError(5, "broken")

    with monkeypatch.context() as patched:
        patched.setattr("nomarr.tagfiles.safewrite.exchange", fail)
        work(db, here)
    assert read_tags(path) == {}
    assert [Path(entry.path).name for entry in undoable(db)] == ["song.flac"]
