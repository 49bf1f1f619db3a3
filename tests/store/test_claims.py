from __future__ import annotations

import multiprocessing
from multiprocessing.queues import Queue

import pytest

from nomarr.errors import ClaimLost
from nomarr.store import claims, files, libraries, queue, tags
from nomarr.store.claims import ClaimedFile, Scope
from nomarr.store.database import Database
from nomarr.store.libraries import Library

from .conftest import LEASE_MS, NOW, AddFile, claim, finish, row

SPAWN = multiprocessing.get_context("spawn")


def claimed(db: Database, worker: str = "w1", now: int = NOW) -> ClaimedFile:
    file = claim(db, worker, now)
    assert file is not None
    return file


def test_a_claim_says_all_a_worker_needs(db: Database, add_file: AddFile) -> None:
    file_id = add_file("a\nb.mp3", "Nina/Blue", audio_key="k")
    file = claimed(db)
    assert file.path == "/music/Nina/Blue/a\nb.mp3"
    assert (file.file_id, file.worker, file.token, file.attempts) == (file_id, "w1", 1, 1)
    assert (file.needs_tagging, file.needs_write, file.audio_key) == (True, False, "k")
    assert (file.size, file.mtime_ns, file.container, file.file_write_mode) == (1000, 5, "mp3", None)


def test_a_claimed_file_is_not_handed_out_again(db: Database, add_file: AddFile) -> None:
    add_file()
    claimed(db)
    assert claim(db, "w2") is None
    assert claim(db, "w2", NOW + LEASE_MS) is None


def test_a_lease_that_ran_out_hands_the_file_to_another(db: Database, add_file: AddFile) -> None:
    add_file()
    first = claimed(db)
    second = claimed(db, "w2", NOW + LEASE_MS + 1)
    assert (second.file_id, second.attempts) == (first.file_id, 2)
    with pytest.raises(ClaimLost, match="another worker"):
        finish(db, first)
    finish(db, second)
    assert row(db, first.file_id).is_current


def test_a_renewed_lease_lasts_longer(db: Database, add_file: AddFile) -> None:
    add_file()
    file = claimed(db)
    with db.write() as tx:
        claims.renew(tx, file, now=NOW + LEASE_MS, lease_ms=LEASE_MS)
    assert claim(db, "w2", NOW + LEASE_MS + 1) is None
    claimed(db, "w2", NOW + 3 * LEASE_MS)
    with pytest.raises(ClaimLost), db.write() as tx:
        claims.renew(tx, file, now=NOW, lease_ms=LEASE_MS)


def test_a_pruned_worker_cannot_finish_its_file(db: Database, add_file: AddFile) -> None:
    add_file()
    file = claimed(db)
    with db.write() as tx:
        assert claims.release_worker(tx, "w1") == 1
        assert claims.release_worker(tx, "w1") == 0
    with pytest.raises(ClaimLost):
        finish(db, file)
    with pytest.raises(ClaimLost), db.write() as tx:
        claims.fail(tx, file, now=NOW, error="late", kind="late", permanent=True)
    assert row(db, file.file_id).needs_tagging
    assert claimed(db, "w2").attempts == 2


def test_a_file_given_back_does_not_count_as_tried(db: Database, add_file: AddFile) -> None:
    add_file()
    for _ in range(5):
        file = claimed(db)
        with db.write() as tx:
            claims.release(tx, file)
    assert file.attempts == 1
    with pytest.raises(ClaimLost), db.write() as tx:
        claims.release(tx, file)
    claimed(db)
    with db.write() as tx:
        claims.release_worker(tx, "w1", counts=False)
    assert claimed(db).attempts == 1


@pytest.mark.parametrize("is_pruned", [True, False])
def test_a_file_that_ended_its_worker_three_times_is_set_aside(
    db: Database, add_file: AddFile, is_pruned: bool
) -> None:
    file_id = add_file()
    now = NOW
    for attempt in (1, 2, 3):
        assert claimed(db, now=now).attempts == attempt
        now += 2 * LEASE_MS
        if is_pruned:
            with db.write() as tx:
                claims.release_worker(tx, "w1")
    assert claim(db, now=now) is None
    poisoned = row(db, file_id)
    assert (poisoned.set_aside, poisoned.error) == (True, "its analysis ended the worker 3 times")
    assert (poisoned.claimed_by, poisoned.lease_until) == (None, None)
    with db.write() as tx:
        assert queue.retry(tx, [file_id], now=now) == 1
    assert claimed(db, now=now).attempts == 1


