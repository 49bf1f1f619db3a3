"""The server as a process: it starts, analyses what is asked for, stops, and comes back."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ground import Ground
from nomarr.tagfiles.audiofile import read_tags

PASSWORD = "a good password"


class Server:
    def __init__(self, port: int) -> None:
        self.base = f"http://127.0.0.1:{port}"
        self.token: str | None = None

    def call(self, method: str, path: str, body: object = None) -> Any:
        headers = {"Content-Type": "application/json"}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data=data, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def login(self) -> None:
        self.token = self.call("POST", "/api/web/auth/login", {"password": PASSWORD})["session_token"]


@contextmanager
def serving(ground: Ground, *options: object, **more: str) -> Iterator[tuple[Server, subprocess.Popen[str]]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = options or ("--workers", 1)
    with ground.start("serve", "--port", port, *options, NOMARR_ADMIN_PASSWORD=PASSWORD, **more) as process:
        server = Server(port)
        try:
            deadline = time.monotonic() + 30
            while True:
                try:
                    server.call("GET", "/health/live")
                    break
                except (urllib.error.URLError, ConnectionError):
                    assert process.poll() is None, process.communicate()
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
            yield server, process
        finally:
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=60)
            assert "Traceback" not in out + err, out + err


def test_the_server_tags_a_library_and_survives_a_restart(ground: Ground, tracks: dict[str, Path]) -> None:
    path = ground.add(tracks["flac"], "Artist/track.flac")
    with serving(ground) as (server, process):
        server.login()
        made = server.call("POST", "/api/web/libraries", {"name": "Music", "root_path": str(ground.music)})
        scan = server.call("POST", f"/api/web/libraries/{made['id']}/scan", {})
        assert scan == {"queued": 1, "message": "Queued 1 file for processing"}
        deadline = time.monotonic() + 40
        while (depth := server.call("GET", "/api/web/queue/queue-depth"))["completed"] != 1:
            assert time.monotonic() < deadline, depth
            time.sleep(0.1)
        assert depth == {"depth": 0, "pending": 0, "running": 0, "completed": 1, "errors": 0}
        assert server.call("GET", "/health/ready")["status"] == "ok"
        assert read_tags(path)
        token = server.token
    assert process.returncode == 0
    with serving(ground) as (server, _):
        server.token = token
        assert server.call("GET", "/api/web/libraries")[0]["name"] == "Music"
        assert server.call("GET", "/api/web/libraries/stats")["total_files"] == 1


def test_a_first_start_prints_the_password_it_made_up(ground: Ground) -> None:
    with ground.start("serve", "--port", 0, "--workers", 0) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert said.startswith("Your password is ")
    assert process.returncode == 0


@pytest.mark.parametrize("command", [("serve", "--port", 0), ("worker",)])
def test_a_stop_is_heeded_while_models_are_being_fetched(ground: Ground, command: tuple[object, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # an index that never answers
        silent.settimeout(30)
        index = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        models = ground.folder / "none"
        with ground.start(*command, NOMARR_MODELS_DIR=str(models), PIP_INDEX_URL=index, PIP_FIND_LINKS="") as process:
            connection, _ = silent.accept()
            process.send_signal(signal.SIGTERM)
            try:
                _, err = process.communicate(timeout=20)
            finally:
                process.kill()
                connection.close()
    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert [path.name for path in models.iterdir() if path.name != ".lock"] == []


def test_a_port_in_use_is_said_in_a_sentence(ground: Ground) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = ground.run("serve", "--port", taken.getsockname()[1], "--workers", 0)
    assert done.returncode == 2
    assert "cannot listen on 127.0.0.1" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("url", ["mysql://x/y", "postgresql://nomarr@127.0.0.1:1/none", "sqlite:////proc/no/x.db"])
def test_a_database_that_cannot_be_used_is_said_in_a_sentence(ground: Ground, url: str) -> None:
    done = ground.run("serve", "--port", 0, "--workers", 0, NOMARR_DATABASE_URL=url)
    assert done.returncode == 2
    assert done.stderr.startswith("nomarr: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("trusted", "address"), [("127.0.0.1", "198.51.100.7"), ("none", "127.0.0.1")])
def test_only_a_trusted_proxy_may_say_whose_request_it_is(ground: Ground, trusted: str, address: str) -> None:
    (ground.folder / "data").mkdir()
    (ground.folder / "data" / "nomarr.yaml").write_text(f"trusted_proxies: [{trusted}]\n")
    with serving(ground, "--workers", 0) as (server, process):
        body = json.dumps({"password": PASSWORD}).encode()
        headers = {"Content-Type": "application/json", "X-Forwarded-For": "198.51.100.7"}
        request = urllib.request.Request(f"{server.base}/api/web/auth/login", data=body, headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
    assert f"login from {address}" in err
