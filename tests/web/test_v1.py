"""The older API, and what an installation says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from nomarr import __version__, secretkey
from nomarr.store import workers
from nomarr.store.database import Database

from .conftest import NOW_MS, Analyse, Home
from .test_libraries import detail

ONE = "Nina/Blue/01 One.flac"


@pytest.fixture
def robot(home: Home) -> httpx.Client:
    """A program with the key of the installation."""
    client = home.connect()
    client.headers["Authorization"] = f"Bearer {secretkey.show(home.settings.data_dir)}"
    return client


@pytest.mark.parametrize("url", ["/api/v1/tag", "/api/v1/processing/process-files"])
def test_a_file_is_queued_by_path_or_paths(
    robot: httpx.Client, library: dict[str, Any], music: Path, analyse: Analyse, url: str
) -> None:
    path = str(music / ONE)
    answer = robot.post(url, json={"path": path, "force": False})
    assert answer.json() == {
        "enqueued": 1,
        "message": "Queued 1 file for processing",
        "results": [{"path": path, "status": "queued"}],
    }
    analyse()
    assert robot.post(url, json={"path": path}).json()["enqueued"] == 0
    assert robot.post(url, json={"paths": [path, str(music / "Otis")], "force": True}).json()["enqueued"] == 2


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "Give either path or paths"),
        ({"path": "/a", "paths": []}, "Give either path or paths"),
        ({"path": "relative"}, "path: it must be an absolute path"),
        ({"path": "/a\0"}, "NUL"),
    ],
)
def test_a_request_without_a_proper_path_is_refused(robot: httpx.Client, body: dict[str, Any], says: str) -> None:
    assert says in detail(robot.post("/api/v1/tag", json=body), 400)


def test_a_wrong_path_is_answered_as_in_the_newer_api(
    robot: httpx.Client, scanned: dict[str, Any], tmp_path: Path
) -> None:
    assert detail(robot.post("/api/v1/tag", json={"path": "/no/such.mp3"}), 404) == "File not found: /no/such.mp3"
    assert "outside" in detail(robot.post("/api/v1/tag", json={"path": str(tmp_path)}), 403)


def test_paths_of_other_programs_are_mapped(
    robot: httpx.Client, client: httpx.Client, library: dict[str, Any], music: Path
) -> None:
    mapping = {"source": "api", "from_prefix": "/theirs", "to_prefix": str(music)}
    assert client.put("/api/web/path-mappings", json={"mappings": [mapping]}).status_code == 200
    answer = robot.post("/api/v1/tag", json={"path": f"/theirs/{ONE}"})
    assert answer.json()["results"] == [{"path": f"/theirs/{ONE}", "status": "queued"}]


def test_an_installation_says_what_it_is(
    home: Home, client: httpx.Client, db: Database, scanned: dict[str, Any], small_models: Path, analyse: Analyse
) -> None:
    home.settings = home.settings.model_copy(update={"models_dir": small_models})
    home.start()
    analyse()
    home.time.pass_s(5)
    with db.write() as tx:
        for worker, spoke in (("w", NOW_MS + 5000), ("silent", NOW_MS - 3_600_000)):
            workers.heartbeat(tx, worker=worker, host="h", pid=7, version="1", now=spoke, state="idle")
    found = home.connect(token=home.token).get("/api/web/info").json()
    key = secretkey.show(home.settings.data_dir)
    assert home.connect(token=key).get("/api/v1/info").json() == found
    assert (found["version"], found["namespace"], found["uptime_s"]) == (__version__, "nom", 5)
    assert found["queue"] == {"depth": 0, "pending": 0, "running": 0, "completed": 3, "errors": 0}
    assert found["workers"] == {
        "paused": False,
        "processes": [
            {
                "id": "w",
                "host": "h",
                "pid": 7,
                "version": "1",
                "state": "idle",
                "file_id": None,
                "file": None,
                "files": 0,
                "rate_per_minute": None,
                "memory_bytes": None,
                "trouble": None,
                "started_at": "2027-01-15T08:00:05Z",
                "heartbeat_at": "2027-01-15T08:00:05Z",
            }
        ],
    }
    assert found["libraries"] == [
        {
            "id": scanned["id"],
            "name": "Main Library",
            "root_path": scanned["root_path"],
            "is_enabled": True,
            "file_count": 3,
            "tagged_count": 3,
        }
    ]
    models = found["models"]
    assert models["suite"]
    assert models["problems"] == []
    assert {pack["name"] for pack in models["packs"]} == {"tiny", "essentia-tiny"}
    assert all(pack["licence"] and pack["fingerprint"] and pack["heads"] for pack in models["packs"])


def test_without_models_an_installation_says_why(client: httpx.Client) -> None:
    models = client.get("/api/web/info").json()["models"]
    assert (models["suite"], models["packs"]) == (None, [])
    assert "no usable models" in models["problems"][0]
