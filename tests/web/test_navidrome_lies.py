"""What answers at Navidrome's address says anything at all, or nothing: every route explains it, soon, and goes on."""

from __future__ import annotations

import gzip
import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from navidrome.standin import Handler, Navidrome, running
from nomarr.navidrome import client as client_module
from nomarr.navidrome import connection
from nomarr.scores import PackScores
from nomarr.store import navidrome, scores
from nomarr.store.database import Database

from .conftest import Analyse, Home

NAVIDROME = "/api/web/navidrome"
ROUNDS = 150
HEADS = ("danceability", "energy", "valence")
ROUTES: dict[str, Callable[[httpx.Client, list[int]], httpx.Response]] = {
    "test": lambda client, _ids: client.post(f"{NAVIDROME}/test", json={}),
    "scan": lambda client, _ids: client.post(f"{NAVIDROME}/scan", json={"full": True}),
    "doctor": lambda client, _ids: client.post(f"{NAVIDROME}/doctor"),
    "rules": lambda client, _ids: client.post(
        f"{NAVIDROME}/playlists/push", json={"playlist_name": "Mine", "query": "nom:danceability > 0.2"}
    ),
    "list": lambda client, ids: client.post(
        f"{NAVIDROME}/playlists/push", json={"playlist_name": "Listed", "kind": "list", "file_ids": ids}
    ),
}
NEVER_FAIL = ("test", "doctor")  # they tell what is wrong in what they answer
PAGE = b"<!doctype html><html><title>Sign in</title>" + b"<p>Please log in.</p>" * 50
BODIES = {
    "nothing": b"",
    "null": b"null",
    "a list": b"[]",
    "an object": b"{}",
    "a text": b'"ok"',
    "numbers": b"[1, 2]",
    "lists in a list": b"[[]]",
    "nothings": b"[null]",
    "a page": PAGE,
    "no numbers": b'[{"id": NaN}]',
    "endless nesting": b"[" * 200_000,
    "nested objects": b'{"a":' * 200_000,
    "a huge number": b'[{"id": ' + b"9" * 400 + b', "duration": 1e999}]',
    "more digits than Python reads": b"9" * 5000,
    "an id of no kind": b'[{"id": {}, "mediaFileId": []}]',
    "a length in words": b'[{"id": "s1", "duration": "long", "path": 3.5}]',
    "half a character": b'[{"id": "\\ud800\\u0000", "path": "\\udfff", "mediaFileId": "\\ud800"}]',
    "no text": b'[{"id": "\xff\xfe"}]',
    "tags of no kind": b'{"id": "s1", "tags": [1], "rawTags": {"a": 1}, "config": {"Tags": {"x": 1}}, "rules": [1]}',
    "an odd error": b'{"subsonic-response": {"status": "failed", "error": {"code": "x", "message": [1]}}}',
    "an error in a list": b'{"subsonic-response": {"status": "failed", "error": [1]}}',
    "an odd version": b'{"subsonic-response": {"status": "ok", "type": "navidrome", "serverVersion": {"a": 1}}}',
    "a very long version": b'{"subsonic-response": {"status": "ok", "type": "navidrome", "serverVersion": "0.63.'
    + b"1" * 100_000
    + b'"}}',
    "a token that is none": '{"token": "é\\n", "id": "u1", "username": "admin", "isAdmin": true}'.encode(),
    "ids of no kind": b'{"id": [], "playlist": {"id": {}}, "subsonic-response": {"status": "ok", "playlist": []}}',
}

Lie = Callable[[Handler], bool]


def body(content: bytes, status: int = 200, kind: str = "application/json", **headers: str) -> Lie:
    return lambda handler: handler.send(status, content, kind, **headers) is None


def raw(*parts: bytes, pause_s: float = 0.0) -> Lie:
    """Bytes as they are, and the end."""

    def send(handler: Handler) -> bool:
        handler.close_connection = True
        try:
            for part in parts:
                handler.wfile.write(part)
                handler.wfile.flush()
                time.sleep(pause_s)
        except OSError:
            pass  # nobody listens any more
        return True

    return send


