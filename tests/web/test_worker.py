"""Holding workers back over HTTP; the restart itself is tested with a real server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from nomarr.store.database import Database
from nomarr.web.app import create_app
from nomarr.worker.loop import Worker

from .conftest import Home
from .test_libraries import detail

URL = "/api/web/worker"


def test_paused_workers_take_no_file_until_they_are_resumed(
    home: Home, client: httpx.Client, db: Database, scanned: dict[str, Any], small_models: Path
) -> None:
    assert client.post(f"{URL}/pause").json() == {"status": "success", "message": "All workers paused"}
    assert client.post(f"{URL}/pause").status_code == 200
    home.start()
    worker = Worker(home.settings.model_copy(update={"models_dir": small_models}), db, "w")
    assert worker._claim() is None
    client = home.connect(token=home.token)
    assert client.get("/api/web/info").json()["workers"]["paused"] is True
    assert client.post(f"{URL}/resume").json() == {"status": "success", "message": "All workers resumed"}
    assert worker._take() is not None
    assert client.get("/api/web/info").json()["workers"]["paused"] is False


def test_a_worker_heeds_what_was_set_at_its_next_file(
    home: Home, client: httpx.Client, db: Database, scanned: dict[str, Any], small_models: Path
) -> None:
    settings = home.settings.model_copy(update={"models_dir": small_models})
    worker = Worker(settings, db, "w")
    assert worker._take() is not None
    assert worker.settings is settings
    client.post("/api/web/config", json={"key": "file_write_mode", "value": "none"})
    assert worker._take() is not None
    assert worker.settings.file_write_mode == "none"
    client.post("/api/web/config", json={"key": "file_write_mode", "value": None})
    assert worker._take() is not None
    assert worker.settings.file_write_mode == "native"


def test_a_restart_is_begun_and_answered(home: Home) -> None:
    begun: list[bool] = []
    home.app = create_app(
        home.settings, home.db, clock=home.time.clock, monotonic=home.time.monotonic, restart=lambda: begun.append(True)
    )
    assert home.connect(token=home.token).post(f"{URL}/restart").json() == {
        "status": "success",
        "message": "API server is restarting... Please refresh the page in a few seconds.",
    }
    assert begun == [True]


def test_an_app_inside_another_program_cannot_restart_it(client: httpx.Client) -> None:
    assert "cannot restart itself" in detail(client.post(f"{URL}/restart"), 409)
