"""The client against a server that is as strict as Navidrome, and every way in which it can be the wrong one."""

from __future__ import annotations

import logging
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from nomarr.errors import Conflict, NavidromeProblem
from nomarr.navidrome import client as client_module
from nomarr.navidrome import connection
from nomarr.navidrome.client import Client, Clients, version_numbers
from nomarr.navidrome.connection import Account, SubsonicError, account_of
from nomarr.settings import Settings

from .standin import Handler, Navidrome, User, running

RULES = {"all": [{"is": {"nom_mood_loose": "happy"}}], "sort": "-year,title", "limit": 10}


@pytest.fixture
def navidrome() -> Iterator[Navidrome]:
    with running(Navidrome()) as navidrome:
        yield navidrome


@pytest.fixture
def client(navidrome: Navidrome) -> Iterator[Client]:
    client = Client(account(navidrome.url))
    yield client
    client.close()


def account(url: str, user: str = "admin", password: str = "secret") -> Account:
    return Account(url, user, SecretStr(password))


def problem_of(url: str, user: str = "admin", password: str = "secret") -> NavidromeProblem:
    client = Client(account(url, user, password))
    with pytest.raises(NavidromeProblem) as caught:
        client.check()
    client.close()
    assert password not in str(caught.value)
    return caught.value


def test_a_good_account_is_known(client: Client) -> None:
    server = client.check()
    assert (server.numbers, server.user.name, server.user.is_admin) == ((0, 63, 2), "admin", True)


def test_a_server_below_a_base_url_is_reached() -> None:
    with running(Navidrome(base="/music")) as navidrome:
        client = Client(account(navidrome.url))
        assert client.check().user.name == "admin"
        client.close()


def test_where_nobody_answers_is_unreachable() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    problem = problem_of(f"http://127.0.0.1:{port}")
    assert (problem.kind, "Connection refused" in str(problem)) == ("unreachable", True)


def test_a_server_that_does_not_answer_in_time_is_unreachable(
    navidrome: Navidrome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "SILENCE_S", 0.1)

    def wait(_handler: Handler) -> bool:
        time.sleep(0.5)
        return False

    navidrome.interruption = wait
    assert problem_of(navidrome.url).kind == "unreachable"


@pytest.mark.parametrize("base", ["", "/music"])
@pytest.mark.parametrize("path", ["/app", "/other", "/other/deeper"])
def test_a_wrong_path_is_answered_with_the_right_one(base: str, path: str) -> None:
    with running(Navidrome(base=base)) as navidrome:
        root = navidrome.url.removesuffix(base)
        problem = problem_of(root + path)
        assert (problem.kind, str(problem).endswith(f"its address is {navidrome.url}")) == ("wrong_path", True)


def test_a_missing_base_url_is_answered_with_the_right_one() -> None:
    with running(Navidrome(base="/music")) as navidrome:
        problem = problem_of(navidrome.url.removesuffix("/music"))
        assert (problem.kind, str(problem).endswith(navidrome.url)) == ("wrong_path", True)


def test_another_server_is_not_taken_for_navidrome() -> None:
    def page(handler: Handler) -> bool:
        handler.send(200, b"<html>a home page</html>", "text/html")
        return True

    with running(Navidrome(interruption=page)) as other:
        assert problem_of(other.url).kind == "not_navidrome"
    with running(Navidrome(kind="gonic")) as gonic:
        problem = problem_of(gonic.url)
        assert (problem.kind, "gonic" in str(problem)) == ("not_navidrome", True)


@pytest.mark.parametrize(("status", "kind"), [(401, "proxy"), (403, "proxy"), (502, "trouble"), (500, "trouble")])
def test_what_stands_in_front_of_it_is_named(navidrome: Navidrome, status: int, kind: str) -> None:
    def refuse(handler: Handler) -> bool:
        handler.send(status, b"no", "text/html")
        return True

    navidrome.interruption = refuse
    assert problem_of(navidrome.url).kind == kind


def test_a_redirect_is_explained_and_never_followed(navidrome: Navidrome) -> None:
    with running(Navidrome()) as elsewhere:

        def lead_away(handler: Handler) -> bool:
            handler.send(302, b"", "text/html", Location=elsewhere.url + handler.path)
            return True

        navidrome.interruption = lead_away
        problem = problem_of(navidrome.url)
        assert (problem.kind, f"set the address to {elsewhere.url}" in str(problem)) == ("redirect", True)
        navidrome.interruption = lambda handler: handler.send(302, b"", Location="https://sso.invalid/login") is None
        problem = problem_of(navidrome.url)
        assert (problem.kind, "https://sso.invalid" in str(problem)) == ("redirect", True)
        assert elsewhere.requests == []


def test_a_wrong_password_and_an_unknown_user_are_refused(navidrome: Navidrome) -> None:
    assert problem_of(navidrome.url, password="wrong").kind == "credentials"
    assert problem_of(navidrome.url, user="nobody").kind == "credentials"


def test_too_many_logins_are_said_to_be_that(navidrome: Navidrome) -> None:
    navidrome.login_limit = 0
    assert problem_of(navidrome.url).kind == "busy"


def test_somebody_who_is_no_administrator_is_told(navidrome: Navidrome) -> None:
    navidrome.users.append(User("u2", "bob", "bobs", is_admin=False))
    assert problem_of(navidrome.url, "bob", "bobs").kind == "not_admin"


@pytest.mark.parametrize("version", ["0.57.0 (abc)", "0.49.3", "v0.9.9"])
def test_an_old_version_is_told(navidrome: Navidrome, version: str) -> None:
    navidrome.version = version
    assert problem_of(navidrome.url).kind == "too_old"


