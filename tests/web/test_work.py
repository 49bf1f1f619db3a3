"""What is being done at this moment."""

from __future__ import annotations

from typing import Any

import httpx

from nomarr.config import PAUSED
from nomarr.store import claims, preferences, scans, workers
from nomarr.store.database import Database

from .conftest import NOW_MS, Home

STATUS = "/api/web/work-status"


def test_with_nothing_to_do_nothing_is_measured(client: httpx.Client) -> None:
    assert client.get(STATUS).json() == {
        "scanning": [],
        "pending": 0,
        "running": 0,
        "files": [],
        "workers": 0,
        "paused": False,
        "rate_per_minute": None,
        "avg_time": None,
        "eta": None,
    }


def test_the_work_of_this_moment(client: httpx.Client, db: Database, home: Home, scanned: dict[str, Any]) -> None:
    with db.write() as tx:
        done = claims.claim_next(tx, worker="w", now=NOW_MS, lease_ms=60_000)
        assert done is not None
        claims.finish(
            tx,
            done,
            now=NOW_MS,
            suite="s",
            patches=1,
            duration_s=2.0,
            audio_hash="h",
            needs_write=False,
            analysis_s=3.0,
        )
        running = claims.claim_next(tx, worker="w", now=NOW_MS, lease_ms=60_000)
        assert running is not None
        workers.heartbeat(tx, worker="w", host="h", pid=1, version="1", now=NOW_MS, state="busy")
        scans.begin(tx, scanned["id"], owner="somebody", now=NOW_MS)
        preferences.put(tx, PAUSED, True)
    home.time.pass_s(10)
    assert client.get(STATUS).json() == {
        "scanning": [{"library_id": scanned["id"], "name": "Main Library", "started_at": "2027-01-15T08:00:00Z"}],
        "pending": 1,
        "running": 1,
        "files": [{"file_id": running.file_id, "path": running.path, "worker": "w"}],
        "workers": 1,
        "paused": True,
        "rate_per_minute": 6.0,
        "avg_time": 3.0,
        "eta": 20.0,
    }
