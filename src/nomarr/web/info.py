"""All about this installation in one answer: version, models, queue, workers, libraries."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from fastapi import APIRouter, Depends, Request

from nomarr import __version__
from nomarr.config import PAUSED
from nomarr.errors import ModelProblem
from nomarr.settings import Settings
from nomarr.store import libraries, preferences, progress, queue, workers
from nomarr.store.database import Database
from nomarr.store.progress import Running
from nomarr.store.queue import QueueDepth
from nomarr.web.answers import example, problems, utc
from nomarr.web.auth import require_login
from nomarr.web.context import Clock, UseClock, UseDatabase, UseSettings

router = APIRouter(prefix="/api/web", tags=["system"], dependencies=[Depends(require_login)])

MODELS_BELIEVED_S = 30  # looking reads dozens of small files
EXAMPLE = {
    "version": "1.0.0",
    "namespace": "nom",
    "uptime_s": 86400,
    "models": {
        "suite": "3f2a9c0d1e4b",
        "packs": [
            {
                "name": "musicnn-msd",
                "title": "MusiCNN, Million Song Dataset",
                "licence": "ISC",
                "source": "https://github.com/jordipons/musicnn",
                "fingerprint": "9d0c1f7a2b3e",
                "heads": ["genre_rock", "mood_happy"],
            }
        ],
        "problems": [],
    },
    "queue": {"depth": 11, "pending": 10, "running": 1, "completed": 245, "errors": 2},
    "workers": {
        "paused": False,
        "processes": [
            {
                "id": "nas:120:0:1",
                "host": "nas",
                "pid": 131,
                "version": "1.0.0",
                "state": "busy",
                "file_id": 42,
                "file": "/music/Artist/Album/Track.mp3",
                "files": 117,
                "rate_per_minute": 24.5,
                "memory_bytes": 331350016,
                "trouble": None,
                "started_at": "2027-01-15T08:00:00Z",
                "heartbeat_at": "2027-01-15T08:10:00Z",
            }
        ],
    },
    "libraries": [
        {"id": 1, "name": "Main Library", "root_path": "/music", "is_enabled": True, "file_count": 3, "tagged_count": 2}
    ],
}


@dataclass(frozen=True)
class PackInfo:
    """Models that were installed together; `fingerprint` changes with their weights."""

    name: str
    title: str
    licence: str
    source: str
    fingerprint: str
    heads: tuple[str, ...]


@dataclass(frozen=True)
class ModelsInfo:
    """What files are heard with; `suite` is the fingerprint of all packs together, null without models."""

    suite: str | None
    packs: list[PackInfo]
    problems: list[str]


@dataclass(frozen=True)
class WorkerInfo:
    """A worker as it last spoke of itself, and the file it has in hand now.

    `files` are those it is done with, `rate_per_minute` is measured over five minutes, `trouble` is what keeps it from
    working or from writing tags.
    """

    id: str
    host: str
    pid: int
    version: str
    state: str
    file_id: int | None
    file: str | None
    files: int
    rate_per_minute: float | None
    memory_bytes: int | None
    trouble: str | None
    started_at: str
    heartbeat_at: str


@dataclass(frozen=True)
class WorkersInfo:
    """The worker processes of all machines, and whether they are held back."""

    paused: bool
    processes: list[WorkerInfo]


@dataclass(frozen=True)
class LibraryInfo:
    """A library and how far it is."""

    id: int
    name: str
    root_path: str
    is_enabled: bool
    file_count: int
    tagged_count: int


@dataclass(frozen=True)
class Info:
    """This installation at this moment."""

    version: str
    namespace: str
    uptime_s: int
    models: ModelsInfo
    queue: QueueDepth
    workers: WorkersInfo
    libraries: list[LibraryInfo]


class InstalledModels:
    """What lies in the models folder; looks again after a while. Threads may share it."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._started = monotonic()
        self._lock = threading.Lock()
        self._looked_at = -float("inf")
        self._found = ModelsInfo(None, [], [])

    @property
    def uptime_s(self) -> int:
        return int(self._monotonic() - self._started)

    def __call__(self, settings: Settings) -> ModelsInfo:
        with self._lock:
            now = self._monotonic()
            if now - self._looked_at >= MODELS_BELIEVED_S:
                self._found, self._looked_at = _look(settings), now
            return self._found


@router.get("/info", summary="All about this installation", responses=example(EXAMPLE) | problems(401, 403, 503))
def info(request: Request, db: UseDatabase, settings: UseSettings, clock: UseClock) -> Info:
    return collect(request, db, settings, clock)


def collect(request: Request, db: Database, settings: Settings, clock: Clock) -> Info:
    models: InstalledModels = request.app.state.installed_models
    with db.read() as tx:
        now = clock(tx)
        counts = libraries.counts(tx)
        found = libraries.list_all(tx)
        depth = queue.queue_depth(tx, now=now)
        is_paused = bool(preferences.get(tx, PAUSED, False))
        processes = [worker for worker in workers.list_all(tx) if worker.heartbeat_at >= now - settings.lease_s * 1000]
        in_hand = {file.worker: file for file in progress.running(tx, now=now)}
    return Info(
        version=__version__,
        namespace=settings.namespace,
        uptime_s=models.uptime_s,
        models=models(settings),
        queue=depth,
        workers=WorkersInfo(is_paused, [_worker(worker, in_hand.get(worker.id)) for worker in processes]),
        libraries=[_library(library, counts.get(library.id)) for library in found],
    )


def _worker(worker: workers.Worker, in_hand: Running | None) -> WorkerInfo:
    return WorkerInfo(
        id=worker.id,
        host=worker.host,
        pid=worker.pid,
        version=worker.version,
        state="busy" if in_hand else worker.state,
        file_id=in_hand.file_id if in_hand else worker.file_id,
        file=in_hand.path if in_hand else None,
        files=worker.files,
        rate_per_minute=worker.rate_per_minute,
        memory_bytes=worker.memory_bytes,
        trouble=worker.trouble,
        started_at=utc(worker.started_at),
        heartbeat_at=utc(worker.heartbeat_at),
    )


def _library(library: libraries.Library, counts: libraries.LibraryCounts | None) -> LibraryInfo:
    return LibraryInfo(
        id=library.id,
        name=library.name,
        root_path=library.root_path,
        is_enabled=library.is_enabled,
        file_count=counts.file_count if counts else 0,
        tagged_count=counts.tagged_count if counts else 0,
    )


def _look(settings: Settings) -> ModelsInfo:
    from nomarr.inference.catalog import read_suite  # a server that nobody asks need not load it

    try:
        suite = read_suite(settings.models)
    except ModelProblem as error:
        return ModelsInfo(None, [], [str(error)])
    packs = [PackInfo(p.name, p.title, p.licence, p.source, p.fingerprint, p.scores) for p in suite.packs]
    return ModelsInfo(suite.fingerprint, packs, list(suite.problems))
