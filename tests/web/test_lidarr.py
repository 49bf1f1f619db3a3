"""Lidarr's hook over HTTP, path mappings, and the script under a real shell."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
import uvicorn
from tests.test_lidarr import EVENTS, form

from nomarr.lidarr import read_form, read_webhook
from nomarr.store import scans
from nomarr.store.database import Database
from nomarr.tagfiles.audiofile import read_tags, remove_tags
from nomarr.tagfiles.payload import audio_hash
from nomarr.watching.announced import scan_announced
from nomarr.worker.loop import Worker

from .conftest import Analyse, Home, make_song
from .test_keys import make
from .test_libraries import detail

URL = "/api/v1/hooks/lidarr"
TEST_URL = "/api/v1/path-mappings/test"
MAPPINGS = "/api/web/path-mappings"
LAST = "/api/web/lidarr/events"
ONE = "Nina/Blue/01 One.flac"
SCRIPT = Path(__file__).parents[2] / "scripts" / "nomarr-lidarr.sh"
AWKWARD = [
    "a b.flac",
    'it\'s "quoted".flac',
    "pipe|in|name.flac",
    "line\nbreak.flac",
    "100% & $(id) `id` \\.flac",
    "Ä.flac",
]


@pytest.fixture
def lidarr(home: Home, client: httpx.Client) -> httpx.Client:
    robot = home.connect()
    robot.headers["X-Api-Key"] = make(client, "enqueue", "Lidarr")
    return robot


def download(*paths: Path | str) -> dict[str, Any]:
    return {"eventType": "Download", "trackFiles": [{"id": 1, "path": str(path)} for path in paths]}


def statuses(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [result["status"] for result in answer.json()["results"]]


def pending(client: httpx.Client) -> int:
    depth: int = client.get("/api/web/queue/queue-depth").json()["pending"]
    return depth


@pytest.fixture
def look(home: Home) -> Callable[[], int]:
    """Let ten quiet seconds pass, and do the server's part."""

    def run() -> int:
        home.time.pass_s(11)
        done = scan_announced(home.db, home.settings, now=home.time.ms)
        home.time.pass_s(4)
        return done + scan_announced(home.db, home.settings, now=home.time.ms)

    return run


Look = Callable[[], int]


def names(db: Database, *, missing: bool = False) -> set[str]:
    with db.read() as tx:
        rows = tx.all("SELECT name, missing_since FROM library_files")
    return {row["name"] for row in rows if (row["missing_since"] is not None) is missing}


def map_to(client: httpx.Client, from_prefix: str, to: Path | str, source: str = "lidarr") -> None:
    mapping = {"source": source, "from_prefix": from_prefix, "to_prefix": str(to)}
    assert client.put(MAPPINGS, json={"mappings": [mapping]}).status_code == 200


# events


def test_an_import_is_queued_when_its_album_has_been_quiet(
    home: Home, lidarr: httpx.Client, client: httpx.Client, library: dict[str, Any], music: Path, look: Look
) -> None:
    answer = lidarr.post(URL, json=download(music / ONE, music / "Otis/Red/01 Three.flac"))
    path = str(music / ONE)
    assert answer.json()["results"][0] == {"path": path, "mapped": path, "status": "queued", "suggestion": None}
    assert (answer.json()["event"], answer.json()["enqueued"]) == ("Download", 2)
    assert answer.json()["message"] == "Queued 2 files for processing"
    home.time.pass_s(9)
    assert scan_announced(home.db, home.settings, now=home.time.ms) == 0
    assert pending(client) == 0
    assert look() == 2
    assert pending(client) == 2


def test_events_of_one_album_wait_for_its_last(
    home: Home, lidarr: httpx.Client, client: httpx.Client, library: dict[str, Any], music: Path, look: Look
) -> None:
    lidarr.post(URL, json=download(music / ONE))
    home.time.pass_s(8)
    lidarr.post(URL, json={"eventType": "Retag", "trackFile": {"path": str(music / "Nina/Blue/02 Two.flac")}})
    home.time.pass_s(8)
    assert scan_announced(home.db, home.settings, now=home.time.ms) == 0
    home.time.pass_s(3)
    assert scan_announced(home.db, home.settings, now=home.time.ms) == 2


