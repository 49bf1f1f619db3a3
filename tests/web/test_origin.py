"""Behind a proxy: under a part of a host, with the base passed on or cut off, and believed only where trusted."""

from __future__ import annotations

import httpx
import pytest

from nomarr.web.credentials import COOKIE
from web.conftest import PASSWORD, Home

BASE = "/nomarr"


@pytest.fixture(params=["passed on", "cut off"])
def outside(home: Home, request: pytest.FixtureRequest) -> httpx.Client:
    """Somebody who asks a proxy for paths below the base."""
    home.settings = home.settings.model_copy(update={"url_base": BASE})
    home.start()
    client = home.connect()
    if request.param == "cut off":

        def cut(asked: httpx.Request) -> None:
            asked.url = asked.url.copy_with(raw_path=asked.url.raw_path.removeprefix(BASE.encode()) or b"/")

        client.event_hooks = {"request": [cut]}
    return client


def test_everything_is_there_below_the_base(outside: httpx.Client) -> None:
    for path in ("/ping", "/health/live", "/docs", "/openapi.json"):
        assert outside.get(BASE + path).status_code == 200
    assert outside.get(f"{BASE}/nowhere.json").json() == {"detail": "There is nothing at /nomarr/nowhere.json"}
    assert outside.get(f"{BASE}/openapi.json").json()["servers"] == [{"url": BASE}]


def test_the_cookie_is_for_the_base_alone(outside: httpx.Client) -> None:
    answer = outside.post(f"{BASE}/api/web/auth/login", json={"password": PASSWORD})
    assert f"Path={BASE};" in answer.headers["set-cookie"]
    cookie = {"Cookie": f"{COOKIE}={answer.json()['session_token']}"}
    assert outside.get(f"{BASE}/api/web/info", headers=cookie).status_code == 200
    ours = {**cookie, "Origin": "http://nomarr:8356"}
    ended = outside.post(f"{BASE}/api/web/auth/logout", headers=ours)
    assert ended.status_code == 200
    assert f"Path={BASE};" in ended.headers["set-cookie"]


def test_the_bare_base_leads_to_the_first_page(home: Home) -> None:
    home.settings = home.settings.model_copy(update={"url_base": BASE})
    home.start()
    answer = home.connect().get(BASE)
    assert (answer.status_code, answer.headers["location"]) == (307, f"{BASE}/")


@pytest.mark.parametrize(("address", "status"), [("127.0.0.1", 200), ("::ffff:127.0.0.1", 200), ("192.0.2.1", 403)])
def test_only_a_trusted_proxy_may_say_which_host_was_asked_for(home: Home, address: str, status: int) -> None:
    client = home.connect(address=address, base_url="http://inside:8356")
    headers = {
        "Cookie": f"{COOKIE}={home.token}",
        "Origin": "https://music.example.org",
        "X-Forwarded-Host": "music.example.org",
    }
    assert client.post("/api/web/worker/pause", headers=headers).status_code == status


def test_another_site_stays_another_site_behind_a_proxy(home: Home) -> None:
    client = home.connect(address="127.0.0.1", base_url="http://inside:8356")
    headers = {
        "Cookie": f"{COOKIE}={home.token}",
        "Origin": "https://evil.example.org",
        "X-Forwarded-Host": "music.example.org",
    }
    assert client.post("/api/web/worker/pause", headers=headers).status_code == 403


def test_wrong_passwords_are_counted_for_the_client_behind_the_proxy(home: Home) -> None:
    client = home.connect(address="127.0.0.1")

    def attempt(address: str) -> int:
        headers = {"X-Forwarded-For": f"203.0.113.9, {address}"}  # the first is what the client itself claims
        return client.post("/api/web/auth/login", json={"password": ""}, headers=headers).status_code

    assert [attempt("198.51.100.1") for _ in range(11)] == [400] * 10 + [429]
    assert attempt("198.51.100.2") == 400
