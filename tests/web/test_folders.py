"""Picking a folder over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from nomarr.web.folders import MOST_ENTRIES, MOST_FOLDERS

from .conftest import Home
from .test_libraries import detail

URL = "/api/web/fs/list"


@pytest.fixture
def place(home: Home, tmp_path: Path) -> Path:
    """A folder that may be looked into, with an installation that says so."""
    root = tmp_path / "music"
    for name in ("b", "A/deep", "ä", ".hidden"):
        (root / name).mkdir(parents=True)
    (root / "song.flac").touch()
    (tmp_path / "secret" / "inner").mkdir(parents=True)
    home.settings = home.settings.model_copy(update={"browse_roots": (root, tmp_path / "not there")})
    home.start()
    return root


def look(home: Home, path: Path | str | None = None) -> httpx.Response:
    return home.connect(token=home.token).get(URL, params={} if path is None else {"path": str(path)})


def names(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [folder["name"] for folder in answer.json()["folders"]]


def test_the_folders_in_a_folder_are_listed_by_name(home: Home, place: Path) -> None:
    answer = look(home, place)
    assert names(answer) == ["A", "b", "ä"]
    assert answer.json()["path"] == str(place)
    assert answer.json()["parent"] is None
    assert answer.json()["truncated"] is False
    assert answer.json()["folders"][0] == {"name": "A", "path": str(place / "A"), "is_readable": True}
    inner = look(home, f"{place}/b/../A/").json()
    assert (inner["path"], inner["parent"]) == (str(place / "A"), str(place))


def test_without_a_path_the_places_to_begin_are_listed(home: Home, place: Path) -> None:
    answer = look(home)
    assert names(answer) == [str(place)]
    assert (answer.json()["path"], answer.json()["parent"]) == (None, None)


def test_libraries_may_be_looked_into(home: Home, place: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "x").mkdir(parents=True)
    assert look(home, tmp_path / "elsewhere").status_code == 403
    client = home.connect(token=home.token)
    made: dict[str, Any] = {"name": "E", "root_path": str(tmp_path / "elsewhere")}
    assert client.post("/api/web/libraries", json=made).status_code == 201
    assert names(look(home, tmp_path / "elsewhere")) == ["x"]


def test_nothing_outside_is_shown_whether_it_is_there_or_not(home: Home, place: Path, tmp_path: Path) -> None:
    for path in ("/", "/etc", tmp_path, tmp_path / "secret", f"{place}/../secret", f"{place}2", "/no/such/folder"):
        assert "outside" in detail(look(home, path), 403), path


def test_links_lead_nowhere_else(home: Home, place: Path, tmp_path: Path) -> None:
    (place / "out").symlink_to(tmp_path / "secret")
    (place / "in").symlink_to(place / "A")
    (place / "loop").symlink_to(place / "loop")
    answer = look(home, place)
    assert names(answer) == ["A", "b", "in", "ä"]
    assert answer.json()["folders"][2]["path"] == str(place / "A")
    assert "outside" in detail(look(home, place / "out"), 403)
    assert "outside" in detail(look(home, place / "out" / "inner"), 403)


@pytest.mark.parametrize(("path", "status"), [("gone", 404), ("song.flac", 400)])
def test_what_cannot_be_listed_is_said(home: Home, place: Path, path: str, status: int) -> None:
    assert path in detail(look(home, place / path), status)


@pytest.mark.parametrize("path", ["relative", "", "/a\0b"])
def test_a_path_must_be_a_path(home: Home, place: Path, path: str) -> None:
    assert detail(look(home, path), 400).startswith("path: ")


def test_a_very_full_folder_is_cut(home: Home, place: Path) -> None:
    for number in range(MOST_FOLDERS + 1):
        (place / "b" / f"{number:05}").mkdir()
    answer = look(home, place / "b")
    assert names(answer)[-1] == f"{MOST_FOLDERS - 1:05}"
    assert answer.json()["truncated"] is True
    for number in range(MOST_ENTRIES + 1):
        (place / "A" / f"{number}.flac").touch()
    answer = look(home, place / "A")
    assert len(names(answer)) <= 1
    assert answer.json()["truncated"] is True


def test_by_default_the_usual_places_are_offered(home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert str(tmp_path) in names(look(home))
