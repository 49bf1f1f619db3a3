from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nomarr.errors import InvalidInput
from nomarr.navidrome.lowering import lower
from nomarr.navidrome.nsp import Order, Playlist, from_json, needed_version, read_sort, to_json, to_text

from .conftest import FIELDS, rules
from .test_selection import trees


def nsp(query: str) -> dict[str, Any]:
    return to_json(Playlist(rules(query)), FIELDS)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("year > 1990", {"all": [{"gt": {"year": 1990}}]}),
        ("nom:mood_happy is true", {"all": [{"is": {"nom_mood_loose": "happy"}}]}),
        ("nom:mood_happy is false", {"all": [{"isNot": {"nom_mood_loose": "happy"}}]}),
        ("NOT nom:mood_happy is false", {"all": [{"is": {"nom_mood_loose": "happy"}}]}),
        ("nom:mood-strict is sad", {"all": [{"is": {"nom_mood_strict": "sad"}}]}),
        ("NOT genre contains house", {"all": [{"notContains": {"genre": "house"}}]}),
        ("year >= 1990", {"any": [{"gt": {"year": 1990}}, {"is": {"year": 1990}}]}),
        ("NOT year < 1990", {"any": [{"gt": {"year": 1990}}, {"is": {"year": 1990}}]}),
        ("year inTheRange 1990..1999", {"all": [{"inTheRange": {"year": [1990, 1999]}}]}),
        ("NOT year inTheRange 1990..1999", {"any": [{"lt": {"year": 1990}}, {"gt": {"year": 1999}}]}),
        (
            "nom:danceability inTheRange 0.2..0.6",
            {
                "all": [
                    {"any": [{"gt": {"nom_danceability": 0.2}}, {"is": {"nom_danceability": 0.2}}]},
                    {"any": [{"lt": {"nom_danceability": 0.6}}, {"is": {"nom_danceability": 0.6}}]},
                ]
            },
        ),
        (
            "NOT nom:danceability >= 0.5",
            {"any": [{"lt": {"nom_danceability": 0.5}}, {"isMissing": {"nom_danceability": True}}]},
        ),
        ("NOT bpm > 100", {"any": [{"lt": {"bpm": 100}}, {"is": {"bpm": 100}}, {"isMissing": {"bpm": True}}]}),
        ("NOT lastplayed inTheLast 30", {"all": [{"notInTheLast": {"lastplayed": 30}}]}),
        ("NOT loved is true", {"all": [{"is": {"loved": False}}]}),
        ("NOT inPlaylist x", {"all": [{"notInPlaylist": {"id": "x"}}]}),
        ("bpm isMissing false", {"all": [{"isPresent": {"bpm": True}}]}),
        (
            "NOT (genre is a OR (year > 1 AND rating > 3))",
            {
                "all": [
                    {"isNot": {"genre": "a"}},
                    {
                        "any": [
                            {"lt": {"year": 1}},
                            {"is": {"year": 1}},
                            {"lt": {"rating": 3}},
                            {"is": {"rating": 3}},
                        ]
                    },
                ]
            },
        ),
    ],
)
def test_a_query_becomes_what_navidrome_can_say(query: str, expected: dict[str, Any]) -> None:
    assert nsp(query) == expected


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("NOT title startsWith a", "Navidrome cannot say that title does not match startsWith"),
        ("NOT genre > m", "Navidrome cannot say that no genre lies there"),
        ("NOT lastplayed before 2024", "Navidrome cannot say NOT of lastplayed, which may be missing"),
    ],
)
def test_what_navidrome_cannot_say_is_refused_with_a_reason(query: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        nsp(query)


def test_a_playlist_has_the_keys_of_an_nsp_file() -> None:
    playlist = Playlist(
        rules("year > 1990"),
        name="Happy Mood",
        comment="Tracks",
        sort=(Order(FIELDS.find("nom:danceability"), True), Order(FIELDS.find("title"))),
        limit=500,
    )
    assert json.loads(to_text(playlist, FIELDS)) == {
        "name": "Happy Mood",
        "comment": "Tracks",
        "all": [{"gt": {"year": 1990}}],
        "sort": "-nom_danceability,title",
        "limit": 500,
    }


@settings(max_examples=300, deadline=None)
@given(tree=trees, limit=st.integers(0, 1000), percent=st.integers(0, 100), offset=st.integers(0, 100))
def test_an_nsp_object_is_read_back_as_the_same_playlist(tree: Any, limit: int, percent: int, offset: int) -> None:
    try:
        lowered = lower(tree, FIELDS)
    except InvalidInput:
        return
    playlist = Playlist(
        lowered, "n", "c", read_sort("-year, random", FIELDS), limit, percent, offset, public=True, refresh_delay="12h"
    )
    assert from_json(json.loads(to_text(playlist, FIELDS)), FIELDS) == playlist


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({}, 'rules: needs either "all" or "any", and not both'),
        ({"all": [], "any": []}, 'rules: needs either "all" or "any", and not both'),
        ({"all": []}, 'rules: "all" needs a list with at least one rule'),
        ({"all": {}}, 'rules: "all" needs a list with at least one rule'),
        ({"all": [3]}, 'rules: "all" holds something that is not a rule'),
        ({"all": [{"like": {"title": "x"}}]}, 'rules: Navidrome has no operator "like"'),
        ({"all": [{"ge": {"year": 3}}]}, 'rules: Navidrome has no operator "ge"'),
        ({"all": [{"is": 3}]}, "rules: is needs exactly one field"),
        ({"all": [{"is": {"title": "a", "album": "b"}}]}, "rules: is needs exactly one field"),
        ({"all": [{"is": {"tytle": "a"}}]}, 'rules: there is no field "tytle"; did you mean title?'),
        ({"all": [{"is": {"genre": 3}}]}, "rules: genre: a text is compared with a text"),
        ({"all": [{"is": {"genre": None}}]}, "rules: genre: a text is compared with a text"),
        ({"all": [{"gt": {"year": "x"}}]}, "rules: year: year takes a number"),
        ({"all": [{"inTheRange": {"year": [1]}}]}, "rules: year: inTheRange takes two values"),
        ({"all": [{"inTheRange": {"genre": ["a", "b"]}}]}, "rules: genre: Navidrome has no range for genre"),
        ({"all": [{"isMissing": {"year": True}}]}, "rules: year: Navidrome has no isMissing for year"),
        ({"all": [{"isMissing": {"genre": 7}}]}, "rules: genre: isMissing takes true or false"),
        ({"all": [{"inPlaylist": {"path": "x"}}]}, 'rules: there is no field "path"'),
        ({"all": [{"inPlaylist": {"title": "x"}}]}, 'rules: inPlaylist needs {"id": ...}'),
        ({"all": [{"is": {"nom_mood_happy": True}}]}, "rules: nom_mood_happy is a number; for the mood ask"),
        ({"all": [{"is": {"year": 3}}], "limit": "5"}, 'rules: "limit" is a number from 0 to'),
        ({"all": [{"is": {"year": 3}}], "limit": True}, 'rules: "limit" is a number from 0 to'),
        ({"all": [{"is": {"year": 3}}], "limitPercent": 101}, 'rules: "limitPercent" is a number from 0 to 100'),
        ({"all": [{"is": {"year": 3}}], "sort": "color"}, 'sort: there is no field "color"'),
        ({"all": [{"is": {"year": 3}}], "sort": "id"}, "sort: id has no order"),
        ({"all": [{"is": {"year": 3}}], "order": "up"}, 'rules: "order" is either asc or desc'),
        ({"all": [{"is": {"year": 3}}], "refreshDelay": "-1h"}, 'rules: "refreshDelay" is a time'),
    ],
)
def test_what_navidrome_would_refuse_or_get_wrong_is_refused(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidInput) as error:
        from_json(given, FIELDS)
    assert str(error.value).startswith(reason)


