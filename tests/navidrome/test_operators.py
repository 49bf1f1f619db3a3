"""Every operator on every kind of field: what it means, what it becomes in an .nsp file, or that it is refused.

`same`: Navidrome has it. `made of others`: Navidrome has no such operator, but others that say it together.
`navidrome`: only Navidrome can evaluate it. `refused`: it means nothing, or Navidrome has no way to say it.
The first three rows of each kind's operators are compared over a library of random tracks: preview, .nsp in
Navidrome's SQL, and the plain meaning of the rule.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nomarr.errors import InvalidInput
from nomarr.navidrome.checks import BY_LOWER_CASE, MISSING, PLAIN_SIGNS
from nomarr.navidrome.lowering import lower
from nomarr.navidrome.nsp import Playlist, from_json, to_json
from nomarr.navidrome.query import parse, to_text
from nomarr.navidrome.rules import rules_in
from nomarr.store.database import Database

from .conftest import FIELDS, World
from .world import add_library, random_tracks

# One field of each kind, with values to ask for as they are written in a query.
KINDS = {
    "text": ("title", ['"Blue"', '"a"']),
    "number": ("year", ["1990", "0"]),
    "number that may be missing": ("bpm", ["120", "90"]),
    "date": ("originaldate", ["1994", "1994-05-01"]),
    "date of the listener's": ("lastplayed", ["2024-01-01"]),
    "true or false": ("compilation", ["true", "false"]),
    "tag": ("isrc", ['"US1"', '"A"']),
    "person": ("artist", ['"Nina"', '"o"']),
    "mood words": ("nom:mood-loose", ["happy", "ap"]),
    "score": ("nom:danceability", ["0.5", "0.25"]),
    "score of a mood": ("nom:mood_happy", ["0.5", "true", "false"]),
    "playlist": ("id", ['"abc"']),
    "random": ("random", ["1"]),
}
SAME, MADE, NAVIDROME, REFUSED = "same", "made of others", "navidrome", "refused"
OPERATORS = [
    "is",
    "isNot",
    "gt",
    "lt",
    "ge",
    "le",
    "before",
    "after",
    "contains",
    "notContains",
    "startsWith",
    "endsWith",
    "inTheRange",
    "inTheLast",
    "notInTheLast",
    "isMissing",
    "isPresent",
    "inPlaylist",
    "notInPlaylist",
]
_ANY = {"is": SAME, "isNot": SAME}
_ORDER = {"gt": SAME, "lt": SAME, "before": SAME, "after": SAME, "ge": MADE, "le": MADE}
_LIKE = {"contains": SAME, "notContains": SAME, "startsWith": SAME, "endsWith": SAME}
_MISSING = {"isMissing": SAME, "isPresent": SAME}
TABLE = {
    "text": {**_ANY, **_ORDER, **_LIKE, "inTheRange": SAME},
    "number": {**_ANY, **_ORDER, "inTheRange": SAME},
    "number that may be missing": {**_ANY, **_ORDER, **_MISSING, "inTheRange": SAME},
    "date": {**_ANY, **_ORDER, **_LIKE, "inTheRange": SAME, "inTheLast": NAVIDROME, "notInTheLast": NAVIDROME},
    "date of the listener's": {
        **dict.fromkeys([*_ANY, *_ORDER, *_LIKE, "inTheRange", "inTheLast", "notInTheLast"], NAVIDROME)
    },
    "true or false": {"is": SAME, "isNot": MADE},
    "tag": {**_ANY, **_ORDER, **_LIKE, **_MISSING},
    "person": {**_ANY, **_ORDER, **_LIKE, **_MISSING},
    "mood words": {**_ANY, **_ORDER, **_LIKE, **_MISSING},
    "score": {**_ANY, **_ORDER, **_MISSING, "inTheRange": MADE},
    "score of a mood": {**_ANY, **_ORDER, **_MISSING, "inTheRange": MADE},
    "playlist": {"inPlaylist": NAVIDROME, "notInPlaylist": NAVIDROME},
    "random": {},
}
CELLS = [(kind, operator, TABLE[kind].get(operator, REFUSED)) for kind in KINDS for operator in OPERATORS]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with Database(f"sqlite:///{tmp_path_factory.mktemp('operators') / 'nomarr.db'}") as db:
        db.migrate()
        yield World(db, add_library(db, random_tracks(60, seed=11)))


def queries(kind: str, operator: str) -> list[str]:
    field, values = KINDS[kind]
    sign = PLAIN_SIGNS.get(operator, BY_LOWER_CASE[operator.lower()])
    if operator in MISSING:
        return [f"{field} {sign}", f"{field} {sign} false"]
    if operator == "inTheRange":
        return [f"{field} {sign} [{values[0]}, {values[0]}]"]
    if operator.endswith("TheLast"):
        return [f"{field} {sign} 30"]
    if operator.endswith("Playlist"):
        return [f"{sign} {values[0]}" if kind == "playlist" else f"{field} {sign} {values[0]}"]
    return [f"{field} {sign} {value}" for value in values]


def cell(kind: str, operator: str, outcome: str) -> str:
    return f"{kind} / {PLAIN_SIGNS.get(operator, operator)}: {outcome}".replace(" ", "_")


@pytest.mark.parametrize(("kind", "operator", "outcome"), CELLS, ids=[cell(*one) for one in CELLS])
def test_an_operator_on_a_kind_of_field(world: World, kind: str, operator: str, outcome: str) -> None:
    read = 0
    for query in queries(kind, operator):
        try:
            rules = parse(query, FIELDS)
        except InvalidInput:
            # A mood's score takes true and false with `is` alone.
            assert outcome == REFUSED or query.endswith(("true", "false")), query
            continue
        read += 1
        assert parse(to_text(rules), FIELDS) == rules
        nsp = to_json(Playlist(rules), FIELDS)
        assert from_json(nsp, FIELDS).rules == lower(rules, FIELDS)
        if outcome == NAVIDROME:
            assert world.select(Playlist(rules)).not_evaluated == (KINDS[kind][0],)
            continue
        world.check(rules)
        becomes = [one.operator for one in rules_in(lower(rules, FIELDS))]
        if outcome == MADE and kind != "true or false":
            assert operator not in becomes, query
    assert (read == 0) == (outcome == REFUSED)
