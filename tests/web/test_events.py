"""The event stream, over real connections to a real server."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import uvicorn

from ground import Ground
from nomarr.store import access, claims, scans, workers
from nomarr.store.database import Database
from nomarr.web import events
from nomarr.web.auth import Caller
from nomarr.web.events import Listener, Listening, Tokens

from .conftest import NOW_MS, Home
from .test_libraries import detail

STATUS = "/api/web/events/status"
REPLY_S = 8.0


@dataclass(frozen=True)
class Event:
    name: str
    data: Any
    id: str


class Stream:
    """An open stream; `until` reads on to an event of a name."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self.lines = answer.iter_lines()
        self.comments: list[str] = []

    def __iter__(self) -> Iterator[Event]:
        fields: dict[str, str] = {}
        for line in self.lines:
            if line.startswith(":"):
                self.comments.append(line[1:].strip())
            elif line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif "data" in fields:
                yield Event(fields["event"], json.loads(fields["data"]), fields["id"])
                fields = {}

    def until(self, name: str) -> Event:
        return next(event for event in self if event.name == name)

    def snapshot(self) -> list[Event]:
        found: list[Event] = []
        for event in self:
            found.append(event)
            if event.name == "system:health":  # the last of it
                break
        return found


@dataclass
class Live:
    """The app behind a real socket."""

    home: Home
    url: str
    server: uvicorn.Server
    thread: threading.Thread

    @contextmanager
    def listen(self, *, query: str = "", **headers: str) -> Iterator[Stream]:
        given = {"Authorization": f"Bearer {self.home.token}", **headers}
        asked = {name: value.encode() for name, value in given.items()}
        with httpx.stream("GET", f"{self.url}{STATUS}{query}", headers=asked, timeout=REPLY_S) as answer:
            assert answer.status_code == 200, answer.read()
            yield Stream(answer)

    def post(self, path: str, **headers: str) -> httpx.Response:
        return httpx.post(f"{self.url}{path}", headers={"Authorization": f"Bearer {self.home.token}", **headers})

    @property
    def events(self) -> events.Events:
        assert self.home.app is not None
        return self.home.app.state.events


@pytest.fixture
def live(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Live]:
    monkeypatch.setattr(events, "POLL_S", 0.05)
    home.settings = home.settings.model_copy(update={"workers": 0})
    home.start()
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(home.app, log_level="warning", timeout_graceful_shutdown=10)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    live = Live(home, url, server, thread)
    yield live
    live.events.close()
    server.should_exit = True
    thread.join(timeout=15)
    listener.close()
    assert not thread.is_alive()


def add_files(db: Database, count: int) -> None:
    with db.write() as tx:
        tx.run("INSERT INTO libraries (id, name, root_path, created_at, updated_at) VALUES (1, 'M', '/music', 1, 1)")
        tx.many(
            """
            INSERT INTO library_files
                   ( id, library_id, folder,  name, size, mtime_ns, needs_tagging, created_at, updated_at)
            VALUES (:id,          1,     '', :name,    1,        1,          TRUE,          1,          1)
            """,
            [{"id": number, "name": f"{number}.mp3"} for number in range(1, count + 1)],
        )


def test_everybody_first_hears_how_things_are(live: Live) -> None:
    add_files(live.home.db, 2)
    with live.home.db.write() as tx:
        workers.heartbeat(tx, worker="w", host="h", pid=77, version="1", now=NOW_MS, state="busy", file_id=1)
        claims.claim_next(tx, worker="w", now=NOW_MS, lease_ms=60_000)
    with live.listen() as stream:
        found = {event.name: event.data for event in stream.snapshot()}
        headers = stream.answer.headers
    assert found == {
        "queue:status": {
            "pending": 1,
            "running": 1,
            "completed": 0,
            "avg_time": None,
            "eta": None,
            "calibration": None,
        },
        "queue:jobs": {"id": 1, "path": "/music/1.mp3", "status": "running", "error": None},
        "worker:tag:0:status": {"component": "worker:tag:0", "status": "healthy", "pid": 77, "current_job": 1},
        "library:scan": {"library_id": 1, "status": "never", "error": None},
        "system:health": {"status": "unhealthy", "errors": ["There are no usable models"]},
    }
    assert headers["content-type"].startswith("text/event-stream")
    assert headers["x-accel-buffering"] == "no"
    assert "no-store" in headers["cache-control"]