def test_an_album_that_is_never_quiet_is_looked_at_all_the_same(
    home: Home, lidarr: httpx.Client, client: httpx.Client, library: dict[str, Any], music: Path
) -> None:
    for _ in range(45):
        lidarr.post(URL, json=download(music / ONE))
        home.time.pass_s(7)
    assert scan_announced(home.db, home.settings, now=home.time.ms) == 1


def test_the_same_event_again_changes_nothing(
    lidarr: httpx.Client, client: httpx.Client, library: dict[str, Any], music: Path, analyse: Analyse, look: Look
) -> None:
    lidarr.post(URL, json=download(music / ONE))
    lidarr.post(URL, json=download(music / ONE))
    assert look() == 1
    assert pending(client) == 1
    analyse()
    lidarr.post(URL, json=download(music / ONE))
    assert look() == 1
    assert pending(client) == 0


def test_what_was_announced_is_kept_over_a_restart(
    home: Home, lidarr: httpx.Client, library: dict[str, Any], music: Path, look: Look
) -> None:
    lidarr.post(URL, json=download(music / ONE))
    home.start()
    assert look() == 1
    assert names(home.db) == {"01 One.flac"}


def test_a_file_that_comes_late_is_waited_for(
    home: Home, lidarr: httpx.Client, client: httpx.Client, library: dict[str, Any], music: Path, look: Look
) -> None:
    late = music / "Nina/Blue/03 Late.flac"
    answer = lidarr.post(URL, json=download(music / ONE, late))
    assert statuses(answer) == ["queued", "awaited"]
    assert look() == 1
    assert look() == 0
    shutil.copy(music / "Otis/Red/01 Three.flac", late)
    assert look() == 1
    assert names(home.db) == {"01 One.flac", "03 Late.flac"}


def test_a_file_that_never_comes_is_given_up(
    home: Home, lidarr: httpx.Client, library: dict[str, Any], music: Path, look: Look, caplog: pytest.LogCaptureFixture
) -> None:
    lidarr.post(URL, json=download(music / "Nina/never.flac"))
    assert look() == 0
    home.time.pass_s(300)
    assert look() == 1
    assert "Nina/never.flac was announced, but did not come" in caplog.text
    assert look() == 0


def test_a_file_that_still_grows_is_waited_for(
    home: Home, lidarr: httpx.Client, library: dict[str, Any], music: Path
) -> None:
    path, whole = music / ONE, (music / ONE).read_bytes()
    path.write_bytes(whole[:1000])
    lidarr.post(URL, json=download(path))
    for size in (2000, 3000, len(whole)):
        path.write_bytes(whole[:size])
        home.time.pass_s(11)
        assert scan_announced(home.db, home.settings, now=home.time.ms) == 0
    home.time.pass_s(4)
    assert scan_announced(home.db, home.settings, now=home.time.ms) == 1
    with home.db.read() as tx:
        assert tx.scalar("SELECT size FROM library_files") == len(whole)


def test_a_renamed_file_keeps_its_analysis(
    lidarr: httpx.Client,
    client: httpx.Client,
    db: Database,
    scanned: dict[str, Any],
    music: Path,
    analyse: Analyse,
    look: Look,
) -> None:
    analyse()
    with db.write() as tx:
        tx.run("UPDATE library_files SET audio_hash = :hash WHERE name = '01 One.flac'", hash=audio_hash(music / ONE))
        before = tx.scalar("SELECT id FROM library_files WHERE name = '01 One.flac'")
    new = music / "Nina/Blue (1970)/One.flac"
    new.parent.mkdir()
    (music / ONE).rename(new)
    rename = {"eventType": "Rename", "renamedTrackFiles": [{"previousPath": str(music / ONE), "path": str(new)}]}
    assert statuses(lidarr.put(URL, json=rename)) == ["queued", "noted"]
    look()
    assert client.get(f"/api/web/libraries/{scanned['id']}").json()["file_count"] == 3
    assert pending(client) == 0
    with db.read() as tx:
        assert tx.scalar("SELECT id FROM library_files WHERE name = 'One.flac'") == before


def test_an_upgrade_takes_the_place_of_the_old_file(
    lidarr: httpx.Client, client: httpx.Client, db: Database, scanned: dict[str, Any], music: Path, look: Look
) -> None:
    better = make_song(music / "Nina/Blue/01 One.wav", seed=77)
    (music / ONE).unlink()
    event = download(better) | {"isUpgrade": True, "deletedFiles": [{"path": str(music / ONE)}]}
    assert statuses(lidarr.post(URL, json=event)) == ["queued", "noted"]
    look()
    assert names(db, missing=True) == {"01 One.flac"}
    assert names(db) == {"01 One.wav", "02 Two.flac", "01 Three.flac"}


