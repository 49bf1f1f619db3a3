from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError

from nomarr.store import access, files, journal, preferences, tags, workers
from nomarr.store.database import Database

from .conftest import NOW, AddFile

HOUR_MS = 3600 * 1000


def test_tags_of_a_file_have_many_values(db: Database, add_file: AddFile) -> None:
    file_id = add_file()
    with db.write() as tx:
        tags.replace_file_tags(tx, file_id, {"genre": ("Old",), "bpm": ("120",)})
        tags.replace_file_tags(tx, file_id, {"genre": ("Jazz", "Soul", "Jazz", ""), "mood": ()})
        assert tags.file_tags(tx, file_id) == {"genre": ("Jazz", "Soul")}


def test_tags_no_database_could_hold_are_tidied(db: Database, add_file: AddFile) -> None:
    file_id = add_file()
    with db.write() as tx:
        tags.replace_file_tags(tx, file_id, {"lyrics": ("é" * 9000, "a\0b", "\udcff"), "n" * 500: ("x",)})
        assert tags.file_tags(tx, file_id) == {"lyrics": ("é" * 500, "ab", "?"), "n" * 100: ("x",)}


def test_the_longest_tag_fits_into_the_index(db: Database, add_file: AddFile) -> None:
    file_id = add_file()
    with db.write() as tx:
        odd = "".join(chr(0x1F000 + (i * 7919) % 0xFFF) for i in range(600))  # four bytes each, hard to compress
        tags.replace_file_tags(tx, file_id, {odd: (odd,)})
        assert tags.file_tags(tx, file_id) == {odd[: tags.NAME_LIMIT]: (odd[: tags.VALUE_LIMIT],)}


@given(st.text())
def test_tidied_text_has_nothing_left_to_tidy(text: str) -> None:
    tidy = tags.clean(text)
    assert tidy is None or (tidy and "\0" not in tidy and tidy.encode())
    assert tags.clean(tidy) == tidy


def note(db: Database, file_id: int | None, batch: str = "b1", action: str = "write") -> int:
    with db.write() as tx:
        return journal.add(
            tx,
            file_id=file_id,
            path="/music/a.mp3",
            batch=batch,
            action=action,
            before={"mood-strict": ("glücklich", "calm")},
            after_hash="0123",
            at=NOW,
            size=3,
        )


def test_the_journal_is_read_from_its_newest_entry(db: Database, add_file: AddFile) -> None:
    file_id = add_file()
    ids = [note(db, file_id), note(db, None), note(db, file_id, "b2")]
    with db.read() as tx:
        newest = journal.recent(tx, limit=10)
        assert [entry.id for entry in newest] == ids[::-1]
        assert (newest[0].before, newest[0].after_hash) == ({"mood-strict": ["glücklich", "calm"]}, "0123")
        assert (newest[0].size, newest[0].audio_hash) == (3, None)
        assert [e.id for e in journal.recent(tx, limit=1, before_id=ids[2])] == [ids[1]]
        assert [e.id for e in journal.recent(tx, limit=9, file_id=file_id, batch="b1")] == [ids[0]]
        assert journal.last_batch(tx) == "b2"


def test_the_journal_outlives_its_files(db: Database, add_file: AddFile) -> None:
    file_id = add_file()
    note(db, file_id)
    with db.write() as tx:
        files.delete(tx, [file_id])
        (entry,) = journal.recent(tx, limit=10)
    assert (entry.file_id, entry.path) == (None, "/music/a.mp3")


DAY_MS = 86_400_000


def changed(db: Database, file_id: int | None, *, day: int, action: str = "write", undone: bool = False) -> int:
    """The id of a change that was made on that day."""
    with db.write() as tx:
        facts = {"path": "/music/a.mp3", "batch": "b", "before": {}, "after_hash": "h"}
        entry = journal.add(tx, file_id=file_id, action=action, at=day * DAY_MS, **facts)
        journal.confirm(tx, entry, audio_hash=None, size=1, mtime_ns=1)
        if undone:
            journal.mark_undone(tx, entry, now=day * DAY_MS)
    return entry


def journaled(db: Database) -> list[int]:
    with db.read() as tx:
        return [entry.id for entry in journal.recent(tx, limit=100)]