def test_a_scan_is_told_when_it_begins_and_how_it_ends(live: Live) -> None:
    add_files(live.home.db, 1)
    with live.listen() as stream:
        stream.snapshot()
        with live.home.db.write() as tx:
            scans.begin(tx, 1, owner="s", now=live.home.time.ms)
        assert stream.until("library:scan").data == {"library_id": 1, "status": "scanning", "error": None}
        with live.home.db.write() as tx:
            scans.end(tx, 1, owner="s", now=live.home.time.ms, error="the disk is gone")
        failed = {"library_id": 1, "status": "failed", "error": "the disk is gone"}
        assert stream.until("library:scan").data == failed


def test_what_a_worker_does_is_told_as_it_happens(live: Live) -> None:
    add_files(live.home.db, 2)
    with live.listen() as stream:
        stream.snapshot()
        with live.home.db.write() as tx:
            file = claims.claim_next(tx, worker="w", now=NOW_MS, lease_ms=60_000)
            workers.heartbeat(tx, worker="w", host="h", pid=77, version="1", now=NOW_MS, state="busy", file_id=1)
        assert file is not None
        assert stream.until("queue:jobs").data["status"] == "running"
        assert stream.until("worker:tag:0:status").data["current_job"] == 1
        live.home.time.pass_s(2)
        with live.home.db.write() as tx:
            claims.finish(
                tx, file, now=live.home.time.ms, suite="s", patches=1, duration_s=2.0, audio_hash="h",
                needs_write=False, analysis_s=2.0,
            )  # fmt: skip
        status = stream.until("queue:status").data
        assert (status["pending"], status["running"], status["completed"]) == (1, 0, 1)
        assert (status["avg_time"], status["eta"]) == (2.0, 2.0)
        assert stream.until("queue:jobs").data == {"id": 1, "path": "/music/1.mp3", "status": "done", "error": None}
        with live.home.db.write() as tx:
            second = claims.claim_next(tx, worker="w", now=live.home.time.ms, lease_ms=60_000)
            assert second is not None
            claims.fail(tx, second, now=live.home.time.ms, error="not audio", kind="unreadable", permanent=True)
            workers.remove(tx, "w")
        assert stream.until("queue:jobs").data == {
            "id": 2, "path": "/music/2.mp3", "status": "error", "error": "not audio",
        }  # fmt: skip
        assert stream.until("worker:tag:0:status").data["status"] == "stopped"


def test_who_comes_back_hears_what_was_missed_and_nothing_else(live: Live) -> None:
    add_files(live.home.db, 1)
    with live.listen() as stream:
        last = stream.snapshot()[-1]
    with live.home.db.write() as tx:
        workers.heartbeat(tx, worker="w", host="h", pid=77, version="1", now=NOW_MS, state="idle")
    with live.listen(**{"Last-Event-ID": last.id}) as stream:
        event = next(iter(stream))
    assert event.name == "worker:tag:0:status"
    assert event.id != last.id


@pytest.mark.parametrize(
    "number", ["nonsense", "", "-1", "0-0", "{series}-999999", "{series}-²", "{series}-" + "9" * 90]
)
def test_an_id_that_means_nothing_gives_a_snapshot(live: Live, number: str) -> None:
    with live.listen() as stream:
        series = stream.snapshot()[0].id.partition("-")[0]
        with live.listen(**{"Last-Event-ID": number.format(series=series)}) as other:
            assert next(iter(other)).name == "queue:status"


def test_a_silent_stream_is_kept_alive(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "KEEP_ALIVE_S", 0.2)
    with live.listen() as stream:
        stream.snapshot()
        assert next(line for line in stream.lines if line.startswith(":")) == ": nothing new"


def test_the_stream_ends_with_the_session(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "CHECK_S", 0.1)
    with live.listen() as stream:
        stream.snapshot()
        with live.home.db.write() as tx:
            access.delete_all(tx)
        assert list(stream) == []
    assert stream.comments[-1] == "the session has ended"


