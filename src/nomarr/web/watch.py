"""What the database says of the work, as the topics of the event stream, and what has changed between two looks."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from typing import Any

from nomarr import applying, config
from nomarr.applying import Progress
from nomarr.errors import DatabaseProblem
from nomarr.settings import Settings
from nomarr.store import libraries, preferences, progress, queue, workers
from nomarr.store.database import Database, Transaction
from nomarr.store.libraries import Library
from nomarr.store.progress import Job, Running
from nomarr.store.workers import Worker
from nomarr.web.context import Clock
from nomarr.web.system import OK, ModelsCheck

Topic = tuple[str, dict[str, Any]]  # an event's name and its data

OVERLAP_MS = 3_000  # a change is stamped a little before it can be seen
REMEMBERED = 2_000  # jobs
RECOUNT_AT_LEAST_MS = 10_000
COUNTING_SHARE = 0.05  # of the time: a million files are not counted every second


@dataclass(frozen=True)
class QueueStatus:
    """The queue in numbers; seconds, null before anything was measured."""

    pending: int = 0
    running: int = 0
    completed: int = 0
    avg_time: float | None = None
    eta: float | None = None
    calibration: Progress | None = None  # how far the files are that a calibration is being applied to


@dataclass(frozen=True)
class Health:
    """`healthy`, or `unhealthy` with reasons."""

    status: str = "healthy"
    errors: tuple[str, ...] = ()


@dataclass(frozen=True)
class WorkerStatus:
    """A worker: `healthy`, `unhealthy` when it has not spoken for long, `stopped` when it is gone."""

    component: str
    status: str
    pid: int
    current_job: int | None


@dataclass(frozen=True)
class ScanState:
    """A library: whether it is being scanned, and how its last scan ended."""

    library_id: int
    status: str
    error: str | None


@dataclass(frozen=True)
class Counted:
    """What the numbers were counted from and when, and how long that took."""

    marker: object = None
    at: int = 0
    took_ms: float = 0.0


@dataclass(frozen=True)
class Look:
    """What one look at the database saw."""

    at: int
    queue: QueueStatus = QueueStatus()
    counted: Counted = Counted()
    running: frozenset[int] = frozenset()
    jobs: Mapping[int, Job] = field(default_factory=dict)
    numbers: Mapping[str, int] = field(default_factory=dict)  # worker id -> its number in the names of events
    workers: Mapping[int, WorkerStatus] = field(default_factory=dict)
    scans: Mapping[int, ScanState] = field(default_factory=dict)
    health: Health = Health()


@dataclass(frozen=True)
class Watch:
    """Looks at one database."""

    db: Database
    settings: Settings
    clock: Clock
    models_check: ModelsCheck

    def look(self, before: Look | None) -> Look:
        """What there is now; without a database what was there before, and that it is gone."""
        models = self.models_check()
        try:
            with self.db.read() as tx:
                return self._look(tx, before, models)
        except DatabaseProblem:
            health = Health("unhealthy", ("The database cannot be used at the moment",))
            return replace(before or Look(at=0), health=health)

    def _look(self, tx: Transaction, before: Look | None, models: str) -> Look:
        now = self.clock(tx)
        is_first = before is None or not before.at
        earlier = Look(at=now) if before is None or not before.at else before
        in_hand = progress.running(tx, now=now)
        running = frozenset(file.file_id for file in in_hand)
        ended = set() if is_first else set(progress.finished_since(tx, earlier.at - OVERLAP_MS))
        found = progress.jobs(tx, sorted(running | earlier.running | ended), now=now)
        jobs = {**earlier.jobs, **{job.id: job for job in found}}
        processes = workers.list_all(tx)
        numbers = _numbered(earlier.numbers, processes)
        silent_since = now - self.settings.lease_s * 1000
        speaking = sum(worker.heartbeat_at >= silent_since for worker in processes)
        mode = config.effective(tx, self.settings).file_write_mode
        known = libraries.list_all(tx)
        status, counted = _count(tx, earlier, running, now=now, workers=speaking, mode=mode)
        return Look(
            at=now,
            queue=status,
            counted=counted,
            running=running,
            jobs=dict(islice(jobs.items(), max(0, len(jobs) - REMEMBERED), None)),
            numbers=numbers,
            workers={
                numbers[worker.id]: _worker_status(worker, numbers[worker.id], in_hand, silent_since)
                for worker in processes
            },
            scans={one.id: ScanState(one.id, one.scan_status(now=now), one.scan_failure(now=now)) for one in known},
            health=_health(models, self._missed_workers(speaking), _failed_scans(known, now)),
        )

    def _missed_workers(self, speaking: int) -> str:
        wanted = config.current(self.db, self.settings).workers
        return OK if speaking or wanted == 0 else "No worker is alive"


def snapshot(look: Look) -> list[Topic]:
    """Every topic as it is."""
    jobs = [job for file_id, job in look.jobs.items() if file_id in look.running]
    scans = map(_scan_topic, look.scans.values())
    return [_queue_topic(look), *map(_job_topic, jobs), *_worker_topics(look.workers), *scans, _health_topic(look)]


def changes(before: Look, after: Look) -> list[Topic]:
    """The topics that are not as they were."""
    topics = [] if before.queue == after.queue else [_queue_topic(after)]
    topics += [_job_topic(job) for job in after.jobs.values() if before.jobs.get(job.id) != job]
    stopped = {
        number: replace(status, status="stopped", current_job=None)
        for number, status in before.workers.items()
        if number not in after.workers
    }
    changed = {n: status for n, status in after.workers.items() if before.workers.get(n) != status}
    topics += _worker_topics({**stopped, **changed})
    topics += [_scan_topic(scan) for number, scan in after.scans.items() if before.scans.get(number) != scan]
    return topics if before.health == after.health else [*topics, _health_topic(after)]


def _queue_topic(look: Look) -> Topic:
    return "queue:status", asdict(look.queue)


def _job_topic(job: Job) -> Topic:
    return "queue:jobs", {"id": job.id, "path": job.path, "status": job.status, "error": job.error}


def _scan_topic(scan: ScanState) -> Topic:
    return "library:scan", asdict(scan)


def _worker_topics(statuses: Mapping[int, WorkerStatus]) -> Iterator[Topic]:
    return ((f"{status.component}:status", asdict(status)) for _, status in sorted(statuses.items()))


def _health_topic(look: Look) -> Topic:
    return "system:health", asdict(look.health)


def _count(
    tx: Transaction, before: Look, running: frozenset[int], *, now: int, workers: int, mode: str
) -> tuple[QueueStatus, Counted]:
    """The queue in numbers, counted again where they may have changed, but not all the time."""
    old = before.counted
    marker = (progress.marker(tx), running, applying.ordered(tx), preferences.get(tx, config.PAUSED, False))
    is_due = now - old.at >= old.took_ms / COUNTING_SHARE
    is_the_same = marker == old.marker and now - old.at < RECOUNT_AT_LEAST_MS
    if old.marker is not None and (is_the_same or not is_due):
        return before.queue, old
    started = time.perf_counter()
    depth = queue.queue_depth(tx, now=now)
    pace = progress.pace(tx, now=now)
    eta = pace.eta_s(depth.depth, workers)
    applied = applying.progress(tx, mode)
    status = QueueStatus(depth.pending, depth.running, depth.completed, pace.avg_time, eta, applied)
    return status, Counted(marker, now, (time.perf_counter() - started) * 1000)


def _numbered(known: Mapping[str, int], processes: list[Worker]) -> dict[str, int]:
    """Each worker keeps its number as long as it lives; a new one gets the smallest that is free."""
    numbers = {worker.id: known[worker.id] for worker in processes if worker.id in known}
    for worker in processes:
        if worker.id not in numbers:
            taken = set(numbers.values())
            numbers[worker.id] = next(n for n in range(len(taken) + 1) if n not in taken)
    return numbers


def _worker_status(worker: Worker, number: int, in_hand: list[Running], silent_since: int) -> WorkerStatus:
    # What it has in hand it says itself only every few seconds.
    job = next((file.file_id for file in in_hand if file.worker == worker.id), None)
    health = "healthy" if worker.heartbeat_at >= silent_since else "unhealthy"
    return WorkerStatus(f"worker:tag:{number}", health, worker.pid, job)


def _failed_scans(known: Sequence[Library], now: int) -> list[str]:
    failures = ((library.name, library.scan_failure(now=now)) for library in known if library.is_enabled)
    return [f"The scan of library {name} failed: {why}" for name, why in failures if why is not None]


def _health(models: str, workers: str, scans: list[str]) -> Health:
    wrong = [*(["There are no usable models"] if models != OK else []), *([workers] if workers != OK else []), *scans]
    return Health("unhealthy" if wrong else "healthy", tuple(wrong))
