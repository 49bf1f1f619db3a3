"""Who may come in, for how long, and how often somebody may try."""

from __future__ import annotations

import hashlib
import logging

import httpx
import pytest
from pydantic import SecretStr

from nomarr.store import preferences
from nomarr.store.database import Database
from nomarr.web.app import ROUTERS
from nomarr.web.auth import change_password, ensure_password
from nomarr.web.limiter import LONGEST_PAUSE_S, LoginLimiter, network
from nomarr.web.pages import PAGES

from .conftest import PASSWORD, Home

OPEN = {
    ("POST", "/api/web/auth/login"),
    *((m, p) for m in ("GET", "HEAD") for p in ("/ping", "/health/live", "/health/ready")),
    ("GET", "/docs"),
    ("GET", "/openapi.json"),
    ("HEAD", "/openapi.json"),
    ("GET", "/static/{of_version}/{name:path}"),
    ("GET", "/login"),
}
LEADING_TO_THE_LOGIN = {("GET", page.path) for page in PAGES if not page.is_open}
LIBRARIES = "/api/web/libraries"
LOGIN = "/api/web/auth/login"
LOGOUT = "/api/web/auth/logout"


def log_in(client: httpx.Client, password: str = PASSWORD, **headers: str) -> httpx.Response:
    return client.post(LOGIN, json={"password": password}, headers=headers)


def is_in(client: httpx.Client) -> bool:
    status = client.get(LIBRARIES).status_code
    assert status in (200, 401)
    return status == 200


def with_cookie(home: Home, base_url: str = "http://nomarr:8356") -> httpx.Client:
    client = home.connect(base_url=base_url)
    client.cookies.set("nomarr_session", home.token)
    return client


# login


def test_a_login_answers_with_a_token_that_opens_the_api(home: Home, stranger: httpx.Client) -> None:
    answer = log_in(stranger)
    assert answer.status_code == 200
    assert set(answer.json()) == {"session_token", "expires_in"}
    assert answer.json()["expires_in"] == 86400
    assert is_in(home.connect(token=answer.json()["session_token"]))


def test_every_login_gets_a_token_of_its_own(stranger: httpx.Client) -> None:
    tokens = {log_in(stranger).json()["session_token"] for _ in range(3)}
    assert len(tokens) == 3
    assert all(len(token) >= 43 for token in tokens)


def test_a_login_sets_a_cookie_that_scripts_and_other_sites_cannot_use(stranger: httpx.Client) -> None:
    answer = log_in(stranger)
    cookie = answer.headers["set-cookie"]
    assert answer.json()["session_token"] in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Path=/" in cookie
    assert "Secure" not in cookie


@pytest.mark.parametrize(
    ("base_url", "address", "is_secure"),
    [
        ("https://nomarr", "192.0.2.1", True),
        ("http://nomarr", "127.0.0.1", True),
        ("http://nomarr", "192.0.2.1", False),
    ],
)
def test_the_cookie_stays_on_https_where_the_login_came_by_it(
    home: Home, base_url: str, address: str, is_secure: bool
) -> None:
    client = home.connect(base_url=base_url, address=address)
    cookie = log_in(client, **{"X-Forwarded-Proto": "https"}).headers["set-cookie"]
    assert ("Secure" in cookie) == is_secure


def test_a_wrong_password_is_refused(stranger: httpx.Client) -> None:
    answer = log_in(stranger, "wrong")
    assert answer.status_code == 401
    assert answer.json() == {"detail": "Wrong password"}
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "set-cookie" not in answer.headers


def test_no_password_opens_an_installation_that_has_none(home: Home, db: Database) -> None:
    with db.write() as tx:
        preferences.remove(tx, "admin_password")
    assert log_in(home.connect()).status_code == 401


@pytest.mark.parametrize("body", [{}, {"password": ""}, {"password": 5}, {"password": "x" * 1025}, {"password": None}])
def test_a_login_without_a_proper_password_is_a_bad_request(stranger: httpx.Client, body: dict[str, object]) -> None:
    answer = stranger.post(LOGIN, json=body)
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("password: ")


