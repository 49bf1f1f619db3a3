"""What analytics has worked out, kept as long as nothing changed that it depends on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import astuple
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request

from nomarr.library_moods import LibraryMoods, MoodSums
from nomarr.scores import LibraryCalibration
from nomarr.settings import Settings
from nomarr.store import analytics, calibrations, libraries, preferences
from nomarr.store.database import Database, Transaction
from nomarr.store.libraries import Library
from nomarr.store.matrix import Block, ScoreMatrix

GENRES = 50  # that an overview lists
OWN_TAGS = "own_tags"  # the preference: how often each tag of the files' own is used, in which state of the libraries
WARMED = 300_000  # analysed files; the scores of so many take 90 MB
REMEMBERED = 64  # answers; each is small
T = TypeVar("T")


class Memory:
    """Answers of slow queries. Threads may share it."""

    def __init__(self) -> None:
        self.moods = LibraryMoods()
        self._lock = threading.Lock()
        self._answers: dict[Hashable, tuple[Hashable, Any]] = {}
        self._last_state: Hashable | None = None

    def is_moving(self, state: Hashable) -> bool:
        """Whether it is another state than when this was asked last; not the first time."""
        before, self._last_state = self._last_state, state
        return before not in (None, state)

    def recall(self, question: Hashable, state: Hashable, answer: Callable[[], T]) -> T:
        """What was answered in that state, else what `answer` gives."""
        with self._lock:
            known = self._answers.get(question)
        if known is not None and known[0] == state:
            found: T = known[1]
            return found
        found = answer()
        with self._lock:
            self._answers.pop(question, None)
            while len(self._answers) >= REMEMBERED:
                self._answers.pop(next(iter(self._answers)))
            self._answers[question] = (state, found)
        return found


async def _memory(request: Request) -> Memory:
    memory: Memory = request.app.state.analytics
    return memory


UseMemory = Annotated[Memory, Depends(_memory)]


def warm(db: Database, matrix: ScoreMatrix, memory: Memory, settings: Settings) -> None:
    """Work out beforehand what most will ask for, but not the scores of very many files; nothing while a scan, or
    workers that fill standard fields, change it.

    The files' own tags, which take longest, are counted once after a scan: the next servers find the numbers.
    """
    with db.read() as tx:
        chosen, now = chosen_libraries(tx, None), tx.now_ms()
        if any(library.is_being_scanned(now=now) for library in chosen):
            return
        ids, state = sorted(library.id for library in chosen), _state(tx, settings)
        if memory.is_moving(state):
            return
        found = own_tags(tx, ids, memory, settings)
        is_kept = _kept_own_tags(tx, ids, state) is not None
    if not is_kept:
        with db.write() as tx:
            preferences.put(tx, OWN_TAGS, {"ids": ids, "state": state, "tags": [astuple(use) for use in found]})
    with db.read() as tx:
        overview(tx, ids, memory, settings, genres=GENRES)
        if sum(one.analysed for one in coverage(tx, memory)) > WARMED:
            return
        blocks = blocks_of(tx, chosen, matrix)
    memory.moods.moods(blocks)
    memory.moods.scores(blocks)


def own_tags(tx: Transaction, ids: list[int], memory: Memory, settings: Settings) -> list[analytics.TagUse]:
    state = _state(tx, settings)

    def count() -> list[analytics.TagUse]:
        kept = _kept_own_tags(tx, ids, state)
        return analytics.own_tags(tx, ids) if kept is None else kept

    return memory.recall(("own", *ids), state, count)


def _kept_own_tags(tx: Transaction, ids: list[int], state: tuple[Any, ...]) -> list[analytics.TagUse] | None:
    """What a server counted when these libraries were in the same state."""
    kept = preferences.get(tx, OWN_TAGS)
    if kept is None or (kept["ids"], kept["state"]) != (ids, list(state)):
        return None
    return [analytics.TagUse(*use) for use in kept["tags"]]


def overview(tx: Transaction, ids: list[int], memory: Memory, settings: Settings, *, genres: int) -> analytics.Overview:
    question = ("overview", genres, *ids)
    return memory.recall(question, _state(tx, settings), lambda: analytics.overview(tx, ids, genres=genres))


def _state(tx: Transaction, settings: Settings) -> tuple[Any, ...]:
    """Equal as long as files say the same of themselves: scans change that, and workers that fill standard fields."""
    fills = settings.standard_fields or any(library.standard_fields for library in libraries.list_all(tx))
    return analytics.work_state(tx) if fills else analytics.scan_state(tx)


def coverage(tx: Transaction, memory: Memory) -> list[analytics.Coverage]:
    return memory.recall("coverage", analytics.work_state(tx), lambda: analytics.coverage(tx))


def chosen_libraries(tx: Transaction, library_id: int | None, *, enabled_only: bool = True) -> list[Library]:
    """The one that was asked for, enabled or not, or all."""
    if library_id is not None:
        return [libraries.get(tx, library_id)]
    return libraries.list_all(tx, enabled_only=enabled_only)


def blocks_of(tx: Transaction, chosen: list[Library], matrix: ScoreMatrix) -> list[tuple[Block, LibraryCalibration]]:
    """The scores of the libraries, each with what calibrates it."""
    current = calibrations.current(tx)
    by_library = {library.id: current.of(library.id) for library in chosen}
    blocks = matrix.refresh(tx).blocks
    return [(block, by_library[block.library_id]) for block in blocks if block.library_id in by_library]


def mood_sums(db: Database, matrix: ScoreMatrix, memory: Memory, library_id: int | None) -> tuple[list[int], MoodSums]:
    """The libraries that count, and their moods in numbers."""
    with db.read() as tx:
        chosen = chosen_libraries(tx, library_id)
        blocks = blocks_of(tx, chosen, matrix)
    return sorted(library.id for library in chosen), memory.moods.moods(blocks)