@pytest.mark.parametrize("event", ["ArtistDelete", "AlbumDelete"])
def test_what_lidarr_deleted_is_missing(
    lidarr: httpx.Client, db: Database, scanned: dict[str, Any], music: Path, look: Look, event: str
) -> None:
    shutil.rmtree(music / "Nina" if event == "ArtistDelete" else music / "Nina/Blue")
    payload = {"eventType": event, "artist": {"path": str(music / "Nina")}, "deletedFiles": True}
    assert statuses(lidarr.post(URL, json=payload)) == ["noted"]
    look()
    assert names(db, missing=True) == {"01 One.flac", "02 Two.flac"}
    assert names(db) == {"01 Three.flac"}


def test_what_lidarr_only_forgot_stays(
    lidarr: httpx.Client, db: Database, scanned: dict[str, Any], music: Path, look: Look
) -> None:
    payload = {"eventType": "ArtistDelete", "artist": {"path": str(music / "Nina")}}
    assert statuses(lidarr.post(URL, json=payload | {"deletedFiles": True})) == ["noted"]
    look()
    assert statuses(lidarr.post(URL, json=payload | {"deletedFiles": False})) == []
    assert len(names(db)) == 3


def test_a_lost_disk_is_no_deletion(
    lidarr: httpx.Client, db: Database, scanned: dict[str, Any], music: Path, look: Look
) -> None:
    music.rename(music.with_name("elsewhere"))
    music.mkdir()
    payload = {"eventType": "ArtistDelete", "artist": {"path": str(music / "Nina")}, "deletedFiles": True}
    assert statuses(lidarr.post(URL, json=payload)) == ["noted"]
    assert look() == 0
    music.rmdir()
    assert look() == 0
    assert len(names(db)) == 3


def test_tags_that_lidarr_scrubbed_are_written_again_without_listening(
    home: Home,
    lidarr: httpx.Client,
    client: httpx.Client,
    db: Database,
    library: dict[str, Any],
    music: Path,
    small_models: Path,
    look: Look,
) -> None:
    settings = home.settings.model_copy(update={"models_dir": small_models})
    lidarr.post(URL, json=download(music / ONE))
    look()
    Worker(settings, db, "w", drain=True).run()
    wanted = read_tags(music / ONE)
    remove_tags(music / ONE)
    retag = {"eventType": "Retag", "trackFile": {"id": 0, "path": str(music / ONE)}}
    assert statuses(lidarr.post(URL, json=retag)) == ["queued"]
    look()
    with db.read() as tx:
        found = tx.one("SELECT needs_tagging, needs_write FROM library_files")
    assert found == {"needs_tagging": False, "needs_write": True}
    Worker(settings, db, "w", drain=True).run()
    assert read_tags(music / ONE) == wanted != {}


@pytest.mark.parametrize("name", list(EVENTS["webhooks"]))
def test_every_known_webhook_is_answered_well(lidarr: httpx.Client, library: dict[str, Any], name: str) -> None:
    answer = lidarr.post(URL, json=EVENTS["webhooks"][name])
    assert set(statuses(answer)) <= {"unmapped"}
    assert answer.json()["enqueued"] == 0


@pytest.mark.parametrize("name", list(EVENTS["webhooks"]))
def test_every_known_webhook_finds_its_files_by_a_mapping(
    lidarr: httpx.Client, client: httpx.Client, library: dict[str, Any], music: Path, name: str, look: Look
) -> None:
    map_to(client, "/data/media/music", music)
    album = music / "Portishead" / "Dummy (1994)"
    album.mkdir(parents=True)
    for title in ("01 - Mysterons", "02 - Sour Times"):
        shutil.copy(music / ONE, album / f"Portishead - Dummy - {title}.flac")
    event = read_webhook(EVENTS["webhooks"][name])
    answer = lidarr.post(URL, json=EVENTS["webhooks"][name])
    assert statuses(answer) == ["queued"] * len(event.paths) + ["noted"] * len(event.left)
    assert answer.json()["enqueued"] == len(event.paths)
    look()
    assert pending(client) == (2 if name in ("ArtistDelete", "AlbumDelete") else len(event.paths))


