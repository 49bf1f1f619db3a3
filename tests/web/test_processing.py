"""The queue over HTTP: asking for files, and how much there is to do."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from nomarr.scan import scan_library
from nomarr.store import claims, libraries
from nomarr.store.database import Database

from .conftest import NOW_MS, Analyse, Home, make_song
from .test_libraries import add, detail

URL = "/api/web/processing/process-files"
ONE = "Nina/Blue/01 One.flac"


def ask(client: httpx.Client, *paths: Path | str, **more: object) -> httpx.Response:
    return client.post(URL, json={"paths": [str(path) for path in paths], **more})


def statuses(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [result["status"] for result in answer.json()["results"]]


def depth(client: httpx.Client) -> dict[str, int]:
    return client.get("/api/web/queue/queue-depth").json()


def file_count(client: httpx.Client) -> int:
    return sum(library["file_count"] for library in client.get("/api/web/libraries").json())


@pytest.fixture
def nothing_happens(client: httpx.Client, scanned: dict[str, Any]) -> Iterator[None]:
    before = depth(client), file_count(client)
    yield
    assert (depth(client), file_count(client)) == before


# what is queued


def test_a_new_file_is_registered_and_queued(client: httpx.Client, library: dict[str, Any], music: Path) -> None:
    answer = ask(client, music / ONE, force=False)
    assert answer.status_code == 200
    assert answer.json() == {
        "enqueued": 1,
        "message": "Queued 1 file for processing",
        "results": [{"path": str(music / ONE), "status": "queued"}],
    }
    assert file_count(client) == 1, "the rest of the library is not scanned"
    assert depth(client)["pending"] == 1


def test_a_folder_means_all_files_below_it(client: httpx.Client, library: dict[str, Any], music: Path) -> None:
    answer = ask(client, music)
    assert answer.json()["message"] == "Queued 3 files for processing"
    assert answer.json()["results"] == [{"path": str(music), "status": "queued"}]


def test_a_current_file_is_queued_only_by_force(
    client: httpx.Client, scanned: dict[str, Any], analyse: Analyse, music: Path
) -> None:
    analyse()
    answer = ask(client, music / ONE, music / "Otis")
    assert (answer.json()["enqueued"], statuses(answer)) == (0, ["current", "current"])
    assert depth(client)["depth"] == 0
    answer = ask(client, music / ONE, force=True)
    assert (answer.json()["enqueued"], statuses(answer)) == (1, ["queued"])
    assert depth(client)["depth"] == 1


def test_a_file_with_other_sound_than_before_is_queued(
    client: httpx.Client, scanned: dict[str, Any], analyse: Analyse, music: Path
) -> None:
    analyse()
    make_song(music / ONE, seed=1234)
    answer = ask(client, music)
    assert (answer.json()["enqueued"], statuses(answer)) == (1, ["queued"])
    make_song(music / "Otis/Red/01 Three.flac", seed=4321)
    assert ask(client, music / "Otis/Red/01 Three.flac").json()["enqueued"] == 1


def test_files_asked_for_are_next(client: httpx.Client, scanned: dict[str, Any], analyse: Analyse, music: Path) -> None:
    ask(client, music / "Otis")
    assert analyse()[0].title == "Three"


def test_a_file_named_twice_counts_once(client: httpx.Client, library: dict[str, Any], music: Path) -> None:
    answer = ask(client, music / ONE, music / "Nina", music / ONE, music / "Nina/../Nina/Blue")
    assert (answer.json()["enqueued"], statuses(answer)) == (2, ["queued"] * 4)
    assert depth(client)["pending"] == 2


def test_a_file_that_failed_gets_another_chance(
    client: httpx.Client, scanned: dict[str, Any], music: Path, db: Database
) -> None:
    with db.write() as tx:
        file = claims.claim_next(tx, worker="w", now=NOW_MS, lease_ms=60_000)
        assert file is not None
        claims.fail(tx, file, now=NOW_MS, error="it hums", kind="unreadable", permanent=True)
    assert depth(client)["errors"] == 1
    assert ask(client, file.path).json()["enqueued"] == 1
    assert depth(client)["errors"] == 0


def test_what_is_no_music_is_skipped(client: httpx.Client, library: dict[str, Any], music: Path) -> None:
    (music / "empty").mkdir()
    (music / "notes.txt").write_text("la la")
    answer = ask(client, music / "Nina/Blue/cover.jpg", music / "notes.txt", music / "empty")
    assert (answer.json()["enqueued"], statuses(answer)) == (0, ["skipped"] * 3)


def test_asking_for_nothing_queues_nothing(client: httpx.Client, library: dict[str, Any]) -> None:
    assert ask(client).json() == {"enqueued": 0, "message": "Queued 0 files for processing", "results": []}


def test_links_are_followed_as_long_as_they_stay_inside(
    client: httpx.Client, library: dict[str, Any], music: Path, tmp_path: Path
) -> None:
    (music / "inside.flac").symlink_to(music / ONE)
    (tmp_path / "to-music").symlink_to(music)
    answer = ask(client, music / "inside.flac", tmp_path / "to-music" / ONE, music / "Otis/.." / ONE)
    assert (answer.json()["enqueued"], statuses(answer)) == (1, ["queued"] * 3)


def test_a_library_behind_a_link_is_found_by_either_name(client: httpx.Client, music: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(music)
    assert add(client, tmp_path / "link").status_code == 201
    assert ask(client, tmp_path / "link" / ONE).json()["enqueued"] == 1
    assert ask(client, music / "Otis").json()["enqueued"] == 1
    assert file_count(client) == 2


def test_files_of_several_libraries_may_be_asked_for_at_once(
    client: httpx.Client, library: dict[str, Any], music: Path, songs: Path, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(songs, tmp_path / "other"))
    add(client, other, "Other")
    assert ask(client, music / ONE, other / "Otis").json()["enqueued"] == 2


# what is refused


@pytest.mark.usefixtures("nothing_happens")
def test_one_path_that_does_not_exist_stops_all(client: httpx.Client, scanned: dict[str, Any], music: Path) -> None:
    gone = music / "invalid/path.mp3"
    assert detail(ask(client, music / ONE, gone, force=True), 404) == f"File not found: {gone}"
    dangling = music / "dangling.mp3"
    dangling.symlink_to(gone)
    assert detail(ask(client, dangling), 404) == f"File not found: {dangling}"
    loop = music / "loop.mp3"
    loop.symlink_to(loop)
    assert detail(ask(client, loop), 404) == f"File not found: {loop}"
    detail(ask(client, "/" + "x" * 5000), 404)


@pytest.mark.usefixtures("nothing_happens")
def test_paths_outside_the_library_are_forbidden(
    client: httpx.Client, library: dict[str, Any], music: Path, songs: Path, tmp_path: Path
) -> None:
    sibling = Path(shutil.copytree(songs, tmp_path / "music2"))
    (music / "out").symlink_to(sibling)
    (music / "out.flac").symlink_to(sibling / ONE)
    outside = [
        sibling,
        sibling / ONE,
        f"{music}/../music2/{ONE}",
        f"{music}/Nina/../../music2",
        f"{music}/out/../music2",
        music / "out",
        music / "out" / ONE,
        music / "out.flac",
        "/etc/passwd",
        "/",
        tmp_path,
    ]
    for path in outside:
        assert detail(ask(client, music / ONE, path), 403) == f"{path} lies outside every enabled library"


@pytest.mark.usefixtures("nothing_happens")
def test_paths_in_a_disabled_library_are_forbidden(client: httpx.Client, library: dict[str, Any], music: Path) -> None:
    client.patch("/api/web/libraries/1", json={"is_enabled": False})
    detail(ask(client, music / ONE), 403)
    client.patch("/api/web/libraries/1", json={"is_enabled": True})


@pytest.mark.usefixtures("nothing_happens")
def test_a_path_must_be_absolute_and_without_nul(client: httpx.Client) -> None:
    for path in ("Nina", "../../etc/passwd", "", "./x", "C:\\music", "~/music", "/mu\0sic", "\0"):
        assert detail(ask(client, "/tmp", path), 400).startswith("paths[1]: ")


@pytest.mark.parametrize(
    "body",
    [{}, {"paths": None}, {"paths": "/music"}, {"paths": [5]}, {"paths": {"a": 1}}, {"paths": [], "force": "perhaps"}],
)
def test_a_field_that_is_wrong_is_named(client: httpx.Client, body: dict[str, object]) -> None:
    field = "force" if "force" in body else "paths"
    assert detail(client.post(URL, json=body), 400).startswith(field)


def test_half_a_character_in_a_path_is_a_bad_request(client: httpx.Client) -> None:
    body = b'{"paths": ["/music/\\udcff.mp3"]}'
    answer = client.post(URL, content=body, headers={"Content-Type": "application/json"})
    assert detail(answer, 400).startswith("paths[0]: ")


def test_during_a_scan_known_files_are_queued_and_others_have_to_wait(
    client: httpx.Client, scanned: dict[str, Any], db: Database, music: Path, analyse: Analyse
) -> None:
    analyse()
    make_song(music / "Nina/Blue/03 New.flac")
    answers: dict[str, httpx.Response] = {}

    def in_the_middle(_found: int, folder: str) -> None:
        if folder != "Otis":
            return
        answers["new"] = ask(client, music / ONE, music / "Nina/Blue/03 New.flac", force=True)
        answers["depth"] = client.get("/api/web/queue/queue-depth")
        answers["known"] = ask(client, music / ONE, force=True)

    with db.read() as tx:
        row = libraries.get(tx, 1)
    scan_library(db, row, paths=[music / "Otis"], progress=in_the_middle, now=lambda: NOW_MS)
    assert "already running" in detail(answers["new"], 409)
    assert answers["depth"].json()["depth"] == 0
    assert answers["known"].json()["enqueued"] == 1


# the queue


def test_the_queue_is_counted_as_documented(
    client: httpx.Client, home: Home, scanned: dict[str, Any], db: Database
) -> None:
    assert depth(client) == {"depth": 3, "pending": 3, "running": 0, "completed": 0, "errors": 0}
    with db.write() as tx:
        claims.claim_next(tx, worker="w", now=NOW_MS, lease_ms=60_000)
    assert depth(client) == {"depth": 3, "pending": 2, "running": 1, "completed": 0, "errors": 0}
    home.time.pass_s(61)
    assert depth(client)["running"] == 0, "a worker that stopped answering holds nothing"


def test_analysed_files_are_completed(client: httpx.Client, scanned: dict[str, Any], analyse: Analyse) -> None:
    analyse()
    assert depth(client) == {"depth": 0, "pending": 0, "running": 0, "completed": 3, "errors": 0}
