"""The real app on a real SQLite database, with real audio files; only the time is handed in."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio.from_thread
import httpx
import pytest
from fastapi import FastAPI

from nomarr.settings import Settings
from nomarr.store import claims, files
from nomarr.store.database import Database, Transaction
from nomarr.store.files import LibraryFile
from nomarr.web.app import create_app
from nomarr.web.auth import ensure_password

PASSWORD = "correct horse battery staple"
NOW_MS = 1_800_000_000_000  # 2027-01-15T08:00:00Z
SONGS = {
    "Nina/Blue/01 One.flac": {"title": "One", "artist": "Nina", "album": "Blue"},
    "Nina/Blue/02 Two.flac": {"title": "Two", "artist": "Nina", "album": "Blue"},
    "Otis/Red/01 Three.flac": {"title": "Three", "artist": "Otis", "album": "Red"},
}


@dataclass
class Time:
    """What the app takes for the time."""

    ms: int = NOW_MS

    def clock(self, _tx: Transaction) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1000

    def pass_s(self, seconds: float) -> None:
        self.ms += int(seconds * 1000)


class InProcess(httpx.BaseTransport):
    """Requests to an app in this process, from an address of choice."""

    def __init__(self, app: FastAPI, address: str, portal: anyio.from_thread.BlockingPortal) -> None:
        self.asgi = httpx.ASGITransport(app, client=(address, 50000), raise_app_exceptions=False)
        self.portal = portal

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        return self.portal.call(self._answer, request)

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        answer = await self.asgi.handle_async_request(request)
        content = b"".join([part async for part in answer.aiter_raw()])  # as it came, packed or not
        return httpx.Response(answer.status_code, headers=answer.headers, stream=httpx.ByteStream(content))


@dataclass
class Home:
    """One installation. `connect` gives a client; without a token it is a stranger's."""

    settings: Settings
    db: Database
    time: Time
    portal: anyio.from_thread.BlockingPortal
    token: str = ""
    app: FastAPI | None = None

    def start(self) -> None:
        """As at every start of the server: nothing is left in memory."""
        self.app = create_app(self.settings, self.db, clock=self.time.clock, monotonic=self.time.monotonic)

    def connect(
        self, *, token: str | None = None, address: str = "192.0.2.1", base_url: str = "http://nomarr:8356"
    ) -> httpx.Client:
        assert self.app is not None
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return httpx.Client(transport=InProcess(self.app, address, self.portal), base_url=base_url, headers=headers)


@pytest.fixture(scope="session")
def portal() -> Iterator[anyio.from_thread.BlockingPortal]:
    with anyio.from_thread.start_blocking_portal() as portal:
        yield portal


@pytest.fixture(scope="session")
def first_home(tmp_path_factory: pytest.TempPathFactory, portal: anyio.from_thread.BlockingPortal) -> Home:
    """An installation where somebody has just logged in; each test gets a copy."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("first") / "data", admin_password=PASSWORD)
    with Database(settings.database) as db:
        db.migrate()
        assert ensure_password(db, settings) is None
        home = Home(settings, db, Time(), portal)
        home.start()
        answer = home.connect().post("/api/web/auth/login", json={"password": PASSWORD})
        home.token = answer.json()["session_token"]
    return home


@pytest.fixture
def home(first_home: Home, tmp_path: Path) -> Iterator[Home]:
    data = Path(shutil.copytree(first_home.settings.data_dir, tmp_path / "data"))
    settings = first_home.settings.model_copy(update={"data_dir": data})
    with Database(settings.database) as db:
        home = Home(settings, db, Time(), first_home.portal, first_home.token)
        home.start()
        yield home


@pytest.fixture
def db(home: Home) -> Database:
    return home.db


@pytest.fixture
def client(home: Home) -> httpx.Client:
    """Somebody who is logged in."""
    return home.connect(token=home.token)


@pytest.fixture
def stranger(home: Home) -> httpx.Client:
    """Somebody who is not."""
    return home.connect()


@pytest.fixture(scope="session")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three songs of two seconds, and a picture."""
    folder = tmp_path_factory.mktemp("songs")
    for number, (name, fields) in enumerate(SONGS.items()):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        make_song(path, seed=number, **fields)
    (folder / "Nina/Blue/cover.jpg").write_bytes(b"\xff\xd8\xff\xd9")
    return folder


def make_song(path: Path, *, seed: int = 99, **fields: str) -> Path:
    source = f"anoisesrc=d=2:c=pink:r=22050:a=0.3:seed={seed}"
    tags = [part for name, value in fields.items() for part in ("-metadata", f"{name}={value}")]
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", source, *tags, str(path)], check=True)
    return path


@pytest.fixture
def music(songs: Path, tmp_path: Path) -> Path:
    """A folder of music that a test may change."""
    return Path(shutil.copytree(songs, tmp_path / "music"))


@pytest.fixture
def library(client: httpx.Client, music: Path) -> dict[str, Any]:
    """The folder as a library, not scanned yet."""
    answer = client.post("/api/web/libraries", json={"name": "Main Library", "root_path": str(music)})
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.fixture
def scanned(client: httpx.Client, library: dict[str, Any]) -> dict[str, Any]:
    """The library after a scan: its three songs are queued."""
    assert client.post(f"/api/web/libraries/{library['id']}/scan").json()["queued"] == 3
    return library


Analyse = Callable[[], list[LibraryFile]]


@pytest.fixture
def analyse(db: Database, home: Home) -> Analyse:
    """Do a worker's part for all files in the queue, as far as the database sees it."""

    def run() -> list[LibraryFile]:
        done = []
        with db.write() as tx:
            while file := claims.claim_next(tx, worker="w", now=home.time.ms, lease_ms=60_000):
                claims.finish(
                    tx,
                    file,
                    now=home.time.ms,
                    suite="suite",
                    patches=1,
                    duration_s=2.0,
                    audio_hash=file.path,
                    needs_write=False,
                )
                done.append(files.get(tx, file.file_id))
        return done

    return run
