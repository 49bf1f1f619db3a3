"""Has Navidrome scan the folders that tags were written in, soon after a batch of writing.

What it was told is a moment kept in the database, so nothing is lost when Nomarr restarts or Navidrome is down; and
one server of several tells it.
"""

from __future__ import annotations

import logging
import os
import socket
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial

from nomarr.errors import NavidromeProblem
from nomarr.navidrome import songs
from nomarr.navidrome.client import WITH_TARGETS, Client, Clients
from nomarr.navidrome.connection import account_of
from nomarr.rounds import Rounds
from nomarr.settings import Settings
from nomarr.store import leases, navidrome, preferences
from nomarr.store.database import Database, Transaction

log = logging.getLogger(__name__)

STATE = "navidrome.scan"  # the preference that holds it
LEASE = "navidrome"
LEASE_MS = 300_000
LOOK_S = 5.0
QUIET_MS = 20_000  # without another write: the batch is through
LONGEST_MS = 600_000  # then Navidrome is told in the middle of a batch
PAUSE_MS = 60_000  # between two scans
BUSY_MS = 30_000  # while Navidrome scans anyway
RETRY_MS = (30_000, 60_000, 120_000, 300_000, 900_000, 3_600_000)  # after each failure in a row
OVERLAP_MS = 120_000  # what was written shortly before is told again: it may have been recorded a little later
MOST_TARGETS = 100

Clock = Callable[[Transaction], int]
Current = Callable[[Transaction], Settings]  # the settings as they hold at the moment


@dataclass(frozen=True)
class State:
    """`told`: writes up to this moment are known to Navidrome. `problem` is why telling it failed."""

    told: int
    not_before: int = 0
    failures: int = 0
    problem: str = ""
    scanned_at: int | None = None
    folders: int = 0


@dataclass(frozen=True)
class Standing:
    """What Navidrome has yet to be told, and how telling it went the last time."""

    state: State
    waiting_files: int


def standing(tx: Transaction) -> Standing | None:
    """None before Navidrome was ever set up."""
    facts = preferences.get(tx, STATE)
    if facts is None:
        return None
    state = State(**facts)
    writes = navidrome.writes_since(tx, state.told)
    return Standing(state, 0 if writes is None else writes.files)


def step(db: Database, current: Current, clients: Clients, *, owner: str, clock: Clock) -> None:
    """Tell Navidrome if there is something to tell and this is the moment."""
    with db.read() as tx:
        settings = current(tx)
        if not (settings.navidrome_url and settings.navidrome_user and settings.navidrome_password):
            return
        now, known = clock(tx), standing(tx)
        is_due = known is not None and _is_due(tx, known.state, now)
    if known is not None and not is_due:
        return
    with db.write() as tx:
        if not leases.take(tx, LEASE, owner=owner, now=now, lease_ms=LEASE_MS):
            return
        known = standing(tx)  # another server may have been quicker
        if known is None:
            preferences.put(tx, STATE, asdict(State(told=now)))
        is_due = known is not None and _is_due(tx, known.state, now)
    if known is not None and is_due:
        _save(db, _told(db, clients.of(account_of(settings)), known.state, now))
    with db.write() as tx:
        leases.give_up(tx, LEASE, owner=owner)


def tell_now(db: Database, client: Client, *, now: int, full: bool = False) -> State:
    """Have everything scanned, whatever is waiting. NavidromeProblem where that fails."""
    client.check()
    client.start_scan(full=full)
    state = State(told=now, not_before=now + PAUSE_MS, scanned_at=now)
    _save(db, state)
    return state


def _is_due(tx: Transaction, state: State, now: int) -> bool:
    if now < state.not_before:
        return False
    writes = navidrome.writes_since(tx, state.told)
    return writes is not None and (now - writes.last >= QUIET_MS or now - writes.first >= LONGEST_MS)


def _told(db: Database, client: Client, state: State, now: int) -> State:
    """The state after trying."""
    with db.read() as tx:
        writes = navidrome.writes_since(tx, state.told)
        touched = navidrome.folders_written_since(tx, state.told - OVERLAP_MS)
    try:
        server = client.check()
        if client.scan_status().is_running:
            return replace(state, not_before=now + BUSY_MS)
        found = _targets(db, client, touched) if server.numbers >= WITH_TARGETS else []
        client.start_scan(found)
    except NavidromeProblem as error:
        if str(error) != state.problem:
            log.warning("Navidrome was not told of new tags: %s", error)
        pause = RETRY_MS[min(state.failures, len(RETRY_MS) - 1)]
        return replace(state, not_before=now + pause, failures=state.failures + 1, problem=str(error))
    log.info("Navidrome scans %d folders, or all of it", len(found)) if found else log.info(
        "Navidrome scans everything"
    )
    told = state.told if writes is None else writes.last
    return State(told=told, not_before=now + PAUSE_MS, scanned_at=now, folders=len(found))


def _targets(db: Database, client: Client, touched: list[navidrome.Touched]) -> list[str]:
    """[] for everything, where the folders cannot be told by name."""
    with db.read() as tx:
        known = songs.last_found(tx, client)
    places = songs.find_places(db, client, client.music_folders()) if known is None else known.places
    return songs.targets(touched, places, most=MOST_TARGETS)


def _save(db: Database, state: State) -> None:
    with db.write() as tx:
        preferences.put(tx, STATE, asdict(state))


class Teller:
    """The thread that takes a step every few seconds, as long as the server runs."""

    def __init__(self, db: Database, current: Current, clients: Clients, *, clock: Clock) -> None:
        owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        job = partial(step, db, current, clients, owner=owner, clock=clock)
        self._rounds = Rounds("telling Navidrome", job, LOOK_S)

    def start(self) -> None:
        self._rounds.start()

    def stop(self) -> None:
        self._rounds.stop()
