"""Two servers on one database: what has to happen once, happens once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ground import Ground
from nomarr import recalibration
from nomarr.errors import Conflict, InvalidInput
from nomarr.scan import scan_library
from nomarr.store import libraries
from nomarr.store.database import Database, Transaction
from nomarr.store.matrix import Block, read_blocks
from nomarr.worker.loop import Worker


@pytest.fixture
def servers(db_url: str) -> Iterator[tuple[Database, Database]]:
    """The databases of two servers, as two machines open them."""
    with Database(db_url) as one, Database(db_url) as other:
        yield one, other


def meanwhile(first: Callable[[Callable[[], None]], object], second: Callable[[], object]) -> None:
    """Does the second in the middle of the first, which says when that is."""
    is_in_it, may_go_on = threading.Event(), threading.Event()

    def in_the_middle() -> None:
        is_in_it.set()
        assert may_go_on.wait(30)

    thread = threading.Thread(target=first, args=(in_the_middle,))
    thread.start()
    try:
        assert is_in_it.wait(30)
        second()
    finally:
        may_go_on.set()
        thread.join()


def test_a_library_is_scanned_by_one_server_at_a_time(
    servers: tuple[Database, Database], tmp_path: Path, tracks: dict[str, Path], small_models: Path
) -> None:
    one, other = servers
    ground = Ground(tmp_path, small_models)
    ground.add(tracks["mp3"], "track.mp3")
    with one.write() as tx:
        library = libraries.create(tx, name="Music", root_path=ground.music, now=tx.now_ms())
    results = []

    def refused() -> None:
        with pytest.raises(Conflict, match="already running"):
            scan_library(other, library)

    meanwhile(lambda pause: results.append(scan_library(one, library, progress=lambda *_: pause())), refused)
    assert results[0].new == 1
    assert scan_library(other, library).unchanged == 1


def test_a_calibration_is_made_by_one_server_at_a_time(
    servers: tuple[Database, Database], tmp_path: Path, tracks: dict[str, Path], small_models: Path, db_url: str
) -> None:
    one, other = servers
    ground = Ground(tmp_path, small_models, db_url)
    ground.add(tracks["mp3"], "track.mp3")
    with one.write() as tx:
        library = libraries.create(tx, name="Music", root_path=ground.music, now=tx.now_ms())
    scan_library(one, library)
    Worker(ground.settings(), one, "w", drain=True).run()
    results = []

    def slow(pause: Callable[[], None]) -> None:
        def blocks(tx: Transaction) -> Iterator[Block]:
            pause()
            yield from read_blocks(tx)

        results.append(recalibration.generate(one, tmp_path / "models", blocks=blocks))

    def refused() -> None:
        with pytest.raises(Conflict, match="being generated already"):
            recalibration.generate(other, tmp_path / "models")

    meanwhile(slow, refused)
    first = results[0].run.version
    with pytest.raises(InvalidInput):  # which does not hold up the next
        recalibration.generate(other, tmp_path / "models", min_files=2)
    assert recalibration.generate(other, tmp_path / "models").run.version > first
