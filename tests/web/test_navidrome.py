from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from nomarr.scores import PackScores
from nomarr.store import scores
from nomarr.store.database import Database
from nomarr.store.files import LibraryFile

from .conftest import Analyse

HEADS = ("danceability", "energy", "valence")
PREVIEW = "/api/web/navidrome/playlists/preview"
GENERATE = "/api/web/navidrome/playlists/generate"


@pytest.fixture
def heard(scanned: dict[str, Any], analyse: Analyse, db: Database) -> list[LibraryFile]:
    """Three songs with scores: a danceable one, one that is not, and one in between."""
    done = sorted(analyse(), key=lambda file: file.path)
    with db.write() as tx:
        for file, value in zip(done, (0.9, 0.1, 0.5), strict=True):
            values = np.array([value, 0.5, 0.5], dtype=np.float32)
            scores.save(tx, file.id, PackScores("vibenet", "f1", HEADS, values, values / 4))
    return done


def ask(client: httpx.Client, query: str, **more: Any) -> dict[str, Any]:
    answer = client.post(PREVIEW, json={"query": query, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def titles(answer: dict[str, Any]) -> Sequence[str]:
    return [track["title"] for track in answer["preview"]]


def test_a_preview_counts_and_shows_the_tracks(client: httpx.Client, heard: list[LibraryFile]) -> None:
    answer = ask(client, "nom:danceability >= 0.5", sort="-nom:danceability", preview_limit=1)
    assert (answer["matched_tracks"], answer["total_matching"], answer["not_evaluated"]) == (2, 2, [])
    assert answer["preview"] == [{"id": heard[0].id, "path": heard[0].path, "title": "One", "artist": "Nina"}]
    assert answer["not_written"] == 2
    assert ask(client, "year >= 0")["not_written"] == 0
    assert titles(ask(client, "artist is Nina AND NOT title is One")) == ["Two"]
    assert ask(client, "year > 0 OR rating > 3")["not_evaluated"] == ["rating"]


def test_a_preview_takes_the_object_of_an_nsp_file(client: httpx.Client, heard: list[LibraryFile]) -> None:
    rules = {"all": [{"is": {"artist": "Nina"}}], "sort": "-title", "limit": 1}
    answer = client.post(PREVIEW, json={"rules": rules}).json()
    assert (answer["matched_tracks"], answer["total_matching"], titles(answer)) == (1, 2, ["Two"])
    assert answer["query"] == 'artist is "Nina"'
    assert client.post(PREVIEW, json={"rules": rules, "limit": 0}).json()["matched_tracks"] == 2


def test_a_preview_can_be_of_one_library(
    client: httpx.Client, heard: list[LibraryFile], library: dict[str, Any]
) -> None:
    assert ask(client, "duration >= 0", library_id=library["id"])["matched_tracks"] == 3
    answer = client.post(PREVIEW, json={"query": "duration >= 0", "library_id": 99})
    assert (answer.status_code, answer.json()) == (404, {"detail": "Library not found: 99"})


def test_a_playlist_is_made_for_navidrome(client: httpx.Client) -> None:
    body = {
        "query": "nom:mood_happy is true",
        "playlist_name": "Happy Mood",
        "comment": "Tracks with happy mood",
        "limit": 500,
        "sort": "random",
    }
    answer = client.post(GENERATE, json=body)
    assert answer.status_code == 200, answer.text
    made = answer.json()
    assert (made["playlist_name"], made["query"]) == (body["playlist_name"], body["query"])
    assert json.loads(made["content"]) == {
        "name": "Happy Mood",
        "comment": "Tracks with happy mood",
        "all": [{"is": {"nom_mood_loose": "happy"}}],
        "sort": "random",
        "limit": 500,
    }


def test_an_nsp_file_can_be_made_again_under_another_name(client: httpx.Client) -> None:
    rules = {"name": "Old", "comment": "kept", "any": [{"lt": {"year": 1980}}, {"inTheLast": {"lastplayed": 30}}]}
    made = client.post(GENERATE, json={"rules": rules, "playlist_name": "New"}).json()
    assert json.loads(made["content"]) == {**rules, "name": "New"}
    assert made["query"] == "year < 1980 OR lastplayed inTheLast 30"


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"query": "nom:danceability >"}, 'column 19: expected a value after ">"'),
        ({"query": "NOT title startsWith a"}, "Navidrome cannot say that title does not match startsWith"),
        ({}, "Give either query or rules"),
        ({"query": "year > 1", "rules": {}}, "Give either query or rules"),
        ({"rules": {}}, 'rules: needs either "all" or "any", and not both'),
        ({"rules": []}, "rules: input should be a valid dictionary"),
        ({"query": "x" * 10_001}, "query: string should have at most 10000 characters"),
        ({"query": "year > 1", "sort": "colour"}, 'sort: there is no field "colour"'),
        ({"query": "year > 1", "limit": -1}, "limit: input should be greater than or equal to 0"),
        ({"query": "title is '\ud800'"}, "query: input should be a valid string"),
        ({"rules": {"all": [{"is": {"title": "\ud800"}}]}}, "rules: title: a text cannot hold NUL characters"),
        ({"query": "title is '\0'"}, "column 10: a text cannot hold NUL characters"),
        ({"rules": {"all": [{"is": {"\ud800": "x"}}]}}, 'rules: there is no field "?"'),
    ],
)
def test_what_cannot_be_asked_is_answered_in_one_sentence(
    client: httpx.Client, body: dict[str, Any], detail: str
) -> None:
    for path, more in ((PREVIEW, {}), (GENERATE, {"playlist_name": "x"})):
        answer = client.post(path, content=json.dumps({**body, **more}), headers={"Content-Type": "application/json"})
        assert answer.status_code == 400
        assert answer.json()["detail"].startswith(detail), answer.text