def test_a_third_attempt_may_still_succeed(db: Database, add_file: AddFile) -> None:
    add_file()
    for n in range(3):
        file = claimed(db, now=NOW + n * 2 * LEASE_MS)
    assert claim(db, "w2", NOW + 4 * LEASE_MS + 1) is None
    finish(db, file)
    assert row(db, file.file_id).is_current


def test_the_most_urgent_comes_first_then_the_oldest(db: Database, add_file: AddFile) -> None:
    ids = [add_file(f"{n}.mp3") for n in range(4)]
    with db.write() as tx:
        queue.request_analysis(tx, [ids[2]], priority=5, now=NOW)
    assert [claimed(db).file_id for _ in ids] == [ids[2], ids[0], ids[1], ids[3]]


def test_urgency_counts_across_libraries(db: Database, library: Library, add_file: AddFile) -> None:
    with db.write() as tx:
        other = libraries.create(tx, name="other", root_path="/other", now=NOW)
    first, second = add_file("1.mp3"), add_file("2.mp3", library_id=other.id)
    with db.write() as tx:
        queue.request_analysis(tx, [second], priority=1, now=NOW)
    assert [claimed(db).file_id, claimed(db).file_id] == [second, first]


def test_files_that_need_nothing_are_left_alone(db: Database, library: Library, add_file: AddFile) -> None:
    add_file("broken.mp3", error="not an audio file", error_kind="unreadable")
    missing = add_file("missing.mp3")
    with db.write() as tx:
        files.mark_missing(tx, [missing], NOW)
    assert claim(db) is None


def test_a_disabled_library_is_worked_on_only_when_asked_for(db: Database, library: Library, add_file: AddFile) -> None:
    file_id = add_file()
    with db.write() as tx:
        libraries.update(tx, library.id, now=NOW, is_enabled=False)
    assert claim(db) is None
    file = claim(db, scope=Scope(library.id))
    assert file is not None
    assert file.file_id == file_id


def test_a_scope_is_kept_to(db: Database, library: Library, add_file: AddFile) -> None:
    add_file("root.mp3")
    inner = {add_file("1.mp3", "a"), add_file("2.mp3", "a/b"), add_file("3.mp3", "a/b c")}
    add_file("4.mp3", "a b")
    add_file("5.mp3", "a0")
    only = add_file("6.mp3", "z")
    found = set()
    while file := claim(db, scope=Scope(library.id, folder="a")):
        found.add(file.file_id)
    assert found == inner
    file = claim(db, scope=Scope(library.id, file_ids=(only,)))
    assert file is not None
    assert file.file_id == only
    assert claim(db, scope=Scope(library.id, file_ids=())) is None
    assert claim(db, scope=Scope(library.id + 1)) is None


def test_finishing_records_the_analysis(db: Database, add_file: AddFile) -> None:
    add_file()
    file = claimed(db)
    finish(db, file, now=NOW + 5, needs_write=True)
    done = row(db, file.file_id)
    assert (done.needs_tagging, done.needs_write, done.attempts, done.claimed_by) == (False, True, 0, None)
    assert (done.suite, done.analyzed_at, done.patches, done.duration_s) == ("suite-1", NOW + 5, 12, 99.5)
    assert done.audio_hash == "hash of a.mp3"


def test_what_is_only_to_be_written_is_passed_over_by_who_only_listens(db: Database, add_file: AddFile) -> None:
    add_file()
    finish(db, claimed(db), needs_write=True)
    assert claim(db, listen_only=True) is None
    file = claimed(db)
    assert (file.needs_tagging, file.needs_write) == (False, True)


def test_a_temporary_failure_is_tried_again_later_and_set_aside_the_third_time(db: Database, add_file: AddFile) -> None:
    file_id = add_file()
    now = NOW
    for attempt in (1, 2, 3):
        file = claimed(db, now=now)
        with db.write() as tx:
            claims.fail(tx, file, now=now, error="disk gone", kind="vanished", permanent=False, retry_in_ms=500)
        assert row(db, file_id).set_aside is (attempt == 3)
        assert claim(db, now=now + 499) is None
        now += 500
    assert claim(db, now=now) is None
    assert row(db, file_id).error == "disk gone"


