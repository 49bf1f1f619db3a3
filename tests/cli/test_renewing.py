"""New models: a server answers while it brings the results of the old ones up to date, and goes on after a crash."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from ground import Ground
from models import BACKBONE, SIZE, make_models_dir
from nomarr.inference.catalog import read_suite
from nomarr.store import libraries
from nomarr.store.database import Database

from .test_serve import serving

FILES = 10_000


def fill(db: Database, identity: str) -> None:
    """Files that were heard with other heads on the backbone that is there, and what it made of them."""
    mean = np.zeros(SIZE, "<f4").tobytes()
    patches = np.random.default_rng(1).normal(0, 1, (32, SIZE)).astype("<f2").tobytes()
    with db.write() as tx:
        library = libraries.create(tx, name="Music", root_path=Path("/nowhere"), now=tx.now_ms())
        ids = [{"id": number} for number in range(1, FILES + 1)]
        tx.many(
            f"""
            INSERT INTO library_files (id, library_id, folder, name, size, mtime_ns, suite, analyzed_at,
                                       created_at, updated_at)
            VALUES (:id, {library.id}, '', CAST(:id AS TEXT), 1, 1, 'other', 1, 1, 1)
            """,
            ids,
        )
        tx.many(
            "INSERT INTO embeddings (file_id, backbone, fingerprint, mean) VALUES (:id, :backbone, :identity, :mean)",
            [{**one, "backbone": BACKBONE, "identity": identity, "mean": mean} for one in ids],
        )
        tx.many(
            """
            INSERT INTO patches.patch_embeddings (file_id, backbone, fingerprint, size, patches)
            VALUES (:id, :backbone, :identity, :size, :patches)
            """,
            [{**one, "backbone": BACKBONE, "identity": identity, "size": SIZE, "patches": patches} for one in ids],
        )


def counted(db: Database) -> tuple[int, int]:
    """Files that wait to be listened to again, and those with scores of the new heads."""
    with db.read() as tx:
        waiting = tx.scalar("SELECT COUNT(*) FROM library_files WHERE needs_tagging")
        return int(waiting), int(tx.scalar("SELECT COUNT(*) FROM file_scores"))


def wait_for(true: Callable[[], object], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path, make_models_dir(tmp_path / "models"))


@pytest.fixture
def filled(ground: Ground) -> Iterator[Database]:
    """With results of other models."""
    (backbone,) = read_suite(ground.models).backbones
    with Database(ground.settings().database) as db:
        db.migrate()
        fill(db, backbone.identity)
        yield db


def test_a_server_answers_while_results_are_renewed_and_a_killed_one_goes_on_at_its_next_start(
    ground: Ground, filled: Database
) -> None:
    with serving(ground, "--workers", 0) as (server, process):
        assert counted(filled)[0] < FILES, "it answers before all is done"
        wait_for(lambda: counted(filled)[0])
        slowest = 0.0
        while (waiting := counted(filled)[0]) < FILES // 4:
            began = time.monotonic()
            server.call("GET", "/health/live")
            slowest = max(slowest, time.monotonic() - began)
        process.kill()
        process.wait()
    assert slowest < 2
    waiting, scored = counted(filled)
    assert 0 < waiting == scored < FILES
    with serving(ground, "--workers", 0):
        wait_for(lambda: counted(filled)[0] == FILES)
    assert counted(filled) == (FILES, FILES)


def test_a_server_that_is_stopped_meanwhile_ends_at_once(ground: Ground, filled: Database) -> None:
    with serving(ground, "--workers", 0) as (_, process):
        wait_for(lambda: counted(filled)[0])
        process.terminate()
        began = time.monotonic()
        process.wait(timeout=30)
    assert time.monotonic() - began < 10
    assert counted(filled)[0] < FILES
    with filled.read() as tx:
        assert tx.scalar("SELECT COUNT(*) FROM leases") == 0, "another server may go on at once"