def test_a_preview_and_a_playlist_have_bounds(client: httpx.Client) -> None:
    for path, body in (
        (PREVIEW, {"query": "year > 1", "preview_limit": 1001}),
        (GENERATE, {"query": "year > 1"}),
        (GENERATE, {"query": "year > 1", "playlist_name": "  "}),
        (GENERATE, {"query": "year > 1", "playlist_name": "x" * 201}),
        (GENERATE, {"query": "year > 1", "playlist_name": "x", "comment": "x" * 2001}),
    ):
        assert client.post(path, json=body).status_code == 400, body


def test_the_tags_and_their_configuration_are_told(client: httpx.Client, heard: list[LibraryFile]) -> None:
    answer = client.get("/api/web/navidrome/preview").json()
    assert answer["namespace"] == "nom"
    assert answer["tag_count"] == len(answer["tags"])
    assert {
        "tag_key": "nom:danceability",
        "type": "float",
        "is_multivalue": False,
        "summary": "Danceability",
        "total_count": 3,
    } in answer["tags"]
    config = client.get("/api/web/navidrome/config").json()
    assert tomllib.loads(config["config"])["Tags"]["nom_danceability"]["Type"] == "float"
    assert {table["name"] for table in config["tables"]} == set(tomllib.loads(config["config"])["Tags"])
    assert client.get("/api/web/navidrome/config", params={"library_id": 99}).status_code == 404


def test_presets_come_with_their_numbers(client: httpx.Client, heard: list[LibraryFile]) -> None:
    answers = client.get("/api/web/navidrome/presets").json()
    assert len(answers) == 10
    for answer in answers:
        assert answer["matched_tracks"] == ask(client, answer["query"])["matched_tracks"]


def test_presets_follow_the_scores_and_the_libraries(
    client: httpx.Client, heard: list[LibraryFile], library: dict[str, Any], db: Database
) -> None:
    def matched() -> dict[str, int]:
        return {one["name"]: one["matched_tracks"] for one in client.get("/api/web/navidrome/presets").json()}

    assert sum(matched().values()) == sum(matched().values())
    with db.write() as tx:
        for file in heard:
            values = np.array([0.95, 0.95, 0.95], dtype=np.float32)
            scores.save(tx, file.id, PackScores("vibenet", "f1", HEADS, values, values / 4))
    assert matched()["Energetic"] == 3
    client.patch(f"/api/web/libraries/{library['id']}", json={"is_enabled": False})
    assert set(matched().values()) == {0}
    client.patch(f"/api/web/libraries/{library['id']}", json={"is_enabled": True})
    assert matched()["Energetic"] == 3


def test_a_preview_follows_scans(
    client: httpx.Client, heard: list[LibraryFile], library: dict[str, Any], music: Path
) -> None:
    assert ask(client, "artist is Nina OR artist is Otis")["matched_tracks"] == 3
    shutil.rmtree(music / "Otis")
    client.post(f"/api/web/libraries/{library['id']}/scan")
    assert ask(client, "artist is Nina OR artist is Otis")["matched_tracks"] == 2


@pytest.mark.parametrize("path", ["preview", "config", "presets"])
def test_strangers_are_told_nothing(stranger: httpx.Client, path: str) -> None:
    assert stranger.get(f"/api/web/navidrome/{path}").status_code == 401
    assert stranger.post(PREVIEW, json={"query": "year > 1"}).status_code == 401


def test_nonsense_in_any_depth_is_answered(client: httpx.Client) -> None:
    for content in ("[" * 100_000, '{"rules": {"all": ' + "[" * 50_000 + "]" * 50_000 + "}}"):
        answer = client.post(PREVIEW, content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400, answer.text
