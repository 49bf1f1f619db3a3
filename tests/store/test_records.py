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
        assert preferences.get_all(tx) == {"b": None}


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
