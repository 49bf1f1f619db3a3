"""Whether Nomarr is up, for containers, proxies and monitors. Open to everybody, so it tells nothing else."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import APIRouter, Request, Response

from nomarr.backups import PROBLEM as BACKUP_PROBLEM
from nomarr.errors import DatabaseProblem, ModelProblem
from nomarr.settings import Settings
from nomarr.store import preferences, workers
from nomarr.store.database import Database
from nomarr.web.answers import example
from nomarr.web.context import Clock, UseClock, UseDatabase, UseSettings

log = logging.getLogger(__name__)
router = APIRouter(tags=["system"])

OK = "ok"
MODELS_BELIEVED_S = 30  # a monitor asks every few seconds; looking reads dozens of small files


@dataclass(frozen=True)
class Life:
    """The process answers."""

    status: str = OK


@dataclass(frozen=True)
class Readiness:
    """`ok`, or `unavailable` where one of the checks is not `ok`. Work goes on in spite of `warnings`."""

    status: str
    checks: dict[str, str]
    warnings: list[str] = field(default_factory=list)


class ModelsCheck:
    """Whether a folder holds models that can be used; looks again after a while. Threads may share it."""

    def __init__(self, models_dir: Path, monotonic: Callable[[], float]) -> None:
        self.models_dir = models_dir
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._result = ""
        self._looked_at = -float("inf")

    def __call__(self) -> str:
        with self._lock:
            now = self._monotonic()
            if now - self._looked_at >= MODELS_BELIEVED_S:
                self._result, self._looked_at = self._look(), now
            return self._result

    def _look(self) -> str:
        from nomarr.inference.catalog import read_suite  # a server that nobody asks need not load it

        try:
            read_suite(self.models_dir)
        except ModelProblem as error:
            log.warning("%s", error)
            return "no usable models"
        return OK


@router.head("/ping", include_in_schema=False)
@router.get("/ping", summary="Whether the server answers", responses=example({"status": OK}))
def ping() -> Life:
    return Life()


@router.head("/health/live", include_in_schema=False)
@router.get("/health/live", summary="Whether the server answers", responses=example({"status": OK}))
def live() -> Life:
    return Life()


@router.head("/health/ready", include_in_schema=False)
@router.get(
    "/health/ready",
    summary="Whether files can be analysed",
    responses=example({"status": OK, "checks": {"database": OK, "workers": OK, "models": OK}, "warnings": []})
    | {503: {"model": Readiness, "description": "One of the checks failed"}},
)
def ready(request: Request, response: Response, db: UseDatabase, settings: UseSettings, clock: UseClock) -> Readiness:
    models: ModelsCheck = request.app.state.models_check
    checks, warnings = _check_database(db, settings, clock)
    checks = {**checks, "models": models()}
    is_ready = all(result == OK for result in checks.values())
    if not is_ready:
        response.status_code = 503
    return Readiness(OK if is_ready else "unavailable", checks, warnings)


def _check_database(db: Database, settings: Settings, clock: Clock) -> tuple[dict[str, str], list[str]]:
    try:
        with db.read() as tx:
            speaking_since = clock(tx) - settings.lease_s * 1000
            alive = [worker for worker in workers.list_all(tx) if worker.heartbeat_at >= speaking_since]
            backup_failed = preferences.get(tx, BACKUP_PROBLEM) is not None
    except DatabaseProblem as error:
        log.warning("%s", error)
        return {"database": "unavailable", "workers": "unknown"}, []
    # Folders and files have names, and strangers may read this.
    hindered = sum(worker.trouble is not None for worker in alive)
    warnings = [f"{hindered} of {len(alive)} workers cannot do all of their work; their status says why"] * (
        hindered > 0
    )
    warnings += ["the last backup of the database failed; GET /api/web/backups says why"] * backup_failed
    is_served = alive or settings.workers == 0
    return {"database": OK, "workers": OK if is_served else "no worker is alive"}, warnings
