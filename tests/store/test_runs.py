"""What one run over some files sees and takes up again; runs are given by scopes, of which there may be several."""

from __future__ import annotations

import pytest

from nomarr.store import claims, files, libraries, queue, runs
from nomarr.store.claims import Scope
from nomarr.store.database import Database
from nomarr.store.libraries import Library
from nomarr.store.runs import LOW_PRIORITY, Remaining

from .conftest import LEASE_MS, NOW, AddFile, claim, finish, row

LATER = NOW + 1000


def analyse(db: Database, *ids: int, now: int = NOW, needs_write: bool = False) -> None:
    """Listen to just these files."""
    for file_id in ids:
        file = claim(db, now=now, scope=Scope(row(db, file_id).library_id, file_ids=(file_id,)))
        assert file is not None
        finish(db, file, now=now, needs_write=needs_write)


def write(db: Database, *ids: int, now: int = NOW) -> None:
    with db.write() as tx:
        queue.request_write(tx, ids, now=now)
    for file_id in ids:
        file = claim(db, now=now, scope=Scope(row(db, file_id).library_id, file_ids=(file_id,)))
        assert file is not None
        with db.write() as tx:
            claims.record_write(tx, file, now=now, size=1000, mtime_ns=5, written_hash="w", calibration="c")


def fail_to_write(db: Database, file_id: int, *, now: int = NOW) -> None:
    analyse(db, file_id, now=now, needs_write=True)
    file = claim(db, now=now, scope=Scope(row(db, file_id).library_id, file_ids=(file_id,)))
    assert file is not None
    with db.write() as tx:
        claims.record_write_failure(tx, file, now=now, error="read-only file system", retry_in_ms=3_600_000)


@pytest.fixture
def other(db: Database) -> Library:
    """A library that is switched off, as one that tagging a single file made."""
    with db.write() as tx:
        return libraries.create(tx, name="Other", root_path="/other", now=NOW, origin="tag", is_enabled=False)


# what is left


def test_without_a_scope_a_run_is_over_the_enabled_libraries(
    db: Database, library: Library, other: Library, add_file: AddFile
) -> None:
    add_file("1.mp3")
    add_file("2.mp3", library_id=other.id)
    with db.read() as tx:
        assert runs.remaining(tx, (), now=NOW).total == 1
        assert runs.remaining(tx, [Scope(other.id)], now=NOW).total == 1
        assert runs.remaining(tx, [Scope(library.id), Scope(other.id)], now=NOW).total == 2


def test_several_scopes_count_every_file_once(
    db: Database, library: Library, other: Library, add_file: AddFile
) -> None:
    one, two = add_file("1.mp3", "a"), add_file("2.mp3", "a/b")
    add_file("3.mp3", "a b")
    add_file("4.mp3", "c", library_id=other.id)
    five = add_file("5.mp3", "d", library_id=other.id)
    scopes = [
        Scope(library.id, folder="a"),
        Scope(library.id, file_ids=(one, two)),
        Scope(other.id, folder="d"),
        Scope(other.id, file_ids=(five,)),
    ]
    with db.read() as tx:
        assert runs.remaining(tx, scopes, now=NOW) == Remaining(ready=3, running=0)
        assert runs.remaining(tx, [Scope(library.id, file_ids=())], now=NOW).total == 0


def test_a_file_is_ready_running_or_neither(db: Database, library: Library, add_file: AddFile) -> None:
    done, unwritten, missing, *_ = [add_file(f"{n}.mp3") for n in range(5)]
    add_file("broken.mp3", error="bad", error_kind="unreadable")
    analyse(db, done)
    analyse(db, unwritten, needs_write=True)
    with db.write() as tx:
        files.mark_missing(tx, [missing], NOW)
    assert claim(db, listen_only=True) is not None
    with db.read() as tx:
        assert runs.remaining(tx, [Scope(library.id)], now=NOW) == Remaining(ready=2, running=1)
        assert runs.remaining(tx, [Scope(library.id)], now=NOW, listen_only=True) == Remaining(ready=1, running=1)
        late = runs.remaining(tx, [Scope(library.id)], now=NOW + 2 * LEASE_MS)
        assert (late, late.total) == (Remaining(ready=3, running=0), 3)


# what was done