@pytest.mark.parametrize(
    "event", ["Test", "Grab", "DownloadFailure", "ImportFailure", "ArtistAdd", "Health", "Tomorrow", "\ud800"]
)
def test_events_without_new_files_do_nothing(
    lidarr: httpx.Client, client: httpx.Client, library: dict[str, Any], music: Path, event: str, look: Look
) -> None:
    answer = lidarr.post(URL, content=json.dumps(download(music / ONE) | {"eventType": event}))
    assert statuses(answer) == []
    assert look() == 0
    assert pending(client) == 0


def test_a_form_is_understood(lidarr: httpx.Client, library: dict[str, Any], music: Path) -> None:
    paths = f"{music / ONE}|{music / 'Nina/Blue/02 Two.flac'}"
    assert statuses(lidarr.post(URL, data={"eventType": "AlbumDownload", "paths": paths})) == ["queued", "queued"]


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        ("{", "application/json", "JSON"),
        ("", "application/json", "JSON"),
        ("[]", "application/json", "JSON object"),
        ("{}", "application/json", "eventType"),
        ('{"eventType": 5}', "", "eventType"),
        ("paths=/a", "application/x-www-form-urlencoded", "eventType"),
        (urlencode([(str(n), "x") for n in range(200)]), "application/x-www-form-urlencoded; charset=utf-8", "fields"),
        ("[" * 100_000, "application/json", "JSON"),
    ],
)
def test_a_body_that_is_no_event_is_refused(lidarr: httpx.Client, body: str, kind: str, says: str) -> None:
    assert says in detail(lidarr.post(URL, content=body, headers={"Content-Type": kind}), 400)


def test_a_test_tells_that_all_is_well(lidarr: httpx.Client) -> None:
    answer = lidarr.post(URL, json=EVENTS["webhooks"]["Test"])
    assert answer.json() == {"event": "Test", "enqueued": 0, "message": "Nomarr is ready", "results": []}


# paths


def test_every_path_has_its_own_answer(
    lidarr: httpx.Client, library: dict[str, Any], music: Path, tmp_path: Path
) -> None:
    outside = make_song(tmp_path / "outside.flac")
    (music / "link.flac").symlink_to(outside)
    answer = lidarr.post(
        URL,
        content=json.dumps(
            download(
                music / ONE,
                music / "gone.flac",
                outside,
                music / "link.flac",
                f"{music}/../outside.flac",
                music / "Nina/Blue/cover.jpg",
                "/nowhere/Nina/Blue/02 Two.flac",
                "D:\\Music\\Nina\\Blue\\02 Two.flac",
                "relative.flac",
                "/nul\0.flac",
                "/half\ud800.flac",
                music / ("long/" * 600) / "deep.flac",
            )
        ),
    )
    assert statuses(answer) == [
        "queued",
        "awaited",
        "unmapped",  # not even that it exists is told
        "outside_library",
        "outside_library",
        "unsupported",
        "unmapped",
        "unmapped",
        "unmapped",
        "unmapped",
        "unmapped",
        "unsupported",
    ]
    assert answer.json()["enqueued"] == 2
    assert [result["suggestion"] for result in answer.json()["results"][6:9]] == [
        {"from_prefix": "/nowhere", "to_prefix": str(music)},
        {"from_prefix": "D:\\Music", "to_prefix": str(music)},
        None,
    ]


def test_a_suggestion_that_is_accepted_leads_to_the_file(
    lidarr: httpx.Client, client: httpx.Client, library: dict[str, Any], music: Path
) -> None:
    path = "D:\\Music\\Nina\\Blue\\02 Two.flac"
    asked = {"source": "lidarr", "path": path}
    suggestion = lidarr.post(TEST_URL, json=asked).json()["suggestion"]
    map_to(client, suggestion["from_prefix"], suggestion["to_prefix"])
    assert lidarr.post(TEST_URL, json=asked).json() == {
        "path": path,
        "mapped": str(music / "Nina/Blue/02 Two.flac"),
        "status": "found",
        "suggestion": None,
    }
    assert pending(client) == 0, "asking queues nothing"
    assert statuses(lidarr.post(URL, json=download(path))) == ["queued"]


