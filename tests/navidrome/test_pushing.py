"""Pushing a playlist again changes only what is different, whatever people did to it in Navidrome."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from nomarr.errors import Conflict, InvalidInput
from nomarr.navidrome.client import Client
from nomarr.navidrome.connection import Account
from nomarr.navidrome.pushing import MOST_SONGS, Outcome, Wanted, push
from nomarr.store.navidrome import Pushed

from .standin import Navidrome, User, running

RULES = {"all": [{"is": {"genre": "Jazz"}}, {"gt": {"year": 1990}}], "sort": "-year,title", "limit": 10}


@pytest.fixture
def server() -> Iterator[Navidrome]:
    with running(Navidrome()) as server:
        for number in range(6):
            server.add_song(f"{number}.flac")
        server.find = lambda _rules: ["s0001", "s0002"]
        yield server


@pytest.fixture
def client(server: Navidrome) -> Iterator[Client]:
    client = Client(Account(server.url, "admin", SecretStr("secret")))
    yield client
    client.close()


WANTED = {
    "rules": Wanted("Mine", "comment", False, RULES),
    "list": Wanted("Mine", "comment", False, None, ("s0003", "s0001", "s0002")),
}


@pytest.fixture(params=WANTED)
def wanted(request: pytest.FixtureRequest) -> Wanted:
    return WANTED[request.param]


def remembered(wanted: Wanted, outcome: Outcome) -> Pushed:
    return Pushed(1, "a", wanted.name, wanted.kind, outcome.navidrome_id, "", outcome.seen, outcome.tracks, 0)


def only(server: Navidrome) -> dict[str, Any]:
    (playlist,) = server.playlists.values()
    return playlist


def test_a_second_push_changes_nothing(server: Navidrome, client: Client, wanted: Wanted) -> None:
    first = push(client, wanted, None)
    assert (first.action, first.tracks, first.name) == ("created", 3 if wanted.kind == "list" else 2, "Mine")
    assert (only(server)["comment"], only(server)["rules"]) == ("comment", wanted.rules)
    writes = server.writes()
    again = push(client, wanted, remembered(wanted, first))
    assert (again.action, again.navidrome_id, again.seen) == ("unchanged", first.navidrome_id, first.seen)
    assert server.writes() == writes


def test_numbers_and_the_order_of_keys_make_no_difference(server: Navidrome, client: Client) -> None:
    first = push(client, WANTED["rules"], None)
    only(server)["rules"] = {
        "limit": 10.0,
        "sort": "-year,title",
        "all": [{"is": {"genre": "Jazz"}}, {"gt": {"year": 1990.0}}],
    }
    assert push(client, WANTED["rules"], remembered(WANTED["rules"], first)).action == "unchanged"


def test_what_is_different_is_changed(server: Navidrome, client: Client, wanted: Wanted) -> None:
    first = push(client, wanted, None)
    changed = replace(wanted, comment="new", public=True)
    changed = (
        replace(changed, rules={"any": [{"lt": {"year": 1980}}]})
        if wanted.rules
        else replace(changed, song_ids=("s0005",))
    )
    outcome = push(client, changed, remembered(wanted, first))
    assert (outcome.action, outcome.navidrome_id) == ("updated", first.navidrome_id)
    assert (only(server)["comment"], only(server)["public"], only(server)["rules"]) == ("new", True, changed.rules)
    if wanted.kind == "list":
        assert server.tracks[first.navidrome_id] == ["s0005"]


def test_a_new_name_here_is_a_new_name_there(server: Navidrome, client: Client, wanted: Wanted) -> None:
    first = push(client, wanted, None)
    assert push(client, replace(wanted, name="New"), remembered(wanted, first)).action == "updated"
    assert only(server)["name"] == "New"


def test_a_name_given_there_stays(server: Navidrome, client: Client, wanted: Wanted) -> None:
    first = push(client, wanted, None)
    only(server)["name"] = "Theirs"
    again = push(client, wanted, remembered(wanted, first))
    assert (again.action, again.name, only(server)["name"]) == ("unchanged", "Theirs", "Theirs")
    push(client, replace(wanted, comment="new"), remembered(wanted, first))
    assert (only(server)["name"], only(server)["comment"]) == ("Theirs", "new")


def test_what_was_deleted_there_is_made_again(server: Navidrome, client: Client, wanted: Wanted) -> None:
    first = push(client, wanted, None)
    server.playlists.clear()
    again = push(client, wanted, remembered(wanted, first))
    assert (again.action, len(server.playlists)) == ("created_again", 1)


def test_a_push_that_was_cut_off_makes_nothing_twice(server: Navidrome, client: Client, wanted: Wanted) -> None:
    first = push(client, wanted, None)  # and its id is lost
    again = push(client, wanted, None)
    assert (again.action, again.navidrome_id, len(server.playlists)) == ("adopted", first.navidrome_id, 1)


def test_somebodys_playlist_of_that_name_is_replaced_only_when_asked(
    server: Navidrome, client: Client, wanted: Wanted
) -> None:
    theirs = push(client, replace(wanted, comment="by hand"), None)
    with pytest.raises(Conflict, match="that Nomarr did not make"):
        push(client, wanted, None)
    assert only(server)["comment"] == "by hand"
    outcome = push(client, wanted, None, replace=True)
    assert (outcome.action, outcome.navidrome_id, only(server)["comment"]) == (
        "adopted",
        theirs.navidrome_id,
        "comment",
    )


def test_another_users_playlist_of_that_name_is_no_obstacle(server: Navidrome, client: Client, wanted: Wanted) -> None:
    server.users.append(User("u2", "bob", "bobs"))
    bob = Client(Account(server.url, "bob", SecretStr("bobs")))
    push(bob, replace(wanted, public=True), None)
    bob.close()
    assert push(client, wanted, None).action == "created"
    assert len(server.playlists) == 2


def test_a_list_does_not_become_a_playlist_with_rules(client: Client) -> None:
    first = push(client, WANTED["list"], None)
    with pytest.raises(Conflict, match="is a plain list in Navidrome now"):
        push(client, WANTED["rules"], remembered(WANTED["list"], first))


@pytest.mark.parametrize(("count", "why"), [(0, "empty list"), (MOST_SONGS + 1, "at most")])
def test_a_list_has_bounds(server: Navidrome, client: Client, count: int, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        push(client, Wanted("x", song_ids=("s0001",) * count), None)
    assert server.playlists == {}