def test_results_are_what_was_finished_written_or_set_aside_since(
    db: Database, library: Library, add_file: AddFile
) -> None:
    before, heard, written, unwritten, running, missing = [add_file(f"{n}.mp3") for n in range(6)]
    broken = add_file("broken.mp3")
    add_file("waits.mp3")
    analyse(db, before, written, missing, now=NOW - 1)
    write(db, written, now=LATER + 1)
    analyse(db, heard, now=LATER)
    fail_to_write(db, unwritten, now=LATER + 2)
    scope = Scope(library.id, file_ids=(running, broken))
    assert claim(db, now=LATER, scope=Scope(library.id, file_ids=(running,))) is not None
    file = claim(db, now=LATER, scope=scope)
    assert file is not None
    with db.write() as tx:
        claims.fail(tx, file, now=LATER + 3, error="no audio", kind="unreadable", permanent=True)
        files.mark_missing(tx, [missing], LATER)
        found = runs.results(tx, [Scope(library.id)], since=LATER)
        assert [one.file_id for one in found] == [heard, written, unwritten, broken]
        assert [one.error for one in found] == [None, None, "read-only file system", "no audio"]
        assert [one.written_at for one in found] == [None, LATER + 1, None, None]
        assert (found[0].path, found[0].artist, found[0].analyzed_at) == ("/music/1.mp3", "Nina", LATER)
        assert [one.file_id for one in runs.results(tx, [Scope(library.id)], since=LATER, limit=2)] == [heard, written]
        assert [one.file_id for one in runs.results(tx, [scope], since=LATER)] == [broken]


def test_troubles_are_counted_in_full_and_shown_in_part(
    db: Database, library: Library, other: Library, add_file: AddFile
) -> None:
    for name, folder in (("3.mp3", "a"), ("1.mp3", "b"), ("2.mp3", "a")):
        add_file(name, folder, error=f"bad {name}", error_kind="unreadable")
    add_file("4.mp3", "c", library_id=other.id, error="bad 4.mp3", error_kind="unreadable")
    missing = add_file("5.mp3", "a", error="bad", error_kind="unreadable")
    untaggable = add_file("6.mka", "a")
    analyse(db, untaggable, needs_write=True)
    file = claim(db)
    assert file is not None
    with db.write() as tx:
        claims.no_write_needed(tx, file, now=NOW, reason="Matroska files carry no tags of ours")
        files.mark_missing(tx, [missing], NOW)
    fail_to_write(db, add_file("7.mp3", "z"))
    with db.read() as tx:
        count, first = runs.troubled(tx, [Scope(library.id)], limit=2)
        assert (count, [one.error for one in first]) == (4, ["bad 2.mp3", "bad 3.mp3"])
        count, last = runs.troubled(tx, [Scope(other.id), Scope(library.id, folder="z")], limit=9)
        assert (count, [one.error for one in last]) == (2, ["bad 4.mp3", "read-only file system"])


def test_analysed_files_come_in_pages(db: Database, library: Library, other: Library, add_file: AddFile) -> None:
    ids = [add_file(f"{n}.mp3", "a" if n < 4 else "b") for n in range(6)]
    elsewhere = add_file("x.mp3", library_id=other.id)
    analyse(db, *ids[:5], elsewhere)
    with db.write() as tx:
        files.mark_missing(tx, ids[:1], NOW)
        queue.request_analysis(tx, ids[1:2], force=True, now=NOW)
        scopes = [Scope(library.id, folder="a"), Scope(other.id)]
        first = runs.analysed(tx, scopes, limit=2)
        assert [one.file_id for one in first] == ids[2:4]
        rest = runs.analysed(tx, scopes, after=first[-1].file_id, limit=2)
        assert [(one.file_id, one.path) for one in rest] == [(elsewhere, "/other/x.mp3")]
        assert runs.analysed(tx, scopes, after=elsewhere) == []


# what is taken up again


def test_what_was_put_off_is_taken_up_again_at_once(db: Database, library: Library, add_file: AddFile) -> None:
    unwritten, vanished, untagged, written, aside, off = [add_file(f"{n}.mp3", "a") for n in range(6)]
    elsewhere = add_file("6.mp3", "b")
    fail_to_write(db, unwritten)
    fail_to_write(db, elsewhere)
    analyse(db, untagged, written)
    write(db, untagged, written)
    for file_id, permanent in ((vanished, False), (aside, True)):
        file = claim(db, scope=Scope(library.id, file_ids=(file_id,)))
        assert file is not None
        with db.write() as tx:
            claims.fail(tx, file, now=NOW, error="gone", kind="vanished", permanent=permanent, retry_in_ms=60_000)
    with db.write() as tx:
        files.mark_missing(tx, [off], NOW)
        runs.forget_write(tx, untagged, size=900, mtime_ns=7, now=NOW)
    scopes = [Scope(library.id, folder="a")]
    with db.write() as tx:
        assert runs.remaining(tx, scopes, now=NOW).total == 0
        assert runs.take_up_again(tx, scopes, now=NOW) == 3
        assert runs.remaining(tx, scopes, now=NOW).total == 3
    taken = {file.file_id for _ in range(3) if (file := claim(db)) is not None}
    assert taken == {unwritten, vanished, untagged}
    assert (row(db, unwritten).write_error, row(db, unwritten).write_failures) == (None, 0)
    assert (row(db, elsewhere).write_failures, row(db, written).needs_write) == (1, False)


