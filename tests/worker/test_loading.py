"""Models that hang while they load, in real workers: a pipe in the place of a model, from which nothing ever comes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ground import Ground
from models import make_models_dir
from nomarr.scan import scan_library
from nomarr.store import files, libraries, queue, workers
from nomarr.store.database import Database
from nomarr.store.workers import Worker
from nomarr.tagfiles.audiofile import read_tags
from nomarr.worker import supervisor as supervisor_module
from nomarr.worker import watchdog
from nomarr.worker.supervisor import Supervisor

LIMIT_S = 2.0


@pytest.fixture(autouse=True)
def _impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "LOADING_S", LIMIT_S)
    monkeypatch.setattr(supervisor_module, "RESTART_PAUSE_S", (0.1,))
    monkeypatch.setattr(supervisor_module, "LOADING_PAUSE_S", (1, 8))


@pytest.fixture
def here(tmp_path: Path, tracks: dict[str, Path]) -> Iterator[tuple[Ground, Database]]:
    ground = Ground(tmp_path, make_models_dir(tmp_path / "models"))
    ground.add(tracks["flac"], "1.flac")
    with Database(ground.settings().database) as db:
        db.migrate()
        with db.write() as tx:
            library = libraries.create(tx, name="Music", root_path=ground.music, now=tx.now_ms())
        scan_library(db, library)
        yield ground, db


@contextmanager
def hanging(ground: Ground) -> Iterator[None]:
    model = next(ground.models.rglob("embeddings/*.onnx"))
    kept = model.rename(model.with_suffix(".kept"))
    os.mkfifo(model)
    try:
        yield
    finally:
        kept.replace(model)


def wait_for(true: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def only_file(db: Database) -> files.LibraryFile:
    with db.read() as tx:
        return files.get(tx, tx.scalar("SELECT MIN(id) FROM library_files"))


def alive(db: Database) -> list[Worker]:
    with db.read() as tx:
        return workers.list_all(tx)


def trouble(db: Database) -> str:
    return next((worker.trouble for worker in alive(db) if worker.trouble), "")


def test_a_worker_whose_models_hang_is_replaced_waits_longer_each_time_and_no_file_is_blamed(
    here: tuple[Ground, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    ground, db = here
    supervisor = Supervisor(ground.settings(), db, 1)
    try:
        with hanging(ground):
            supervisor.start()
            wait_for(lambda: "did not load, once (it took longer than 2 s); tried again after 1 s" in trouble(db))
            wait_for(lambda: "did not load, 2 times in a row (it took longer than 2 s)" in trouble(db))
            second = {worker.id for worker in alive(db)}
            file = only_file(db)
            assert (file.attempts, file.error, file.claimed_by, file.needs_tagging) == (0, None, None, True)
        monkeypatch.setattr(watchdog, "LOADING_S", 60.0)
        with db.write() as tx:  # what needs no models goes on meanwhile
            tx.run("UPDATE library_files SET needs_tagging = FALSE, needs_write = TRUE, analyzed_at = 1, suite = 's'")
        wait_for(lambda: not only_file(db).needs_write)
        assert trouble(db), "the models are not loaded yet"
        with db.write() as tx:
            queue.request_analysis(tx, [only_file(db).id], force=True, now=tx.now_ms())
        wait_for(lambda: not only_file(db).needs_tagging and not only_file(db).needs_write)
        assert second & {worker.id for worker in alive(db)}, "the same worker, after its pause"
        wait_for(lambda: not trouble(db))
    finally:
        supervisor.stop(patience_s=30)
    assert read_tags(ground.music / "1.flac")


def test_a_run_that_should_end_gives_up_with_the_reason(
    here: tuple[Ground, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    ground, db = here
    monkeypatch.setattr(supervisor_module, "LOADED_ENOUGH", 1)
    supervisor = Supervisor(ground.settings(), db, 1, drain=True)
    with hanging(ground):
        supervisor.start()
        wait_for(lambda: supervisor.finished)
        supervisor.stop()
    assert supervisor.failure is not None
    assert "could not start: the models did not load, once (it took longer than 2 s)" in supervisor.failure
    assert only_file(db).attempts == 0


def test_a_server_that_stops_waits_no_longer_for_models_that_hang_than_for_others(
    here: tuple[Ground, Database],
) -> None:
    ground, db = here
    supervisor = Supervisor(ground.settings(), db, 1)
    with hanging(ground):
        supervisor.start()
        wait_for(lambda: alive(db))
        began = time.monotonic()
        supervisor.stop()
    assert time.monotonic() - began < 60
    assert only_file(db).claimed_by is None
