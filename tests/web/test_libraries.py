"""Libraries over HTTP: what there is, adding, changing, removing, and scans."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio.from_thread
import httpx
import pytest

from nomarr.scan import ScanResult, scan_library
from nomarr.settings import Settings
from nomarr.store import libraries, scans
from nomarr.store.database import Database
from powers import without_powers

from .conftest import NOW_MS, Analyse, Home, make_song

URL = "/api/web/libraries"


def add(client: httpx.Client, root: Path | str, name: str = "Music", **more: object) -> httpx.Response:
    return client.post(URL, json={"name": name, "root_path": str(root), **more})


def detail(answer: httpx.Response, status: int) -> str:
    """The sentence of an error; the shape of all errors is checked on the way."""
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"detail"}
    assert isinstance(answer.json()["detail"], str)
    return answer.json()["detail"]


# what there is


def test_a_fresh_installation_has_no_libraries(client: httpx.Client) -> None:
    answer = client.get(URL)
    assert (answer.status_code, answer.json()) == (200, [])


def test_a_library_is_answered_as_documented(client: httpx.Client, music: Path, library: dict[str, Any]) -> None:
    expected = {
        "id": 1,
        "name": "Main Library",
        "root_path": str(music),
        "is_enabled": True,
        "created_at": "2027-01-15T08:00:00Z",
        "updated_at": "2027-01-15T08:00:00Z",
        "file_count": 0,
        "tagged_count": 0,
        "scan_status": "never",
        "scan_error": None,
        "file_write_mode": None,
        "standard_fields": None,
        "watch_mode": "off",
        "watch_problem": None,
    }
    assert library == expected
    assert client.get(URL).json() == [expected]
    assert client.get(f"{URL}/1").json() == expected


def test_files_are_counted_after_scan_and_analysis(
    client: httpx.Client, scanned: dict[str, Any], analyse: Analyse, db: Database
) -> None:
    assert len(analyse()) == 3
    seen = client.get(f"{URL}/{scanned['id']}").json()
    assert (seen["file_count"], seen["tagged_count"], seen["scan_status"]) == (3, 3, "complete")
    assert client.get(URL).json() == [seen]


def test_disabled_libraries_are_left_out_on_request(client: httpx.Client, tmp_path: Path) -> None:
    for name, is_enabled in (("On", True), ("Off", False)):
        (tmp_path / name).mkdir()
        assert add(client, tmp_path / name, name, is_enabled=is_enabled).json()["is_enabled"] is is_enabled
    names = {query: [lib["name"] for lib in client.get(URL + query).json()] for query in ("", "?enabled_only=true")}
    assert names == {"": ["On", "Off"], "?enabled_only=true": ["On"]}
    assert len(client.get(f"{URL}?enabled_only=false").json()) == 2


def test_a_library_that_does_not_exist_is_not_found(client: httpx.Client) -> None:
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/scan")):
        assert detail(client.request(method, f"{URL}/7{path}"), 404) == "Library not found: 7"
    assert detail(client.patch(f"{URL}/7", json={"name": "x"}), 404) == "Library not found: 7"


@pytest.mark.parametrize("library_id", ["abc", "0", "-1", "1.5", "99999999999999999999999"])
def test_an_id_that_cannot_be_one_is_a_bad_request(client: httpx.Client, library_id: str) -> None:
    assert detail(client.get(f"{URL}/{library_id}"), 400).startswith("library_id: ")


def test_stats_have_the_documented_fields(client: httpx.Client) -> None:
    answer = client.get(f"{URL}/stats")
    assert answer.status_code == 200
    assert answer.json() == {
        "total_files": 0,
        "unique_artists": 0,
        "unique_albums": 0,
        "total_duration_seconds": 0.0,
    }


def test_stats_count_enabled_libraries_without_missing_files(
    client: httpx.Client, scanned: dict[str, Any], music: Path
) -> None:
    stats = client.get(f"{URL}/stats").json()
    assert (stats["total_files"], stats["unique_artists"], stats["unique_albums"]) == (3, 2, 2)
    assert stats["total_duration_seconds"] == pytest.approx(6.0, abs=0.2)
    shutil.rmtree(music / "Otis")
    client.post(f"{URL}/1/scan")
    assert client.get(f"{URL}/stats").json()["total_files"] == 2
    client.patch(f"{URL}/1", json={"is_enabled": False})
    assert client.get(f"{URL}/stats").json()["total_files"] == 0
    client.patch(f"{URL}/1", json={"is_enabled": True})
    assert client.get(f"{URL}/stats").json()["total_files"] == 2
    client.delete(f"{URL}/1")
    assert client.get(f"{URL}/stats").json()["total_files"] == 0


# adding


def test_a_root_is_kept_without_its_detours(client: httpx.Client, music: Path) -> None:
    assert add(client, f"{music}/Nina/../").json()["root_path"] == str(music)


def test_old_names_of_write_modes_are_understood(client: httpx.Client, music: Path) -> None:
    assert add(client, music, file_write_mode="minimal").json()["file_write_mode"] == "moods"
    assert client.patch(f"{URL}/1", json={"file_write_mode": "full"}).json()["file_write_mode"] == "native"
    assert client.patch(f"{URL}/1", json={"file_write_mode": None}).json()["file_write_mode"] is None


def test_standard_fields_are_a_librarys_own_choice(client: httpx.Client, music: Path) -> None:
    assert add(client, music, standard_fields=["mood"]).json()["standard_fields"] == ["mood"]
    assert client.patch(f"{URL}/1", json={"standard_fields": []}).json()["standard_fields"] == []
    assert client.patch(f"{URL}/1", json={"name": "Other"}).json()["standard_fields"] == []
    assert client.patch(f"{URL}/1", json={"standard_fields": None}).json()["standard_fields"] is None


WRONG_FIELDS: list[dict[str, object]] = [
    {"name": ""},
    {"name": "   "},
    {"name": "two\nlines"},
    {"name": "nul\0"},
    {"name": "x" * 201},
    {"name": 5},
    {"name": None},
    {"root_path": None},
    {"root_path": "music"},
    {"root_path": "../music"},
    {"root_path": "/music\0/x"},
    {"root_path": ""},
    {"is_enabled": "perhaps"},
    {"is_enabled": None},
    {"file_write_mode": "loud"},
]


def test_a_field_that_is_wrong_is_named(client: httpx.Client, library: dict[str, Any], tmp_path: Path) -> None:
    other = {"name": "Other", "root_path": str(tmp_path / "other")}
    for change in WRONG_FIELDS:
        (field,) = change
        assert detail(client.post(URL, json={**other, **change}), 400).startswith(f"{field}: ")
        assert detail(client.patch(f"{URL}/1", json=change), 400).startswith(f"{field}: ")
    assert client.get(URL).json() == [library]


@pytest.mark.parametrize("field", ["name", "root_path"])
def test_a_field_that_is_lacking_is_named(client: httpx.Client, music: Path, field: str) -> None:
    body = {"name": "Music", "root_path": str(music)}
    del body[field]
    assert detail(client.post(URL, json=body), 400) == f"{field}: it is required"


def test_a_root_must_be_a_folder_that_exists(client: httpx.Client, music: Path) -> None:
    assert detail(add(client, music / "gone"), 400) == f"Folder not found: {music / 'gone'}"
    file = music / "Nina/Blue/01 One.flac"
    assert detail(add(client, file), 400) == f"{file}: it is not a folder"


def test_a_root_must_be_readable(home: Home, music: Path) -> None:
    music.chmod(0)
    with without_powers(), anyio.from_thread.start_blocking_portal() as portal:
        client = replace(home, portal=portal).connect(token=home.token)
        assert "cannot be read" in detail(add(client, music), 400)
    music.chmod(0o755)


def test_a_root_and_the_data_directory_keep_apart(
    client: httpx.Client, home: Home, tmp_path: Path, music: Path
) -> None:
    data = home.settings.data_dir
    (data / "inside").mkdir()
    (tmp_path / "link").symlink_to(data)
    for root in (tmp_path, Path("/")):
        assert detail(add(client, root), 400) == f"{root} holds Nomarr's own data directory"
    for root in (data, data / "inside", tmp_path / "link", tmp_path / "link/inside"):
        why = "holds" if root.resolve() == data else "lies in"
        assert detail(add(client, root), 400) == f"{root} {why} Nomarr's own data directory"
    assert client.get(URL).json() == []


def test_libraries_do_not_overlap(client: httpx.Client, library: dict[str, Any], music: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(music)
    for root in (music, music / "Nina", tmp_path / "link", f"{music}/"):
        assert "overlaps library Main Library" in detail(add(client, root, "Other"), 409)


def test_a_sibling_with_a_longer_name_is_no_overlap(client: httpx.Client, library: dict[str, Any], music: Path) -> None:
    sibling = music.with_name("music2")
    sibling.mkdir()
    assert add(client, sibling, "Other").status_code == 201


def test_a_name_is_given_once(client: httpx.Client, library: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    assert "already a library" in detail(add(client, tmp_path / "other", "Main Library"), 409)


# changing and removing


def test_a_change_leaves_the_rest_as_it_is(client: httpx.Client, home: Home, library: dict[str, Any]) -> None:
    home.time.pass_s(60)
    changed = client.patch(f"{URL}/1", json={"name": " Jazz ", "is_enabled": False})
    assert changed.status_code == 200
    expected = {**library, "name": "Jazz", "is_enabled": False, "updated_at": "2027-01-15T08:01:00Z"}
    assert changed.json() == expected
    assert client.get(f"{URL}/1").json() == expected


def test_a_change_of_nothing_and_of_all_that_was_answered_are_fine(
    client: httpx.Client, library: dict[str, Any]
) -> None:
    assert client.patch(f"{URL}/1", json={}).json() == library
    assert client.patch(f"{URL}/1", json=library).json() == library


def test_a_library_follows_its_folder_with_its_files(
    client: httpx.Client, scanned: dict[str, Any], analyse: Analyse, music: Path, tmp_path: Path
) -> None:
    analyse()
    moved = music.rename(tmp_path / "moved")
    answer = client.patch(f"{URL}/1", json={"root_path": str(moved)})
    assert (answer.json()["root_path"], answer.json()["tagged_count"]) == (str(moved), 3)
    assert client.post(f"{URL}/1/scan").json()["queued"] == 0


def test_a_library_does_not_move_to_where_it_may_not_be(
    client: httpx.Client, library: dict[str, Any], home: Home, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    add(client, tmp_path / "other", "Other")
    detail(client.patch(f"{URL}/1", json={"root_path": str(tmp_path / "gone")}), 400)
    detail(client.patch(f"{URL}/1", json={"root_path": str(home.settings.data_dir)}), 400)
    detail(client.patch(f"{URL}/1", json={"root_path": str(tmp_path / "other")}), 409)
    detail(client.patch(f"{URL}/1", json={"name": "Other"}), 409)
    assert client.get(f"{URL}/1").json() == library


def test_a_removed_library_is_gone_and_its_music_is_not(
    client: httpx.Client, scanned: dict[str, Any], music: Path
) -> None:
    before = sorted(music.rglob("*"))
    answer = client.delete(f"{URL}/1")
    assert (answer.status_code, answer.json()["status"]) == (200, "success")
    assert client.get(URL).json() == []
    assert client.get("/api/web/queue/queue-depth").json()["depth"] == 0
    assert sorted(music.rglob("*")) == before


# scans


def test_a_scan_queues_what_is_new(client: httpx.Client, library: dict[str, Any], music: Path) -> None:
    asked = {"paths": [str(music / "Nina")], "recursive": True, "force": False, "clean_missing": True}
    answer = client.post(f"{URL}/1/scan", json=asked)
    assert (answer.status_code, answer.json()) == (200, {"queued": 2, "message": "Queued 2 files for processing"})
    answer = client.post(f"{URL}/1/scan", json={})
    assert answer.json() == {"queued": 1, "message": "Queued 1 file for processing"}


def test_a_scan_needs_no_body(client: httpx.Client, library: dict[str, Any]) -> None:
    assert client.post(f"{URL}/1/scan").json()["queued"] == 3


def test_unchanged_files_are_queued_again_only_by_force(
    client: httpx.Client, scanned: dict[str, Any], analyse: Analyse
) -> None:
    analyse()
    assert client.post(f"{URL}/1/scan").json() == {"queued": 0, "message": "Queued 0 files for processing"}
    assert client.post(f"{URL}/1/scan", json={"force": True}).json()["queued"] == 3


def test_a_scan_of_one_folder_leaves_those_below_alone(
    client: httpx.Client, library: dict[str, Any], music: Path
) -> None:
    make_song(music / "Nina/Loose.flac")
    answer = client.post(f"{URL}/1/scan", json={"paths": [str(music / "Nina")], "recursive": False})
    assert answer.json()["queued"] == 1


def test_vanished_files_are_marked_unless_told_otherwise(
    client: httpx.Client, scanned: dict[str, Any], music: Path
) -> None:
    (music / "Nina/Blue/01 One.flac").unlink()
    client.post(f"{URL}/1/scan", json={"clean_missing": False})
    assert client.get(f"{URL}/1").json()["file_count"] == 3
    client.post(f"{URL}/1/scan")
    assert client.get(f"{URL}/1").json()["file_count"] == 2


def test_a_scan_heeds_the_settings(home: Home, music: Path, library: dict[str, Any]) -> None:
    home.settings = Settings(data_dir=home.settings.data_dir, library_ignore_patterns=("Otis",), library_auto_tag=False)
    home.start()
    client = home.connect(token=home.token)
    assert client.post(f"{URL}/1/scan").json()["queued"] == 0
    assert client.get(f"{URL}/1").json()["file_count"] == 2


def test_a_scan_of_what_does_not_exist_is_not_found(client: httpx.Client, library: dict[str, Any], music: Path) -> None:
    gone = str(music / "gone.flac")
    assert detail(client.post(f"{URL}/1/scan", json={"paths": [gone]}), 404) == f"File not found: {gone}"


def test_a_scan_stays_inside_its_library(
    client: httpx.Client, library: dict[str, Any], music: Path, songs: Path, tmp_path: Path
) -> None:
    sibling = Path(shutil.copytree(songs, tmp_path / "music2"))
    (music / "out").symlink_to(sibling)
    for path in (sibling, f"{music}/../music2", music / "out", music / "out/Nina", "/", "/etc/passwd"):
        assert "outside library" in detail(client.post(f"{URL}/1/scan", json={"paths": [str(path)]}), 403)
    assert client.get(f"{URL}/1").json()["file_count"] == 0


@pytest.mark.parametrize("path", ["Nina", "../music", "", ".", "/mu\0sic"])
def test_a_scan_refuses_paths_that_are_not_absolute(client: httpx.Client, library: dict[str, Any], path: str) -> None:
    assert detail(client.post(f"{URL}/1/scan", json={"paths": [path]}), 400).startswith("paths[0]: ")


def test_an_empty_root_is_an_error_and_nothing_goes_missing(
    client: httpx.Client, scanned: dict[str, Any], music: Path
) -> None:
    shutil.rmtree(music)
    music.mkdir()
    assert "Nothing was changed" in detail(client.post(f"{URL}/1/scan"), 409)
    music.rmdir()
    detail(client.post(f"{URL}/1/scan"), 404)
    seen = client.get(f"{URL}/1").json()
    assert (seen["file_count"], seen["scan_status"]) == (3, "failed")
    assert "Nothing was changed" in seen["scan_error"]


def test_a_scan_whose_process_died_has_failed(
    client: httpx.Client, library: dict[str, Any], db: Database, home: Home
) -> None:
    with db.write() as tx:
        scans.begin(tx, 1, owner="gone", now=NOW_MS)
    assert client.get(f"{URL}/1").json()["scan_status"] == "scanning"
    home.time.pass_s(61)
    (seen,) = client.get(URL).json()
    assert (seen["scan_status"], seen["scan_error"]) == ("failed", "its process ended before the scan did")


def test_while_a_scan_runs_another_has_to_wait(
    client: httpx.Client, library: dict[str, Any], db: Database, tmp_path: Path
) -> None:
    (tmp_path / "new").mkdir()
    answers: dict[str, httpx.Response] = {}

    def in_the_middle(_found: int, _folder: str) -> None:
        answers["scan"] = client.post(f"{URL}/1/scan")
        answers["remove"] = client.delete(f"{URL}/1")
        answers["move"] = client.patch(f"{URL}/1", json={"root_path": str(tmp_path / "new")})
        answers["look"] = client.get(f"{URL}/1")

    with db.read() as tx:
        row = libraries.get(tx, 1)
    result = scan_library(db, row, progress=in_the_middle, now=lambda: NOW_MS)
    assert isinstance(result, ScanResult)
    assert "already running" in detail(answers["scan"], 409)
    assert "being scanned" in detail(answers["remove"], 409)
    assert "being scanned" in detail(answers["move"], 409)
    assert answers["look"].json()["scan_status"] == "scanning"
    assert client.post(f"{URL}/1/scan").status_code == 200
    assert os.listdir(tmp_path / "new") == []


# watching, and cancelling a scan


def test_how_a_library_is_watched_can_be_chosen(client: httpx.Client, music: Path) -> None:
    new = {"name": "Main", "root_path": str(music), "watch_mode": "poll"}
    made = client.post(URL, json=new).json()
    assert (made["watch_mode"], made["watch_problem"]) == ("poll", None)
    for mode in ("events", "off"):
        assert client.patch(f"{URL}/{made['id']}", json={"watch_mode": mode}).json()["watch_mode"] == mode
    for mode in ("sometimes", None, 5):
        assert "watch_mode" in detail(client.patch(f"{URL}/{made['id']}", json={"watch_mode": mode}), 400)


def test_a_scan_that_runs_can_be_cancelled(client: httpx.Client, db: Database, home: Home, scanned: Any) -> None:
    url = f"{URL}/{scanned['id']}"
    assert "is not being scanned" in detail(client.delete(f"{url}/scan"), 409)
    with db.write() as tx:
        scans.begin(tx, scanned["id"], owner="somebody", now=home.time.ms)
    assert client.get(url).json()["scan_status"] == "scanning"
    answer = client.delete(f"{url}/scan")
    assert answer.json() == {"message": "Cancelled the scan of library Main Library", "status": "success"}
    assert client.get(url).json()["scan_status"] == "cancelled"
    assert client.get(url).json()["scan_error"] == "somebody cancelled it"
    assert "is not being scanned" in detail(client.delete(f"{url}/scan"), 409)
    detail(client.delete(f"{URL}/999/scan"), 404)
