"""The description of the API: complete for every route, and true under requests that schemathesis makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from nomarr.settings import Settings
from nomarr.store.database import Database
from nomarr.web.app import ROUTERS, create_app
from nomarr.web.pages import PAGES

from .conftest import Home

EXAMPLES = 8  # of valid and of invalid requests each, for every route
ENDLESS = "/api/web/events/status"
OTHER_KINDS = {
    ENDLESS: "text/event-stream",
    "/metrics": "text/plain",
    "/api/web/files/{file_id}/audio": "audio/*",
    "/api/web/backups/{name}": "application/vnd.sqlite3",
}
AGREEMENT = "/api/web/moods/agreement"
TAKES_NOTHING = {"/ping", "/health/live", "/health/ready"}
OPEN = {*TAKES_NOTHING, "/api/web/auth/login"}


# What integrations were promised; more may come, but none of these may go.
PROMISED = """
POST /api/web/auth/login
POST /api/web/processing/process-files
GET /api/web/queue/queue-depth
GET /api/web/libraries/stats
GET /api/web/libraries
POST /api/web/libraries/{library_id}/scan
GET /api/web/calibration/status
POST /api/web/calibration/generate-histogram
POST /api/web/worker/pause
POST /api/web/worker/resume
POST /api/web/worker/restart
GET /api/web/analytics/tag-frequencies
GET /api/web/analytics/mood-distribution
GET /api/web/analytics/tag-correlations
GET /api/web/navidrome/preview
GET /api/web/navidrome/config
POST /api/web/navidrome/playlists/preview
POST /api/web/navidrome/playlists/generate
GET /api/web/config
POST /api/web/config
GET /api/web/events/status
GET /api/v1/info
POST /api/v1/tag
POST /api/v1/processing/process-files
"""


def describe() -> dict[str, Any]:
    folder = Path("/nowhere")
    return create_app(Settings(data_dir=folder), Database(f"sqlite:///{folder}/nomarr.db")).openapi()


DESCRIPTION = describe()
OPERATIONS = [(method, path) for path, methods in DESCRIPTION["paths"].items() for method in methods]
names = [f"{method.upper()} {path}" for method, path in OPERATIONS]


@pytest.fixture(params=OPERATIONS, ids=names)
def described(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    method, path = request.param
    return path, DESCRIPTION["paths"][path][method]


def test_a_route_says_what_it_does_answers_and_refuses(described: tuple[str, dict[str, Any]]) -> None:
    path, operation = described
    assert operation["summary"]
    assert not operation["summary"].endswith(".")
    answers = operation["responses"]
    assert "422" not in answers, "invalid input is a 400 here"
    (good,) = [answer for status, answer in answers.items() if status.startswith("2")]
    (kind, content), *others = good["content"].items()
    assert [other for other, _ in others] == (["text/csv"] if "/analytics/" in path or path == AGREEMENT else [])
    assert content["schema"], "a response model"
    assert kind == OTHER_KINDS.get(path, "application/json")
    for status, answer in answers.items():
        assert answer["description"], status
    assert ("security" in operation) is (path not in OPEN)
    if path not in OPEN:
        assert {"401", "503"} <= set(answers)
    if path.startswith("/api"):
        assert ("413" in answers) is ("requestBody" in operation)
    if operation.get("parameters") or "requestBody" in operation:
        assert "400" in answers or path in OPEN


def test_a_route_shows_an_answer(described: tuple[str, dict[str, Any]]) -> None:
    _, operation = described
    answer = next(a for status, a in operation["responses"].items() if status.startswith("2"))
    assert all("example" in content or "examples" in content for content in answer["content"].values())


def test_the_examples_are_what_the_routes_answer_with(described: tuple[str, dict[str, Any]]) -> None:
    _, operation = described
    for answer in operation["responses"].values():
        for content in answer["content"].values():
            if "example" in content:
                check(content["example"], content["schema"], "example")


def test_no_promised_route_is_missing() -> None:
    assert set(PROMISED.strip().splitlines()) <= set(names)


@pytest.fixture
def ready(home: Home, small_models: Path) -> Home:
    """With models, and without workers on purpose."""
    home.settings = home.settings.model_copy(update={"models_dir": small_models, "workers": 0})
    home.start()
    return home


def test_every_route_of_the_app_is_described(home: Home) -> None:
    assert home.app is not None
    routes = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    shown, hidden = (
        {(m.lower(), r.path) for r in routes if r.include_in_schema is is_shown for m in r.methods - {"HEAD"}}
        for is_shown in (True, False)
    )
    assert len(home.app.routes) == len(ROUTERS) + 1, "and nothing beside them but the description"
    assert shown == set(OPERATIONS)
    pages = {("get", page.path) for page in PAGES} | {("get", "/static/{of_version}/{name:path}")}
    assert hidden == {("get", "/docs"), ("put", "/api/v1/hooks/lidarr")} | pages, "the hook also as POST"


@pytest.mark.parametrize(
    ("method", "path", "mode"),
    [
        pytest.param(method, path, mode, id=f"{method.upper()} {path} {mode.value}")
        for method, path in OPERATIONS
        if path != ENDLESS
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
        if mode is GenerationMode.POSITIVE or path not in TAKES_NOTHING
    ],
)
def test_whatever_is_sent_the_answer_is_a_described_one(
    ready: Home, method: str, path: str, mode: GenerationMode
) -> None:
    home = ready
    assert home.app is not None
    schema = schemathesis.openapi.from_asgi("/openapi.json", home.app)
    strategy = schema[path][method].as_strategy(generation_mode=mode)
    headers = {} if path in OPEN else {"Authorization": f"Bearer {home.token}"}

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy)
    def send(case: schemathesis.Case) -> None:
        case.call_and_validate(headers=headers, excluded_checks=[positive_data_acceptance])

    send()


def fits(value: Any, schema: Any, where: str) -> bool:
    try:
        check(value, schema, where)
    except AssertionError:
        return False
    return True


def check(value: Any, schema: Any, where: str) -> None:
    """The value is what the schema says; every field there is, and no other."""
    while "$ref" in schema:
        schema = DESCRIPTION["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        if value is None:
            assert {"type": "null"} in schema["anyOf"], where
        else:
            options = [one for one in schema["anyOf"] if one != {"type": "null"}]
            check(value, next((one for one in options[:-1] if fits(value, one, where)), options[-1]), where)
    elif schema.get("type") == "object" and "properties" in schema:
        assert set(value) == set(schema["properties"]), where
        for name, one in schema["properties"].items():
            check(value[name], one, f"{where}.{name}")
    elif schema.get("type") == "array":
        for number, one in enumerate(value):
            check(one, schema["items"], f"{where}[{number}]")
    else:
        kinds = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "object": dict}
        if schema.get("type") in kinds:
            assert isinstance(value, kinds[schema["type"]]), where
            assert "enum" not in schema or value in schema["enum"], where