def test_rules_are_read_as_generously_as_navidrome_reads_them() -> None:
    given = {
        "ANY": [
            {"IS": {"Genre": ["a", "b"]}},
            {"isnot": {"genre": ["c", "d"]}},
            {"gt": {"year": "1990"}, "lt": {"year": 1999}},
            {"is": {"loved": "true"}},
            {"All": [{"before": {"date": "2020"}}]},
        ],
        "order": "desc",
        "unknown": 1,
        "name": 3,
    }
    playlist = from_json(given, FIELDS)
    expected = "genre is a OR genre is b OR (genre isNot c AND genre isNot d) OR year > 1990 OR year < 1999"
    assert playlist.rules == rules(f"{expected} OR loved is true OR date < 2020")
    assert playlist.sort == (Order(FIELDS.find("title"), True),)
    assert playlist.name == ""


def test_rules_nest_only_so_deep() -> None:
    deep: dict[str, Any] = {"is": {"year": 3}}
    for _ in range(40):
        deep = {"all": [deep]}
    with pytest.raises(InvalidInput, match="nested more than 32 deep"):
        from_json(deep, FIELDS)


def test_a_file_that_navidrome_would_not_read_to_its_end_is_refused() -> None:
    long = " OR ".join(f'title is "{n}{"x" * 400}"' for n in range(22))
    text = to_text(Playlist(rules(long)), FIELDS)
    assert len(text.encode()) < 100 * 1024
    with pytest.raises(InvalidInput, match="larger than 100 KiB"):
        to_text(Playlist(rules(long), comment="x" * 100_000), FIELDS)


@pytest.mark.parametrize(
    ("limit", "percent", "offset", "matching", "listed"),
    [
        (0, 0, 5, 10, 10),
        (3, 0, 0, 10, 3),
        (3, 50, 0, 10, 3),
        (3, 0, 9, 10, 1),
        (3, 0, 20, 10, 0),
        (0, 25, 0, 10, 2),
        (0, 1, 0, 10, 1),
        (0, 1, 0, 0, 0),
        (20, 0, 0, 10, 10),
    ],
)
def test_limits_count_as_in_navidrome(limit: int, percent: int, offset: int, matching: int, listed: int) -> None:
    playlist = Playlist(rules("year > 1"), limit=limit, limit_percent=percent, offset=offset)
    assert playlist.listed(matching) == listed


def test_the_needed_version_of_navidrome_is_told() -> None:
    assert needed_version(Playlist(rules("year > 1")), FIELDS) == "0.58.0"
    assert needed_version(Playlist(rules("year > 1"), limit_percent=5), FIELDS) == "0.61.0"
    assert needed_version(Playlist(rules("NOT bpm > 1")), FIELDS) == "0.62.0"
