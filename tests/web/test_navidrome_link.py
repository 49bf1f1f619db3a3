"""The routes to a Navidrome, against a stand-in that is as strict as it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from pydantic import SecretStr

from navidrome.standin import Navidrome, User, running
from nomarr.scores import PackScores
from nomarr.store import scores
from nomarr.store.database import Database
from nomarr.store.files import LibraryFile
from nomarr.web.app import create_app

from .conftest import Analyse, Home

NAVIDROME = "/api/web/navidrome"
PUSH = f"{NAVIDROME}/playlists/push"
WRITE = f"{NAVIDROME}/playlists/write"
HEADS = ("danceability", "energy", "valence")
SECRET = "a very secret password"


@pytest.fixture
def server(home: Home) -> Iterator[Navidrome]:
    navidrome = Navidrome()
    navidrome.users[0].password = SECRET
    with running(navidrome):
        yield navidrome
        if home.app is not None:
            home.app.state.navidrome.clients.close()


@pytest.fixture
def linked(client: httpx.Client, server: Navidrome) -> httpx.Client:
    """Somebody who told Nomarr of Navidrome."""
    for key, value in (("url", server.url), ("user", "admin"), ("password", SECRET)):
        answer = client.post("/api/web/config", json={"key": f"navidrome_{key}", "value": value})
        assert answer.status_code == 200, answer.text
    return client


@pytest.fixture
def heard(scanned: dict[str, Any], analyse: Analyse, db: Database, server: Navidrome, music: Path) -> list[LibraryFile]:
    """Three songs with scores, which Navidrome knows too."""
    done = sorted(analyse(), key=lambda file: file.path)
    with db.write() as tx:
        for file, value in zip(done, (0.9, 0.1, 0.5), strict=True):
            values = np.array([value, 0.5, 0.5], dtype=np.float32)
            scores.save(tx, file.id, PackScores("vibenet", "f1", HEADS, values, values / 4))
            server.add_song(str(Path(file.path).relative_to(music)), title=Path(file.path).stem, duration=2.0)
    server.find = lambda _rules: ["s0001"]
    return done


def push(client: httpx.Client, **body: Any) -> dict[str, Any]:
    answer = client.post(PUSH, json={"playlist_name": "Mine", **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_password_is_kept_and_never_told(linked: httpx.Client) -> None:
    answer = linked.get("/api/web/config")
    assert answer.json()["navidrome_user"] == "admin"
    assert answer.json()["navidrome_password"] is True
    assert answer.json()["details"]["navidrome_password"]["type"] == "secret"
    for path in ("config", "info", "navidrome/scan", "navidrome/playlists/pushed"):
        assert SECRET not in linked.get(f"/api/web/{path}").text


def test_another_address_does_not_get_the_password(linked: httpx.Client, server: Navidrome) -> None:
    linked.post("/api/web/config", json={"key": "navidrome_url", "value": f"{server.url}/music"})
    assert linked.get("/api/web/config").json()["navidrome_password"] is True
    with running(Navidrome()) as other:
        linked.post("/api/web/config", json={"key": "navidrome_url", "value": other.url})
        assert linked.get("/api/web/config").json()["navidrome_password"] is False
        assert linked.post(f"{NAVIDROME}/test", json={}).json()["kind"] == "not_set_up"
        assert other.requests == []


def test_a_password_out_of_a_file_stays_with_the_address_beside_it(home: Home, server: Navidrome) -> None:
    given = {"navidrome_url": server.url, "navidrome_user": "admin", "navidrome_password": SecretStr(SECRET)}
    home.settings = home.settings.model_copy(update=given)
    home.start()
    client = home.connect(token=home.token)
    with running(Navidrome()) as other:
        answer = client.post("/api/web/config", json={"key": "navidrome_url", "value": other.url})
        assert (answer.status_code, SECRET in answer.text) == (409, False)
        assert client.get("/api/web/config").json()["navidrome_url"] == server.url
        assert client.post(f"{NAVIDROME}/test", json={}).json()["ok"] is True
        assert other.requests == []
    answer = client.post("/api/web/config", json={"key": "navidrome_url", "value": f"{server.url}/music"})
    assert answer.status_code == 200


def test_a_bad_address_is_refused(client: httpx.Client) -> None:
    answer = client.post("/api/web/config", json={"key": "navidrome_url", "value": "navidrome:4533"})
    assert (answer.status_code, answer.json()["detail"]) == (
        400,
        "navidrome_url: must be an address such as http://navidrome:4533",
    )
    answer = client.post(f"{NAVIDROME}/test", json={"url": "navidrome:4533"})
    assert (answer.status_code, answer.json()["detail"].startswith("url: it must begin with http")) == (400, True)


def test_the_connection_can_be_tried_before_it_is_set(client: httpx.Client, server: Navidrome) -> None:
    def tried(**body: str) -> tuple[bool, str]:
        answer = client.post(f"{NAVIDROME}/test", json=body).json()
        assert SECRET not in json.dumps(answer)
        return answer["ok"], answer["kind"]

    assert tried() == (False, "not_set_up")
    assert tried(url=server.url, user="admin", password=SECRET) == (True, "ok")
    assert tried(url=server.url, user="admin", password="wrong") == (False, "credentials")
    assert tried(url=f"{server.url}/x", user="admin", password=SECRET) == (False, "wrong_path")


def test_a_test_of_another_address_needs_its_own_password(linked: httpx.Client) -> None:
    with running(Navidrome()) as other:
        answer = linked.post(f"{NAVIDROME}/test", json={"url": other.url}).json()
        assert (answer["kind"], answer["message"], other.requests) == ("not_set_up", "Still needed: password", [])
    assert linked.post(f"{NAVIDROME}/test", json={}).json()["ok"] is True


def test_without_navidrome_its_routes_say_what_is_missing(client: httpx.Client) -> None:
    for answer in (
        client.post(PUSH, json={"playlist_name": "x", "query": "year > 1"}),
        client.post(f"{NAVIDROME}/scan", json={}),
        client.get(f"{NAVIDROME}/playlists/pushed"),
    ):
        assert answer.status_code == 409
        assert answer.json()["detail"].startswith("Navidrome is not set up; what is missing: navidrome_url")


def test_a_navidrome_that_fails_is_a_sentence(linked: httpx.Client, server: Navidrome) -> None:
    server.interruption = lambda handler: handler.send(503, b"") is None
    answer = linked.post(f"{NAVIDROME}/scan", json={})
    assert (answer.status_code, "answers 503" in answer.json()["detail"]) == (502, True)


def test_a_scan_can_be_asked_for(linked: httpx.Client, server: Navidrome, home: Home) -> None:
    assert linked.get(f"{NAVIDROME}/scan").json()["scanned_at"] is None
    answer = linked.post(f"{NAVIDROME}/scan", json={"full": True}).json()
    assert (server.scans, answer["waiting_files"]) == ([(True, [])], 0)
    assert linked.get(f"{NAVIDROME}/scan").json() == answer
    assert answer["scanned_at"] == "2027-01-15T08:00:00Z"


def test_a_playlist_with_rules_is_pushed_once(
    linked: httpx.Client, server: Navidrome, heard: list[LibraryFile]
) -> None:
    body = {"query": "nom:danceability >= 0.5", "sort": "-year", "limit": 5, "comment": "c"}
    first = push(linked, **body)
    assert (first["action"], first["matched_tracks"], first["playlist"]["tracks"]) == ("created", 2, 1)
    (there,) = server.playlists.values()
    assert there["rules"] == {
        "any": [{"gt": {"nom_danceability": 0.5}}, {"is": {"nom_danceability": 0.5}}],
        "sort": "-year",
        "limit": 5,
    }
    again = push(linked, **body)
    assert (again["action"], again["playlist"]["id"], len(server.playlists)) == (
        "unchanged",
        first["playlist"]["id"],
        1,
    )
    changed = push(linked, **{**body, "limit": 6})
    assert (changed["action"], there["rules"]["limit"]) == ("updated", 6)
    assert [one["name"] for one in linked.get(f"{NAVIDROME}/playlists/pushed").json()] == ["Mine"]


def test_a_list_is_pushed_in_its_order(linked: httpx.Client, server: Navidrome, heard: list[LibraryFile]) -> None:
    first = push(linked, kind="list", query="duration >= 0", sort="-nom:danceability")
    assert (first["action"], first["matched_tracks"], first["unmapped"]) == ("created", 3, 0)
    assert list(server.tracks.values()) == [["s0001", "s0003", "s0002"]]
    assert push(linked, kind="list", query="duration >= 0", sort="-nom:danceability")["action"] == "unchanged"
    ids = [heard[2].id, heard[0].id]
    assert push(linked, kind="list", file_ids=ids)["action"] == "updated"
    assert list(server.tracks.values()) == [["s0003", "s0001"]]


def test_tracks_that_navidrome_does_not_know_are_counted(
    linked: httpx.Client, server: Navidrome, heard: list[LibraryFile]
) -> None:
    server.songs[0]["missing"] = True
    assert push(linked, kind="list", query="duration >= 0")["unmapped"] == 1
    for song in server.songs:
        song["missing"] = True
    server.last_scan = "2026-11-23T09:00:00Z"
    answer = linked.post(PUSH, json={"playlist_name": "Other", "kind": "list", "file_ids": [999]})
    assert (answer.status_code, "an empty list" in answer.json()["detail"]) == (400, True)


def test_a_pushed_playlist_is_renamed_by_its_id(
    linked: httpx.Client, server: Navidrome, heard: list[LibraryFile]
) -> None:
    first = push(linked, query="year >= 0")
    renamed = push(linked, query="year >= 0", playlist_name="New", pushed_id=first["playlist"]["id"])
    assert (renamed["action"], [p["name"] for p in server.playlists.values()]) == ("updated", ["New"])
    assert [one["name"] for one in linked.get(f"{NAVIDROME}/playlists/pushed").json()] == ["New"]
    answer = linked.post(PUSH, json={"query": "year >= 0", "playlist_name": "x", "pushed_id": 999})
    assert answer.status_code == 404


def test_a_restart_remembers_what_was_pushed(
    linked: httpx.Client, server: Navidrome, heard: list[LibraryFile], home: Home
) -> None:
    push(linked, query="year >= 0")
    assert home.app is not None
    home.app.state.navidrome.clients.close()
    home.app = create_app(home.settings, home.db, clock=home.time.clock, monotonic=home.time.monotonic)
    assert push(home.connect(token=home.token), query="year >= 0")["action"] == "unchanged"


def test_a_pushed_playlist_is_forgotten_here_or_everywhere(
    linked: httpx.Client, server: Navidrome, heard: list[LibraryFile]
) -> None:
    one = push(linked, query="year >= 0", playlist_name="One")["playlist"]["id"]
    two = push(linked, query="year >= 0", playlist_name="Two")["playlist"]["id"]
    assert linked.post(f"{NAVIDROME}/playlists/pushed/{one}/forget", json={}).status_code == 200
    assert linked.post(f"{NAVIDROME}/playlists/pushed/{two}/forget", json={"also_there": True}).status_code == 200
    assert [p["name"] for p in server.playlists.values()] == ["One"]
    assert linked.get(f"{NAVIDROME}/playlists/pushed").json() == []
    assert linked.post(f"{NAVIDROME}/playlists/pushed/{one}/forget", json={}).status_code == 404


def test_a_playlist_of_another_account_is_neither_changed_nor_deleted(
    linked: httpx.Client, server: Navidrome, heard: list[LibraryFile]
) -> None:
    pushed = push(linked, query="year >= 0")["playlist"]["id"]
    server.users.append(User("u2", "other", SECRET))
    linked.post("/api/web/config", json={"key": "navidrome_user", "value": "other"})
    before = server.writes()
    for url, body in (
        (PUSH, {"query": "year >= 0", "playlist_name": "x", "pushed_id": pushed}),
        (f"{NAVIDROME}/playlists/pushed/{pushed}/forget", {"also_there": True}),
    ):
        answer = linked.post(url, json=body)
        assert answer.status_code == 409
        assert answer.json()["detail"].startswith("Mine was pushed to admin@http://")
    assert server.writes() == before
    assert linked.post(f"{NAVIDROME}/playlists/pushed/{pushed}/forget", json={}).status_code == 200


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({}, "Give either query or rules"),
        ({"file_ids": [1]}, "file_ids: they make a list"),
        ({"file_ids": [1], "kind": "list", "query": "year > 1"}, "file_ids: they make a list"),
        ({"query": "rating > 3", "kind": "list"}, "Only Navidrome knows rating"),
        ({"query": "NOT title startsWith a"}, "Navidrome cannot say"),
        ({"query": "year > 1", "kind": "x"}, "kind: input should be 'rules' or 'list'"),
        ({"file_ids": [0], "kind": "list"}, "file_ids[0]: input should be greater"),
    ],
)
def test_what_cannot_be_pushed_is_answered_in_one_sentence(
    linked: httpx.Client, body: dict[str, Any], detail: str
) -> None:
    answer = linked.post(PUSH, json={"playlist_name": "x", **body})
    assert (answer.status_code, answer.json()["detail"].startswith(detail)) == (400, True), answer.text


def test_a_playlist_is_put_beside_the_music(client: httpx.Client, library: dict[str, Any], music: Path) -> None:
    body = {"query": "year > 1990", "playlist_name": "Nineties", "library_id": library["id"], "folder": "Playlists"}
    answer = client.post(WRITE, json=body)
    file = music / "Playlists/Nineties.nsp"
    assert (answer.status_code, answer.json()) == (200, {"path": str(file), "action": "created"})
    assert json.loads(file.read_text())["all"] == [{"gt": {"year": 1990}}]
    assert client.post(WRITE, json=body).json()["action"] == "unchanged"
    assert client.post(WRITE, json={**body, "query": "year > 1995"}).json()["action"] == "updated"
    file.write_text("{}")
    assert client.post(WRITE, json=body).status_code == 409
    assert client.post(WRITE, json={**body, "replace": True}).json()["action"] == "updated"
    assert client.post(WRITE, json={**body, "folder": "../x"}).status_code == 400
    assert client.post(WRITE, json={**body, "library_id": 99}).status_code == 404


def steps(client: httpx.Client) -> dict[str, str]:
    answer = client.post(f"{NAVIDROME}/doctor")
    assert answer.status_code == 200, answer.text
    return {step["name"]: step["verdict"] for step in answer.json()["steps"]}


def test_the_doctor_finds_the_step_that_is_missing(
    linked: httpx.Client, server: Navidrome, heard: list[LibraryFile], db: Database
) -> None:
    assert steps(linked) == {"connection": "ok", "files": "missing"}
    with db.write() as tx:
        tx.run("UPDATE library_files SET written_hash = 'x'")
    songs, server.songs = server.songs, []
    assert steps(linked) == {"connection": "ok", "files": "ok", "libraries": "missing"}
    server.songs = [{**song, "path": f"other/{n}.mp3", "title": "other"} for n, song in enumerate(songs)]
    assert steps(linked)["libraries"] == "missing"
    server.songs = songs
    assert steps(linked) | {"scan": ""} == {
        "connection": "ok",
        "files": "ok",
        "libraries": "ok",
        "config": "missing",
        "tags": "unknown",
        "fields": "unknown",
        "scan": "",
        "playlists": "ok",
    }
    tables = linked.get(f"{NAVIDROME}/config").json()["tables"]
    server.tag_tables = {t["name"]: {"Aliases": t["aliases"], "Type": t["type"] or "string"} for t in tables}
    server.raw_tags = {song["id"]: {"title": ["x"]} for song in songs}
    assert (steps(linked)["config"], steps(linked)["tags"]) == ("ok", "missing")
    server.raw_tags = {song["id"]: {"NOM:danceability": ["0.9000"]} for song in songs}
    assert (steps(linked)["tags"], steps(linked)["fields"]) == ("ok", "missing")
    for song in songs:
        song["tags"] = {"nom_danceability": ["0.1000"]}
    assert steps(linked)["fields"] == "warning"
    for song in songs:
        song["tags"] = {"nom_danceability": ["0.9000"]}
    assert steps(linked)["fields"] == "ok"
    server.tag_tables["nom_danceability"]["Type"] = "string"
    assert steps(linked)["config"] == "warning"
    del server.tag_tables["nom_danceability"]
    assert steps(linked)["config"] == "missing"


def test_the_doctor_looks_at_pushed_playlists(
    linked: httpx.Client, server: Navidrome, heard: list[LibraryFile], db: Database
) -> None:
    with db.write() as tx:
        tx.run("UPDATE library_files SET written_hash = 'x'")
    push(linked, query="year >= 0")
    assert steps(linked)["playlists"] == "ok"
    server.find = lambda _rules: []
    assert steps(linked)["playlists"] == "warning"
    server.playlists.clear()
    answer = linked.post(f"{NAVIDROME}/doctor").json()
    assert answer["healthy"] is False
    assert answer["steps"][-1]["evidence"] == "Deleted in Navidrome: Mine"


def test_the_doctor_says_what_is_wrong_with_the_connection(linked: httpx.Client, server: Navidrome) -> None:
    server.users[0].password = "changed"
    answer = linked.post(f"{NAVIDROME}/doctor").json()
    assert [step["name"] for step in answer["steps"]] == ["connection"]
    assert answer["steps"][0]["evidence"] == "Navidrome does not know admin with this password"


def test_the_doctor_begins_before_navidrome_is_set_up(client: httpx.Client) -> None:
    answer = client.post(f"{NAVIDROME}/doctor").json()
    assert [(step["name"], step["verdict"]) for step in answer["steps"]] == [
        ("connection", "missing"),
        ("files", "missing"),
    ]
    assert answer["steps"][0]["evidence"].startswith("Navidrome is not set up; what is missing: navidrome_url")


def test_strangers_cannot_reach_navidrome(stranger: httpx.Client) -> None:
    for path in ("test", "scan", "doctor", "playlists/push", "playlists/write", "playlists/pushed/1/forget"):
        assert stranger.post(f"{NAVIDROME}/{path}", json={}).status_code == 401
    assert stranger.get(f"{NAVIDROME}/scan").status_code == 401
