from __future__ import annotations

from typing import Any

import httpx
import pytest

NAVIDROME = "/api/web/navidrome"


def tree(client: httpx.Client, query: str) -> dict[str, Any]:
    answer = client.post(f"{NAVIDROME}/parse", json={"query": query})
    assert answer.status_code == 200, answer.text
    assert answer.json()["query"] == query
    return answer.json()["tree"]


def rule(field: str, operator: str, value: object) -> dict[str, Any]:
    return {"field": field, "operator": operator, "value": value}


def test_fields_are_listed_with_the_operators_that_work_on_them(client: httpx.Client) -> None:
    fields = {field["name"]: field for field in client.get(f"{NAVIDROME}/fields").json()}
    assert fields["year"]["operators"] == ["is", "isNot", "gt", "lt", "ge", "le", "inTheRange"]
    assert fields["nom:mood-strict"]["values"][:2] == ["acoustic", "aggressive"]
    assert (fields["nom:danceability"]["kind"], fields["nom:danceability"]["known"]) == ("score", "not_yet")
    assert (fields["rating"]["known"], fields["genre"]["known"]) == ("navidrome", "here")
    assert (fields["nom:mood_happy"]["mood"], fields["nom:mood_happy"]["has_order"]) == ("happy", True)
    assert not fields["mood"]["has_order"]


def test_every_operator_that_a_field_lists_is_taken(client: httpx.Client) -> None:
    values = {"number": "3", "score": "0.5", "date": "2020", "flag": "true"}
    for field in client.get(f"{NAVIDROME}/fields").json():
        of_kind = values.get(field["kind"], "x")
        if field["kind"] == "score" and "gt" not in field["operators"]:
            of_kind = "true"
        for operator in field["operators"]:
            value = {
                "inTheRange": f"[{of_kind}, {of_kind}]",
                "inTheLast": "30",
                "notInTheLast": "30",
                "isMissing": "",
                "isPresent": "",
            }.get(operator, of_kind)
            sign = {"gt": ">", "lt": "<", "ge": ">=", "le": "<="}.get(operator, operator)
            tree(client, f"{field['name']} {sign} {value}")


def test_a_query_is_taken_apart(client: httpx.Client) -> None:
    assert tree(client, "year < 1990") == {"match": "all", "parts": [rule("year", "lt", 1990)]}
    assert tree(client, 'nom:mood_happy is true AND (genre = "a b" OR NOT (year inTheRange 1..2 OR bpm > 99.5))') == {
        "match": "all",
        "parts": [
            rule("nom:mood_happy", "is", True),
            {
                "match": "any",
                "parts": [
                    rule("genre", "is", "a b"),
                    {"match": "none", "parts": [rule("year", "inTheRange", [1, 2]), rule("bpm", "gt", 99.5)]},
                ],
            },
        ],
    }


def test_rules_of_an_nsp_file_are_taken_apart_too(client: httpx.Client) -> None:
    rules = {"any": [{"is": {"title": "x"}}, {"gt": {"year": 1}}]}
    beside = {"sort": "-year,title", "limit": 12, "name": "Mine", "comment": "by hand"}
    answer = client.post(f"{NAVIDROME}/parse", json={"rules": rules | beside})
    assert answer.json() == {
        **beside,
        "query": 'title is "x" OR year > 1',
        "tree": {"match": "any", "parts": [rule("title", "is", "x"), rule("year", "gt", 1)]},
    }


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("year >", 'column 7: expected a value after ">"'),
        ("yeer > 1", 'column 1: there is no field "yeer"; did you mean year?'),
    ],
)
def test_a_query_that_cannot_be_read_says_where(client: httpx.Client, query: str, detail: str) -> None:
    answer = client.post(f"{NAVIDROME}/parse", json={"query": query})
    assert (answer.status_code, answer.json()) == (400, {"detail": detail})


def test_strangers_learn_nothing_of_queries(stranger: httpx.Client) -> None:
    assert stranger.get(f"{NAVIDROME}/fields").status_code == 401
    assert stranger.post(f"{NAVIDROME}/parse", json={"query": "year > 1"}).status_code == 401