def test_a_change_stays_for_half_a_year_and_the_last_one_for_ever(db: Database, add_file: AddFile) -> None:
    one, other = add_file("a.mp3"), add_file("b.mp3")
    first, of_other = changed(db, one, day=0), changed(db, other, day=0)
    second = changed(db, one, day=180)
    assert journaled(db) == [second, of_other, first], "to the day"
    third = changed(db, one, day=181)
    assert journaled(db) == [third, second, of_other], "the other file's is its last"
    undo = changed(db, one, day=900, action="undo")
    assert journaled(db) == [undo, third, second, of_other], "an undo may leave an old change standing"
    fourth = changed(db, one, day=901)
    assert journaled(db) == [fourth, undo, of_other]


def test_a_change_that_was_only_announced_makes_nothing_too_old(db: Database, add_file: AddFile) -> None:
    file_id = add_file()
    first = changed(db, file_id, day=0)
    with db.write() as tx:
        facts = {"path": "/music/a.mp3", "batch": "b", "action": "write", "before": {}, "after_hash": "h"}
        entry = journal.add(tx, file_id=file_id, at=999 * DAY_MS, **facts)
        journal.drop(tx, [entry])
    assert journaled(db) == [first]


def test_changes_of_files_that_are_gone_are_forgotten_some_at_a_time(
    db: Database, add_file: AddFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "GONE_AT_ONCE", 2)
    known = changed(db, add_file(), day=0)
    gone = [changed(db, None, day=day) for day in (0, 1, 2, 200)]
    forgotten = []
    for _ in range(3):
        with db.write() as tx:
            forgotten.append(journal.forget_gone(tx, now=200 * DAY_MS))
    assert (forgotten, journaled(db)) == ([2, 1, 0], [gone[3], known])


def test_the_journal_knows_only_three_actions(db: Database) -> None:
    with pytest.raises(IntegrityError):
        note(db, None, action="delete")


def test_preferences_hold_whatever_json_can_say(db: Database) -> None:
    value = {"list": [1, 2.5, None, True], "text": "ü"}
    with db.write() as tx:
        assert preferences.get(tx, "a", "default") == "default"
        preferences.put(tx, "a", 1)
        preferences.put(tx, "a", value)
        preferences.put(tx, "b", None)
        assert preferences.get(tx, "a") == value
        assert preferences.get(tx, "b", "default") is None
        preferences.remove(tx, "a")
        assert preferences.texts(tx, ["a", "b"]) == (("b", "null"),)


def test_a_session_lives_as_long_as_it_is_used(db: Database) -> None:
    with db.write() as tx:
        access.add(tx, "h1", NOW)
        assert access.touch(tx, "h1", NOW + HOUR_MS - 1, HOUR_MS)
        assert access.touch(tx, "h1", NOW + 2 * HOUR_MS - 2, HOUR_MS)
        assert access.is_alive(tx, "h1", NOW + 3 * HOUR_MS - 3, HOUR_MS)
        assert not access.touch(tx, "h1", NOW + 3 * HOUR_MS - 2, HOUR_MS)
        assert not access.touch(tx, "h1", NOW, HOUR_MS)
        assert not access.touch(tx, "unknown", NOW, HOUR_MS)


def test_sessions_end_at_logout_and_all_together(db: Database) -> None:
    with db.write() as tx:
        for n in range(3):
            access.add(tx, f"h{n}", NOW + n)
        access.delete(tx, "h0")
        assert not access.is_alive(tx, "h0", NOW, HOUR_MS)
        assert access.delete_ended(tx, NOW + 1 + HOUR_MS, HOUR_MS) == 1
        assert access.delete_all(tx) == 1


def test_a_worker_that_stops_speaking_is_found(db: Database) -> None:
    said = {"host": "nas", "pid": 7, "version": "1.0"}
    with db.write() as tx:
        workers.heartbeat(tx, worker="w1", now=NOW, state="idle", **said)
        workers.heartbeat(tx, worker="w2", now=NOW, state="idle", **said)
        workers.heartbeat(tx, worker="w2", now=NOW + 60_000, state="listening", file_id=4, **said)
        assert [w.id for w in workers.silent(tx, now=NOW + 60_000, silent_ms=30_000)] == ["w1"]
        workers.remove(tx, "w1")
        (left,) = workers.list_all(tx)
    assert (left.id, left.started_at, left.heartbeat_at) == ("w2", NOW, NOW + 60_000)
    assert (left.state, left.file_id) == ("listening", 4)
