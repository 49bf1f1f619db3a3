"""Holding the workers back, letting them go on, and starting the server anew."""

from __future__ import annotations

import logging
from collections.abc import Callable

from fastapi import APIRouter, Depends, Request

from nomarr.config import PAUSED
from nomarr.errors import Conflict
from nomarr.store import preferences
from nomarr.web.answers import Done, example, problems
from nomarr.web.auth import require_login
from nomarr.web.context import UseDatabase

log = logging.getLogger(__name__)
router = APIRouter(prefix="/api/web/worker", tags=["workers"], dependencies=[Depends(require_login)])

RESTARTING = "API server is restarting... Please refresh the page in a few seconds."


def _success(message: str) -> dict[int | str, dict[str, object]]:
    return example({"status": "success", "message": message})


@router.post("/pause", summary="Pause all workers", responses=_success("All workers paused") | problems(401, 403, 503))
def pause(db: UseDatabase) -> Done:
    """On every machine, and for good: each finishes its file and takes no other until `resume`."""
    with db.write() as tx:
        preferences.put(tx, PAUSED, True)
    log.info("all workers were paused")
    return Done("All workers paused")


@router.post(
    "/resume", summary="Resume all workers", responses=_success("All workers resumed") | problems(401, 403, 503)
)
def resume(db: UseDatabase) -> Done:
    with db.write() as tx:
        preferences.remove(tx, PAUSED)
    log.info("all workers were resumed")
    return Done("All workers resumed")


@router.post("/restart", summary="Restart the server", responses=_success(RESTARTING) | problems(401, 403, 409, 503))
def restart(request: Request) -> Done:
    """Its workers finish their files first; then it is away for a moment. Sessions and the queue survive."""
    begin: Callable[[], None] | None = request.app.state.restart
    if begin is None:
        raise Conflict("This server was started by another program and cannot restart itself")
    begin()
    return Done(RESTARTING)
