from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nomarr.errors import ClaimLost
from nomarr.store import claims, files, identity, libraries, queue, scores, tags
from nomarr.store.database import Database
from nomarr.store.facts import FACTS, Facts
from nomarr.store.files import KnownFile, NewFile
from nomarr.store.libraries import Library
from nomarr.store.queue import QueueDepth

from .conftest import LEASE_MS, NOW, AddFile, claim, finish, row
from .test_scores import some_embedding, some_scores

DAY_MS = 24 * 3600 * 1000


def known(db: Database, file_id: int) -> KnownFile:
    file = row(db, file_id)
    with db.read() as tx:
        return files.in_folder(tx, file.library_id, file.folder)[file.name]


def analyse(db: Database, file_id: int) -> None:
    file = claim(db)
    assert file is not None
    assert file.file_id == file_id
    finish(db, file)
    with db.write() as tx:
        scores.save(tx, file_id, some_scores())
        scores.save_embedding(tx, file_id, some_embedding())


def claim_and_write(db: Database, file_id: int) -> tuple[str, int, str]:
    """Write a current file's tags; -> what is noted of that."""
    with db.write() as tx:
        queue.request_write(tx, [file_id], now=NOW)
    file = claim(db)
    assert file is not None
    with db.write() as tx:
        claims.record_write(tx, file, now=NOW, size=1000, mtime_ns=5, written_hash="w", calibration="c")
    return "w", NOW, "c"


def test_a_file_comes_back_as_it_was_found(db: Database, library: Library, add_file: AddFile) -> None:
    facts = Facts("flac", 12.5, "Title", "Artist", "Album", "Various", "Jazz", 1959, 3, 1)
    file_id = add_file("né\n'\"; --.flac", "a/b%_", facts=facts, audio_key="key")
    with db.read() as tx:
        file = files.by_path(tx, library.id, "a/b%_", "né\n'\"; --.flac")
        assert files.by_path(tx, library.id, "a", "né\n'\"; --.flac") is None
    assert file == row(db, file_id)
    assert file is not None
    assert Facts(**{name: getattr(file, name) for name in FACTS}) == facts
    assert (file.needs_tagging, file.set_aside, file.is_current, file.claim_token) == (True, False, False, 0)


def test_a_path_has_only_one_row(db: Database, library: Library, add_file: AddFile) -> None:
    add_file()
    with db.write() as tx:
        assert files.insert(tx, library.id, NewFile("", "a.mp3", 1, 1), now=NOW) is None


def test_facts_no_database_could_hold_are_tidied(db: Database, add_file: AddFile) -> None:
    facts = Facts(title="a\0b", artist="\udcff", album="", year=10**12, track=-(10**12), duration_s=float("nan"))
    file = row(db, add_file(facts=facts))
    assert (file.title, file.artist, file.album) == ("ab", "?", None)
    assert (file.year, file.track, file.duration_s) == (None, None, None)


def test_a_folder_is_listed_without_those_below_it(db: Database, library: Library, add_file: AddFile) -> None:
    ids = {"1.mp3": add_file("1.mp3", "a"), "2.mp3": add_file("2.mp3", "a")}
    add_file("3.mp3", "a/b")
    with db.read() as tx:
        found = files.in_folder(tx, library.id, "a")
    assert {name: file.id for name, file in found.items()} == ids


def test_folders_come_each_once_from_where_asked_downwards(db: Database, library: Library, add_file: AddFile) -> None:
    for number, folder in enumerate(("", "a", "a", "a b", "a/b", "a/b/c", "a0", "b")):
        add_file(f"{number}.mp3", folder)
    with db.read() as tx:
        assert list(files.folders(tx, library.id)) == ["", "a", "a b", "a/b", "a/b/c", "a0", "b"]
        assert list(files.folders(tx, library.id, below="a")) == ["a", "a/b", "a/b/c"]
        assert list(files.folders(tx, library.id, below="c")) == []


def test_other_audio_takes_all_that_was_known_of_the_old(db: Database, add_file: AddFile) -> None:
    file_id = add_file(audio_key="k")
    analyse(db, file_id)
    claim_and_write(db, file_id)
    new = NewFile("", "a.mp3", 2000, 9, Facts(title="New"), audio_key="other")
    with db.write() as tx:
        assert files.update_changed(tx, known(db, file_id), new, now=NOW + 1, same_audio=False)
        assert scores.load(tx, file_id) == []
        assert scores.load_embedding(tx, file_id, "effnet") is None
    file = row(db, file_id)
    assert (file.size, file.mtime_ns, file.title, file.audio_key) == (2000, 9, "New", "other")
    assert (file.needs_tagging, file.analyzed_at, file.audio_hash, file.suite) == (True, None, None, None)
    assert (file.written_hash, file.written_at, file.calibration) == (None, None, None)


