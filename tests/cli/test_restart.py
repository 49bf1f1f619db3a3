"""The server restarts in place: same process, same port, and nothing is lost."""

from __future__ import annotations

import signal
import time
import urllib.error
from pathlib import Path

import pytest

from ground import Ground
from nomarr.secretkey import show
from nomarr.tagfiles.audiofile import read_tags

from .test_serve import Server, serving

RESTARTING = {
    "status": "success",
    "message": "API server is restarting... Please refresh the page in a few seconds.",
}


def workers(server: Server) -> set[str]:
    return {worker["id"] for worker in server.call("GET", "/api/web/info")["workers"]["processes"]}


def queue(server: Server) -> dict[str, int]:
    depth: dict[str, int] = server.call("GET", "/api/web/queue/queue-depth")
    return depth


def test_a_restart_in_the_middle_of_a_file_loses_nothing(
    ground: Ground, long_track: Path, tracks: dict[str, Path]
) -> None:
    long = ground.add(long_track, "1 long.flac")
    (ground.folder / "data").mkdir()
    (ground.folder / "data" / "nomarr.yaml").write_text("tagger_worker_count: 1\n")
    with serving(ground, "--host", "127.0.0.1") as (server, process):
        server.login()
        made = server.call("POST", "/api/web/libraries", {"name": "Music", "root_path": str(ground.music)})
        changed = server.call("POST", "/api/web/config", {"key": "tagger_worker_count", "value": "2"})
        assert changed["restart_required"] is True
        server.call("POST", f"/api/web/libraries/{made['id']}/scan", {})
        deadline = time.monotonic() + 60
        while queue(server)["running"] != 1:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        before = workers(server)
        ground.add(tracks["flac"], "2 short.flac")
        server.call("POST", f"/api/web/libraries/{made['id']}/scan", {})
        assert server.call("POST", "/api/web/worker/restart") == RESTARTING
        assert server.call("POST", "/api/web/worker/restart") == RESTARTING
        assert queue(server) == {"depth": 2, "pending": 1, "running": 1, "completed": 0, "errors": 0}
        # Every request is answered: one that comes in between waits a moment.
        while len(workers(server) - before) != 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert process.poll() is None, "it is the same process"
        assert read_tags(long), "the file in hand was finished first"
        assert not before & workers(server)
        while queue(server)["completed"] != 2:
            assert time.monotonic() < deadline, queue(server)
            time.sleep(0.1)
        assert queue(server) == {"depth": 0, "pending": 0, "running": 0, "completed": 2, "errors": 0}
    assert process.returncode == 0


def test_a_server_that_is_stopped_during_a_restart_stays_stopped(ground: Ground, long_track: Path) -> None:
    ground.add(long_track, "long.flac")
    with serving(ground) as (server, process):
        server.login()
        made = server.call("POST", "/api/web/libraries", {"name": "Music", "root_path": str(ground.music)})
        server.call("POST", f"/api/web/libraries/{made['id']}/scan", {})
        deadline = time.monotonic() + 60
        while queue(server)["running"] != 1:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        server.call("POST", "/api/web/worker/restart")
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
        with pytest.raises(urllib.error.URLError):
            server.call("GET", "/ping")
    assert process.returncode == 0
    assert read_tags(ground.music / "long.flac")


def test_a_new_key_of_the_installation_counts_in_a_running_server(ground: Ground) -> None:
    with serving(ground) as (server, _):
        old = ground.run("key", "show").stdout.strip()
        server.token = old
        assert server.call("GET", "/api/v1/info")["version"]
        assert show(ground.folder / "data") == old
        new = ground.run("key", "generate").stdout.strip()
        with pytest.raises(urllib.error.HTTPError, match="401"):
            server.call("GET", "/api/v1/info")
        server.token = new
        assert server.call("GET", "/api/v1/info")["version"]
