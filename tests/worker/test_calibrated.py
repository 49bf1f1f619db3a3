"""Workers write what the calibration in force says, by one file and by whole libraries alike."""

from __future__ import annotations

import pytest

from ground import Ground, tone
from nomarr import recalibration
from nomarr.moods.tags import tags_hash
from nomarr.scan import scan_library
from nomarr.store import calibrations, libraries, scores
from nomarr.store.database import Database
from nomarr.tagfiles.audiofile import read_tags
from nomarr.wanted import wanted_tags
from nomarr.worker.loop import Worker
from nomarr.worker.writing import Writer

from .test_loop import drain, row


def test_a_calibration_reaches_the_files_without_their_being_heard_again(db: Database, here: Ground) -> None:
    paths = [tone(here.music / f"{n}.flac", seconds=3, hertz=200 * n) for n in range(1, 4)]
    with db.write() as tx:
        library = libraries.create(tx, name="Music", root_path=here.music, now=tx.now_ms())
    scan_library(db, library)
    drain(db, here)
    first = {path: (read_tags(path), row(db, library, path.name).analyzed_at) for path in paths}
    assert {tags["calibration"] for tags, _ in first.values()} == {("reference",)}
    run = recalibration.generate(db, here.folder / "nowhere").run
    assert recalibration.apply(db, "native").to_write == 3
    drain(db, here)
    for path in paths:
        file, found = row(db, library, path.name), read_tags(path)
        assert file.analyzed_at == first[path][1]
        assert (file.calibration, file.needs_write, found["calibration"]) == (run.label, False, (run.label,))
        assert file.written_hash == tags_hash(found)
        with db.read() as tx:
            assert tags_hash(wanted_tags(tx, file.id, here.settings())) == file.written_hash
            (pack,) = [pack for pack in scores.load(tx, file.id) if "mood_happy" in pack.heads]
            percentiles = calibrations.for_library(tx, library.id).heads[pack.pack, "mood_happy"]
        raw = float(pack.values[pack.heads.index("mood_happy")])
        assert float(found["mood_happy"][0]) == pytest.approx(percentiles.apply(raw), abs=6e-5)
    assert recalibration.find_changes(db, "native") == []


def test_a_file_in_hand_while_a_calibration_is_made_is_written_once_more(
    db: Database, here: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tone(here.music / "a.flac", seconds=3)
    with db.write() as tx:
        library = libraries.create(tx, name="Music", root_path=here.music, now=tx.now_ms())
    scan_library(db, library)
    drain(db, here)
    with db.write() as tx:
        tx.run("UPDATE library_files SET needs_write = TRUE")
    worker = Worker(here.settings(), db, "slow")
    write = Writer.write

    def write_slowly(*arguments: object) -> object:
        recalibration.generate(db, here.folder / "nowhere")
        return write(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Writer, "write", write_slowly)
    file = worker._claim()
    assert file is not None
    worker._handle(file)
    monkeypatch.undo()
    assert row(db, library, path.name).needs_write
    drain(db, here)
    with db.read() as tx:
        label = calibrations.current_label(tx, library.id)
    assert read_tags(path)["calibration"] == (label,)
    assert row(db, library, path.name).calibration == label
