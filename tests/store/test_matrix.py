from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from heard import add_heard, some_scores
from nomarr.scores import PackScores
from nomarr.store import files, identity, libraries, scores
from nomarr.store import matrix as matrix_module
from nomarr.store.database import Database, Transaction
from nomarr.store.libraries import Library
from nomarr.store.matrix import Block, ScoreMatrix, read_blocks

from .conftest import NOW

VERSIONS = (("musicnn", "vibenet"), ("vibenet",), ("essentia-net", "vibenet"))


@pytest.fixture(autouse=True)
def small_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few files fill several blocks, and both ways of reading a span again are taken."""
    monkeypatch.setattr(matrix_module, "SPAN", 4)
    monkeypatch.setattr(matrix_module, "REREAD", 2)


@pytest.fixture
def other(db: Database) -> Library:
    with db.write() as tx:
        return libraries.create(tx, name="Other", root_path="/other", now=NOW)


def contents(blocks: Iterable[Block]) -> dict[int, tuple[int, dict[tuple[str, str], float]]]:
    """File -> its library and scores; checks on the way that the blocks are as they should be."""
    found = {}
    for block in blocks:
        assert block.values.dtype == np.float32
        assert block.values.shape == (len(block.columns), len(block.ids))
        assert np.all(np.diff(block.ids) > 0)
        assert len(set((block.ids // 4).tolist())) == 1
        for place, file_id in enumerate(block.ids.tolist()):
            assert file_id not in found
            values = {column: float(row[place]) for column, row in zip(block.columns, block.values, strict=True)}
            found[file_id] = (block.library_id, values)
    return found


def refreshed(db: Database, matrix: ScoreMatrix) -> dict[int, tuple[int, dict[tuple[str, str], float]]]:
    with db.read() as tx:
        return contents(matrix.refresh(tx).blocks)


def test_the_matrix_holds_the_stored_scores_to_the_bit(db: Database, library: Library) -> None:
    packs = [some_scores(np.random.default_rng(n), VERSIONS[n % 3]) for n in range(10)]
    with db.write() as tx:
        ids = [add_heard(tx, library.id, some) for some in packs]
    found = refreshed(db, ScoreMatrix())
    assert sorted(found) == ids
    for file_id, some in zip(ids, packs, strict=True):
        expected = {(p.pack, head): float(value) for p in some for head, value in zip(p.heads, p.values, strict=True)}
        assert found[file_id] == (library.id, expected)


def test_an_empty_database_has_an_empty_matrix_that_fills(db: Database, library: Library) -> None:
    matrix = ScoreMatrix()
    assert refreshed(db, matrix) == {}
    with db.write() as tx:
        add_heard(tx, library.id, some_scores(np.random.default_rng(1)))
    assert len(refreshed(db, matrix)) == 1


def test_nothing_is_read_again_where_nothing_changed(db: Database, library: Library) -> None:
    with db.write() as tx:
        first = [add_heard(tx, library.id, some_scores(np.random.default_rng(n))) for n in range(12)]
    matrix = ScoreMatrix()
    with db.read() as tx:
        before = matrix.refresh(tx)
        again = matrix.refresh(tx)
    assert {id(block) for block in again.blocks} == {id(block) for block in before.blocks} or db.is_postgresql
    with db.write() as tx:
        files.mark_missing(tx, [first[-1]], NOW)
    with db.read() as tx:
        after = matrix.refresh(tx)
    assert after.version > before.version
    if not db.is_postgresql:  # there, all that ran at the same time counts as changed
        assert len({id(block) for block in before.blocks} & {id(block) for block in after.blocks}) >= 2


def test_what_is_not_committed_is_not_seen_and_what_is_committed_late_is_not_missed(
    db: Database, library: Library
) -> None:
    """On PostgreSQL a transaction that began earlier may end later."""
    matrix = ScoreMatrix()
    rng = np.random.default_rng(1)
    if not db.is_postgresql:
        pytest.skip("SQLite writes one after the other")
    with db.write() as tx:
        known = add_heard(tx, library.id, some_scores(rng))
    with db.write() as slow:
        one = add_heard(slow, library.id, some_scores(rng))
        with db.write() as quick:
            two = add_heard(quick, library.id, some_scores(rng))
        assert set(refreshed(db, matrix)) == {known, two}
        assert set(refreshed(db, matrix)) == {known, two}
    assert set(refreshed(db, matrix)) == {known, one, two}


Change = Callable[[Transaction, list[int], np.random.Generator, tuple[int, int]], None]


def add(tx: Transaction, ids: list[int], rng: np.random.Generator, both: tuple[int, int]) -> None:
    for _ in range(int(rng.integers(1, 9))):
        ids.append(add_heard(tx, int(rng.choice(both)), some_scores(rng, VERSIONS[rng.integers(3)])))


def rescore(tx: Transaction, ids: list[int], rng: np.random.Generator, _both: tuple[int, int]) -> None:
    packs = some_scores(rng, VERSIONS[rng.integers(3)], fingerprint=f"f{rng.integers(1, 3)}")
    scores.replace(tx, chosen(ids, rng), packs)


def lose(tx: Transaction, ids: list[int], rng: np.random.Generator, _both: tuple[int, int]) -> None:
    files.mark_missing(tx, [chosen(ids, rng)], NOW)


def find(tx: Transaction, ids: list[int], rng: np.random.Generator, _both: tuple[int, int]) -> None:
    files.mark_present(tx, [chosen(ids, rng)], NOW)


def move(tx: Transaction, ids: list[int], rng: np.random.Generator, both: tuple[int, int]) -> None:
    tx.run(
        "UPDATE library_files SET library_id = :library WHERE id = :id",
        library=int(rng.choice(both)),
        id=chosen(ids, rng),
    )


def copy(tx: Transaction, ids: list[int], rng: np.random.Generator, _both: tuple[int, int]) -> None:
    source, target = chosen(ids, rng), chosen(ids, rng)
    if source != target:
        identity.copy_analysis(tx, source_id=source, target_id=target, now=NOW)


def forget(tx: Transaction, ids: list[int], rng: np.random.Generator, _both: tuple[int, int]) -> None:
    files.forget_analysis(tx, [chosen(ids, rng)])


def delete(tx: Transaction, ids: list[int], rng: np.random.Generator, _both: tuple[int, int]) -> None:
    files.delete(tx, [chosen(ids, rng)])


def chosen(ids: list[int], rng: np.random.Generator) -> int:
    return int(rng.choice(ids)) if ids else 0


CHANGES: tuple[Change, ...] = (add, rescore, lose, find, move, copy, forget, delete)
Steps = st.lists(st.lists(st.sampled_from(CHANGES), min_size=1, max_size=6), min_size=1, max_size=6)


@settings(
    deadline=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=Steps, seed=st.integers(0, 2**32))
def test_whatever_happens_a_refresh_equals_a_fresh_load(
    db: Database, library: Library, other: Library, steps: list[list[Change]], seed: int
) -> None:
    """One matrix lives through all changes; the database stays filled from one example to the next."""
    rng, matrix = np.random.default_rng(seed), ScoreMatrix()
    refreshed(db, matrix)
    with db.read() as tx:
        ids = [row["id"] for row in tx.all("SELECT id FROM library_files")]
    for changes in [[add], *steps]:
        with db.write() as tx:
            for change in changes:
                try:
                    change(tx, ids, rng, (library.id, other.id))
                finally:
                    ids = [row["id"] for row in tx.all("SELECT id FROM library_files")]
        found = refreshed(db, matrix)
        assert found == refreshed(db, ScoreMatrix())
        with db.read() as tx:
            assert found == contents(read_blocks(tx))
            assert found == by_hand(tx)


def by_hand(tx: Transaction) -> dict[int, tuple[int, dict[tuple[str, str], float]]]:
    found = {}
    for row in tx.all("SELECT id, library_id FROM library_files WHERE missing_since IS NULL"):
        packs: list[PackScores] = scores.load(tx, row["id"])
        if packs:
            values = {(p.pack, head): float(v) for p in packs for head, v in zip(p.heads, p.values, strict=True)}
            found[row["id"]] = (row["library_id"], values)
    return found


def test_a_library_that_is_removed_takes_its_scores_along(db: Database, library: Library, other: Library) -> None:
    rng = np.random.default_rng(1)
    with db.write() as tx:
        kept = add_heard(tx, library.id, some_scores(rng))
        for _ in range(9):
            add_heard(tx, other.id, some_scores(rng))
    matrix = ScoreMatrix()
    assert len(refreshed(db, matrix)) == 10
    with db.write() as tx:
        libraries.delete(tx, other.id)
    assert set(refreshed(db, matrix)) == {kept}


def test_threads_share_a_matrix(db: Database, library: Library) -> None:
    matrix, wrong = ScoreMatrix(), []
    rng = np.random.default_rng(1)
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            with db.read() as tx:
                blocks = matrix.refresh(tx).blocks
            if any(block.values.shape != (len(block.columns), len(block.ids)) for block in blocks):
                wrong.append(blocks)

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        with db.write() as tx:
            add_heard(tx, library.id, some_scores(rng, VERSIONS[rng.integers(3)]))
    done.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert refreshed(db, matrix) == refreshed(db, ScoreMatrix())