def test_the_same_audio_keeps_its_analysis(db: Database, add_file: AddFile) -> None:
    file_id = add_file(audio_key="k")
    analyse(db, file_id)
    new = NewFile("", "a.mp3", 2000, 9, Facts(title="New"), audio_key="k")
    with db.write() as tx:
        assert files.update_changed(tx, known(db, file_id), new, now=NOW, same_audio=True, needs_write=True)
        assert len(scores.load(tx, file_id)) == 1
    file = row(db, file_id)
    assert (file.title, file.needs_tagging, file.needs_write, file.is_current) == ("New", False, True, True)


def test_a_file_in_a_workers_hands_is_not_touched(db: Database, add_file: AddFile) -> None:
    file_id = add_file()
    before = known(db, file_id)
    file = claim(db)
    assert file is not None
    new = NewFile("", "a.mp3", 2000, 9)
    with db.write() as tx:
        assert not files.update_changed(tx, before, new, now=NOW, same_audio=False)
    finish(db, file)
    with db.write() as tx:
        stale = replace(before, mtime_ns=before.mtime_ns - 1)
        assert not files.update_changed(tx, stale, new, now=NOW, same_audio=False)
    assert row(db, file_id).is_current


def test_who_listens_to_audio_that_was_replaced_cannot_finish(db: Database, add_file: AddFile) -> None:
    file_id = add_file()
    file = claim(db)
    assert file is not None
    late = NOW + 2 * LEASE_MS
    with db.write() as tx:
        new = NewFile("", "a.mp3", 2000, 9)
        assert files.update_changed(tx, known(db, file_id), new, now=late, same_audio=False)
    with pytest.raises(ClaimLost):
        finish(db, file)


def test_a_file_that_cannot_be_opened_keeps_what_is_known_of_it(db: Database, add_file: AddFile) -> None:
    file_id = add_file(audio_key="k")
    analyse(db, file_id)
    new = NewFile("", "a.mp3", 1000, 6, error="permission denied", error_kind="no_access")
    with db.write() as tx:
        assert files.set_aside_unopened(tx, known(db, file_id), new, now=NOW)
    file = row(db, file_id)
    assert (file.set_aside, file.error, file.is_current, file.artist) == (True, "permission denied", True, "Nina")


def test_missing_files_wait_thirty_days(db: Database, library: Library, add_file: AddFile) -> None:
    ids = [add_file(f"{n}.mp3") for n in range(3)]
    with db.write() as tx:
        assert files.mark_missing(tx, ids[:2], NOW) == 2
        assert files.mark_missing(tx, ids[:2], NOW + 1) == 0
        assert files.mark_present(tx, ids[1:], NOW + 1) == 1
        assert files.purge_missing(tx, library_id=library.id, now=NOW + 30 * DAY_MS) == 0
        assert files.purge_missing(tx, library_id=library.id + 1, now=NOW + 31 * DAY_MS) == 0
        assert files.purge_missing(tx, library_id=library.id, now=NOW + 31 * DAY_MS) == 1
        assert files.count(tx, library.id) == 2
        assert files.mark_folder_missing(tx, library.id, "", NOW) == 2


def test_a_forgotten_file_takes_everything_along_and_its_id_never_returns(
    db: Database, library: Library, add_file: AddFile
) -> None:
    file_id = add_file()
    analyse(db, file_id)
    with db.write() as tx:
        tags.replace_file_tags(tx, file_id, {"genre": ("Jazz",)})
        assert files.delete(tx, [file_id]) == 1
        for table in ("file_scores", "embeddings", "patches.patch_embeddings", "file_tags"):
            assert tx.scalar(f"SELECT COUNT(*) FROM {table}") == 0
    assert add_file() > file_id


def test_a_moved_file_keeps_its_analysis(db: Database, library: Library, add_file: AddFile) -> None:
    file_id = add_file(audio_key="k")
    analyse(db, file_id)
    with db.write() as tx:
        files.mark_missing(tx, [file_id], NOW)
        (found,) = identity.find_same_audio(tx, "k")
        assert (found.id, found.path, found.audio_hash) == (file_id, "/music/a.mp3", "hash of a.mp3")
        new = NewFile("b", "c.mp3", 1, 2, Facts(title="T"), audio_key="k")
        identity.move(tx, file_id, new, library_id=library.id, now=NOW)
        assert len(scores.load(tx, file_id)) == 1
    file = row(db, file_id)
    assert (file.path, file.missing_since, file.title) == ("/music/b/c.mp3", None, "T")
    assert (file.is_current, file.needs_write) == (True, False)


def test_only_analysed_files_are_found_by_their_audio(db: Database, add_file: AddFile) -> None:
    add_file(audio_key="k")
    with db.read() as tx:
        assert identity.find_same_audio(tx, "k") == []


