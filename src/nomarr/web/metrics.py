"""Numbers for Prometheus. Counted from indexes and from what the workers add up, so that a scrape costs little."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from nomarr import __version__
from nomarr.settings import Settings
from nomarr.store import calibrations, counters, progress, queue, workers
from nomarr.store.database import Database
from nomarr.store.progress import Pace
from nomarr.store.queue import QueueDepth
from nomarr.store.workers import Worker
from nomarr.web.answers import problems
from nomarr.web.auth import UseAdmit
from nomarr.web.context import Clock, UseClock, UseDatabase, UseSettings

router = APIRouter(tags=["system"])

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
COUNTING_SHARE = 0.01  # of the time: a database that takes half a second to count is counted once a minute
REASONS = ("unreadable", "vanished", "file", "crash", "poison", "write")
STATES = ("busy", "idle", "silent")
EXAMPLE = """# HELP nomarr_queue_files Files that wait for a worker, or are in its hands
# TYPE nomarr_queue_files gauge
nomarr_queue_files{state="pending"} 10.0
nomarr_queue_files{state="running"} 1.0
"""
TEXT: dict[str, Any] = {
    "description": "Prometheus's text format",
    "content": {"text/plain": {"schema": {"type": "string"}, "example": EXAMPLE}},
}


@dataclass(frozen=True)
class Numbers:
    """What one look at the database counted."""

    depth: QueueDepth
    waiting_s: float
    set_aside: Mapping[str, int]
    pace: Pace
    workers: tuple[Worker, ...]
    silent: frozenset[str]
    counters: Mapping[str, float]
    calibration: int
    database_bytes: int


class Metrics:
    """The numbers of one database, not counted again at once where that takes long. Threads may share it."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._numbers: Numbers | None = None
        self._due_at = -float("inf")
        self._process = ProcessCollector(registry=None)

    def text(self, db: Database, settings: Settings, clock: Clock) -> bytes:
        with self._lock:
            if self._numbers is None or self._monotonic() >= self._due_at:
                started = time.perf_counter()
                self._numbers = count(db, settings, clock)
                self._due_at = self._monotonic() + (time.perf_counter() - started) / COUNTING_SHARE
            registry = CollectorRegistry()
            registry.register(_Families(self._numbers))
            registry.register(self._process)
            return generate_latest(registry)


@dataclass(frozen=True, eq=False)
class _Families(Collector):
    numbers: Numbers

    def collect(self) -> Iterator[Metric]:
        yield from families(self.numbers)


def count(db: Database, settings: Settings, clock: Clock) -> Numbers:
    with db.read() as tx:
        now = clock(tx)
        found = workers.list_all(tx)
        since = queue.waiting_since(tx)
        newest = calibrations.history(tx, limit=1)
        return Numbers(
            depth=queue.queue_depth(tx, now=now),
            waiting_s=0.0 if since is None else max(0, now - since) / 1000,
            set_aside=queue.set_aside_by_kind(tx),
            pace=progress.pace(tx, now=now),
            workers=tuple(found),
            silent=frozenset(one.id for one in found if one.heartbeat_at < now - settings.lease_s * 1000),
            counters=counters.read(tx),
            calibration=newest[0].version if newest else 0,
            database_bytes=db.size_bytes(),
        )


def families(numbers: Numbers) -> Iterator[Metric]:
    yield _gauge("nomarr_info", "The version that answers", {(__version__,): 1}, "version")
    depth = numbers.depth
    in_queue = {("pending",): depth.pending, ("running",): depth.running}
    yield _gauge("nomarr_queue_files", "Files that wait for a worker, or are in its hands", in_queue, "state")
    yield _gauge("nomarr_queue_oldest_seconds", "How long the longest waiting file has waited", numbers.waiting_s)
    yield _gauge("nomarr_files_completed", "Files whose analysis is current", depth.completed)
    aside = {(reason,): 0 for reason in REASONS} | _by_reason(numbers.set_aside)
    yield _gauge("nomarr_files_set_aside", "Files that could not be analysed, by reason", aside, "reason")
    rate = (numbers.pace.rate_per_minute or 0.0) / 60
    yield _gauge("nomarr_tracks_per_second", "Tracks analysed a second, over the last five minutes", rate)
    yield from _workers(numbers)
    yield from _counters(numbers.counters)
    yield _gauge("nomarr_calibration_version", "The newest calibration, 0 before the first", numbers.calibration)
    yield _gauge("nomarr_database_bytes", "What the database takes on disk", numbers.database_bytes)


def _workers(numbers: Numbers) -> Iterator[Metric]:
    states = Counter("silent" if one.id in numbers.silent else one.state for one in numbers.workers)
    by_state = {(state,): 0 for state in STATES} | {(state,): number for state, number in states.items()}
    yield _gauge("nomarr_workers", "Worker processes, on all machines", by_state, "state")
    memory = {
        (one.host, str(one.pid)): one.memory_bytes
        for one in numbers.workers
        if one.memory_bytes and one.id not in numbers.silent
    }
    yield _gauge("nomarr_worker_memory_bytes", "Resident memory of a worker", memory, "host", "pid")


def _counters(values: Mapping[str, float]) -> Iterator[Metric]:
    """As nomarr.worker.tally names them."""
    named = {
        "nomarr_tracks_analysed": ("Tracks that were listened to", "analysed"),
        "nomarr_tracks_written": ("Files that tags were written into", "written"),
        "nomarr_heard_seconds": ("Seconds of music that were listened to", "heard_s"),
    }
    for name, (about, counter) in named.items():
        yield CounterMetricFamily(name, about, values.get(counter, 0.0))
    failures = CounterMetricFamily("nomarr_failures", "Attempts that failed, by reason", labels=("reason",))
    failed = {name.partition(":")[2]: value for name, value in values.items() if name.startswith("failed:")}
    for (reason,), value in ({(reason,): 0.0 for reason in REASONS} | _by_reason(failed)).items():
        failures.add_metric((reason,), value)
    yield failures
    spent = CounterMetricFamily("nomarr_stage_seconds", "Seconds that workers spent in each stage", labels=("stage",))
    for stage in ("hash", "decode", "mel", "inference", "write"):
        spent.add_metric((stage,), values.get(f"seconds:{stage}", 0.0))
    yield spent


def _by_reason(values: Mapping[str, float]) -> dict[tuple[str, ...], float]:
    """Reasons that this version does not know are one, lest there be ever more of them."""
    found: dict[tuple[str, ...], float] = defaultdict(float)
    for reason, value in values.items():
        found[reason if reason in REASONS else "other",] += value
    return dict(found)


def _gauge(name: str, about: str, values: float | Mapping[Any, float], *labels: str) -> Metric:
    family = GaugeMetricFamily(name, about, labels=labels)
    for key, value in values.items() if isinstance(values, Mapping) else [((), values)]:
        family.add_metric(key, value)
    return family


def _reader(settings: UseSettings, admit: UseAdmit) -> None:
    """Any key or session, or anybody where the settings say so."""
    if not settings.metrics_open:
        admit()


@router.get(
    "/metrics",
    summary="Numbers for Prometheus",
    response_class=Response,
    responses=problems(401, 403, 503) | {200: TEXT},
)
def metrics(
    request: Request,
    _reader: Annotated[None, Depends(_reader)],
    db: UseDatabase,
    settings: UseSettings,
    clock: UseClock,
) -> Response:
    """Any API key will do, or none where `metrics_open` is set."""
    numbers: Metrics = request.app.state.metrics
    return Response(numbers.text(db, settings, clock), media_type=CONTENT_TYPE)
