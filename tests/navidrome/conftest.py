from __future__ import annotations

import pytest

from nomarr.navidrome.fields import Fields
from nomarr.navidrome.lowering import lower
from nomarr.navidrome.nsp import Playlist, from_json, to_json
from nomarr.navidrome.query import parse
from nomarr.navidrome.rules import Node
from nomarr.navidrome.selection import Selection, select
from nomarr.navidrome.sounds import Sounds
from nomarr.store.database import Database
from nomarr.store.matrix import ScoreMatrix
from nomarr.store.playlists import FileQuery
from nomarr.store.remembered import Remembered

from .plain import holds
from .world import NAMES, Navidrome, Track, View, add_library, random_tracks, view

FIELDS = Fields("nom", NAMES)


class World:
    """A library in a database, and the same as Navidrome holds it."""

    def __init__(self, db: Database, tracks: dict[int, Track]) -> None:
        self.db = db
        self.tracks = tracks
        self.views: dict[int, View] = {i: view(track, i) for i, track in tracks.items()}
        self.navidrome = Navidrome(list(self.views.values()))
        self.matrix = ScoreMatrix()
        self.remembered = Remembered()

    def select(self, playlist: Playlist, *, show: int = 10_000, library_id: int | None = None) -> Selection:
        with self.db.read() as tx:
            sounds = Sounds(self.matrix.refresh(tx))
            return select(playlist, FIELDS, FileQuery(tx, library_id, self.remembered), sounds, show=show)

    def ids(self, rules: Node) -> set[int]:
        found = self.select(Playlist(rules))
        assert found.matching == found.listed == len(found.first)
        return set(found.first)

    def check(self, rules: Node) -> set[int]:
        """That preview, .nsp in Navidrome's SQL and the plain meaning of the rules agree; what they list."""
        expected = {i for i, one in self.views.items() if holds(rules, one)}
        nsp = to_json(Playlist(rules), FIELDS)
        assert self.navidrome.listed(nsp) == expected, nsp
        assert self.ids(rules) == expected
        assert from_json(nsp, FIELDS).rules == lower(rules, FIELDS)
        return expected


@pytest.fixture
def world(db: Database) -> World:
    return World(db, add_library(db, random_tracks(60, seed=7)))


def rules(text: str) -> Node:
    return parse(text, FIELDS)