LIES: dict[str, Lie] = {name: body(content) for name, content in BODIES.items()} | {
    "a login page": body(PAGE, kind="text/html"),
    "a redirect": body(b"", 302, Location="https://sso.invalid/login?to=me"),
    "a redirect to nowhere": body(b"", 302, Location="http://[::1"),
    "a redirect with odd characters": body(b"", 307, Location="http://\x7f\x80/\x01"),
    "a failure": body(PAGE, 500, "text/html"),
    "a failure in zlib": body(b"x\x9c" + b"\0" * 500, 500, "text/html; charset=zlib"),
    "a failure in hex": body(b"no digits", 418, "text/html; charset=hex"),
    "a refusal": body(b"no", 403, "text/plain"),
    "no login": body(b"{}", 401),
    "an odd token": body(b"[]", X_ND_Authorization="\xe9\xe9"),
    "a body cut off": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n[{"),
    "a chunk cut off": raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n[{"),
    "no HTTP": raw(b"\x16\x03\x01 what do you want?\r\n\r\n" * 10),
    "nothing and the end": raw(),
    "what is not gzip": body(b"not packed at all", Content_Encoding="gzip"),
    "a large body": body(b"[" + b" " * 3_000_000 + b"]"),
    "a bomb": body(gzip.compress(b" " * 20_000_000), Content_Encoding="gzip"),
    "headers that drip": raw(b"HTTP/1.1 200 OK\r\nX-A: ", *[b"a"] * 60, pause_s=0.05),
    "a body that drips": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", *[b" "] * 60, pause_s=0.05),
}


@pytest.fixture
def server(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Navidrome]:
    monkeypatch.setattr(connection, "LONGEST_S", 1.0)
    monkeypatch.setattr(connection, "LARGEST", 1_000_000)
    with running(Navidrome(login_limit=10**9)) as server:
        yield server
        assert home.app is not None
        home.app.state.navidrome.clients.close()


@pytest.fixture
def linked(client: httpx.Client, server: Navidrome) -> httpx.Client:
    for key, value in (("url", server.url), ("user", "admin"), ("password", "secret")):
        answer = client.post("/api/web/config", json={"key": f"navidrome_{key}", "value": value})
        assert answer.status_code == 200, answer.text
    return client


@pytest.fixture
def ids(scanned: dict[str, Any], analyse: Analyse, db: Database, server: Navidrome, music: Path) -> list[int]:
    """Three files that Navidrome knows too, and that hold our tags."""
    done = analyse()
    with db.write() as tx:
        for file in done:
            values = np.array([0.9, 0.5, 0.5], dtype=np.float32)
            scores.save(tx, file.id, PackScores("vibenet", "f1", HEADS, values, values / 4))
            name = Path(file.path)
            server.add_song(str(name.relative_to(music)), title=name.stem, duration=2.0, tags={"nom_energy": ["0.5"]})
            server.raw_tags[f"s{len(server.songs):04}"] = {"nom:energy": ["0.5"]}
        tx.run("UPDATE library_files SET written_hash = 'x', written_at = 1")
    return [file.id for file in done]


def told(answer: httpx.Response, route: str) -> str:
    """What somebody is told; never a failure of our own."""
    assert answer.status_code in ((200,) if route in NEVER_FAIL else (200, 409, 502)), (route, answer.text)
    found = answer.json()
    for text in [found.get("detail", ""), found.get("message", ""), *(s["evidence"] for s in found.get("steps", ()))]:
        assert len(text) < 600
        assert text.isprintable(), text
    return str(found)


def mutated(value: Any, rng: random.Random) -> Any:
    """The same with one fact of another kind."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(list(value))
        return {**value, key: mutated(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.9:
        at = rng.randrange(len(value))
        return [*value[:at], mutated(value[at], rng), *value[at + 1 :]]
    return rng.choice([None, True, -1, 10**30, 0.5, "", "\ud800\0", "x" * 20_000, [], {}, [[]], {"a": [1]}, [None]])


def slightly_wrong(rng: random.Random) -> Lie:
    """An honest answer with one fact of another kind."""

    def lie(handler: Handler) -> bool:
        honest = handler.send

        def send(status: int, content: bytes, kind: str = "application/json", **headers: str) -> None:
            if kind == "application/json" and content:
                content = json.dumps(mutated(json.loads(content), rng)).encode()
            honest(status, content, kind, **headers)

        handler.send = send  # type: ignore[method-assign]
        return False

    return lie


def at_request(number: int, lie: Lie) -> Lie:
    """Honest but for one request, counted from 0."""
    seen = iter(range(10**9))
    return lambda handler: next(seen) == number and lie(handler)


def forget(home: Home, db: Database) -> None:
    """As before anything was told: no session, no songs, no playlists."""
    assert home.app is not None
    home.app.state.navidrome.clients.close()
    with db.write() as tx:
        navidrome.forget_songs(tx)
        for table in ("navidrome_playlists", "preferences WHERE key LIKE 'navidrome.%'"):
            tx.run(f"DELETE FROM {table}")


@pytest.mark.parametrize("lie", LIES)
def test_each_route_explains_a_server_that_is_not_what_it_says(
    linked: httpx.Client, ids: list[int], server: Navidrome, lie: str
) -> None:
    server.interruption = LIES[lie]
    for route, ask in ROUTES.items():
        began = time.monotonic()
        answer = ask(linked, ids)
        assert time.monotonic() - began < 10
        told(answer, route)
        if route not in NEVER_FAIL:
            assert answer.status_code == 502, answer.text
        else:
            assert answer.json().get("ok", answer.json().get("healthy")) is False


def test_one_wrong_answer_at_any_place_is_explained_and_the_next_request_is_as_ever(
    linked: httpx.Client, ids: list[int], server: Navidrome, home: Home, db: Database
) -> None:
    rng = random.Random(20270115)
    lengths = {}
    for route, ask in ROUTES.items():
        forget(home, db)
        before = len(server.requests)
        assert ask(linked, ids).status_code == 200
        lengths[route] = len(server.requests) - before
    swift = [lie for name, lie in LIES.items() if "drip" not in name]
    for _ in range(ROUNDS):
        forget(home, db)
        server.playlists.clear()
        route = rng.choice(list(ROUTES))
        lie = rng.choice(swift) if rng.random() < 0.3 else slightly_wrong(rng)
        server.interruption = at_request(rng.randrange(lengths[route]), lie)
        told(ROUTES[route](linked, ids), route)
        server.interruption = None
    forget(home, db)
    server.playlists.clear()
    for route, ask in ROUTES.items():
        assert ask(linked, ids).status_code == 200, route


@pytest.mark.parametrize("kind", ["songs", "songs of a playlist"])
def test_lists_without_end_are_not_read_for_ever(
    linked: httpx.Client, ids: list[int], server: Navidrome, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(client_module, "PAGE", 2)
    monkeypatch.setattr(client_module, "MOST_IN_PLAYLIST", 10)
    what = "/api/song" if kind == "songs" else "/tracks"
    some = [{"id": f"s{n}", "mediaFileId": f"s{n}", "path": f"{n}.mp3"} for n in range(2)]

    def lie(handler: Handler) -> bool:
        return what in handler.path and handler.json(200, some) is None

    server.interruption = lie
    answer = ROUTES["list"](linked, ids)
    assert (answer.status_code, answer.json()["detail"]) == (
        502,
        f"Navidrome's {kind} come to no end; they are not read",
    )
