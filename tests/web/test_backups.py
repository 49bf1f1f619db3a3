"""Backups over HTTP: the list, one now, its files, and who may."""

from __future__ import annotations

import time

import httpx

from nomarr import backups
from nomarr.store import preferences
from nomarr.store.database import Database

from .conftest import Home
from .test_keys import make, with_key

URL = "/api/web/backups"


def made(client: httpx.Client) -> dict[str, object]:
    deadline = time.monotonic() + 60
    while not (answer := client.get(URL).json())["backups"] or answer["state"] == "running":
        assert time.monotonic() < deadline, answer
        time.sleep(0.02)
    return dict(answer)


def test_one_is_made_listed_and_downloaded(home: Home, client: httpx.Client) -> None:
    empty = client.get(URL).json()
    assert (empty["state"], empty["backups"], empty["next_at"]) == ("ok", [], "2027-01-15T08:00:00Z")
    assert client.post(URL).status_code == 202
    answer = made(client)
    assert (answer["state"], answer["next_at"]) == ("ok", "2027-01-16T08:00:00Z")
    [backup] = answer["backups"]
    assert backup["files"] == ["nomarr-20270115T080000Z.db", "nomarr-20270115T080000Z-patches.db"]
    file = client.get(f"{URL}/{backup['name']}")
    assert file.content == (home.settings.data_dir / "backups" / backup["name"]).read_bytes()
    assert file.content.startswith(b"SQLite format 3")
    for name in ("nomarr-20270115T080001Z.db", ".lock", "..%2Fnomarr.db", "%2e%2e", "nomarr.db"):
        assert client.get(f"{URL}/{name}").status_code in (400, 404), name


def test_only_administrators_see_make_and_download_them(home: Home, client: httpx.Client) -> None:
    assert home.connect().get(URL).status_code == 401
    for scope in ("read", "enqueue"):
        program = with_key(home, make(client, scope))
        assert program.get(URL).status_code == 403
        assert program.post(URL).status_code == 403
        assert program.get(f"{URL}/nomarr-20270115T080000Z.db").status_code == 403


def test_two_are_not_made_at_a_time(home: Home, client: httpx.Client) -> None:
    with backups._only_one(backups.folder(home.settings)):
        assert client.get(URL).json()["state"] == "running"
        answer = client.post(URL)
    assert answer.status_code == 409
    assert answer.json() == {"detail": "A backup is being made already"}


def test_a_failure_is_shown_and_warned_about(db: Database, client: httpx.Client, stranger: httpx.Client) -> None:
    assert not stranger.get("/health/ready").json()["warnings"]
    with db.write() as tx:
        preferences.put(tx, backups.PROBLEM, {"at": 1_800_000_000_000, "why": "/backups: no room"})
    answer = client.get(URL).json()
    assert (answer["state"], answer["problem"]) == ("failed", "/backups: no room")
    warnings = stranger.get("/health/ready").json()["warnings"]
    assert warnings == ["the last backup of the database failed; GET /api/web/backups says why"]
