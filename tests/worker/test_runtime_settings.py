"""What was set while Nomarr runs, as workers heed it, on both databases."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ground import Ground
from nomarr import config
from nomarr.scan import scan_library
from nomarr.store import files, libraries
from nomarr.store.database import Database
from nomarr.tagfiles.audiofile import read_tags
from nomarr.worker.loop import Worker


def tag_all(db: Database, here: Ground, **values: str) -> None:
    settings = here.settings()
    with db.write() as tx:
        for key, text in values.items():
            config.change(tx, settings, key, text)
        made = libraries.create(tx, name="Music", root_path=here.music, now=tx.now_ms())
    scan_library(db, made)
    Worker(settings, db, "w", drain=True).run()


def test_tags_are_written_under_the_namespace_that_was_set(db: Database, here: Ground, tracks: dict[str, Path]) -> None:
    path = here.add(tracks["flac"], "track.flac")
    tag_all(db, here, namespace="mine")
    assert read_tags(path) == {}
    assert read_tags(path, namespace="mine")


def test_nothing_is_written_where_that_was_set(db: Database, here: Ground, tracks: dict[str, Path]) -> None:
    path = here.add(tracks["flac"], "track.flac")
    before = path.read_bytes()
    tag_all(db, here, file_write_mode="none")
    assert path.read_bytes() == before


@pytest.mark.parametrize(("policy", "later_ns"), [("keep", 0), ("keep_plus_1s", 1_000_000_000)])
def test_the_time_of_a_file_becomes_what_was_set(
    db: Database, here: Ground, tracks: dict[str, Path], policy: str, later_ns: int
) -> None:
    path = here.add(tracks["flac"], "track.flac")
    os.utime(path, ns=(10**18, 10**18))
    tag_all(db, here, mtime_policy=policy)
    assert read_tags(path)
    assert path.stat().st_mtime_ns == 10**18 + later_ns


def test_hard_linked_files_are_left_alone_where_that_was_set(
    db: Database, here: Ground, tracks: dict[str, Path]
) -> None:
    path = here.add(tracks["flac"], "track.flac")
    os.link(path, here.folder / "seed.flac")
    tag_all(db, here, hardlink_policy="skip")
    assert read_tags(path) == {}
    with db.read() as tx:
        file = files.by_path(tx, libraries.list_all(tx)[0].id, "", path.name)
    assert file is not None
    assert file.analyzed_at is not None
    assert not file.needs_write
    assert "hard links" in (file.write_error or "")


def test_all_links_change_together_where_that_was_set(db: Database, here: Ground, tracks: dict[str, Path]) -> None:
    path = here.add(tracks["flac"], "track.flac")
    os.link(path, here.folder / "seed.flac")
    tag_all(db, here, hardlink_policy="in_place")
    assert read_tags(here.folder / "seed.flac") == read_tags(path) != {}
