"""Workers write what people settled, and notice what was settled while they had the file."""

from __future__ import annotations

import pytest

from ground import Ground, tone
from nomarr import recalibration
from nomarr.correcting import Change, correct
from nomarr.moods.tags import tags_hash
from nomarr.scan import scan_library
from nomarr.store import libraries
from nomarr.store.database import Database
from nomarr.store.libraries import Library
from nomarr.tagfiles.audiofile import read_tags
from nomarr.worker.loop import Worker
from nomarr.worker.writing import Writer

from .test_loop import drain, row


@pytest.fixture
def library(db: Database, here: Ground) -> Library:
    tone(here.music / "a.flac", seconds=3)
    with db.write() as tx:
        library = libraries.create(tx, name="Music", root_path=here.music, now=tx.now_ms())
    scan_library(db, library)
    return library


def test_a_correction_made_before_and_after_listening_is_written(db: Database, here: Ground, library: Library) -> None:
    path, settings = here.music / "a.flac", here.settings()
    file_id = row(db, library, "a.flac").id
    correct(db, settings, [file_id], Change({"party": 2}))
    drain(db, here)
    assert read_tags(path)["mood-regular"] == ("party",)
    correct(db, settings, [file_id], Change({"party": 1, "calm": 3}))
    drain(db, here)
    found = read_tags(path)
    assert (found["mood-strict"], set(found["mood-loose"])) == (("calm",), {"calm", "party"})
    assert row(db, library, "a.flac").written_hash == tags_hash(found)


def test_a_correction_made_while_the_file_is_in_hand_is_written_as_well(
    db: Database, here: Ground, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Worker(here.settings(), db, "slow")
    write = Writer.write
    file_id = row(db, library, "a.flac").id

    def write_slowly(*arguments: object) -> object:
        correct(db, here.settings(), [file_id], Change({"party": 2}))
        return write(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Writer, "write", write_slowly)
    file = worker._take()
    assert file is not None
    worker._handle(file)
    monkeypatch.undo()
    assert "mood-loose" not in read_tags(here.music / "a.flac")
    assert row(db, library, "a.flac").needs_write
    drain(db, here)
    assert read_tags(here.music / "a.flac")["mood-loose"] == ("party",)


def test_a_file_that_is_locked_while_it_lags_behind_keeps_the_words_it_has(
    db: Database, here: Ground, library: Library
) -> None:
    path, settings = here.music / "a.flac", here.settings()
    tone(here.music / "b.flac", seconds=3, hertz=700)
    scan_library(db, library)
    file_id = row(db, library, "a.flac").id
    drain(db, here)
    recalibration.generate(db, here.folder / "nowhere")  # the small models' first words
    recalibration.apply(db, "native")
    drain(db, here)
    before = read_tags(path)
    assert before["mood-loose"]
    with db.write() as tx:
        tx.run("UPDATE calibration_heads SET p5 = 1 - p95, p95 = 1 - p5")
        tx.run("INSERT INTO preferences (key, value) VALUES ('mood_levels', '{\"sexy\": [0.9, 0.8, 0.7]}')")
    correct(db, settings, [file_id], Change(locked=True))
    recalibration.apply(db, "native")
    drain(db, here)
    after = read_tags(path)
    assert after["calibration"] != before["calibration"]
    words = [name for name in {*before, *after} if name.startswith("mood-")]
    assert {name: set(after.get(name, ())) for name in words} == {name: set(before.get(name, ())) for name in words}
    assert recalibration.find_changes(db, "native") == []
