from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nomarr.errors import InvalidInput
from nomarr.navidrome.checks import OPERATORS, make_rule
from nomarr.navidrome.lowering import lower
from nomarr.navidrome.rules import AllOf, AnyOf, Node, Not, Rule
from nomarr.store.database import Database

from .conftest import FIELDS, World
from .world import add_library, empty, random_tracks

TEXTS = ("Blue", "bl", "A", "%", "_", "a_n", "Jazz", "[Unknown Artist]", "1999", "BLÅ", "Otis", "x.")
WORDS = ("happy", "sad", "ap", "danceable")
NUMBERS = (0, 0.5, 1, 0.25, 1990, 90, 120, 200.5)
DATES = ("1994", "1994-05-01", "2001-02", "2020")
VALUES = {
    "title": TEXTS,
    "album": (*TEXTS, "[Unknown Album]"),
    "filepath": (*TEXTS, "Nina/"),
    "filetype": ("mp3", "flac"),
    "catalognumber": TEXTS,
    "year": NUMBERS,
    "tracknumber": (0, 2),
    "duration": NUMBERS,
    "bpm": NUMBERS,
    "originalyear": (0, 1994, 2000),
    "originaldate": DATES,
    "date": DATES,
    "releaseyear": (0, 1999, 2000),
    "releasedate": DATES,
    "compilation": (True, False),
    "genre": TEXTS,
    "isrc": TEXTS,
    "artist": (*TEXTS, "Nina"),
    "albumartist": (*TEXTS, "Various Artists"),
    "composer": TEXTS,
    "mood": WORDS,
    "nom:mood-strict": WORDS,
    "nom:mood-loose": WORDS,
    "nom:danceability": NUMBERS,
    "nom:danceability_vibenet": NUMBERS,
    "nom:mood_happy": (*NUMBERS, True, False),
    "nom:mood_danceable": (True, False),
}
MANY_VALUED = {"genre", "isrc", "artist", "albumartist", "composer", "mood", "nom:mood-strict", "nom:mood-loose"}
ORDERED = {"gt", "lt", "ge", "le"}
LIKE = {"contains", "notContains", "startsWith", "endsWith"}
SCORES = {"nom:danceability", "nom:danceability_vibenet", "nom:mood_happy"}
NUMBER_FIELDS = {"year", "tracknumber", "duration", "bpm", "originalyear", "releaseyear"}
CAN_MISS = MANY_VALUED | SCORES | {"album", "catalognumber", "bpm"}


def is_possible(field: str, operator: str, *, negated: bool) -> bool:
    """Whether Navidrome can say it at all, by its documentation."""
    if operator in ("inPlaylist", "notInPlaylist", "inTheLast", "notInTheLast"):
        return False
    if operator in ("isMissing", "isPresent"):
        return field in CAN_MISS
    operator = {"before": "lt", "after": "gt"}.get(operator, operator)
    if operator in LIKE:
        if field in NUMBER_FIELDS | SCORES | {"compilation", "nom:mood_danceable"}:
            return False
        return not negated or operator in ("contains", "notContains")
    if field in ("compilation", "nom:mood_danceable"):
        return operator in ("is", "isNot")
    if operator == "inTheRange":
        return field not in MANY_VALUED
    return not (negated and operator in ORDERED and field in MANY_VALUED)


@pytest.mark.parametrize("field", VALUES)
def test_every_operator_means_the_same_to_the_preview_to_navidrome_and_to_a_reader(world: World, field: str) -> None:
    for operator, negated in itertools.product(OPERATORS, (False, True)):
        found = FIELDS.find("id" if operator.endswith("Playlist") else field)
        for value in _values(field, operator):
            if found.kind == "playlist" or operator.endswith("TheLast"):
                continue
            if not is_possible(field, operator, negated=negated) or _is_odd(operator, value):
                with pytest.raises(InvalidInput):
                    lower(
                        Not(make_rule(found, operator, value)) if negated else make_rule(found, operator, value), FIELDS
                    )
                continue
            world.check(_negated(make_rule(found, operator, value), negated))


def _negated(rule: Rule, negated: bool) -> Node:
    return Not(rule) if negated else rule


def _values(field: str, operator: str) -> list[object]:
    if operator in ("isMissing", "isPresent"):
        return [True, False]
    if operator == "inTheRange":
        plain = [value for value in VALUES[field] if not isinstance(value, bool)]
        return list(itertools.product(plain[:2], plain[1:3])) or [(0, 1)]
    return list(VALUES[field])


def _is_odd(operator: str, value: object) -> bool:
    return isinstance(value, bool) and operator not in ("is", "isNot", "isMissing", "isPresent")


def _rule(field: str, operator: str, value: object) -> Rule | None:
    try:
        return make_rule(FIELDS.find(field), operator, value)
    except InvalidInput:
        return None


some_rules = st.sampled_from(
    [
        rule
        for field in VALUES
        for operator in OPERATORS
        if not operator.endswith(("Playlist", "TheLast"))
        for value in _values(field, operator)
        if (rule := _rule(field, operator, value)) is not None
    ]
)
trees = st.recursive(
    some_rules,
    lambda nodes: st.one_of(
        st.lists(nodes, min_size=1, max_size=4).map(lambda parts: AllOf(tuple(parts))),
        st.lists(nodes, min_size=1, max_size=4).map(lambda parts: AnyOf(tuple(parts))),
        nodes.map(Not),
    ),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=trees)
def test_any_tree_lists_what_navidrome_lists(world: World, tree: Node) -> None:
    try:
        lower(tree, FIELDS)
    except InvalidInput:
        return
    world.check(tree)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(count=st.integers(1, 6), seed=st.integers(0, 2**20), tree=trees)
def test_small_libraries_list_what_navidrome_lists(db: Database, count: int, seed: int, tree: Node) -> None:
    try:
        lower(tree, FIELDS)
    except InvalidInput:
        return
    empty(db)
    World(db, add_library(db, random_tracks(count, seed))).check(tree)