def test_what_a_worker_holds_is_not_taken_up_again(db: Database, library: Library, add_file: AddFile) -> None:
    file_id = add_file()
    fail_to_write(db, file_id)
    assert claim(db, now=NOW + 3_600_000) is not None
    with db.write() as tx:
        assert runs.take_up_again(tx, [Scope(library.id)], now=NOW) == 0
    assert row(db, file_id).write_failures == 1


def test_files_heard_with_other_models_are_listened_to_again_behind_all_new_music(
    db: Database, library: Library, other: Library, add_file: AddFile
) -> None:
    ids = [add_file(f"{n}.mp3", f"{n}") for n in range(4)]
    elsewhere = add_file("x.mp3", library_id=other.id)
    analyse(db, *ids, elsewhere)
    new = add_file("new.mp3")
    with db.write() as tx:
        files.mark_missing(tx, ids[3:], NOW)
        assert runs.hear_again(tx, [*ids, elsewhere], "suite-1", now=NOW) == set()
        assert runs.hear_again(tx, [ids[0], elsewhere], "suite-2", now=NOW) == {ids[0], elsewhere}
        assert runs.hear_again(tx, ids, "suite-2", now=NOW) == {*ids[1:3]}
        assert runs.hear_again(tx, ids, "suite-2", now=NOW) == set()
    file = row(db, ids[0])
    assert (file.needs_tagging, file.priority, file.analyzed_at) == (True, LOW_PRIORITY, NOW)
    order = [file.file_id for _ in range(4) if (file := claim(db)) is not None]
    assert order == [new, *ids[:3]]


def test_what_a_worker_holds_is_not_listened_to_again_at_once(db: Database, add_file: AddFile) -> None:
    file_id = add_file()
    analyse(db, file_id)
    with db.write() as tx:
        queue.request_write(tx, [file_id], now=NOW)
    held = claim(db, now=LATER)
    with db.write() as tx:
        assert runs.hear_again(tx, [file_id], "suite-2", now=LATER) == set()
        assert held is not None
        claims.release(tx, held)
        assert runs.hear_again(tx, [file_id], "suite-2", now=LATER) == {file_id}


def test_files_heard_with_other_models_come_in_pages(
    db: Database, library: Library, other: Library, add_file: AddFile
) -> None:
    ids = [add_file(f"{n}.mp3", f"{n}") for n in range(6)]
    elsewhere = add_file("x.mp3", library_id=other.id)
    analyse(db, *ids[:5], elsewhere)
    with db.write() as tx:
        files.mark_missing(tx, ids[:1], NOW)
        queue.request_analysis(tx, ids[1:2], force=True, now=NOW)
        assert runs.heard_by_others(tx, "suite-1", until=LATER, after=0, limit=9) == []
        assert runs.heard_by_others(tx, "suite-2", until=LATER, after=0, limit=2) == ids[2:4]
        assert runs.heard_by_others(tx, "suite-2", until=LATER, after=ids[3], limit=2) == ids[4:5]
        assert runs.heard_by_others(tx, "suite-2", until=NOW - 1, after=0, limit=9) == []
        scopes = [Scope(library.id, folder="4"), Scope(other.id)]
        assert runs.heard_by_others(tx, "suite-2", scopes, until=LATER, after=0, limit=9) == [ids[4], elsewhere]


def test_a_file_whose_tags_were_taken_out_is_known_to_hold_none(db: Database, add_file: AddFile) -> None:
    file_id = add_file()
    analyse(db, file_id)
    write(db, file_id)
    with db.write() as tx:
        runs.forget_write(tx, file_id, size=900, mtime_ns=7, now=LATER)
    file = row(db, file_id)
    assert (file.written_hash, file.written_at, file.needs_write) == (None, None, False)
    assert (file.size, file.mtime_ns, file.updated_at, file.is_current) == (900, 7, LATER, True)
