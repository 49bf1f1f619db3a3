from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from heard import add_heard, some_scores
from nomarr.errors import DatabaseProblem
from nomarr.scores import Correction, PackScores, spread_steps
from nomarr.store import corrections, files, identity, libraries, scores
from nomarr.store import matrix as matrix_module
from nomarr.store.database import Database, Transaction
from nomarr.store.libraries import Library
from nomarr.store.matrix import Block, ScoreMatrix, read_blocks

from .conftest import NOW

VERSIONS = (("musicnn", "vibenet"), ("vibenet",), ("essentia-net", "vibenet"))
Places, Seeds = st.floats(0, 1), st.integers(0, 2**32)
Contents = dict[int, tuple[int, dict[tuple[str, str], tuple[float, int]], dict[str, int]]]


@pytest.fixture(autouse=True)
def small_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few files fill several blocks, and both ways of reading a span again are taken."""
    monkeypatch.setattr(matrix_module, "SPAN", 4)
    monkeypatch.setattr(matrix_module, "REREAD", 2)


@pytest.fixture
def other(db: Database) -> Library:
    with db.write() as tx:
        return libraries.create(tx, name="Other", root_path="/other", now=NOW)


def contents(blocks: Iterable[Block]) -> Contents:
    """File -> its library, scores with spreads, and corrections; on the way, that blocks are as they should be."""
    found: Contents = {}
    for block in blocks:
        assert block.values.dtype == np.float32
        assert block.values.shape == block.spreads.shape == (len(block.columns), len(block.ids))
        assert np.isin(block.by_hand.ids, block.ids).all()
        assert np.all(np.diff(block.ids) > 0)
        assert len(set((block.ids // 4).tolist())) == 1
        for place, file_id in enumerate(block.ids.tolist()):
            assert file_id not in found
            values = {
                column: (float(block.values[row, place]), int(block.spreads[row, place]))
                for row, column in enumerate(block.columns)
            }
            at = np.flatnonzero(block.by_hand.ids == file_id)
            words = {word: int(tiers[at[0]]) for word, tiers in block.by_hand.tiers.items() if len(at)}
            settled = {word: tier for word, tier in words.items() if tier >= 0}
            found[file_id] = (block.library_id, values, settled)
    return found


def refreshed(db: Database, matrix: ScoreMatrix) -> Contents:
    with db.read() as tx:
        return contents(matrix.refresh(tx).blocks)


def test_reading_that_was_cut_off_is_begun_anew(
    db: Database, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    with db.write() as tx:
        ids = [add_heard(tx, library.id, some_scores(np.random.default_rng(n))) for n in range(10)]
    matrix, read = ScoreMatrix(), matrix_module._rows_of_span

    def fail_later(tx: Transaction, span: int, present: object) -> object:
        if span > min(ids) // 4:
            raise DatabaseProblem("gone")
        return read(tx, span, present)  # type: ignore[arg-type]

    monkeypatch.setattr(matrix_module, "_rows_of_span", fail_later)
    with pytest.raises(DatabaseProblem):
        refreshed(db, matrix)
    monkeypatch.setattr(matrix_module, "_rows_of_span", read)
    assert sorted(refreshed(db, matrix)) == ids


def test_the_matrix_holds_the_stored_scores_to_the_bit(db: Database, library: Library) -> None:
    packs = [some_scores(np.random.default_rng(n), VERSIONS[n % 3]) for n in range(10)]
    with db.write() as tx:
        ids = [add_heard(tx, library.id, some) for some in packs]
    found = refreshed(db, ScoreMatrix())
    assert sorted(found) == ids
    for file_id, some in zip(ids, packs, strict=True):
        assert found[file_id] == (library.id, _told(some), {})


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


class Changes(RuleBasedStateMachine):
    """One matrix lives through whatever happens to files and scores; the database stays filled between examples."""

    db: ClassVar[Database]
    libraries: ClassVar[tuple[int, int]]

    def __init__(self) -> None:
        super().__init__()
        self.matrix = ScoreMatrix()
        refreshed(self.db, self.matrix)

    @contextmanager
    def changing(self, of: float = 0.0) -> Iterator[tuple[Transaction, int]]:
        """A transaction, and one of the files: `of` says how far down the list, 0 to 1."""
        with self.db.write() as tx:
            ids = [row["id"] for row in tx.all("SELECT id FROM library_files ORDER BY id")]
            yield tx, ids[int(of * (len(ids) - 1))] if ids else 0

    @rule(count=st.integers(1, 9), seed=Seeds, second=st.booleans())
    def add(self, count: int, seed: int, second: bool) -> None:
        rng = np.random.default_rng(seed)
        with self.changing() as (tx, _):
            for _ in range(count):
                add_heard(tx, self.libraries[second], some_scores(rng, VERSIONS[rng.integers(3)]))

    @rule(of=Places, seed=Seeds, packs=st.sampled_from(VERSIONS), fingerprint=st.sampled_from(["f1", "f2"]))
    def rescore(self, of: float, seed: int, packs: tuple[str, ...], fingerprint: str) -> None:
        with self.changing(of) as (tx, file_id):
            if file_id:
                made = some_scores(np.random.default_rng(seed), packs, fingerprint=fingerprint)
                scores.replace(tx, file_id, made)

    @rule(of=Places)
    def lose(self, of: float) -> None:
        with self.changing(of) as (tx, file_id):
            files.mark_missing(tx, [file_id], NOW)

    @rule(of=Places)
    def find(self, of: float) -> None:
        with self.changing(of) as (tx, file_id):
            files.mark_present(tx, [file_id], NOW)

    @rule(of=Places, second=st.booleans())
    def move(self, of: float, second: bool) -> None:
        with self.changing(of) as (tx, file_id):
            to = self.libraries[second]
            tx.run("UPDATE library_files SET library_id = :library WHERE id = :id", library=to, id=file_id)

    @rule(of=Places, to=Places)
    def copy(self, of: float, to: float) -> None:
        with self.changing(to) as (_, target):
            pass
        with self.changing(of) as (tx, source):
            if source != target:
                identity.copy_analysis(tx, source_id=source, target_id=target, now=NOW)

    @rule(of=Places, tier=st.integers(0, 3), locked=st.booleans())
    def correct(self, of: float, tier: int, locked: bool) -> None:
        with self.changing(of) as (tx, file_id):
            if file_id:
                corrections.save(tx, {file_id: Correction({"happy": tier}, {"sad": 1} if locked else None)}, now=NOW)

    @rule(of=Places)
    def take_back(self, of: float) -> None:
        with self.changing(of) as (tx, file_id):
            corrections.save(tx, {file_id: Correction()}, now=NOW)

    @rule(of=Places)
    def forget(self, of: float) -> None:
        with self.changing(of) as (tx, file_id):
            files.forget_analysis(tx, [file_id])

    @rule(of=Places)
    def delete(self, of: float) -> None:
        with self.changing(of) as (tx, file_id):
            files.delete(tx, [file_id])

    @rule()
    def change_nothing(self) -> None:
        """So that changes heap up before the next look."""

    @rule()
    def look(self) -> None:
        found = refreshed(self.db, self.matrix)
        assert found == refreshed(self.db, ScoreMatrix())
        with self.db.read() as tx:
            assert found == contents(read_blocks(tx))
            assert {file_id: known[:2] for file_id, known in found.items()} == by_hand(tx)

    def teardown(self) -> None:
        self.look()


def test_whatever_happens_a_refresh_equals_a_fresh_load(db: Database, library: Library, other: Library) -> None:
    machine = type("Here", (Changes,), {"db": db, "libraries": (library.id, other.id)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            deadline=None, max_examples=15, stateful_step_count=15, suppress_health_check=list(HealthCheck)
        ),
    )


def _told(packs: Iterable[PackScores]) -> dict[tuple[str, str], tuple[float, int]]:
    return {
        (pack.pack, head): (float(value), int(steps))
        for pack in packs
        for head, value, steps in zip(pack.heads, pack.values, spread_steps(pack.spreads), strict=True)
    }


def by_hand(tx: Transaction) -> dict[int, tuple[int, dict[tuple[str, str], tuple[float, int]]]]:
    found = {}
    for row in tx.all("SELECT id, library_id FROM library_files WHERE missing_since IS NULL"):
        packs: list[PackScores] = scores.load(tx, row["id"])
        if packs:
            found[row["id"]] = (row["library_id"], _told(packs))
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