def test_a_permanent_failure_is_set_aside_at_once(db: Database, add_file: AddFile) -> None:
    file_id = add_file()
    with db.write() as tx:
        file = claims.claim_next(tx, worker="w1", now=NOW, lease_ms=LEASE_MS)
        assert file is not None
        claims.fail(tx, file, now=NOW, error="not an audio file", kind="unreadable", permanent=True)
        (problem,) = queue.problems(tx, 10)
    assert claim(db) is None
    assert (problem.file_id, problem.path) == (file_id, "/music/a.mp3")
    assert (problem.set_aside, problem.error, problem.error_kind) == (True, "not an audio file", "unreadable")


def test_a_write_failure_keeps_the_analysis_and_is_tried_again(db: Database, add_file: AddFile) -> None:
    file_id = add_file()
    now = NOW
    for failures in (1, 2, 3, 4):
        with db.write() as tx:
            file = claims.claim_next(tx, worker="w1", now=now, lease_ms=LEASE_MS)
            assert file is not None
            assert file.write_failures == failures - 1
            if file.needs_tagging:
                claims.finish(tx, file, now=now, suite="s", patches=1, duration_s=1, audio_hash="h", needs_write=True)
            claims.record_write_failure(tx, file, now=now, error="read-only file system", retry_in_ms=500)
        found = row(db, file_id)
        assert found.is_current
        assert (found.needs_write, found.set_aside, found.write_failures) == (True, False, failures)
        assert found.write_error == "read-only file system"
        assert claim(db, now=now + 499) is None
        now += 500
    with db.read() as tx:
        assert [p.write_error for p in queue.problems(tx, 10)] == ["read-only file system"]


def test_a_write_is_recorded_with_the_files_new_size_and_time(db: Database, add_file: AddFile) -> None:
    file_id = add_file()
    with db.write() as tx:
        file = claims.claim_next(tx, worker="w1", now=NOW, lease_ms=LEASE_MS)
        assert file is not None
        claims.finish(tx, file, now=NOW, suite="s", patches=1, duration_s=1, audio_hash="h", needs_write=True)
        claims.record_write(tx, file, now=NOW, size=1200, mtime_ns=9, written_hash="w", calibration="c")
    found = row(db, file_id)
    assert (found.needs_tagging, found.needs_write, found.size, found.mtime_ns) == (False, False, 1200, 9)
    assert (found.written_hash, found.written_at, found.calibration) == ("w", NOW, "c")
    assert claim(db) is None


def test_a_lost_claim_records_nothing_of_a_whole_transaction(db: Database, add_file: AddFile) -> None:
    file_id = add_file()
    file = claimed(db)
    claimed(db, "w2", NOW + 2 * LEASE_MS)

    def record() -> None:
        with db.write() as tx:
            tags.replace_file_tags(tx, file_id, {"genre": ("Jazz",)})
            claims.record_write(tx, file, now=NOW, size=1, mtime_ns=1, written_hash="w", calibration=None)

    with pytest.raises(ClaimLost):
        record()
    with db.read() as tx:
        assert tags.file_tags(tx, file_id) == {}


def test_where_nothing_is_written_the_file_is_done(db: Database, add_file: AddFile) -> None:
    file_id = add_file()
    finish(db, claimed(db), needs_write=True)
    with db.write() as tx:
        file = claims.claim_next(tx, worker="w1", now=NOW, lease_ms=LEASE_MS)
        assert file is not None
        claims.no_write_needed(tx, file, now=NOW, reason="WAV files cannot carry tags")
    assert claim(db) is None
    assert row(db, file_id).write_error == "WAV files cannot carry tags"


def _claim_all(url: str, worker: str, claims_made: Queue[tuple[str, int]]) -> None:
    with Database(url) as db:
        while True:
            file = claim(db, worker)
            if file is None:
                break
            claims_made.put((worker, file.file_id))
    claims_made.put((worker, 0))


def test_processes_that_claim_at_once_never_get_the_same_file(
    db: Database, db_url: str, library: Library, add_file: AddFile
) -> None:
    ids = {add_file(f"{n}.mp3") for n in range(120)}
    claims_made: Queue[tuple[str, int]] = SPAWN.Queue()
    workers = [SPAWN.Process(target=_claim_all, args=(db_url, f"w{n}", claims_made)) for n in range(3)]
    for worker in workers:
        worker.start()
    taken, at_work = [], len(workers)
    while at_work:
        _, file_id = claims_made.get(timeout=60)
        at_work -= file_id == 0
        taken += [file_id] if file_id else []
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    claims_made.close()
    claims_made.join_thread()
    assert len(taken) == len(ids)
    assert set(taken) == ids
