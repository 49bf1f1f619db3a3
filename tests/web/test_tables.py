"""What analytics answers with, as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import httpx
import pytest

from heard import fill
from nomarr.store import libraries, tags
from nomarr.store.database import Database
from nomarr.store.facts import Facts
from nomarr.web.tables import ROWS, pieces

BASE = "/api/web/analytics"
LISTS = {"tag-frequencies": "tag_frequencies", "mood-distribution": "mood_distribution", "coverage": "libraries"}
ENDPOINTS = (*LISTS, "tag-correlations", "mood-cooccurrence", "overview")
DANGEROUS = '=HYPERLINK("http://evil.example","me")'


@pytest.fixture(autouse=True)
def music(db: Database) -> None:
    with db.write() as tx:
        library = libraries.create(tx, name='Mu"sic, "all"', root_path="/music", now=1)
    ids = fill(db, library.id, 40, facts=Facts("flac", 200.0, genre=DANGEROUS, year=1999))
    with db.write() as tx:
        tags.replace_file_tags(tx, next(iter(ids)), {"@sum(a1)": ("1",), "plain": ("line\nbreak",)})


def read(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert answer.text.endswith("\r\n")
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


@pytest.mark.parametrize("name", ENDPOINTS)
def test_every_endpoint_answers_with_a_table_where_it_is_asked_for(client: httpx.Client, name: str) -> None:
    rows = read(client.get(f"{BASE}/{name}", params={"format": "csv"}))
    assert rows
    assert read(client.get(f"{BASE}/{name}", headers={"Accept": "text/csv"})) == rows
    named = client.get(f"{BASE}/{name}", params={"format": "csv"}).headers["content-disposition"]
    assert named == f'attachment; filename="{name}.csv"'


def test_agreement_comes_as_csv_too(client: httpx.Client) -> None:
    agreement = "/api/web/moods/agreement"
    assert read(client.get(agreement, params={"format": "csv"})) == []
    file_id = client.get("/api/web/files", params={"limit": 1}).json()["files"][0]["id"]
    client.put(f"/api/web/files/{file_id}/moods/party", json={"tier": "strict"}).raise_for_status()
    (row,) = read(client.get(agreement, params={"format": "csv"}))
    (mood,) = client.get(agreement).json()["moods"]
    assert row == {name: "" if value is None else str(value) for name, value in mood.items()}


@pytest.mark.parametrize(
    ("accept", "is_csv"),
    [
        ("text/csv;q=0.9, */*;q=0.1", True),
        ("application/json, text/csv", False),
        ("application/json;q=0.5, text/csv", True),
        ("text/csv;q=0", False),
        ("text/csv;q=nonsense", True),
        ("*/*", False),
        ("", False),
    ],
)
def test_what_a_client_likes_best_is_what_it_gets(client: httpx.Client, accept: str, is_csv: bool) -> None:
    answer = client.get(f"{BASE}/coverage", headers={"Accept": accept})
    assert answer.headers["content-type"].startswith("text/csv" if is_csv else "application/json")
    plain = client.get(f"{BASE}/coverage", params={"format": "json"}, headers={"Accept": accept})
    assert plain.headers["content-type"] == "application/json"


@pytest.mark.parametrize("name", LISTS)
def test_a_table_of_a_list_holds_its_values(client: httpx.Client, name: str) -> None:
    listed = client.get(f"{BASE}/{name}").json()[LISTS[name]]
    rows = read(client.get(f"{BASE}/{name}", params={"format": "csv"}))
    assert [{k: v.removeprefix("'") for k, v in row.items()} for row in rows] == [
        {field: str(value) for field, value in one.items() if field != "links"} for one in listed
    ]


def test_tables_of_pairs_are_square(client: httpx.Client) -> None:
    together = client.get(f"{BASE}/mood-cooccurrence", params={"top_n": 3}).json()["counts"]
    rows = read(client.get(f"{BASE}/mood-cooccurrence", params={"top_n": 3, "format": "csv"}))
    assert {row.pop("mood"): row for row in rows} == {
        a: {b: str(count) for b, count in row.items()} for a, row in together.items()
    }
    answer = client.get(f"{BASE}/tag-correlations", params={"top_n": 3}).json()
    for row in read(client.get(f"{BASE}/tag-correlations", params={"top_n": 3, "format": "csv"})):
        mood = row.pop("mood")
        expected = answer["mood_tier_correlations"][mood] | answer["mood_correlations"][mood] | {mood: ""}
        assert row == {name: str(value) for name, value in expected.items()}


def test_the_overview_is_one_long_table(client: httpx.Client) -> None:
    rows = read(client.get(f"{BASE}/overview", params={"format": "csv"}))
    assert {"of": "files", "value": "", "count": "40"} in rows
    assert {"of": "years", "value": "1999", "count": "40"} in rows


def test_no_cell_is_a_formula(client: httpx.Client) -> None:
    genres = [row for row in read(client.get(f"{BASE}/overview", params={"format": "csv"})) if row["of"] == "genres"]
    assert genres == [{"of": "genres", "value": f"'{DANGEROUS}", "count": "40"}]
    keys = {
        row["tag_key"] for row in read(client.get(f"{BASE}/tag-frequencies", params={"format": "csv", "limit": 1000}))
    }
    assert "'@sum(a1)" in keys
    assert "plain" in keys


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\t=1", "\r=1", " =1", "\uff1d1"])
def test_text_that_would_be_a_formula_is_marked_and_numbers_are_not(text: str) -> None:
    table = "".join(pieces([["value"], [text], [-1.5], [None]]))
    assert list(csv.reader(io.StringIO(table, newline=""))) == [["value"], [f"'{text}"], ["-1.5"], [""]]


def test_a_long_table_comes_in_pieces() -> None:
    asked: list[int] = []

    def rows() -> Iterator[list[int]]:
        for number in range(3 * ROWS):
            asked.append(number)
            yield [number]

    found = pieces(rows())
    assert next(found).count("\r\n") == ROWS == len(asked)
    assert sum(piece.count("\r\n") for piece in found) == 2 * ROWS