def test_mappings_are_kept_tidy_and_in_order(home: Home, client: httpx.Client) -> None:
    assert client.get(MAPPINGS).json() == {"mappings": []}
    given = [
        {"source": "lidarr", "from_prefix": "/data/music/", "to_prefix": "/music/"},
        {"from_prefix": "D:\\Music\\", "to_prefix": "/music"},
    ]
    tidy = [
        {"source": "lidarr", "from_prefix": "/data/music", "to_prefix": "/music"},
        {"source": "*", "from_prefix": "D:\\Music", "to_prefix": "/music"},
    ]
    assert client.put(MAPPINGS, json={"mappings": given}).json() == {"mappings": tidy}
    home.start()
    assert home.connect(token=home.token).get(MAPPINGS).json() == {"mappings": tidy}


@pytest.mark.parametrize(
    "mappings",
    [
        [{"from_prefix": "data", "to_prefix": "/m"}],
        [{"from_prefix": "/data", "to_prefix": "m"}],
        [{"from_prefix": "/data", "to_prefix": "/m/../x"}],
        [{"from_prefix": "", "to_prefix": "/m"}],
        [{"source": "nobody", "from_prefix": "/data", "to_prefix": "/m"}],
        [{"from_prefix": "/data", "to_prefix": "/m"}, {"from_prefix": "/data/", "to_prefix": "/n"}],
        [{"from_prefix": f"/{n}", "to_prefix": "/m"} for n in range(101)],
        None,
    ],
)
def test_mappings_that_cannot_work_are_refused(client: httpx.Client, mappings: object) -> None:
    detail(client.put(MAPPINGS, json={"mappings": mappings}), 400)
    assert client.get(MAPPINGS).json() == {"mappings": []}


# while a scan runs


def test_what_comes_during_a_scan_is_queued_right_after_it(
    lidarr: httpx.Client, client: httpx.Client, db: Database, library: dict[str, Any], music: Path, look: Look
) -> None:
    with db.write() as tx:
        scans.begin(tx, library["id"], owner="somebody", now=tx.now_ms())
    lidarr.post(URL, json=download(music / ONE))
    assert look() == 0
    with db.write() as tx:
        scans.end(tx, library["id"], owner="somebody", now=tx.now_ms())
    assert look() == 1
    assert pending(client) == 1


def test_events_that_come_all_at_once_are_all_heeded(
    lidarr: httpx.Client, client: httpx.Client, library: dict[str, Any], music: Path, look: Look
) -> None:
    paths = [shutil.copy(music / ONE, music / f"{number}.flac") for number in range(20)]
    retags = [{"eventType": "Retag", "trackFile": {"path": str(path)}} for path in paths]
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda retag: statuses(lidarr.post(URL, json=retag)), retags))
    assert answers == [["queued"]] * 20
    assert look() == 20
    assert pending(client) == 20


# the script


