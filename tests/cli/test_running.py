"""Nomarr as its administrators run it: behind a proxy, watched, logged, on several machines, and set up wrongly."""

from __future__ import annotations

import http.client
import json
import os
import sqlite3
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from cli.test_serve import PASSWORD, Server, serving
from ground import Ground
from nomarr import secretkey
from nomarr.config import PAUSED
from nomarr.scan import scan_library
from nomarr.store import journal, libraries, preferences, queue, workers
from nomarr.store.database import Database
from nomarr.tagfiles.audiofile import read_tags

BASE = "/nomarr"


class Proxy(BaseHTTPRequestHandler):
    """A reverse proxy in thirty lines. With `cuts` it cuts the base off before it passes a request on."""

    port: ClassVar[int]
    cuts: ClassVar[bool]
    protocol_version = "HTTP/1.0"

    def do_GET(self) -> None:
        size = int(self.headers.get("Content-Length", 0))
        upstream = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {**dict(self.headers.items()), "Host": "upstream", "Connection": "close"}
        headers |= {"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": "https"}
        headers["X-Forwarded-Host"] = self.headers["Host"]
        path = self.path.removeprefix(BASE) if self.cuts else self.path
        upstream.request(self.command, path, self.rfile.read(size), headers)
        answer = upstream.getresponse()
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection"):
                self.send_header(name, value)
        self.end_headers()
        while piece := answer.read1(65536):
            self.wfile.write(piece)
            self.wfile.flush()

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None: ...


@contextmanager
def proxied(server: Server, *, cuts: bool) -> Iterator[Server]:
    """The server as somebody outside sees it."""
    handler = type("Handler", (Proxy,), {"port": int(server.base.rpartition(":")[2]), "cuts": cuts})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as proxy:
        proxy.daemon_threads = True
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        outside = Server(proxy.server_address[1])
        outside.base += BASE
        try:
            yield outside
        finally:
            proxy.shutdown()


