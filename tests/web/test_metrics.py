"""What Prometheus is told, and whom Nomarr tells it."""

from __future__ import annotations

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from nomarr.store import claims, counters, queue, workers
from nomarr.store.database import Database
from web.conftest import NOW_MS, Analyse, Home


def read(answer: httpx.Response) -> dict[tuple[str, ...], float]:
    """Name and values of labels -> number."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = text_string_to_metric_families(answer.text)
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


def test_a_stranger_is_told_nothing_unless_the_settings_say_so(home: Home, stranger: httpx.Client) -> None:
    assert stranger.get("/metrics").status_code == 401
    home.settings = home.settings.model_copy(update={"metrics_open": True})
    home.start()
    assert read(home.connect().get("/metrics"))["nomarr_queue_files", "pending"] == 0


@pytest.mark.parametrize("scope", ["read", "enqueue", "admin"])
def test_any_key_will_do(client: httpx.Client, stranger: httpx.Client, scope: str) -> None:
    key = client.post("/api/web/keys", json={"name": "prometheus", "scope": scope}).json()["key"]
    assert (
        read(stranger.get("/metrics", headers={"Authorization": f"Bearer {key}"}))["nomarr_calibration_version",] == 0
    )


@pytest.mark.usefixtures("scanned")
def test_the_queue_and_what_went_wrong_are_counted(
    home: Home, client: httpx.Client, db: Database, analyse: Analyse
) -> None:
    ids = [file.id for file in analyse()]
    with db.write() as tx:
        queue.request_analysis(tx, ids, force=True, now=home.time.ms)
    home.time.pass_s(90)
    found = read(client.get("/metrics"))
    assert found["nomarr_queue_files", "pending"] == 3
    assert found["nomarr_queue_oldest_seconds",] == 90
    with db.write() as tx:
        file = claims.claim_next(tx, worker="w", now=home.time.ms, lease_ms=60_000)
        assert file is not None
        claims.fail(tx, file, now=home.time.ms, error="no sound", kind="unreadable", permanent=True)
        file = claims.claim_next(tx, worker="w", now=home.time.ms, lease_ms=60_000)
        assert file is not None
        claims.fail(tx, file, now=home.time.ms, error="odd", kind="from the future", permanent=True)
    home.time.pass_s(60)
    found = read(client.get("/metrics"))
    assert found["nomarr_files_set_aside", "unreadable"] == 1
    assert found["nomarr_files_set_aside", "other"] == 1
    assert found["nomarr_files_set_aside", "poison"] == 0
    assert found["nomarr_queue_files", "pending"] == 1
    assert found["nomarr_database_bytes",] > 100_000
    assert found["process_resident_memory_bytes",] > 10_000_000


@pytest.mark.usefixtures("scanned")
def test_what_is_done_is_counted(client: httpx.Client, analyse: Analyse) -> None:
    analyse()
    found = read(client.get("/metrics"))
    assert found["nomarr_files_completed",] == 3
    assert found["nomarr_queue_oldest_seconds",] == 0


def test_workers_are_counted_by_state_with_their_memory(client: httpx.Client, db: Database) -> None:
    with db.write() as tx:
        for name, state, at in (("a", "busy", NOW_MS), ("b", "idle", NOW_MS), ("c", "busy", NOW_MS - 3_600_000)):
            said = {"host": "nas", "pid": ord(name), "version": "1", "now": at, "state": state}
            workers.heartbeat(tx, worker=name, memory_bytes=300_000_000, **said)
        counters.add(tx, {"failed:unreadable": 2, "failed:new": 1, "seconds:decode": 1.5, "analysed": 7})
        counters.add(tx, {"seconds:decode": 2.25, "seconds:mel": 1})
    found = read(client.get("/metrics"))
    assert [found["nomarr_workers", state] for state in ("busy", "idle", "silent")] == [1, 1, 1]
    assert found["nomarr_worker_memory_bytes", "nas", "97"] == 300_000_000
    assert ("nomarr_worker_memory_bytes", "nas", "99") not in found
    assert found["nomarr_failures_total", "unreadable"] == 2
    assert found["nomarr_failures_total", "other"] == 1
    assert found["nomarr_stage_seconds_total", "decode"] == 3.75
    assert found["nomarr_tracks_analysed_total",] == 7
