"""Health, and what holds for every route: errors, limits, headers, documentation."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest

from models import make_models_dir
from nomarr.errors import DatabaseProblem, ModelProblem, WriteFailed
from nomarr.store import workers
from nomarr.store.database import Database
from nomarr.web.guard import LARGEST_BODY, SAFE_HEADERS

from .conftest import Home
from .test_libraries import detail

JSON = {"Content-Type": "application/json"}
PROCESS = "/api/web/processing/process-files"


@pytest.fixture
def ready_home(home: Home, small_models: Path) -> Home:
    """With models, and a worker that has just spoken."""
    home.settings = home.settings.model_copy(update={"models_dir": small_models})
    home.start()
    with home.db.write() as tx:
        workers.heartbeat(tx, worker="w", host="h", pid=1, version="1", now=home.time.ms, state="idle")
    return home


# health


@pytest.mark.parametrize("path", ["/ping", "/health/live"])
def test_a_server_that_runs_is_alive(home: Home, stranger: httpx.Client, path: str) -> None:
    home.settings.data_dir.joinpath("nomarr.db").write_bytes(b"not a database at all")
    answer = stranger.get(path)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert stranger.head(path).status_code == 200


def test_a_server_is_ready_with_database_models_and_a_worker(ready_home: Home) -> None:
    answer = ready_home.connect().get("/health/ready")
    assert answer.status_code == 200
    checks = {"database": "ok", "models": "ok", "workers": "ok"}
    assert answer.json() == {"status": "ok", "checks": checks, "warnings": []}


def test_a_worker_in_trouble_is_a_warning_that_names_no_files(ready_home: Home) -> None:
    with ready_home.db.write() as tx:
        workers.heartbeat(
            tx,
            worker="w2",
            host="h",
            pid=2,
            version="1",
            now=ready_home.time.ms,
            state="idle",
            trouble="/music is gone",
        )
    answer = ready_home.connect().get("/health/ready")
    assert answer.status_code == 200
    assert answer.json()["warnings"] == ["1 of 2 workers cannot do all of their work; their status says why"]


def test_without_a_living_worker_a_server_is_not_ready(ready_home: Home) -> None:
    ready_home.time.pass_s(ready_home.settings.lease_s + 1)
    answer = ready_home.connect().get("/health/ready")
    assert answer.status_code == 503
    assert answer.json()["status"] == "unavailable"
    assert answer.json()["checks"] == {"database": "ok", "models": "ok", "workers": "no worker is alive"}


def test_where_no_workers_are_wanted_none_is_missed(ready_home: Home) -> None:
    ready_home.settings = ready_home.settings.model_copy(update={"workers": 0})
    ready_home.start()
    ready_home.time.pass_s(3600)
    assert ready_home.connect().get("/health/ready").status_code == 200


def test_without_models_a_server_is_not_ready_and_looks_again(ready_home: Home, tmp_path: Path) -> None:
    models = tmp_path / "models"
    ready_home.settings = ready_home.settings.model_copy(update={"models_dir": models, "workers": 0})
    ready_home.start()
    client = ready_home.connect()
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.json()["checks"]["models"]) == (503, "no usable models")
    assert str(models) not in answer.text, "strangers need not know where"
    make_models_dir(models)
    assert client.get("/health/ready").status_code == 503, "it was looked at a moment ago"
    ready_home.time.pass_s(31)
    assert client.get("/health/ready").status_code == 200


def test_without_a_database_a_server_is_not_ready(
    ready_home: Home, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Database(f"sqlite:///{tmp_path / 'gone' / 'nomarr.db'}") as gone:
        ready_home.db = gone
        ready_home.start()
        client = ready_home.connect(token=ready_home.token)
        answer = client.get("/health/ready")
        assert answer.status_code == 503
        assert answer.json()["checks"] == {"database": "unavailable", "workers": "unknown", "models": "ok"}
        answer = client.get("/api/web/libraries")
    assert "database cannot be used" in detail(answer, 503)
    assert str(tmp_path) not in answer.text
    assert str(tmp_path) in caplog.text


# errors


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "The body is not valid JSON: "),
        (b"", "The body must be a JSON object"),
        (b"[]", "The body must be a JSON object"),
        (b"null", "The body must be a JSON object"),
        (b'"paths"', "The body must be a JSON object"),
        (b"\xff\xfe\xfd", ""),
        (b"[" * 200_000, ""),
        (b'{"paths": ' + b"9" * 5000 + b"}", ""),
    ],
)
def test_a_body_that_is_no_json_object_is_a_bad_request(client: httpx.Client, body: bytes, says: str) -> None:
    assert detail(client.post(PROCESS, content=body, headers=JSON), 400).startswith(says)


def test_a_form_is_no_json(client: httpx.Client) -> None:
    assert "Content-Type: application/json" in detail(client.post(PROCESS, data={"paths": "/music"}), 400)


def test_a_query_parameter_that_is_wrong_is_named(client: httpx.Client) -> None:
    assert detail(client.get("/api/web/libraries?enabled_only=perhaps"), 400).startswith("enabled_only: ")


@pytest.mark.parametrize("path", ["/api", "/api/web", "/api/web/nothing", "/api/web/libraries/", "/%00", "/redoc"])
def test_where_nothing_is_nothing_is_found(stranger: httpx.Client, path: str) -> None:
    assert detail(stranger.get(path), 404).startswith("There is nothing at /")


def test_a_method_that_a_path_does_not_know_is_refused(client: httpx.Client) -> None:
    answer = client.put("/api/web/libraries", json={})
    assert detail(answer, 405) == "/api/web/libraries cannot be used with PUT"
    assert "GET" in answer.headers["allow"]


@pytest.mark.parametrize("error", [RuntimeError("secret"), WriteFailed("/secret/path", "secret")])
def test_what_nobody_expected_is_logged_and_not_told(
    home: Home, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    assert home.app is not None

    @home.app.get("/broken")
    def broken() -> None:
        raise error

    answer = home.connect().get("/broken")
    assert detail(answer, 500) == "Something went wrong inside Nomarr; its log says what"
    assert answer.headers["x-content-type-options"] == "nosniff"
    record = next(r for r in caplog.records if r.levelno == logging.ERROR)
    assert record.exc_info is not None
    assert record.exc_info[1] is error


@pytest.mark.parametrize(
    ("error", "text"),
    [(ModelProblem("no model pack named 'x'"), "no model pack"), (DatabaseProblem("/data: locked"), "The database")],
)
def test_a_problem_of_the_moment_is_a_503(home: Home, error: Exception, text: str) -> None:
    assert home.app is not None

    @home.app.get("/broken")
    def broken() -> None:
        raise error

    assert detail(home.connect().get("/broken"), 503).startswith(text)


# limits


def test_a_body_above_one_megabyte_is_too_large(client: httpx.Client) -> None:
    answer = client.post(PROCESS, content=b" " * (LARGEST_BODY + 1), headers=JSON)
    assert detail(answer, 413) == "The body is larger than 1 MB"


def test_a_body_that_hides_its_size_is_too_large_all_the_same(client: httpx.Client) -> None:
    chunks = (b" " * 100_000 for _ in range(11))
    answer = client.post(PROCESS, content=chunks, headers=JSON)
    assert "content-length" not in answer.request.headers
    assert detail(answer, 413) == "The body is larger than 1 MB"


def test_a_body_of_one_megabyte_is_fine(client: httpx.Client) -> None:
    body = json.dumps({"paths": []}).encode().ljust(LARGEST_BODY)
    assert client.post(PROCESS, content=body, headers=JSON).status_code == 200


# headers


@pytest.mark.parametrize("path", ["/ping", "/nothing", "/api/web/libraries", "/openapi.json", "/docs"])
def test_every_answer_carries_safe_headers(stranger: httpx.Client, path: str) -> None:
    headers = stranger.get(path).headers
    for name, value in SAFE_HEADERS.items():
        if name != "Content-Security-Policy":
            assert headers[name] == value
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


# documentation


@pytest.fixture
def openapi(stranger: httpx.Client) -> dict[str, Any]:
    answer = stranger.get("/openapi.json")
    assert answer.status_code == 200
    return answer.json()


def test_the_documentation_can_be_read_without_scripts(stranger: httpx.Client, openapi: dict[str, Any]) -> None:
    page = stranger.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "<script" not in page.text
    for path in openapi["paths"]:
        assert path in page.text
