"""What is being done at this moment, and how long the rest will take."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter, Depends

from nomarr.config import PAUSED
from nomarr.store import preferences, progress, queue, workers
from nomarr.store.progress import Running
from nomarr.web.answers import example, problems, utc
from nomarr.web.auth import require_login
from nomarr.web.context import UseClock, UseDatabase, UseSettings

router = APIRouter(prefix="/api/web", tags=["queue"], dependencies=[Depends(require_login)])

EXAMPLE = {
    "scanning": [{"library_id": 1, "name": "Main Library", "started_at": "2027-01-15T08:00:00Z"}],
    "pending": 10,
    "running": 1,
    "files": [{"file_id": 42, "path": "/music/Artist/Album/Track.mp3", "worker": "nas:120:0:1"}],
    "workers": 2,
    "paused": False,
    "rate_per_minute": 24.5,
    "avg_time": 4.9,
    "eta": 26.9,
}


@dataclass(frozen=True)
class ScanStatus:
    """A library that is being scanned."""

    library_id: int
    name: str
    started_at: str


@dataclass(frozen=True)
class WorkStatus:
    """The work of this moment. `avg_time` and `eta` are seconds, null before anything was measured.

    `files` lists what the workers have in hand; `rate_per_minute` is measured over the last five minutes.
    """

    scanning: list[ScanStatus]
    pending: int
    running: int
    files: list[Running]
    workers: int
    paused: bool
    rate_per_minute: float | None
    avg_time: float | None
    eta: float | None


@router.get(
    "/work-status", summary="What is being done right now", responses=example(EXAMPLE) | problems(401, 403, 503)
)
def work_status(db: UseDatabase, settings: UseSettings, clock: UseClock) -> WorkStatus:
    with db.read() as tx:
        now = clock(tx)
        depth = queue.queue_depth(tx, now=now)
        pace = progress.pace(tx, now=now)
        in_hand = progress.running(tx, now=now)
        scans = progress.scanning(tx, now=now)
        alive = sum(worker.heartbeat_at >= now - settings.lease_s * 1000 for worker in workers.list_all(tx))
        is_paused = bool(preferences.get(tx, PAUSED, False))
    return WorkStatus(
        scanning=[ScanStatus(scan.library_id, scan.name, utc(scan.started_at)) for scan in scans],
        pending=depth.pending,
        running=depth.running,
        files=in_hand,
        workers=alive,
        paused=is_paused,
        rate_per_minute=pace.rate_per_minute,
        avg_time=pace.avg_time,
        eta=pace.eta_s(depth.depth, alive),
    )
