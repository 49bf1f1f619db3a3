"""The last events of Lidarr's, for whoever wonders whether it speaks to us and is understood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from fastapi import APIRouter, Depends

from nomarr.store import preferences
from nomarr.store.database import Transaction
from nomarr.web.answers import example, problems, utc
from nomarr.web.auth import require_login
from nomarr.web.context import UseDatabase

router = APIRouter(prefix="/api/web/lidarr", tags=["lidarr"], dependencies=[Depends(require_login)])

EVENTS = "lidarr_events"  # the preference that holds them
KEPT = 20
LONGEST = 300  # characters of each text
EXAMPLE = {
    "at": "2027-01-15T08:00:00Z",
    "event": "Download",
    "message": "Queued 12 files for processing",
    "paths": 12,
    "not_ours": 0,
    "first_not_ours": None,
    "why": None,
}


@dataclass(frozen=True)
class LidarrEvent:
    """What Lidarr said, and what was done. `not_ours` of its `paths` led nowhere; `why` is the status of the first."""

    at: str
    event: str
    message: str
    paths: int = 0
    not_ours: int = 0
    first_not_ours: str | None = None
    why: str | None = None


@router.get("/events", summary="The last events of Lidarr's", responses=example([EXAMPLE]) | problems(401, 403, 503))
def last_events(db: UseDatabase) -> list[LidarrEvent]:
    """The newest first, twenty at most; tests from Lidarr's settings are among them."""
    with db.read() as tx:
        return [LidarrEvent(**facts) for facts in preferences.get(tx, EVENTS, [])]


def remember(
    tx: Transaction,
    event: str,
    message: str,
    paths: int = 0,
    not_ours: Sequence[tuple[str, str]] = (),
    *,
    now: int,
) -> None:
    """Keep an event; `not_ours` are the paths that led nowhere, each with its status."""
    path, why = not_ours[0] if not_ours else (None, None)
    event, message, path = event[:LONGEST], message[:LONGEST], path and path[:LONGEST]
    latest = LidarrEvent(utc(now), event, message, paths, len(not_ours), path, why)
    preferences.put(tx, EVENTS, [asdict(latest), *preferences.get(tx, EVENTS, [])][:KEPT])
