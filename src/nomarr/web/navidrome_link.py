"""The Navidrome that Nomarr knows: trying it, having it scan, and a doctor for all between it and us."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field, StringConstraints

from nomarr.errors import Conflict, InvalidInput, NavidromeProblem
from nomarr.navidrome import doctor, rescan, tag_config
from nomarr.navidrome.client import ADVISED, Client, Clients, Server
from nomarr.navidrome.connection import account_of
from nomarr.settings import Settings, web_address
from nomarr.store.database import Database
from nomarr.web.answers import example, problems, utc
from nomarr.web.auth import Password, require_login
from nomarr.web.context import UseClock, UseDatabase, UseSettings
from nomarr.web.navidrome import ground_of

router = APIRouter(prefix="/api/web/navidrome", tags=["navidrome"], dependencies=[Depends(require_login)])

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]


class TestRequest(BaseModel):
    """What is left out is taken from the settings; a password only for the address that it was set for."""

    url: Text | None = Field(default=None, examples=["http://navidrome:4533"])
    user: Text | None = Field(default=None, examples=["admin"])
    password: Password | None = Field(default=None, max_length=1000, examples=["secret"])


@dataclass(frozen=True)
class TestAnswer:
    """`kind` is ok, or what is in the way: not_set_up, unreachable, tls, wrong_path, redirect, not_navidrome, proxy,
    credentials, not_admin, too_old, busy, trouble, refused or not_allowed; `message` says it in a sentence."""

    ok: bool
    kind: str
    message: str
    version: str | None = None
    user: str | None = None
    is_admin: bool | None = None


class ScanRequest(BaseModel):
    full: bool = Field(default=False, description="also files that did not change: after a change of the configuration")


@dataclass(frozen=True)
class ScanAnswer:
    """What Navidrome has yet to be told. `problem` says why telling it failed, "" where it did not."""

    waiting_files: int
    scanned_at: str | None
    folders: int
    failures: int
    problem: str


@dataclass(frozen=True)
class DoctorAnswer:
    """`healthy` where no step is missing or has a warning."""

    healthy: bool
    steps: list[doctor.Step]


SCAN = {"waiting_files": 0, "scanned_at": "2027-01-15T08:00:00Z", "folders": 3, "failures": 0, "problem": ""}
STEP = {"name": "config", "verdict": "ok", "evidence": "All 71 fields are in Navidrome's configuration", "advice": ""}


class Link:
    """What requests share: the client, and one push after the other."""

    def __init__(self) -> None:
        self.clients = Clients()
        self.pushing = threading.Lock()

    def client(self, settings: Settings) -> Client:
        return self.clients.of(account_of(settings))


async def _link(request: Request) -> Link:
    link: Link = request.app.state.navidrome
    return link


UseLink = Annotated[Link, Depends(_link)]


@router.post(
    "/test",
    summary="Whether Navidrome can be used",
    responses=example(
        {
            "ok": True,
            "kind": "ok",
            "message": "Navidrome 0.63.2 knows admin",
            "version": "0.63.2",
            "user": "admin",
            "is_admin": True,
        }
    )
    | problems(400, 401, 403, 413, 503),
)
def test_connection(body: TestRequest, settings: UseSettings) -> TestAnswer:
    """Tries the account of the settings, or another one before it is set. Each way to fail has a `kind`."""
    try:
        client = Client(account_of(_tried(body, settings)))
    except NavidromeProblem as error:
        return TestAnswer(False, error.kind, str(error))
    try:
        server = client.check()
    except NavidromeProblem as error:
        return TestAnswer(False, error.kind, str(error))
    finally:
        client.close()
    return TestAnswer(True, "ok", _praise(server), server.version, server.user.name, server.user.is_admin)


def _tried(body: TestRequest, settings: Settings) -> Settings:
    try:
        url = web_address(body.url) or settings.navidrome_url
    except ValueError as error:
        raise InvalidInput(f"url: {error}") from error
    password = body.password or (settings.navidrome_password if url == settings.navidrome_url else None)
    user = body.user or settings.navidrome_user
    given = {"navidrome_url": url, "navidrome_user": user, "navidrome_password": password}
    missing = [name.removeprefix("navidrome_") for name, value in given.items() if not value]
    if missing:
        raise NavidromeProblem(f"Still needed: {', '.join(missing)}", kind="not_set_up")
    return settings.model_copy(update=given)


def _praise(server: Server) -> str:
    message = f"Navidrome {server.version} knows {server.user.name}"
    if server.numbers < ADVISED:
        message += f"; {'.'.join(map(str, ADVISED))} or newer would read all playlists as they are meant"
    return message


@router.get("/scan", summary="What Navidrome has yet to scan", responses=example(SCAN) | problems(401, 403, 503))
def get_scan(db: UseDatabase) -> ScanAnswer:
    """Nomarr asks for a scan of the folders it wrote in, some seconds after the last write of a batch."""
    return _scan(db)


@router.post(
    "/scan",
    summary="Have Navidrome scan now",
    responses=example(SCAN) | problems(400, 401, 403, 409, 413, 502, 503),
)
def start_scan(body: ScanRequest, db: UseDatabase, settings: UseSettings, link: UseLink, clock: UseClock) -> ScanAnswer:
    """All of its libraries. Answers when the scan has begun."""
    with db.read() as tx:
        now = clock(tx)
    rescan.tell_now(db, link.client(settings), now=now, full=body.full)
    return _scan(db)


def _scan(db: Database) -> ScanAnswer:
    with db.read() as tx:
        known = rescan.standing(tx)
    if known is None:
        return ScanAnswer(0, None, 0, 0, "")
    state = known.state
    scanned_at = None if state.scanned_at is None else utc(state.scanned_at)
    return ScanAnswer(known.waiting_files, scanned_at, state.folders, state.failures, state.problem)


@router.post(
    "/doctor",
    summary="Why Navidrome does not show what it should",
    responses=example({"healthy": True, "steps": [STEP]}) | problems(401, 403, 503),
)
def examine(request: Request, db: UseDatabase, settings: UseSettings, link: UseLink, clock: UseClock) -> DoctorAnswer:
    """Looks at each step from the address to the playlists, and says what was seen and what to do.

    Compares all songs with all files first: some seconds for every ten thousand.
    """
    try:
        client = link.client(settings)
    except Conflict as error:  # not set up, which is what the first step says
        return DoctorAnswer(False, doctor.without_account(db, str(error)))
    with ground_of(request, db, settings, None) as known:
        tables = tag_config.tables(known.sounds.scores, settings.namespace)
    with db.read() as tx:
        now = clock(tx)
    steps = doctor.examine(db, client, tables, namespace=settings.namespace, now=now)
    return DoctorAnswer(all(step.verdict in ("ok", "unknown") for step in steps), steps)