def test_neither_password_nor_token_is_logged_or_stored(
    home: Home, stranger: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    log_in(stranger, "almost right")
    token = log_in(stranger).json()["session_token"]
    assert "login from 192.0.2.1" in caplog.text
    assert "wrong password from 192.0.2.1" in caplog.text
    stored = b"".join(path.read_bytes() for path in home.settings.data_dir.iterdir())
    for secret in (PASSWORD, "almost right", token):
        assert secret not in caplog.text
        assert secret.encode() not in stored
    assert hashlib.sha256(token.encode()).hexdigest().encode() in stored


# sessions


def test_a_session_ends_after_the_timeout_without_use(home: Home, client: httpx.Client) -> None:
    home.time.pass_s(home.settings.session_timeout_s + 1)
    answer = client.get(LIBRARIES)
    assert answer.status_code == 401
    assert "ended" in answer.json()["detail"]


def test_a_session_in_use_goes_on(home: Home, client: httpx.Client) -> None:
    for _ in range(5):
        home.time.pass_s(home.settings.session_timeout_s * 0.9)
        assert is_in(client)


def test_a_cookie_is_renewed_with_its_session(home: Home) -> None:
    client = with_cookie(home)
    home.time.pass_s(home.settings.session_timeout_s / 2)
    assert "Max-Age=86400" in client.get(LIBRARIES).headers["set-cookie"]
    assert "set-cookie" not in client.get(LIBRARIES).headers


def test_a_short_session_slides_too(home: Home) -> None:
    home.settings = home.settings.model_copy(update={"session_timeout_s": 60})
    home.start()
    client = home.connect(token=log_in(home.connect()).json()["session_token"])
    for _ in range(10):
        home.time.pass_s(10)
        assert is_in(client)
    home.time.pass_s(61)
    assert not is_in(client)


def test_a_session_survives_a_restart(home: Home) -> None:
    home.start()
    assert is_in(home.connect(token=home.token))


def test_a_logout_ends_this_session_and_no_other(home: Home, client: httpx.Client) -> None:
    other = home.connect(token=log_in(home.connect()).json()["session_token"])
    answer = client.post(LOGOUT)
    assert (answer.status_code, answer.json()["status"]) == (200, "success")
    assert not is_in(client)
    assert is_in(other)


def test_a_logout_takes_the_cookie_away(home: Home) -> None:
    client = home.connect()
    log_in(client)
    assert is_in(client)
    assert client.post(LOGOUT, headers={"Origin": "http://nomarr:8356"}).status_code == 200
    assert "nomarr_session" not in client.cookies


def test_a_new_password_ends_all_sessions(home: Home, db: Database, client: httpx.Client) -> None:
    change_password(db, "another")
    assert not is_in(client)
    assert log_in(home.connect()).status_code == 401
    assert log_in(home.connect(), "another").status_code == 200


# the password at start


def test_a_password_that_was_set_is_taken_and_kept_as_argon2(home: Home, db: Database, client: httpx.Client) -> None:
    assert ensure_password(db, home.settings) is None
    with db.read() as tx:
        assert preferences.get(tx, "admin_password").startswith("$argon2id$")
    assert is_in(client), "the same password again changes nothing"


def test_another_password_in_the_settings_ends_all_sessions(home: Home, db: Database, client: httpx.Client) -> None:
    changed = home.settings.model_copy(update={"admin_password": SecretStr("another")})
    assert ensure_password(db, changed) is None
    assert not is_in(client)
    assert log_in(home.connect(), "another").status_code == 200


def test_without_a_password_one_is_generated_once(home: Home, db: Database) -> None:
    with db.write() as tx:
        preferences.remove(tx, "admin_password")
    settings = home.settings.model_copy(update={"admin_password": None})
    generated = ensure_password(db, settings)
    assert generated is not None
    assert len(generated) >= 20
    assert ensure_password(db, settings) is None
    assert log_in(home.connect(), generated).status_code == 200


def test_a_password_taken_out_of_the_settings_still_holds(home: Home, db: Database) -> None:
    assert ensure_password(db, home.settings.model_copy(update={"admin_password": None})) is None
    assert log_in(home.connect()).status_code == 200


# credentials


def all_routes(home: Home) -> set[tuple[str, str]]:
    assert home.app is not None
    from_routers = {
        (method, route.path) for router in ROUTERS for route in router.routes for method in route.methods or ()
    }
    from_app = {
        (m, r.path) for r in home.app.routes if getattr(r, "path", None) for m in getattr(r, "methods", None) or ()
    }
    documented = {(m.upper(), path) for path, methods in home.app.openapi()["paths"].items() for m in methods}
    assert documented <= from_routers
    return from_routers | from_app


def test_every_route_but_the_open_ones_needs_a_login(home: Home, stranger: httpx.Client) -> None:
    routes = all_routes(home)
    assert routes >= OPEN | LEADING_TO_THE_LOGIN
    for method, path in sorted(routes - OPEN - LEADING_TO_THE_LOGIN):
        answer = stranger.request(method, path.replace("{library_id}", "1"))
        assert answer.status_code == 401, (method, path)
        assert answer.headers["www-authenticate"].startswith("Bearer")
        wanted = "Send an API key, for instance in the header X-Api-Key" if "/v1/" in path else "Log in first"
        assert answer.json() == {"detail": wanted}
    for method, path in sorted(LEADING_TO_THE_LOGIN):
        answer = stranger.request(method, path)
        assert answer.status_code == 303, path
        assert answer.headers["location"].startswith("/login?next=")


@pytest.mark.parametrize(
    "value", ["Bearer nonsense", "Bearer ", "Basic YWRtaW46YWRtaW4=", "nonsense", "Bearer \u00ff\u00fe", "Bearer a b"]
)
def test_credentials_that_are_not_valid_are_refused(stranger: httpx.Client, value: str) -> None:
    answer = stranger.get(LIBRARIES, headers={"Authorization": value.encode("latin-1")})
    assert answer.status_code == 401
    assert "www-authenticate" in answer.headers


def test_the_hash_of_a_token_is_no_token(home: Home) -> None:
    assert not is_in(home.connect(token=hashlib.sha256(home.token.encode()).hexdigest()))


def test_a_wrong_token_beats_a_good_cookie(home: Home) -> None:
    client = with_cookie(home)
    assert client.get(LIBRARIES, headers={"Authorization": "Bearer nonsense"}).status_code == 401


# requests that a browser makes for other sites' pages


def test_a_cookie_alone_is_enough_for_reading(home: Home) -> None:
    assert is_in(with_cookie(home))


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://nomarr:8356"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://music.example"},
    ],
)
def test_a_cookie_changes_things_from_our_own_pages(home: Home, headers: dict[str, str]) -> None:
    assert with_cookie(home).post(LOGOUT, headers=headers).status_code == 200


