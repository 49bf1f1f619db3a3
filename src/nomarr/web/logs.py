"""The last lines of the log, for whoever runs this installation."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query

from nomarr.logs import LogLine, recent
from nomarr.web.answers import example, problems
from nomarr.web.auth import needs, require_login
from nomarr.web.context import UseStartSettings

router = APIRouter(prefix="/api/web/system", tags=["system"], dependencies=[Depends(require_login)])

EXAMPLE = [
    {
        "time": "2027-01-15T08:00:00.250Z",
        "level": "info",
        "logger": "nomarr.worker.loop",
        "process": 131,
        "message": "analysed /music/Artist/Album/Track.mp3 in 1.31 s",
    }
]


@router.get("/logs", summary="The last lines of the log", responses=example(EXAMPLE) | problems(400, 401, 403, 503))
@needs("admin")
def logs(
    settings: UseStartSettings,
    limit: Annotated[int, Query(ge=1, le=2000, description="how many lines at most")] = 200,
    level: Annotated[
        Literal["debug", "info", "warning", "error"], Query(description="only lines of this level and above")
    ] = "debug",
) -> list[LogLine]:
    """The newest at the end, from the server and from the workers on its machine. Secrets are left out."""
    return recent(settings.data_dir, limit=limit, level=level)