@pytest.mark.parametrize("is_in_file", [True, False])
def test_a_copy_gets_the_analysis_of_its_twin(db: Database, add_file: AddFile, is_in_file: bool) -> None:
    source = add_file(audio_key="k")
    analyse(db, source)
    written = claim_and_write(db, source)
    target = add_file("copy.mp3", audio_key="k")
    with db.write() as tx:
        identity.copy_analysis(tx, source_id=source, target_id=target, now=NOW, tags_are_in_file=is_in_file)
        assert len(scores.load(tx, target)) == 1
        assert scores.load_embedding(tx, target, "effnet") is not None
    file = row(db, target)
    assert (file.needs_tagging, file.needs_write, file.is_current) == (False, not is_in_file, True)
    assert (file.audio_hash, file.suite, file.patches) == ("hash of a.mp3", "suite-1", 12)
    kept = (file.written_hash, file.written_at, file.calibration)
    assert kept == (written if is_in_file else (None, None, None))


def test_asking_for_analysis_leaves_out_what_is_current_unless_forced(db: Database, add_file: AddFile) -> None:
    done = add_file("done.mp3")
    analyse(db, done)
    broken = add_file("broken.mp3", error="bad", error_kind="unreadable")
    missing = add_file("missing.mp3")
    with db.write() as tx:
        files.mark_missing(tx, [missing], NOW)
        assert queue.request_analysis(tx, [done, broken, missing], now=NOW) == 1
        assert queue.request_analysis(tx, [done, broken, missing], force=True, priority=3, now=NOW) == 2
    assert row(db, done).needs_tagging
    assert (row(db, broken).set_aside, row(db, broken).error, row(db, broken).priority) == (False, None, 3)


def test_asking_for_a_write_takes_only_what_was_analysed(db: Database, add_file: AddFile) -> None:
    done = add_file("done.mp3")
    analyse(db, done)
    other = add_file("other.mp3")
    with db.write() as tx:
        assert queue.request_write(tx, [done, other], now=NOW) == 1


def test_the_queue_is_counted_as_it_is(db: Database, library: Library, add_file: AddFile) -> None:
    with db.write() as tx:
        off = libraries.create(tx, name="off", root_path="/off", now=NOW, is_enabled=False)
    add_file("1.mp3", library_id=off.id)
    gone, *_ = [add_file(f"{n}.mp3") for n in range(5)]
    add_file("broken.mp3", error="bad", error_kind="unreadable")
    with db.write() as tx:
        files.mark_missing(tx, [gone], NOW)
    finished = claim(db)
    assert finished is not None
    finish(db, finished)
    claim(db)
    with db.read() as tx:
        everything = queue.queue_depth(tx, now=NOW)
        assert everything == QueueDepth(depth=3, pending=2, running=1, completed=1, errors=1)
        assert queue.queue_depth(tx, library_id=library.id, now=NOW) == everything
        assert queue.queue_depth(tx, library_id=off.id, now=NOW).pending == 1
        later = queue.queue_depth(tx, now=NOW + 2 * LEASE_MS)
        assert (later.pending, later.running) == (3, 0)


@pytest.mark.parametrize("library_id", [None, 1])
def test_the_queue_is_counted_from_indexes_alone(tmp_path: Path, library_id: int | None) -> None:
    with Database(f"sqlite:///{tmp_path / 'nomarr.db'}") as db:
        db.migrate()
        with db.read() as tx:
            steps = tx.all(f"EXPLAIN QUERY PLAN {queue._depth_sql(library_id)}", now=NOW, library=1)
    *counted, running = [step["detail"] for step in steps if "library_files" in step["detail"]]
    assert len(counted) == 5
    assert all("COVERING INDEX ix_library_files_state (library_id=? AND missing_since=? AND set" in c for c in counted)
    assert "ix_library_files_lease (lease_until>?)" in running


def test_problems_come_in_pages_and_can_all_be_retried(db: Database, add_file: AddFile) -> None:
    ids = [add_file(f"{n}.mp3", error=f"bad {n}", error_kind="unreadable") for n in range(5)]
    with db.write() as tx:
        assert [p.file_id for p in queue.problems(tx, 2)] == ids[:2]
        assert [p.error for p in queue.problems(tx, 2, 4)] == ["bad 4"]
        assert queue.retry(tx, ids[:1], now=NOW) == 1
        assert queue.retry(tx, now=NOW) == 4
        assert queue.problems(tx, 2) == []


def test_thousands_of_files_at_once_are_no_problem(db: Database, library: Library, add_file: AddFile) -> None:
    ids = [add_file(), *range(1000, 4000)]
    with db.write() as tx:
        assert files.mark_missing(tx, ids, NOW) == 1
        assert claims.set_aside_poison(tx, now=NOW) == 0