def test_versions_are_read() -> None:
    assert version_numbers("0.62.1 (a1b2)") == (0, 62, 1)
    assert version_numbers("v0.63.0-SNAPSHOT") == (0, 63, 0)
    assert version_numbers("0.60") == (0, 60, 0)
    assert version_numbers("dev") > (100, 0, 0)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    file = tmp_path / "both.pem"
    options = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    places = ["-keyout", tmp_path / "key", "-out", tmp_path / "certificate"]
    subprocess.run(["openssl", "req", "-x509", *options, *places], check=True, capture_output=True)
    file.write_text((tmp_path / "key").read_text() + (tmp_path / "certificate").read_text())
    return file


def test_a_certificate_that_nobody_vouches_for_is_said_to_be_that(certificate: Path) -> None:
    with running(Navidrome(), certificate=str(certificate)) as navidrome:
        problem = problem_of(navidrome.url)
        assert (problem.kind, "not trusted" in str(problem)) == ("tls", True)
        assert navidrome.requests == []


def test_https_where_there_is_none_is_said_to_be_that(navidrome: Navidrome) -> None:
    problem = problem_of(navidrome.url.replace("http:", "https:"))
    assert (problem.kind, "does not speak HTTPS" in str(problem)) == ("tls", True)


def test_settings_that_do_not_say_enough_are_named() -> None:
    with pytest.raises(Conflict, match="navidrome_user, navidrome_password"):
        account_of(Settings(navidrome_url="http://x"))


@pytest.mark.parametrize("url", ["navidrome:4533", "ftp://x", "http://", "http://u:p@x", "http://x:0", "http://x:y"])
def test_an_address_must_be_one(url: str) -> None:
    with pytest.raises(ValueError, match="navidrome_url"):
        Settings(navidrome_url=url)


def test_one_login_lasts_for_many_requests_and_is_renewed(navidrome: Navidrome, client: Client) -> None:
    for _ in range(10):
        client.music_folders()
    assert len(navidrome.logins) == 1
    navidrome.tokens = dict(list(navidrome.tokens.items())[-1:])  # the older ones have run out
    client.music_folders()
    assert len(navidrome.logins) == 1
    navidrome.forget_sessions()
    client.music_folders()
    assert len(navidrome.logins) == 2


def test_the_client_of_an_account_is_kept(navidrome: Navidrome) -> None:
    clients = Clients()
    one = clients.of(account(navidrome.url))
    assert clients.of(account(navidrome.url)) is one
    assert clients.of(account(navidrome.url, password="new")) is not one


def test_songs_come_page_by_page(navidrome: Navidrome, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "PAGE", 4)
    for number in range(10):
        navidrome.add_song(f"A/{number}.flac", title=f"T{number}", duration=1.5)
    navidrome.songs[3]["missing"] = True
    pages = list(client.songs(1))
    assert [len(page) for page in pages] == [4, 4, 1]
    assert (pages[0][0].title, pages[0][0].duration_s) == ("T0", 1.5)
    assert sum(len(page) for page in client.songs(1, most=6)) == 6
    assert list(client.songs(2)) == []


def test_a_playlist_with_rules_is_made_and_changed(navidrome: Navidrome, client: Client) -> None:
    made = client.create_smart({"name": "Happy", "comment": "c", "public": False, "rules": RULES})
    there = client.playlist(made)
    assert there is not None
    assert (there.name, there.rules, there.owner_id) == ("Happy", RULES, "u1")
    client.update_playlist(there, {"comment": "new"})
    changed = client.playlist(made)
    assert changed is not None
    assert (changed.comment, changed.rules) == ("new", RULES)
    client.delete_playlist(made)
    client.delete_playlist(made)
    assert client.playlist(made) is None


def test_rules_that_navidrome_does_not_take_are_an_error(client: Client) -> None:
    with pytest.raises(NavidromeProblem, match="refused a new playlist: 422"):
        client.create_smart({"name": "x", "rules": {"all": [{"resembles": {"title": "x"}}]}})


def test_a_long_list_is_sent_whole_and_in_order(navidrome: Navidrome, client: Client) -> None:
    ids = [navidrome.add_song(f"{number}.flac") for number in range(2500)][::-1]
    made = client.put_list(ids, name="L & 'x' é")
    assert client.song_ids(made) == ids
    client.put_list(ids[:3], name="", playlist_id=made)
    assert client.song_ids(made) == ids[:3]
    with pytest.raises(SubsonicError) as caught:
        client.put_list(ids, name="", playlist_id="p9999")
    assert (caught.value.code, caught.value.kind) == (70, "not_found")


def test_a_scan_takes_folders_and_refuses_nonsense(navidrome: Navidrome, client: Client) -> None:
    client.start_scan(["1:A & B/C: d", "1:x"])
    client.start_scan(full=True)
    assert navidrome.scans == [(False, ["1:A & B/C: d", "1:x"]), (True, [])]
    with pytest.raises(SubsonicError, match="Library with ID 7 not found"):
        client.start_scan(["7:x"])


def test_an_answer_without_end_is_not_read(
    navidrome: Navidrome, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "LARGEST", 100_000)
    navidrome.interruption = lambda handler: handler.send(200, b"x" * 1_000_000) is None
    with pytest.raises(NavidromeProblem, match="larger than"):
        client.check()


def test_tokens_are_not_logged_even_where_everything_is(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client.check()
    client.music_folders()
    assert client.connection._token
    assert client.connection._token not in caplog.text


def test_an_odd_id_stays_a_part_of_its_path(navidrome: Navidrome, client: Client) -> None:
    assert client.playlist("../library") is None
    assert "GET /api/playlist/___library" in navidrome.requests