@pytest.fixture
def address(home: Home) -> Iterator[str]:
    """The app on a socket of this machine."""
    assert home.app is not None
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(home.app, log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@pytest.fixture
def script(request: pytest.FixtureRequest, address: str, lidarr: httpx.Client, tmp_path: Path) -> Any:
    shell = shutil.which(getattr(request, "param", "sh"))
    if shell is None:
        pytest.skip("there is no such shell")

    def run(
        environment: dict[str, str], *, url: str = address, key: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        file = tmp_path / "nomarr.key"
        file.write_text((key or lidarr.headers["X-Api-Key"]) + "\n")
        own = {"PATH": os.environ["PATH"], "NOMARR_URL": url, "NOMARR_KEY_FILE": str(file)}
        return subprocess.run([shell, SCRIPT], env=own | environment, capture_output=True, text=True, timeout=60)

    return run


def test_the_script_is_executable_and_names_its_shell() -> None:
    assert os.access(SCRIPT, os.X_OK)
    assert SCRIPT.read_text().startswith("#!/bin/sh\n")


SHELLS = pytest.mark.parametrize("script", ["dash", "bash"], indirect=True)
CASES = {  # the variables as Lidarr writes them, and as its documentation has them
    "lidarr_eventtype": "Lidarr_EventType",
    "lidarr_instancename": "Lidarr_InstanceName",
    "lidarr_addedtrackpaths": "Lidarr_AddedTrackPaths",
    "lidarr_deletedpaths": "Lidarr_DeletedPaths",
    "lidarr_trackfile_paths": "Lidarr_TrackFile_Paths",
    "lidarr_trackfile_previouspaths": "Lidarr_TrackFile_PreviousPaths",
    "lidarr_trackfile_path": "Lidarr_TrackFile_Path",
    "lidarr_artist_path": "Lidarr_Artist_Path",
    "lidarr_artist_deletedfiles": "Lidarr_Artist_DeletedFiles",
}


@SHELLS
def test_the_script_brings_over_paths_with_any_characters(
    script: Any, client: httpx.Client, library: dict[str, Any], music: Path, db: Database, look: Look
) -> None:
    paths = []
    for number, name in enumerate(AWKWARD):
        paths.append(make_song(music / f"{number}.flac", seed=number).rename(music / name))
    done = script({"lidarr_eventtype": "AlbumDownload", "lidarr_addedtrackpaths": "|".join(map(str, paths))})
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    look()
    assert pending(client) == len(AWKWARD)
    with db.read() as tx:
        assert {row["name"] for row in tx.all("SELECT name FROM library_files WHERE needs_tagging")} == set(AWKWARD)


@SHELLS
@pytest.mark.parametrize("is_lower", [True, False], ids=["lower case", "capitals"])
def test_the_script_tells_of_every_known_event(
    script: Any, client: httpx.Client, library: dict[str, Any], music: Path, db: Database, is_lower: bool, look: Look
) -> None:
    map_to(client, "/data/media/music", music)
    for name, environment in EVENTS["scripts"].items():
        album = music / "Portishead/Dummy (1994)"
        album.mkdir(parents=True, exist_ok=True)
        for song, title in ((ONE, "01 - Mysterons"), ("Nina/Blue/02 Two.flac", "02 - Sour Times")):
            shutil.copy(music / song, album / f"Portishead - Dummy - {title}.flac")
        with db.write() as tx:
            tx.run("DELETE FROM announcements")
        given = environment if is_lower else {CASES.get(key, key): value for key, value in environment.items()}
        done = script(given)
        assert (name, done.returncode, done.stdout, done.stderr) == (name, 0, "", "")
        with db.read() as tx:
            told = {row["path"] for row in tx.all("SELECT path FROM announcements")}
        event = read_form(form(environment))
        prefix = "/data/media/music/"
        assert (name, told) == (name, {path.removeprefix(prefix) for path in (*event.paths, *event.left)})


def test_the_test_button_fails_where_address_or_key_is_wrong(script: Any) -> None:
    event = {"lidarr_eventtype": "Test"}
    assert script(event).returncode == 0
    wrong = script(event, key="nom_wrong")
    assert wrong.returncode != 0
    assert "401" in wrong.stderr
    assert script(event, url="http://127.0.0.1:1").returncode != 0


def test_the_script_is_silent_about_other_events(script: Any) -> None:
    done = script({"lidarr_eventtype": "Grab"}, url="http://127.0.0.1:1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# what was told


def test_the_last_events_say_what_led_nowhere(
    lidarr: httpx.Client, client: httpx.Client, library: dict[str, Any], music: Path
) -> None:
    assert client.get(LAST).json() == []
    lidarr.post(URL, json={"eventType": "Test"})
    lidarr.post(URL, json=download(music / ONE, "/data/elsewhere/Two.flac"))
    imported, tried = client.get(LAST).json()
    assert (tried["event"], tried["message"], tried["paths"]) == ("Test", "Nomarr is ready", 0)
    assert (imported["event"], imported["paths"], imported["not_ours"]) == ("Download", 2, 1)
    assert (imported["first_not_ours"], imported["why"]) == ("/data/elsewhere/Two.flac", "unmapped")


def test_no_more_than_twenty_events_are_kept_and_none_of_them_is_long(
    lidarr: httpx.Client, client: httpx.Client
) -> None:
    for number in range(22):
        lidarr.post(URL, json={"eventType": f"{number:02}" + "x" * 5000})
    events = client.get(LAST).json()
    assert [event["event"][:2] for event in events] == [f"{number:02}" for number in range(21, 1, -1)]
    assert all(len(json.dumps(event)) < 2000 for event in events)


def test_a_path_can_be_tried_by_somebody_who_is_logged_in(
    client: httpx.Client, library: dict[str, Any], music: Path
) -> None:
    answer = client.post(f"{MAPPINGS}/test", json={"path": str(music / ONE)})
    assert answer.json()["status"] == "found"
