"""Bringing files up to date with a calibration while the server runs: a few at a time, so that it can be held.

What was asked for is kept in the database; how far it is the files themselves say. After a crash the next server goes
on where this one was.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from nomarr import recalibration
from nomarr.config import PAUSED
from nomarr.errors import Conflict
from nomarr.recalibration import Applied, ReadBlocks
from nomarr.rounds import Rounds
from nomarr.store import calibrations, libraries, preferences
from nomarr.store.database import Database, Transaction
from nomarr.store.matrix import Ids

PREFERENCE = "calibration_apply"
AHEAD = 2_000  # files that wait for the workers at a time: all that a pause leaves them to do
UNCHANGED = 10_000  # files a step whose label alone changes
STEP_S = 1.0


@dataclass(frozen=True)
class Order:
    """What somebody asked for: `total` files of some libraries, or of all, lagged behind."""

    library_ids: Sequence[int] | None
    total: int
    is_held: bool = False


@dataclass(frozen=True)
class Progress:
    """How far an order is: `writing`, `held` by itself, or `paused` with all work; `done` files are up to date."""

    state: str
    done: int
    total: int


@dataclass
class _Plan:
    """What is left to do: files to write with the label that they will carry, and files whose label alone changes."""

    labels: Mapping[int, str]  # library -> what held when this was found out; good for nothing once another does
    changed: deque[tuple[str, Ids]]
    same: deque[tuple[str, Ids]]


class Applying:
    """Carries out the order of one database, from one process. Threads may share it."""

    def __init__(self, db: Database, default_mode: Callable[[], str], blocks: ReadBlocks) -> None:
        self._db = db
        self._default_mode = default_mode
        self._blocks = blocks
        self._lock = threading.Lock()
        self._plan: _Plan | None = None
        self._ahead: list[int] = []  # files that were given to the workers last
        self._rounds = Rounds("applying a calibration", self.step, STEP_S)

    def begin(self, library_id: int | None) -> Applied:
        """Take an order, together with one that is not done yet, and a first step; says what it comes to."""
        with self._lock:
            plan, found = self._find(None if library_id is None else [library_id])
            mode = self._default_mode()
            with self._db.write() as tx:
                before = ordered(tx)
                scope = None if library_id is None else [library_id]
                if before is not None:
                    scope = _joined(before.library_ids, scope)
                if before is not None or found.to_write or found.unchanged:
                    _keep(tx, Order(scope, _lagging(tx, scope, mode)))
            self._plan = plan if before is None else None
        self.step()
        return found

    def step(self) -> None:
        """Give the workers what they have room for; nothing where nothing was ordered, or it is held."""
        with self._lock:
            with self._db.read() as tx:
                order = ordered(tx)
                if order is None:  # also where another server has done it
                    self._plan, self._ahead = None, []
                    return
                if order.is_held or preferences.get(tx, PAUSED, False):
                    return
                labels = calibrations.labels(tx)
            if self._plan is None or self._plan.labels != labels:
                self._plan, _ = self._find(order.library_ids)
                with self._db.read() as tx:
                    self._ahead = calibrations.waiting_to_be_written(tx, limit=AHEAD)
            with self._db.read() as tx:
                room = AHEAD - calibrations.about_to_be_written(tx, self._ahead, now=tx.now_ms())
            if self._plan.changed or self._plan.same:
                self._feed(self._plan, room)
                self._relabel(self._plan)
            elif room == AHEAD:
                with self._db.write() as tx:
                    preferences.remove(tx, PREFERENCE)
                self._plan, self._ahead = None, []

    def _find(self, library_ids: Sequence[int] | None) -> tuple[_Plan, Applied]:
        mode = self._default_mode()
        with self._db.read() as tx:
            labels = calibrations.labels(tx)
        changes = [
            change
            for library_id in ([None] if library_ids is None else library_ids)
            for change in recalibration.find_changes(self._db, mode, library_id=library_id, blocks=self._blocks)
        ]
        plan = _Plan(
            labels,
            deque((one.label, one.changed) for one in changes if len(one.changed)),
            deque((one.label, one.same) for one in changes if len(one.same)),
        )
        return plan, Applied(sum(len(one.changed) for one in changes), sum(len(one.same) for one in changes))

    def _feed(self, plan: _Plan, room: int) -> None:
        """Half of the room at least: a handful would cost a transaction for each."""
        if room < AHEAD // 2 or not plan.changed:
            return
        given: list[int] = []
        with self._db.write() as tx:
            while plan.changed and len(given) < room:
                label, ids = plan.changed[0]
                some = ids[: room - len(given)].tolist()
                calibrations.request_writes(tx, some, label, now=tx.now_ms())
                given += some
                _drop(plan.changed, len(some))
        self._ahead = [*self._ahead, *given][-AHEAD:]

    def _relabel(self, plan: _Plan) -> None:
        if plan.same:
            label, ids = plan.same[0]
            with self._db.write() as tx:
                calibrations.relabel(tx, ids[:UNCHANGED].tolist(), label)
            _drop(plan.same, UNCHANGED)

    def start(self) -> None:
        """Take a step every second, as long as the server runs."""
        self._rounds.start()

    def stop(self) -> None:
        self._rounds.stop()


def _drop(waiting: deque[tuple[str, Ids]], count: int) -> None:
    """The first of the files that wait first."""
    label, ids = waiting.popleft()
    if len(ids) > count:
        waiting.appendleft((label, ids[count:]))


def ordered(tx: Transaction) -> Order | None:
    """What was asked for and is not done yet."""
    kept = preferences.get(tx, PREFERENCE)
    if kept is None or kept["library_ids"] is None:
        return None if kept is None else Order(**kept)
    there = {library.id for library in libraries.list_all(tx)}
    return Order(**{**kept, "library_ids": [library for library in kept["library_ids"] if library in there]})


def hold(tx: Transaction, *, is_held: bool) -> None:
    """Hold the order back, or let it go on; Conflict where there is none."""
    order = ordered(tx)
    if order is None:
        raise Conflict("No calibration is being applied")
    _keep(tx, replace(order, is_held=is_held))


def progress(tx: Transaction, default_mode: str) -> Progress | None:
    """How far the order is, None where there is none."""
    order = ordered(tx)
    if order is None:
        return None
    lagging = _lagging(tx, order.library_ids, default_mode)
    is_paused = preferences.get(tx, PAUSED, False)
    state = "held" if order.is_held else "paused" if is_paused else "writing"
    return Progress(state, order.total - min(order.total, lagging), order.total)


def _lagging(tx: Transaction, library_ids: Sequence[int] | None, default_mode: str) -> int:
    current, tagged = calibrations.current(tx), calibrations.tagged_by_label(tx)
    return sum(
        recalibration.outdated_count(library, tagged.get(library.id, {}), current.of(library.id).label, default_mode)
        for library in libraries.list_all(tx)
        if library_ids is None or library.id in library_ids
    )


def _joined(some: Sequence[int] | None, others: Sequence[int] | None) -> list[int] | None:
    return None if some is None or others is None else sorted({*some, *others})


def _keep(tx: Transaction, order: Order) -> None:
    preferences.put(tx, PREFERENCE, asdict(order))
