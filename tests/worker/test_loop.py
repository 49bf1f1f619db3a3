"""One worker in this process, on both databases, with real files."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

import pytest

from ground import Ground, row
from nomarr.config import PAUSED
from nomarr.moods.tags import tags_hash
from nomarr.scan import scan_library
from nomarr.store import claims, journal, libraries, preferences, queue, scores, workers
from nomarr.store.database import Database
from nomarr.store.libraries import Library
from nomarr.tagfiles.audiofile import read_tags, write_tags
from nomarr.worker.loop import Worker


def library(db: Database, here: Ground, **more: str) -> Library:
    with db.write() as tx:
        made = libraries.create(tx, name="Music", root_path=here.music, now=tx.now_ms(), **more)
    scan_library(db, made)
    return made


def drain(db: Database, here: Ground, **more: object) -> Worker:
    worker = Worker(here.settings(), db, "worker 1", drain=True, **more)
    worker.run()
    return worker


def test_a_worker_writes_tags_and_records_scores(db: Database, here: Ground, tracks: dict[str, Path]) -> None:
    for ending, track in tracks.items():
        here.add(track, f"track.{ending}")
    made = library(db, here)
    drain(db, here)
    with db.read() as tx:
        depth = queue.queue_depth(tx, now=tx.now_ms())
        entries = journal.recent(tx, limit=100)
        assert workers.list_all(tx) == []
    assert (depth.completed, depth.depth, depth.errors) == (len(tracks), 0, 0)
    assert len(entries) == len(tracks)
    assert all(entry.before == {} and entry.after_hash == tags_hash(read_tags(entry.path)) for entry in entries)
    for ending in tracks:
        file = row(db, made, f"track.{ending}")
        with db.read() as tx:
            packs = scores.load(tx, file.id)
            embedding = scores.load_embedding(tx, file.id, "tiny")
        written = read_tags(file.path)
        assert file.written_hash == tags_hash(written)
        assert float(written["mood_happy"][0]) == pytest.approx(
            float(packs[0].values[packs[0].heads.index("mood_happy")]), abs=6e-5
        )
        assert written["suite"] == (file.suite,)
        assert embedding is not None
        assert len(embedding.patches) == file.patches


def test_a_file_that_cannot_be_read_is_set_aside_and_the_others_go_on(
    db: Database, here: Ground, tracks: dict[str, Path]
) -> None:
    here.add(tracks["mp3"], "good.mp3")
    (here.music / "bad.mp3").write_text("this is no music\n" * 100)
    before = (here.music / "bad.mp3").read_bytes()
    made = library(db, here)
    drain(db, here)
    bad = row(db, made, "bad.mp3")
    assert bad.set_aside
    assert bad.error_kind == "unreadable"
    assert bad.error is not None
    assert "not an audio file" in bad.error
    assert (here.music / "bad.mp3").read_bytes() == before
    assert row(db, made, "good.mp3").analyzed_at is not None


def test_mood_words_alone_are_written_where_a_library_says_so(
    db: Database, here: Ground, tracks: dict[str, Path]
) -> None:
    path = here.add(tracks["flac"], "track.flac")
    library(db, here, file_write_mode="moods")
    drain(db, here)
    assert set(read_tags(path)) <= {"mood-strict", "mood-regular", "mood-loose"}


def test_nothing_is_written_where_a_library_says_so(db: Database, here: Ground, tracks: dict[str, Path]) -> None:
    path = here.add(tracks["flac"], "track.flac")
    before = path.read_bytes()
    made = library(db, here, file_write_mode="none")
    drain(db, here)
    assert path.read_bytes() == before
    file = row(db, made, "track.flac")
    assert file.analyzed_at is not None
    assert not file.needs_write


def test_a_kind_of_file_without_tags_keeps_its_results_in_the_database(db: Database, here: Ground) -> None:
    from audio_files import encode

    path = encode(here.music / "track.mka", "-c:a", "libvorbis")
    before = path.read_bytes()
    made = library(db, here)
    drain(db, here)
    file = row(db, made, "track.mka")
    assert path.read_bytes() == before
    assert file.analyzed_at is not None
    assert not file.needs_write
    assert file.write_error is not None
    assert "does not write tags" in file.write_error


def test_a_run_that_only_listens_leaves_the_file_and_the_writing_for_later(
    db: Database, here: Ground, tracks: dict[str, Path]
) -> None:
    path = here.add(tracks["flac"], "track.flac")
    before = path.read_bytes()
    made = library(db, here)
    drain(db, here, listen_only=True)
    assert path.read_bytes() == before
    assert row(db, made, "track.flac").needs_write
    drain(db, here)
    assert read_tags(path)
    assert not row(db, made, "track.flac").needs_write


def test_a_file_renamed_or_retagged_by_others_is_not_listened_to_again(
    db: Database, here: Ground, tracks: dict[str, Path]
) -> None:
    path = here.add(tracks["mp3"], "track.mp3")
    made = library(db, here)
    drain(db, here)
    first = row(db, made, "track.mp3").analyzed_at
    path.rename(here.music / "renamed.mp3")
    write_tags(here.music / "renamed.mp3", {"x": ["1"]}, namespace="other")
    scan_library(db, made)
    drain(db, here)
    file = row(db, made, "renamed.mp3")
    assert file.analyzed_at == first
    assert not file.needs_tagging


def test_stripped_tags_come_back_without_listening(db: Database, here: Ground, tracks: dict[str, Path]) -> None:
    path = here.add(tracks["flac"], "track.flac")
    made = library(db, here)
    drain(db, here)
    first, tagged = row(db, made, "track.flac").analyzed_at, read_tags(path)
    shutil.copy(tracks["flac"], path)
    scan_library(db, made)
    drain(db, here)
    assert read_tags(path) == tagged
    assert row(db, made, "track.flac").analyzed_at == first


def test_a_vanished_file_is_tried_again_later(db: Database, here: Ground, tracks: dict[str, Path]) -> None:
    path = here.add(tracks["flac"], "track.flac")
    (here.music / "cover.jpg").touch()
    made = library(db, here)
    path.unlink()
    drain(db, here)
    file = row(db, made, "track.flac")
    assert not file.set_aside
    assert file.not_before is not None
    assert file.error is not None
    assert "no such file" in file.error


def test_a_paused_worker_takes_nothing_until_it_may(db: Database, here: Ground, tracks: dict[str, Path]) -> None:
    here.add(tracks["flac"], "track.flac")
    made = library(db, here)
    with db.write() as tx:
        preferences.put(tx, PAUSED, True)
    worker = Worker(here.settings(), db, "worker 1")
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        time.sleep(1.0)
        assert row(db, made, "track.flac").needs_tagging
        with db.write() as tx:
            preferences.put(tx, PAUSED, False)
        deadline = time.monotonic() + 20
        while row(db, made, "track.flac").needs_tagging and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        worker.stop.set()
        thread.join()
    assert not row(db, made, "track.flac").needs_tagging


def test_a_worker_that_lost_its_file_records_nothing(db: Database, here: Ground, tracks: dict[str, Path]) -> None:
    here.add(tracks["flac"], "track.flac")
    made = library(db, here)
    worker = Worker(here.settings(), db, "slow")
    worker._load()
    with db.write() as tx:
        mine = claims.claim_next(tx, worker="slow", now=tx.now_ms(), lease_ms=1)
    assert mine is not None
    time.sleep(0.01)
    with db.write() as tx:
        theirs = claims.claim_next(tx, worker="quick", now=tx.now_ms(), lease_ms=60_000)
    assert theirs is not None
    worker._handle(mine)
    file = row(db, made, "track.flac")
    assert file.analyzed_at is None
    assert file.claimed_by == "quick"