def test_at_a_shutdown_every_stream_ends_at_once(live: Live) -> None:
    with ExitStack() as stack:
        streams = [stack.enter_context(live.listen()) for _ in range(5)]
        for stream in streams:
            stream.snapshot()
        live.events.close()
        for stream in streams:
            assert list(stream) == []
            assert stream.comments[-1] == "the server is shutting down"
    with live.listen() as late:
        assert list(late) == []


def test_the_database_is_only_looked_at_while_somebody_listens(live: Live) -> None:
    assert live.events._poller is None
    with live.listen() as stream:
        stream.snapshot()
        assert live.events._poller is not None
    deadline = time.monotonic() + REPLY_S
    while live.events._poller is not None:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_without_a_database_the_listeners_are_told(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    with live.listen() as stream:
        stream.snapshot()
        live.home.settings.data_dir.joinpath("nomarr.db").write_bytes(b"not a database at all")
        live.home.db.close()
        health = stream.until("system:health").data
    assert health == {"status": "unhealthy", "errors": ["The database cannot be used at the moment"]}


# tokens


def test_a_token_opens_the_stream_once(live: Live) -> None:
    answer = live.post("/api/web/events/token")
    assert answer.json()["expires_in"] == 60
    query = f"?token={answer.json()['token']}"
    with live.listen(query=query, Authorization="") as stream:
        assert stream.snapshot()
    again = httpx.get(f"{live.url}{STATUS}{query}")
    assert "each opens the stream once" in detail(again, 401)


def test_a_token_grows_old() -> None:
    tokens, by = Tokens(), Listening(Caller("admin", "hash"))
    fresh, stale = tokens.issue(by, now=0), tokens.issue(by, now=0)
    assert tokens.redeem(fresh, now=60) == by
    with pytest.raises(Exception, match="not valid"):
        tokens.redeem(stale, now=61)
    with pytest.raises(Exception, match="not valid"):
        tokens.redeem("unknown", now=0)


def test_the_oldest_tokens_give_way_to_new_ones() -> None:
    tokens, by = Tokens(), Listening(Caller("admin", "hash"))
    first = tokens.issue(by, now=0)
    for _ in range(events.MOST_TOKENS):
        tokens.issue(by, now=0)
    with pytest.raises(Exception, match="not valid"):
        tokens.redeem(first, now=0)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_strangers_hear_nothing(stranger: httpx.Client, method: str) -> None:
    path = STATUS if method == "GET" else "/api/web/events/token"
    assert detail(stranger.request(method, path), 401) == "Log in first"


# slow readers


def test_a_listener_who_does_not_keep_up_is_dropped() -> None:
    listener = Listener(Listening(Caller("admin", "hash")))
    for number in range(events.QUEUE):
        listener.tell(b"event %d" % number)
    assert listener.farewell is None
    listener.tell(b"one too many")
    assert listener.farewell is not None
    assert "too slowly" in listener.farewell
    assert listener.queue.qsize() == 1, "what it did not read is given up"
    listener.tell(b"another")
    assert listener.queue.qsize() == 1


def test_there_are_only_so_many_listeners(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MOST_LISTENERS", 1)
    with live.listen() as stream:
        stream.snapshot()
        answer = httpx.get(f"{live.url}{STATUS}", headers={"Authorization": f"Bearer {live.home.token}"})
        assert detail(answer, 429).startswith("Too many listen already")
        assert answer.headers["retry-after"]


def test_a_server_that_is_stopped_lets_its_listeners_go(ground: Ground) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    password = {"password": "a good password"}
    with ground.start(
        "serve", "--port", url.rpartition(":")[2], "--workers", 0, NOMARR_ADMIN_PASSWORD=password["password"]
    ) as process:
        deadline = time.monotonic() + 30
        while True:
            try:
                token = httpx.post(f"{url}/api/web/auth/login", json=password).json()["session_token"]
                break
            except httpx.TransportError:
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < deadline
                time.sleep(0.1)
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.stream("GET", f"{url}{STATUS}", headers=headers, timeout=REPLY_S) as answer:
            stream = Stream(answer)
            stream.snapshot()
            process.send_signal(signal.SIGTERM)
            assert list(stream) == []
        out, err = process.communicate(timeout=REPLY_S)
    assert stream.comments[-1] == "the server is shutting down"
    assert process.returncode == 0
    assert "Traceback" not in out + err