def log_in(server: Server) -> tuple[str, str]:
    """The token, and the cookie with what is said about it."""
    body = json.dumps({"password": PASSWORD}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{server.base}/api/web/auth/login", data=body, headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())["session_token"], answer.headers["Set-Cookie"]


def first_event(server: Server) -> str:
    """By the way of a browser: a token, then a stream, which stays open."""
    token = server.call("POST", "/api/web/events/token")["token"]
    with urllib.request.urlopen(f"{server.base}/api/web/events/status?token={token}", timeout=30) as stream:
        return next(line.decode() for line in stream if line.startswith(b"event:"))


def test_a_proxy_may_give_nomarr_a_part_of_a_host(ground: Ground) -> None:
    more = {"NOMARR_URL_BASE": BASE, "NOMARR_LOG_FORMAT": "json", "NOMARR_LOG_LEVEL": "debug"}
    key = secretkey.show(ground.folder / "data")
    with serving(ground, "--workers", 0, **more) as (server, process):
        for cuts in (False, True):
            with proxied(server, cuts=cuts) as outside:
                outside.token, cookie = log_in(outside)
                assert f"Path={BASE};" in cookie
                assert "Secure" in cookie
                assert outside.call("GET", "/openapi.json")["servers"] == [{"url": BASE}]
                assert first_event(outside) == "event: queue:status\n"
                with urllib.request.urlopen(f"{outside.base}/api/v1/info?apikey={key}", timeout=30) as answer:
                    assert json.loads(answer.read())["workers"]["processes"] == []
                request = urllib.request.Request(f"{outside.base}/metrics", headers={"X-Api-Key": key})
                with urllib.request.urlopen(request, timeout=30) as answer:
                    assert b"nomarr_queue_files" in answer.read()
                shown = outside.call("GET", "/api/web/system/logs?limit=1000")
        said = [line["message"] for line in shown]
        assert any("POST /nomarr/api/web/auth/login for 198.51.100.7: 200 in" in text for text in said)
        assert any("GET /nomarr/api/v1/info for 198.51.100.7: 200 in" in text for text in said)
        process.terminate()
        _, err = process.communicate(timeout=60)
    lines = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    assert {"time", "level", "logger", "process", "message"} == set(lines[0])
    for secret in (key, PASSWORD, outside.token):
        assert secret not in err
        assert secret not in json.dumps(shown)


def make_newer(ground: Ground) -> dict[str, str]:
    data = ground.folder / "data"
    with Database(ground.settings().database) as db:
        db.migrate()
    with sqlite3.connect(data / "nomarr.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    return {}


def write_secret(ground: Ground, text: str) -> str:
    ground.folder.mkdir(exist_ok=True)
    (ground.folder / "secret").write_text(text)
    return str(ground.folder / "secret")


WRONG = {
    "newer tables": (make_newer, r"was last used by a newer Nomarr .* start that version or a newer one"),
    "no server there": (
        lambda _: {"NOMARR_DATABASE_URL": "postgresql://nomarr:swordfish@127.0.0.1:1/nomarr"},
        "check NOMARR_DATABASE_URL, and that its server runs",
    ),
    "no address": (lambda _: {"NOMARR_DATABASE_URL": "swordfish"}, "is not of the form .* check NOMARR_DATABASE_URL"),
    "no data directory": (
        lambda _: {"NOMARR_DATA_DIR": "/proc/nomarr"},
        "data cannot be kept there .* choose another folder with NOMARR_DATA_DIR",
    ),
    "no models": (
        lambda g: {
            "NOMARR_MODELS_DIR": str(g.folder / "none"),
            "PIP_INDEX_URL": "http://127.0.0.1:1/",
            "PIP_FIND_LINKS": "",
            "PIP_RETRIES": "0",
        },
        "could not be fetched; without a network, copy the models folder",
    ),
    "an empty secret": (
        lambda g: {"NOMARR_DATABASE_URL_FILE": write_secret(g, "\n")},
        "NOMARR_DATABASE_URL_FILE: .* is empty",
    ),
    "a secret that is not there": (
        lambda _: {"NOMARR_ADMIN_PASSWORD_FILE": "/nowhere"},
        "NOMARR_ADMIN_PASSWORD_FILE: cannot read /nowhere",
    ),
    "a mapping without a target": (
        lambda _: {"NOMARR_ROOT_MAPPING": "/music"},
        "root_mapping: .*/music=/mnt/nas/music",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_set_up_wrongly_is_said_in_a_sentence(ground: Ground, wrong: str) -> None:
    prepare, sentence = WRONG[wrong]
    command = ("worker",) if wrong in ("newer tables", "no models") else ("serve", "--port", 0, "--workers", 0)
    done = ground.run(*command, **prepare(ground))
    assert done.returncode == 2
    (said,) = [line for line in done.stderr.splitlines() if line.startswith("nomarr: ")]
    assert_matches(said, sentence)
    assert "Traceback" not in done.stderr + done.stdout
    assert "swordfish" not in done.stderr + done.stdout


def assert_matches(said: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        raise ValueError(said)


def test_a_secret_may_come_from_a_file(ground: Ground) -> None:
    url = write_secret(ground, f"sqlite:///{ground.folder}/elsewhere/nomarr.db\n")
    done = ground.run("status", "--json", NOMARR_DATABASE_URL_FILE=url)
    assert done.returncode == 0, done.stderr
    assert (ground.folder / "elsewhere" / "nomarr.db").is_file()


def wait_until(what: Any, *, seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def test_workers_find_the_music_wherever_their_machine_has_it(
    ground: Ground, tracks: dict[str, Path], long_track: Path, small_models: Path
) -> None:
    """The database knows the folder by the server's path, which neither machine has."""
    for number in range(2):  # whoever gets one is busy while the other takes the rest
        ground.add(long_track, f"0 long {number}.flac")
    for number in range(6):
        ground.add(tracks["mp3"], f"Music & more/{number}.mp3")
    with Database(ground.settings().database) as db:
        db.migrate()
        with db.write() as tx:
            made = libraries.create(tx, name="Music", root_path=ground.music, now=tx.now_ms())
        scan_library(db, made)
        with db.write() as tx:
            preferences.put(tx, PAUSED, True)
        real = ground.music.rename(ground.folder / "disk")
        machines = [Ground(ground.folder / name, small_models, db.url.render_as_string()) for name in ("one", "two")]
        running = []
        for machine in machines:
            machine.folder.mkdir()
            (machine.folder / "mounted").symlink_to(real)
            mapping = f"{ground.folder}/mus=/nowhere,{ground.music}={machine.folder}/mounted,/=/nowhere"
            running.append(machine.start("worker", "--workers", 1, NOMARR_ROOT_MAPPING=mapping))
        try:

            def alive() -> bool:
                with db.read() as tx:
                    return len(workers.list_all(tx)) == 2

            wait_until(alive)
            status = json.loads(ground.run("status", "--json").stdout)
            assert [one["state"] for one in status["workers"]] == ["idle", "idle"]
            assert all(one["memory_bytes"] > 10_000_000 for one in status["workers"])
            with db.write() as tx:
                preferences.remove(tx, PAUSED)

            def done() -> bool:
                with db.read() as tx:
                    depth = queue.queue_depth(tx, now=tx.now_ms())
                return depth.completed == 8 and depth.depth == 0

            wait_until(done)
        finally:
            for process in running:
                process.terminate()
            said = [process.communicate(timeout=60)[1] for process in running]
        with db.read() as tx:
            entries = journal.recent(tx, limit=100)
    assert len({entry.batch for entry in entries}) == 2, said
    assert all(entry.path.startswith(f"{ground.music}{os.sep}") for entry in entries)
    assert all(read_tags(path) for path in [*real.glob("*.flac"), *real.glob("*/*.mp3")])
