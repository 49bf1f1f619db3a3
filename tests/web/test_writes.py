"""Plan, list, undo and remove over HTTP, with files that a worker has really tagged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from nomarr.store.database import Database
from nomarr.tagfiles.audiofile import read_tags, write_tags
from nomarr.worker.loop import Worker

from .conftest import Home

URL = "/api/web/writes"


@pytest.fixture
def tagged(home: Home, db: Database, small_models: Path, scanned: dict[str, Any], music: Path) -> list[Path]:
    """Three songs, tagged by a worker."""
    work(home, small_models)
    songs = sorted(music.rglob("*.flac"))
    assert all(read_tags(song) for song in songs)
    return songs


def work(home: Home, small_models: Path, **options: Any) -> None:
    settings = home.settings.model_copy(update={"models_dir": small_models})
    Worker(settings, home.db, "worker", drain=True, batch="test", **options).run()


def ask(client: httpx.Client, path: str, **body: Any) -> dict[str, Any]:
    answer = client.post(f"{URL}/{path}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_plan_shows_every_field_before_anything_is_written(
    home: Home, client: httpx.Client, small_models: Path, scanned: dict[str, Any], music: Path
) -> None:
    work(home, small_models, listen_only=True)
    before = {path: path.read_bytes() for path in music.rglob("*.flac")}
    plan = ask(client, "plan", library_id=scanned["id"])
    assert (plan["looked_at"], plan["next"], len(plan["files"])) == (3, None, 3)
    assert {path: path.read_bytes() for path in before} == before
    assert ask(client, "apply", library_id=scanned["id"]) == {"queued": 3, "next": None}
    work(home, small_models)
    for file in plan["files"]:
        fields = {change["field"].removeprefix("nom:"): tuple(change["after"]) for change in file["changes"]}
        assert read_tags(file["path"]) == fields
    assert ask(client, "plan", library_id=scanned["id"])["files"] == []


def test_plans_come_page_by_page(client: httpx.Client, tagged: list[Path], scanned: dict[str, Any]) -> None:
    first = ask(client, "plan", library_id=scanned["id"], limit=2)
    second = ask(client, "plan", library_id=scanned["id"], limit=2, after=first["next"])
    assert (first["looked_at"], second["looked_at"], second["next"]) == (2, 1, None)


def test_a_plan_can_be_about_folders_and_files(client: httpx.Client, tagged: list[Path]) -> None:
    assert ask(client, "plan", paths=[str(tagged[0].parent)])["looked_at"] == 2
    assert ask(client, "plan", paths=[str(tagged[0]), str(tagged[2])])["looked_at"] == 2


def test_writes_are_listed_newest_first(client: httpx.Client, tagged: list[Path], scanned: dict[str, Any]) -> None:
    everything = client.get(URL).json()["writes"]
    assert {write["path"] for write in everything} == {str(path) for path in tagged}
    assert all(write["can_undo"] and write["before"] == {} and write["batch"] == "test" for write in everything)
    page = client.get(URL, params={"limit": 2, "library_id": scanned["id"]}).json()
    rest = client.get(URL, params={"limit": 2, "before_id": page["next"]}).json()
    assert [*page["writes"], *rest["writes"]] == everything
    assert client.get(URL, params={"batch": "other"}).json() == {"writes": [], "next": None}
    assert len(client.get(URL, params={"file_id": everything[0]["file_id"]}).json()["writes"]) == 1


def test_one_write_a_batch_a_file_or_a_library_is_undone(
    home: Home, client: httpx.Client, small_models: Path, tagged: list[Path], scanned: dict[str, Any]
) -> None:
    newest = client.get(URL).json()["writes"][0]
    assert ask(client, "undo", id=newest["id"])["counts"] == {"restored": 1}
    assert read_tags(newest["path"]) == {}
    assert ask(client, "undo", last=True)["counts"] == {"restored": 2}
    assert not any(read_tags(path) for path in tagged)
    assert ask(client, "undo", last=True)["counts"] == {}
    for which in ({"library_id": scanned["id"]}, {"batch": "test"}, {"paths": [str(tagged[0].parent.parent.parent)]}):
        ask(client, "apply", library_id=scanned["id"])
        work(home, small_models)
        assert all(read_tags(path) for path in tagged)
        assert ask(client, "undo", **which)["counts"] == {"restored": 3}
        assert not any(read_tags(path) for path in tagged)
    assert client.get(URL, params={"only_undoable": True}).json()["writes"] == []


def test_an_undo_names_what_it_refuses(client: httpx.Client, tagged: list[Path]) -> None:
    write_tags(tagged[0], {"x": ["1"]}, namespace="other")
    answer = ask(client, "undo", batch="test")
    assert answer["counts"] == {"restored": 2, "refused": 1}
    (refused,) = [one for one in answer["results"] if one["status"] == "refused"]
    assert (refused["path"], refused["why"]) == (str(tagged[0]), "another program changed the file since")
    assert ask(client, "undo", batch="test", even_if_changed=True)["counts"] == {"restored": 1}
    assert read_tags(tagged[0], namespace="other") == {"x": ("1",)}


@pytest.mark.parametrize("how", ["track", "album", "library"])
def test_everything_of_ours_is_removed(
    home: Home, client: httpx.Client, small_models: Path, tagged: list[Path], scanned: dict[str, Any], how: str
) -> None:
    which, count = {
        "track": ({"paths": [str(tagged[0])]}, 1),
        "album": ({"paths": [str(tagged[0].parent)]}, 2),
        "library": ({"library_id": scanned["id"]}, 3),
    }[how]
    answer = ask(client, "remove", **which)
    assert answer["counts"] == {"removed": count}
    assert [bool(read_tags(path)) for path in tagged] == [False] * count + [True] * (3 - count)
    client.post(f"/api/web/libraries/{scanned['id']}/scan")
    work(home, small_models)
    assert [bool(read_tags(path)) for path in tagged] == [False] * count + [True] * (3 - count)
    assert ask(client, "remove", **which)["counts"] == {"unchanged": count}


@pytest.mark.parametrize("path", ["plan", "apply", "undo", "remove"])
@pytest.mark.parametrize(
    "body", [{}, {"library_id": 1, "paths": ["/music"]}, {"paths": []}, {"limit": 0, "library_id": 1}]
)
def test_a_request_must_say_what_it_means(client: httpx.Client, path: str, body: dict[str, Any]) -> None:
    answer = client.post(f"{URL}/{path}", json=body)
    assert answer.status_code == 400
    assert isinstance(answer.json()["detail"], str)


@pytest.mark.parametrize(("path", "body", "status"), [
    ("plan", {"library_id": 99}, 404), ("plan", {"file_ids": [99]}, 404), ("plan", {"paths": ["/nowhere"]}, 404),
    ("plan", {"paths": ["/etc"]}, 403), ("remove", {"paths": ["/etc"]}, 403), ("undo", {"id": 99}, 404),
])  # fmt: skip
def test_what_is_not_there_is_named(
    client: httpx.Client, library: dict[str, Any], path: str, body: dict[str, Any], status: int
) -> None:
    assert client.post(f"{URL}/{path}", json=body).status_code == status


def test_a_stranger_learns_and_changes_nothing(stranger: httpx.Client) -> None:
    assert stranger.get(URL).status_code == 401
    for path in ("plan", "apply", "undo", "remove"):
        assert stranger.post(f"{URL}/{path}", json={"library_id": 1}).status_code == 401
