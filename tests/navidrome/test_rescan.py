"""Navidrome is told of written folders: soon, once, in bounds, and even after a restart or a pause of its own."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr

from nomarr.navidrome import rescan
from nomarr.navidrome.client import Clients
from nomarr.navidrome.rescan import BUSY_MS, LONGEST_MS, PAUSE_MS, QUIET_MS, RETRY_MS, Standing, standing, step
from nomarr.settings import Settings
from nomarr.store.database import Database

from .standin import Handler, Navidrome, User, running
from .world import Track, add_library

START = 1_800_000_000_000


@dataclass
class Place:
    """A library that Navidrome has too, a clock, and a server that takes steps."""

    db: Database
    server: Navidrome
    settings: Settings
    clients: Clients
    now: int = START

    def step(self, owner: str = "one") -> int:
        """How many scans Navidrome was asked for."""
        before = len(self.server.scans)
        step(self.db, lambda _tx: self.settings, self.clients, owner=owner, clock=lambda _tx: self.now)
        return len(self.server.scans) - before

    def write(self, *folders: str) -> None:
        self._touch("written_at = :now", folders)

    def take_out(self, *folders: str) -> None:
        self._touch("written_at = NULL, hands_off = TRUE", folders)

    def _touch(self, change: str, folders: tuple[str, ...]) -> None:
        with self.db.write() as tx:
            tx.run(
                f"UPDATE library_files SET {change}, updated_at = :now WHERE folder IN :folders",
                now=self.now,
                folders=folders,
            )

    @property
    def standing(self) -> Standing:
        with self.db.read() as tx:
            known = standing(tx)
        assert known is not None
        return known


@pytest.fixture
def place(db: Database) -> Iterator[Place]:
    tracks = add_library(db, [Track(folder=f"Nina/{album}", duration_s=60) for album in ("Blue", "Red", "Green")])
    with running(Navidrome()) as server:
        for track in tracks.values():
            server.add_song(f"{track.folder}/{track.name}", duration=60)
        settings = Settings(
            data_dir=Path("/nowhere"),
            navidrome_url=server.url,
            navidrome_user="admin",
            navidrome_password=SecretStr("secret"),
        )
        place = Place(db, server, settings, Clients())
        assert place.step() == 0  # the first step only begins to count
        yield place
        place.clients.close()


def test_just_the_touched_folders_are_scanned_once_the_batch_is_through(place: Place) -> None:
    place.now += 1000
    place.write("Nina/Blue")
    place.now += 5000
    place.write("Nina/Red")
    assert place.standing.waiting_files == 2
    place.now += QUIET_MS - 1
    assert place.step() == 0
    place.now += 1
    assert place.step() == 1
    assert place.server.scans == [(False, ["1:Nina/Blue", "1:Nina/Red"])]
    assert place.standing.waiting_files == 0
    place.now += PAUSE_MS * 10
    assert place.step() == 0


def test_tags_that_were_taken_out_count_too(place: Place) -> None:
    place.now += 1000
    place.take_out("Nina/Green")
    place.now += QUIET_MS
    assert place.step() == 1
    assert place.server.scans[0][1] == ["1:Nina/Green"]


def test_a_batch_without_end_is_told_in_parts(place: Place, db: Database) -> None:
    count = LONGEST_MS // 10_000 * 2 + 10
    add_library(db, [Track(folder=f"Album {number}", duration_s=60) for number in range(count)], "Large")
    scans = 0
    for number in range(count):
        place.now += 10_000
        place.write(f"Album {number}")
        scans += place.step()
    assert scans == 2


def test_scans_are_apart(place: Place) -> None:
    scans = []
    for _ in range(40):
        place.now += QUIET_MS
        if place.step():
            scans.append(place.now)
        place.now += 1000
        place.write("Nina/Blue")
    assert min(later - earlier for earlier, later in itertools.pairwise(scans)) >= PAUSE_MS


def test_nothing_is_lost_while_navidrome_is_down(place: Place) -> None:
    place.server.interruption = lambda handler: handler.send(502, b"") is None
    place.now += 1000
    place.write("Nina/Blue")
    place.now += QUIET_MS
    tries = []
    while len(tries) < len(RETRY_MS) + 2:
        before = len(place.server.requests)
        place.step()
        if len(place.server.requests) > before:
            tries.append(place.now)
        place.now += RETRY_MS[0]
    pauses = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert pauses[: len(RETRY_MS)] == list(RETRY_MS)
    assert set(pauses[len(RETRY_MS) :]) == {RETRY_MS[-1]}
    known = place.standing
    assert (known.waiting_files, known.state.failures, "502" in known.state.problem) == (1, len(tries), True)
    place.server.interruption = None
    place.now += RETRY_MS[-1]
    assert place.step() == 1
    assert place.server.scans == [(False, ["1:Nina/Blue"])]
    assert (place.standing.state.problem, place.standing.state.failures) == ("", 0)


def test_one_server_of_several_tells_it(place: Place) -> None:
    place.now += 1000
    place.write("Nina/Blue")
    place.now += QUIET_MS

    def while_the_first_speaks(_handler: Handler) -> bool:
        place.server.interruption = None
        assert place.step("another") == 0
        return False

    place.server.interruption = while_the_first_speaks
    assert place.step() == 1
    assert place.step("another") == 0
    assert len(place.server.scans) == 1


def test_a_scan_that_runs_anyway_is_waited_for(place: Place) -> None:
    place.now += 1000
    place.write("Nina/Blue")
    place.now += QUIET_MS
    place.server.is_scanning = True
    assert place.step() == 0
    assert place.standing.state.problem == ""
    place.server.is_scanning = False
    place.now += BUSY_MS
    assert place.step() == 1


def test_a_user_who_may_not_is_a_warning(place: Place) -> None:
    place.server.users = [User("u1", "admin", "secret", is_admin=False)]
    place.now += 1000
    place.write("Nina/Blue")
    place.now += QUIET_MS
    assert place.step() == 0
    assert "no administrator" in place.standing.state.problem


def test_all_is_scanned_where_folders_cannot_be_named(place: Place, db: Database) -> None:
    add_library(db, [Track(folder="Elsewhere", duration_s=60)], "Unknown to Navidrome")
    place.now += 1000
    place.write("Nina/Blue", "Elsewhere")
    place.now += QUIET_MS
    assert place.step() == 1
    place.server.version = "0.58.5"
    place.now += PAUSE_MS
    place.write("Nina/Blue")
    place.now += QUIET_MS
    assert place.step() == 1
    assert place.server.scans == [(False, []), (False, [])]


def test_without_navidrome_nothing_is_kept(db: Database) -> None:
    step(db, lambda _tx: Settings(data_dir=Path("/nowhere")), Clients(), owner="one", clock=lambda _tx: START)
    with db.read() as tx:
        assert standing(tx) is None


def test_the_servers_own_thread_tells_it(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rescan, "LOOK_S", 0.01)
    place.now += 1000
    place.write("Nina/Blue")
    place.now += QUIET_MS
    done = threading.Event()

    def listen(handler: Handler) -> bool:
        if handler.path.endswith("startScan"):
            done.set()
        return False

    place.server.interruption = listen
    teller = rescan.Teller(place.db, lambda _tx: place.settings, place.clients, clock=lambda _tx: place.now)
    teller.start()
    assert done.wait(20)
    teller.stop()
    assert len(place.server.scans) == 1
