"""API keys: making them, what each opens, and the ways to send them."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import httpx
import pytest

from nomarr import secretkey
from nomarr.store.database import Database

from .conftest import Home
from .test_libraries import detail

KEYS = "/api/web/keys"
LIBRARIES = "/api/web/libraries"
INFO = "/api/v1/info"
PROCESS = "/api/web/processing/process-files"


def make(client: httpx.Client, scope: str, name: str = "") -> str:
    answer = client.post(KEYS, json={"name": name or f"for {scope}", "scope": scope})
    assert answer.status_code == 201, answer.text
    key: str = answer.json()["key"]
    return key


def with_key(home: Home, key: str) -> httpx.Client:
    client = home.connect()
    client.headers["X-Api-Key"] = key
    return client


def listed(client: httpx.Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(KEYS).json()
    return found


# making and revoking


def test_a_key_is_shown_once_and_only_its_hash_is_kept(home: Home, client: httpx.Client) -> None:
    answer = client.post(KEYS, json={"name": " Lidarr ", "scope": "enqueue"})
    made = answer.json()
    key = made.pop("key")
    assert made == {
        "id": made["id"],
        "name": "Lidarr",
        "scope": "enqueue",
        "created_at": "2027-01-15T08:00:00Z",
        "last_used_at": None,
    }
    assert listed(client) == [made]
    assert key not in client.get(KEYS).text
    stored = b"".join(path.read_bytes() for path in home.settings.data_dir.iterdir())
    assert key.encode() not in stored


def test_a_revoked_key_opens_nothing(home: Home, client: httpx.Client) -> None:
    key = make(client, "admin")
    assert with_key(home, key).get(LIBRARIES).status_code == 200
    made = listed(client)[0]["id"]
    assert client.delete(f"{KEYS}/{made}").json() == {"message": "Revoked", "status": "success"}
    assert detail(with_key(home, key).get(LIBRARIES), 401) == "The API key is not valid"
    assert detail(client.delete(f"{KEYS}/{made}"), 404) == f"API key not found: {made}"


def test_two_keys_cannot_have_one_name(client: httpx.Client) -> None:
    make(client, "read", "one")
    assert "one" in detail(client.post(KEYS, json={"name": "one", "scope": "read"}), 409)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "a"},
        {"name": "", "scope": "read"},
        {"name": "a", "scope": "all"},
        {"name": "a\nb", "scope": "read"},
    ],
)
def test_a_key_needs_a_name_and_a_scope(client: httpx.Client, body: dict[str, str]) -> None:
    assert detail(client.post(KEYS, json=body), 400).startswith(("name: ", "scope: "))


def test_its_use_is_noted_once_a_minute(home: Home, client: httpx.Client) -> None:
    robot = with_key(home, make(client, "read"))
    times = []
    for _ in range(4):
        assert robot.get(LIBRARIES).status_code == 200
        times.append(listed(client)[0]["last_used_at"])
        home.time.pass_s(25)
    assert times == ["2027-01-15T08:00:00Z"] * 3 + ["2027-01-15T08:01:15Z"]


# what each scope opens


ALLOWED = {
    "read": {("GET", LIBRARIES), ("GET", INFO), ("POST", "/api/v1/path-mappings/test")},
    "enqueue": {
        ("POST", PROCESS),
        ("POST", "/api/v1/tag"),
        ("POST", "/api/v1/processing/process-files"),
        ("POST", "/api/v1/hooks/lidarr"),
        ("PUT", "/api/v1/hooks/lidarr"),
        ("POST", f"{LIBRARIES}/1/scan"),
    },
    "admin": {
        ("POST", LIBRARIES),
        ("PATCH", f"{LIBRARIES}/1"),
        ("DELETE", f"{LIBRARIES}/1"),
        ("GET", KEYS),
        ("POST", KEYS),
        ("DELETE", f"{KEYS}/1000"),
        ("POST", "/api/web/config"),
        ("POST", "/api/web/worker/pause"),
        ("POST", "/api/web/worker/resume"),
        ("PUT", "/api/web/path-mappings"),
        ("GET", "/api/web/fs/list"),
    },
}


@pytest.mark.parametrize("scope", list(ALLOWED))
def test_a_scope_opens_what_it_says_and_no_more(home: Home, client: httpx.Client, scope: str) -> None:
    robot = with_key(home, make(client, scope))
    scopes = list(ALLOWED)
    for needed, requests in ALLOWED.items():
        for method, path in requests:
            answer = robot.request(method, path, json={} if method != "GET" else None)
            is_enough = scopes.index(scope) >= scopes.index(needed)
            assert (answer.status_code not in (401, 403)) is is_enough, (scope, method, path, answer.text)
            if not is_enough:
                assert detail(answer, 403) == f"The API key for {scope} is for {scope}; this needs one for {needed}"


def test_a_key_has_no_session_to_log_out(home: Home, client: httpx.Client) -> None:
    assert "no session" in detail(with_key(home, make(client, "admin")).post("/api/web/auth/logout"), 403)


# ways to send it


def basic(text: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}


@pytest.mark.parametrize("path", [LIBRARIES, INFO])
def test_a_key_may_come_in_any_of_four_ways(home: Home, client: httpx.Client, path: str) -> None:
    key = make(client, "read")
    stranger = home.connect()
    for headers in ({"Authorization": f"Bearer {key}"}, {"X-Api-Key": key}, basic(f"any:{key}"), basic(f":{key}")):
        assert stranger.get(path, headers=headers).status_code == 200, headers
    assert stranger.get(path, params={"apikey": key}).status_code == 200


def test_a_key_of_our_own_wins_over_what_a_proxy_in_front_was_told(home: Home, client: httpx.Client) -> None:
    key = make(client, "read")
    assert home.connect().get(INFO, headers={"X-Api-Key": key, **basic("me:secret")}).status_code == 200
    browser = home.connect()
    browser.cookies.set("nomarr_session", home.token)
    assert browser.get(LIBRARIES, headers=basic("me:secret")).status_code == 200


@pytest.mark.parametrize("path", [LIBRARIES, INFO])
@pytest.mark.parametrize(
    "headers",
    [
        {"X-Api-Key": "nom_wrong"},
        {"Authorization": "Bearer nom_wrong"},
        basic("any:nom_wrong"),
        basic("nocolon"),
        {"Authorization": "Basic %%%"},
        {"Authorization": "Basic " + base64.b64encode(b"\xff:\xff").decode()},
    ],
)
def test_a_wrong_key_is_refused(home: Home, path: str, headers: dict[str, str]) -> None:
    answer = home.connect().get(path, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_session_does_not_open_the_older_api(home: Home, client: httpx.Client) -> None:
    assert detail(client.get(INFO), 401) == "The API key is not valid"
    browser = home.connect()
    browser.cookies.set("nomarr_session", home.token)
    assert "X-Api-Key" in detail(browser.get(INFO), 401)


def test_the_hash_of_a_key_is_no_key(home: Home, client: httpx.Client, db: Database) -> None:
    make(client, "admin")
    with db.read() as tx:
        hashed = tx.scalar("SELECT key_hash FROM api_keys")
    assert with_key(home, hashed).get(LIBRARIES).status_code == 401


# the key of the installation


def test_the_key_of_the_installation_opens_everything_until_another_is_made(home: Home) -> None:
    data: Path = home.settings.data_dir
    old = secretkey.show(data)
    assert with_key(home, old).get(INFO).status_code == 200
    assert with_key(home, old).get(KEYS).json() == []
    new = secretkey.generate(data)
    assert with_key(home, old).get(INFO).status_code == 401
    assert with_key(home, new).get(INFO).status_code == 200
