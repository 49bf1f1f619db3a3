"""The shapes that many routes answer with, and how everything that goes wrong becomes `{"detail": "<text>"}`."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from nomarr.errors import DatabaseProblem, NomarrError, TooManyRequests, Unauthorized, printable

log = logging.getLogger(__name__)

UNEXPECTED = "Something went wrong inside Nomarr; its log says what"
NO_DATABASE = "The database cannot be used at the moment; Nomarr's log says why"
NOT_JSON = "The body must be a JSON object, sent with Content-Type: application/json"
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="nomarr"'}

MEANINGS = {
    400: "A parameter or the body is wrong",
    401: "No login, or one that has ended",
    403: "Logged in, but not allowed here",
    404: "It does not exist",
    409: "It does not fit what is there now",
    413: "The body is larger than 1 MB",
    416: "The file has no such range of bytes",
    429: "Too many attempts; Retry-After says how long to wait",
    502: "Navidrome did not do what was asked; the text says why",
    503: "The database cannot be used",
}


@dataclass(frozen=True)
class Problem:
    """What went wrong, in one sentence."""

    detail: str


@dataclass(frozen=True)
class Done:
    """Nothing to tell but that it is done."""

    message: str
    status: str = "success"


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors that a route can answer with, for its documentation."""
    return {status: {"model": Problem, "description": MEANINGS[status]} for status in sorted(statuses)}


def example(answer: Any, *, status: int = 200) -> dict[int | str, dict[str, Any]]:
    """What a route answers, shown in its documentation: `responses=example({...}) | problems(401, 503)`."""
    # As text, which web.docs reads: FastAPI leaves out whatever is null.
    return {status: {"content": {"application/json": {"example": json.dumps(answer)}}}}


def queued_message(files: int) -> str:
    return f"Queued {files} {'file' if files == 1 else 'files'} for processing"


def utc(ms: int) -> str:
    """ISO 8601 with Z."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """An error answer. Half a character in the text is shown as `?`: JSON has no way to carry it."""
    clean = detail.encode("utf-8", "replace").decode()
    return JSONResponse({"detail": clean}, status, headers=None if headers is None else dict(headers))


def explain_errors(app: FastAPI) -> None:
    """Have the app answer every error in the same shape."""
    app.add_exception_handler(NomarrError, _explain)
    app.add_exception_handler(RequestValidationError, _explain_invalid)
    app.add_exception_handler(HTTPException, _explain_http)


async def _explain(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, NomarrError)  # noqa: S101 (registered for it alone)
    if isinstance(error, DatabaseProblem):
        # Its text names hosts and folders, and may be answered to somebody who is not logged in.
        log.error("%s %s: %s", request.method, printable(request.url.path), error)
        return problem(error.status, NO_DATABASE)
    if error.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("%s %s", request.method, printable(request.url.path), exc_info=error)
        return problem(error.status, UNEXPECTED)
    headers: dict[str, str] = {}
    if isinstance(error, TooManyRequests):
        headers = {"Retry-After": str(error.retry_after_s)}
    if isinstance(error, Unauthorized):
        headers = CHALLENGE
    return problem(error.status, str(error), headers)


async def _explain_invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 (registered for it alone)
    return problem(400, sentence(error.errors()))


async def _explain_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 (registered for it alone)
    where = printable(request.url.path)
    known = {
        404: f"There is nothing at {where}",
        405: f"{where} cannot be used with {printable(request.method)}",
    }
    return problem(error.status_code, known.get(error.status_code, error.detail), error.headers)


def sentence(errors: Sequence[Mapping[str, Any]]) -> str:
    """The first of pydantic's complaints as a person would say it; never repeats what was sent."""
    first = errors[0]
    kind, place = first["type"], first["loc"][1:]
    if kind == "json_invalid":
        return f"The body is not valid JSON: {first['ctx']['error']} at character {place[0]}"
    if not place:
        return NOT_JSON
    field = str(place[0]) + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place[1:])
    if kind == "missing":
        return f"{field}: it is required"
    why = str(first["msg"]).removeprefix("Value error, ")
    return f"{field}: {why[:1].lower()}{why[1:]}"
