"""The older API, for programs with an API key."""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel

from nomarr.errors import InvalidInput
from nomarr.lidarr import existing, map_path
from nomarr.settings import Settings
from nomarr.store.database import Database
from nomarr.web import info
from nomarr.web.answers import example, problems
from nomarr.web.auth import needs, require_key
from nomarr.web.context import Clock, UseClock, UseDatabase, UseSettings
from nomarr.web.lidarr import load_mappings
from nomarr.web.paths import AbsolutePath
from nomarr.web.processing import ProcessAnswer, ProcessRequest, process_files

router = APIRouter(prefix="/api/v1", tags=["v1"], dependencies=[Depends(require_key)])

TRACK = "/music/Artist/Album/Track.mp3"
QUEUED = {
    "enqueued": 1,
    "message": "Queued 1 file for processing",
    "results": [{"path": TRACK, "status": "queued"}],
}


class TagRequest(BaseModel):
    """`path`, or `paths`."""

    path: AbsolutePath | None = None
    paths: list[AbsolutePath] | None = None
    force: bool = False


@router.get("/info", summary="All about this installation", responses=example(info.EXAMPLE) | problems(401, 403, 503))
def get_info(request: Request, db: UseDatabase, settings: UseSettings, clock: UseClock) -> info.Info:
    return info.collect(request, db, settings, clock)


@router.post(
    "/tag",
    summary="Queue files and folders for analysis",
    responses=example(QUEUED) | problems(400, 401, 403, 404, 409, 413, 503),
)
@needs("enqueue")
def tag(body: TagRequest, db: UseDatabase, settings: UseSettings, clock: UseClock) -> ProcessAnswer:
    """Path mappings for `api` are followed. If one of the paths is wrong, nothing is queued."""
    return _process(body, db, settings, clock)


@router.post(
    "/processing/process-files",
    summary="Queue files and folders for analysis",
    responses=example(QUEUED) | problems(400, 401, 403, 404, 409, 413, 503),
)
@needs("enqueue")
def process(body: TagRequest, db: UseDatabase, settings: UseSettings, clock: UseClock) -> ProcessAnswer:
    """The same as `POST /api/v1/tag`."""
    return _process(body, db, settings, clock)


def _process(body: TagRequest, db: Database, settings: Settings, clock: Clock) -> ProcessAnswer:
    with db.read() as tx:
        mappings = load_mappings(tx)
    if (body.path is None) == (body.paths is None):
        raise InvalidInput("Give either path or paths")
    asked = [body.path] if body.path is not None else body.paths or []
    mapped = [map_path(path, mappings, "api") or path for path in asked]
    paths = [existing(path) or path for path in mapped]
    done = process_files(ProcessRequest(paths=paths, force=body.force), db, settings, clock)
    results = [replace(result, path=path) for result, path in zip(done.results, asked, strict=True)]
    return replace(done, results=results)
