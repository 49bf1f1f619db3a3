"""Music that arrives while the server runs: watched, announced, caught up with, and nothing is lost or done twice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from audio_files import encode
from ground import Ground
from nomarr.store.database import Database
from nomarr.tagfiles.audiofile import read_tags, remove_tags

from .test_serve import Server, serving

HOOK = "/api/v1/hooks/lidarr"


@pytest.fixture
def quick(ground: Ground) -> Ground:
    """A server that does not wait long."""
    (ground.folder / "data").mkdir()
    (ground.folder / "data" / "nomarr.yaml").write_text("arrival_quiet_s: 0.5\nwatch_poll_s: 1\n")
    ground.music.mkdir()
    return ground


def add_library(server: Server, ground: Ground, **more: Any) -> str:
    server.login()
    made = server.call("POST", "/api/web/libraries", {"name": "Music", "root_path": str(ground.music), **more})
    return f"/api/web/libraries/{made['id']}"


def wait_until(is_so: Callable[[], object], *, seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)


def done(server: Server, count: int) -> bool:
    depth = server.call("GET", "/api/web/queue/queue-depth")
    return (depth["depth"], depth["completed"]) == (0, count)


def writes(ground: Ground) -> int:
    with Database(ground.settings().database) as db, db.read() as tx:
        return int(tx.scalar("SELECT COUNT(*) FROM journal"))


def scan_times(ground: Ground) -> object:
    with Database(ground.settings().database) as db, db.read() as tx:
        return tx.all("SELECT scan_started_at, scan_finished_at FROM libraries")


def is_announced(ground: Ground) -> bool:
    with Database(ground.settings().database) as db, db.read() as tx:
        return bool(tx.scalar("SELECT COUNT(*) FROM announcements"))


@pytest.mark.parametrize("mode", ["events", "poll"])
def test_a_watched_library_is_tagged_and_our_own_writing_is_no_news(
    quick: Ground, tracks: dict[str, Path], mode: str
) -> None:
    with serving(quick) as (server, _):
        library = add_library(server, quick)
        assert server.call("PATCH", library, {"watch_mode": mode})["watch_mode"] == mode
        paths = [quick.add(tracks[ending], f"Artist/Album/{ending}.{ending}") for ending in ("flac", "mp3", "m4a")]
        wait_until(lambda: done(server, 3))
        assert all(read_tags(path) for path in paths)
        wait_until(lambda: not is_announced(quick))
        before, written = scan_times(quick), writes(quick)
        time.sleep(6)  # the watch has seen our files replaced, and looked at their folder
        assert (scan_times(quick), writes(quick), is_announced(quick)) == (before, written, False)
        assert written == 3
        # What somebody else takes out comes back, once.
        remove_tags(paths[0])
        wait_until(lambda: read_tags(paths[0]))
        (quick.music / "Artist/Album").rename(quick.music / "Artist/Album (1999)")
        wait_until(lambda: "Album (1999)" in json.dumps(server.call("GET", "/api/web/files")))
        wait_until(lambda: done(server, 3))
        assert server.call("GET", library)["file_count"] == 3
        assert writes(quick) == 4, "moving costs nothing"
        # Switched off, nothing is noticed any more.
        server.call("PATCH", library, {"watch_mode": "off"})
        time.sleep(2.5)
        quick.add(tracks["wv"], "Artist/later.wv")
        time.sleep(4)
        assert server.call("GET", library)["file_count"] == 3


def test_what_was_announced_survives_kill_9(quick: Ground, tracks: dict[str, Path]) -> None:
    (quick.folder / "data" / "nomarr.yaml").write_text("arrival_quiet_s: 3\n")
    path = quick.add(tracks["flac"], "Artist/Album/1.flac")
    key = quick.run("key", "show").stdout.strip()
    with serving(quick) as (server, process):
        add_library(server, quick)
        server.token = key
        answer = server.call("POST", HOOK, {"eventType": "Download", "trackFiles": [{"path": str(path)}]})
        assert answer["results"][0]["status"] == "queued"
        process.kill()
        process.wait()
    with serving(quick) as (server, _):
        server.login()
        wait_until(lambda: done(server, 1))
        assert read_tags(path)


def test_a_scan_can_be_cancelled_over_http(quick: Ground, tracks: dict[str, Path]) -> None:
    for number in range(400):
        quick.add(tracks["mp3"], f"{number}/1.mp3")
    with serving(quick, "--workers", 0) as (server, _):
        library = add_library(server, quick)
        with pytest.raises(urllib.error.HTTPError, match="409"):
            server.call("DELETE", f"{library}/scan")
        code = (
            "import sys, urllib.request as u, urllib.error as e\n"
            "r = u.Request(sys.argv[1], data=b'{}', method='POST', headers={'Authorization': 'Bearer ' + sys.argv[2],"
            " 'Content-Type': 'application/json'})\n"
            "try:\n    print(u.urlopen(r).read().decode())\nexcept e.HTTPError as error:\n"
            "    print(error.code, error.read().decode())"
        )
        command = [sys.executable, "-c", code, f"{server.base}{library}/scan", str(server.token)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as scanning:
            wait_until(lambda: server.call("GET", library)["scan_status"] == "scanning")
            assert server.call("DELETE", f"{library}/scan")["message"] == "Cancelled the scan of library Music"
            out, _ = scanning.communicate(timeout=30)
        assert out.strip() == '409 {"detail":"The scan of library Music was cancelled"}'
        after = server.call("GET", library)
        assert (after["scan_status"], after["scan_error"]) == ("cancelled", "somebody cancelled it")
        assert server.call("POST", f"{library}/scan", {})["queued"] == 400 - after["file_count"]
        assert server.call("GET", library)["scan_status"] == "complete"


def test_where_the_system_has_no_watches_left_folders_are_looked_through(
    quick: Ground, tracks: dict[str, Path]
) -> None:
    # A namespace of its own, with a limit of its own.
    limit = "echo 1 > /proc/sys/user/max_inotify_watches"
    if subprocess.run(["unshare", "-Ur", "sh", "-c", limit], capture_output=True).returncode != 0:
        pytest.skip("user namespaces are not allowed here")

    class Limited(Ground):
        def start(self, *arguments: object, **more: str) -> subprocess.Popen[str]:
            command = f'{limit}; exec "$@"'
            return subprocess.Popen(
                ["unshare", "-Ur", "sh", "-c", command, "-", sys.executable, "-m", "nomarr", *map(str, arguments)],
                env=self.environment(more),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )

    limited = Limited(quick.folder, quick.models)
    (quick.music / "one").mkdir()
    (quick.music / "two").mkdir()
    with serving(limited) as (server, process):
        library = add_library(server, quick, watch_mode="events")
        wait_until(lambda: server.call("GET", library)["watch_problem"])
        problem = server.call("GET", library)["watch_problem"]
        assert "Raise fs.inotify.max_user_watches" in problem
        quick.add(tracks["flac"], "one/1.flac")
        wait_until(lambda: done(server, 1))
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert err.count("limit on watched folders is reached") == 1


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_the_script_tells_a_real_server(quick: Ground, shell: str) -> None:
    script = Path(__file__).parents[2] / "scripts" / "nomarr-lidarr.sh"
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    names = ["a b.flac", 'it\'s "quoted".flac', "pipe|in|name.flac", "line\nbreak.flac"]
    paths = []
    for number, name in enumerate(names):
        made = encode(quick.music / f"{number}.flac", source=f"sine=frequency={300 + 100 * number}:duration=3")
        paths.append(made.rename(quick.music / name))
    with serving(quick) as (server, _):
        add_library(server, quick)
        environment = {
            "PATH": os.environ["PATH"],
            "NOMARR_URL": server.base,
            "NOMARR_KEY": quick.run("key", "show").stdout.strip(),
        }

        def tell(**variables: str) -> None:
            told = subprocess.run(
                [shell, script], env=environment | variables, capture_output=True, text=True, timeout=60
            )
            assert (told.returncode, told.stdout, told.stderr) == (0, "", "")

        tell(lidarr_eventtype="Test")
        tell(Lidarr_EventType="AlbumDownload", Lidarr_AddedTrackPaths="|".join(map(str, paths)))
        wait_until(lambda: done(server, len(paths)))
        assert all(read_tags(path) for path in paths)
        new = paths[2].rename(quick.music / "re|named.flac")
        tell(lidarr_eventtype="Rename", lidarr_trackfile_paths=str(new), lidarr_trackfile_previouspaths=str(paths[2]))
        wait_until(lambda: "re|named" in json.dumps(server.call("GET", "/api/web/files")))
        remove_tags(paths[3])
        tell(lidarr_eventtype="TrackRetag", lidarr_trackfile_path=str(paths[3]))
        wait_until(lambda: read_tags(paths[3]))
        assert server.call("GET", "/api/web/libraries")[0]["file_count"] == len(paths)
        assert done(server, len(paths))