FROM_ELSEWHERE: list[dict[str, str]] = [
    {},
    {"Origin": "null"},
    {"Origin": "http://evil.example"},
    {"Origin": "http://nomarr:8357"},
    {"Origin": "http://nomarr"},
    {"Origin": "http://nomarr:8356.evil.example"},
    {"Origin": "http://nomarr:99999999"},
    {"Origin": "ftp://nomarr:8356"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://nomarr:8356"},
    {"Referer": "http://nomarr:8356/"},
]


def test_a_cookie_changes_nothing_from_elsewhere(home: Home) -> None:
    client = with_cookie(home)
    for headers in FROM_ELSEWHERE:
        answer = client.post(LOGOUT, headers=headers)
        assert answer.status_code == 403, headers
        assert set(answer.json()) == {"detail"}
    assert is_in(client)


@pytest.mark.parametrize(
    ("base_url", "origin"),
    [
        ("https://nomarr", "https://nomarr"),
        ("https://nomarr:8443", "https://nomarr:8443"),
        ("http://[2001:db8::1]:8356", "http://[2001:db8::1]:8356"),
    ],
)
def test_an_origin_is_compared_with_the_host_however_it_is_written(home: Home, base_url: str, origin: str) -> None:
    assert with_cookie(home, base_url).post(LOGOUT, headers={"Origin": origin}).status_code == 200


def test_a_token_in_a_header_needs_no_origin(client: httpx.Client) -> None:
    assert client.post(LOGOUT, headers={"Origin": "http://evil.example"}).status_code == 200


# too many attempts


def test_the_eleventh_wrong_password_within_a_minute_has_to_wait(home: Home, stranger: httpx.Client) -> None:
    assert [log_in(stranger, "wrong").status_code for _ in range(10)] == [401] * 10
    answer = log_in(stranger)
    assert answer.status_code == 429
    assert set(answer.json()) == {"detail"}
    wait_s = int(answer.headers["retry-after"])
    assert 1 <= wait_s <= 61
    assert log_in(home.connect(address="192.0.2.2")).status_code == 200, "another address is not concerned"
    home.time.pass_s(wait_s)
    assert log_in(stranger).status_code == 200


def test_right_passwords_may_come_as_often_as_they_like(stranger: httpx.Client) -> None:
    assert {log_in(stranger).status_code for _ in range(11)} == {200}


def test_guesses_from_everywhere_slow_logins_down_but_lock_nobody_out() -> None:
    limiter = LoginLimiter()
    pauses = [limiter.admit(f"198.51.100.{n % 250}", now=n / 100) for n in range(500)]
    assert pauses[0] == 0.0
    assert pauses == sorted(pauses)
    assert limiter.admit("192.0.2.1", now=5.0) == LONGEST_PAUSE_S
    assert limiter.admit("192.0.2.1", now=100.0) == 0.0


def test_a_success_wipes_the_slate() -> None:
    limiter = LoginLimiter()
    for n in range(100):
        assert limiter.admit("192.0.2.1", now=float(n) / 10) == 0.0
        limiter.succeeded("192.0.2.1")


def test_what_the_limiter_remembers_is_bounded() -> None:
    limiter = LoginLimiter()
    for n in range(12_000):
        limiter.admit(f"10.{n >> 16}.{(n >> 8) & 255}.{n & 255}", now=0.0)
    assert len(limiter._attempts) == 10_000
    assert len(limiter._all) == 1000


@pytest.mark.parametrize(
    ("address", "counted_as"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("a local socket", "a local socket"),
    ],
)
def test_addresses_that_one_person_has_by_the_million_count_as_one(address: str, counted_as: str) -> None:
    assert network(address) == counted_as
