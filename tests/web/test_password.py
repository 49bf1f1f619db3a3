"""Changing the password: only with the one that holds, and everybody else is out."""

from __future__ import annotations

import httpx
import pytest

from .conftest import PASSWORD, Home

CHANGE = "/api/web/auth/password"
NEW = "another good one"
LIBRARIES = "/api/web/libraries"


@pytest.fixture
def kept(home: Home) -> Home:
    """An installation whose password only its database knows."""
    home.settings = home.settings.model_copy(update={"admin_password": None})
    home.start()
    return home


def change(home: Home, current: str = PASSWORD, new: str = NEW) -> httpx.Response:
    body = {"current_password": current, "new_password": new}
    return home.connect(token=home.token).post(CHANGE, json=body)


def test_a_new_password_ends_all_sessions_but_the_one_it_answers_with(kept: Home) -> None:
    answer = change(kept)
    assert answer.status_code == 200, answer.text
    assert kept.connect(token=kept.token).get(LIBRARIES).status_code == 401
    assert kept.connect(token=answer.json()["session_token"]).get(LIBRARIES).status_code == 200
    assert "HttpOnly" in answer.headers["set-cookie"]
    for password, status in ((PASSWORD, 401), (NEW, 200)):
        login = kept.connect().post("/api/web/auth/login", json={"password": password})
        assert login.status_code == status


def test_the_password_that_holds_must_be_known(kept: Home) -> None:
    answer = change(kept, current="a guess")
    assert answer.status_code == 400
    assert answer.json() == {"detail": "current_password: it is not the password that holds now"}
    assert kept.connect(token=kept.token).get(LIBRARIES).status_code == 200


def test_guessing_it_from_a_session_is_slowed_down_too(kept: Home) -> None:
    assert [change(kept, current="a guess").status_code for _ in range(11)] == [400] * 10 + [429]


def test_a_short_password_is_refused_without_repeating_it(kept: Home) -> None:
    answer = change(kept, new="short")
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("new_password: ")
    assert "short" not in answer.json()["detail"].removeprefix("new_password: value should have at least")


def test_a_password_of_the_settings_is_changed_there(home: Home) -> None:
    answer = change(home)
    assert answer.status_code == 409
    assert "NOMARR_ADMIN_PASSWORD" in answer.json()["detail"]
