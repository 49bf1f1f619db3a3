"""Lidarr's events, from its webhook or its script, and the paths by which other programs know the music."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from nomarr.errors import Conflict, Forbidden, InvalidInput, NomarrError, NotFound, printable
from nomarr.lidarr import (
    Event,
    PathMapping,
    Source,
    Suggestion,
    checked,
    existing,
    map_path,
    read_form,
    read_webhook,
    suggest,
)
from nomarr.settings import Settings
from nomarr.store import libraries, preferences
from nomarr.store.database import Database, Transaction
from nomarr.store.libraries import Library
from nomarr.web.answers import example, problems, queued_message
from nomarr.web.auth import needs, require_key, require_login
from nomarr.web.context import Clock, UseClock, UseDatabase, UseSettings
from nomarr.web.processing import ProcessRequest, find_places, process_files

log = logging.getLogger(__name__)
router = APIRouter(prefix="/api/v1", tags=["lidarr"], dependencies=[Depends(require_key)])
mappings_router = APIRouter(prefix="/api/web/path-mappings", tags=["lidarr"], dependencies=[Depends(require_login)])

MAPPINGS = "path_mappings"  # the preference that holds them
MOST_MAPPINGS = 100
MOST_SUGGESTIONS = 10  # in one answer: each looks for many files
FORM = "application/x-www-form-urlencoded"
MOST_FIELDS = 100

Status = Literal["queued", "current", "postponed", "found", "unmapped", "outside_library", "not_found", "unsupported"]


@dataclass(frozen=True)
class PathAnswer:
    """What became of one path.

    `mapped` is what Nomarr took it for. `queued`: it will be analysed. `current`: it needs nothing. `postponed`: a scan
    of its library is running; it is queued right after. `found`: it is there (only asked). `unmapped`: nothing is known
    by this path; `suggestion` is a mapping that would help. `unsupported`: it is no audio that Nomarr takes.
    """

    path: str
    mapped: str | None
    status: Status
    suggestion: Suggestion | None = None


@dataclass(frozen=True)
class HookAnswer:
    """What was done about an event."""

    event: str
    enqueued: int
    message: str
    results: list[PathAnswer]


class NewMapping(BaseModel):
    source: Source = Field(default="*", description="Who uses the path: lidarr, api, or * for any")
    from_prefix: str = Field(min_length=1, max_length=2000, examples=["/data/media/music"])
    to_prefix: str = Field(min_length=1, max_length=2000, examples=["/music"])


class MappingsRequest(BaseModel):
    mappings: list[NewMapping] = Field(max_length=MOST_MAPPINGS)


@dataclass(frozen=True)
class Mappings:
    """All path mappings; where several fit a path, the one with the longest prefix counts."""

    mappings: list[PathMapping]


class PathTest(BaseModel):
    source: Source = "lidarr"
    path: str = Field(min_length=1, max_length=8000, examples=["/data/media/music/Artist/Album/Track.flac"])


MAPPINGS_EXAMPLE = {
    "mappings": [{"source": "lidarr", "from_prefix": "/data/media/music", "to_prefix": "/music"}],
}
TRACK = "/data/media/music/Artist/Album/Track.flac"
PATH_EXAMPLE = {"path": TRACK, "mapped": "/music/Artist/Album/Track.flac", "status": "queued", "suggestion": None}
HOOK_EXAMPLE = {
    "event": "Download",
    "enqueued": 1,
    "message": "Queued 1 file for processing",
    "results": [PATH_EXAMPLE],
}
HOOK_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "object", "required": ["eventType"]},
                "example": {"eventType": "Download", "trackFiles": [{"path": TRACK}]},
            },
            FORM: {
                "schema": {
                    "type": "object",
                    "required": ["eventType"],
                    "properties": {"eventType": {"type": "string"}, "paths": {"type": "string"}},
                },
                "example": {"eventType": "AlbumDownload", "paths": TRACK},
            },
        },
    }
}


async def _read_event(request: Request) -> Callable[[Sequence[str]], Event]:
    """What makes the event of the body, once it is told where music lies."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await request.body()
    if kind == FORM:
        try:
            fields = dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True, max_num_fields=MOST_FIELDS))
        except ValueError as error:
            raise InvalidInput(f"The form has more than {MOST_FIELDS} fields") from error
        return lambda roots: read_form(fields, roots)
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"The body must be JSON, or a form sent with Content-Type: {FORM}") from error
    if not isinstance(payload, dict):
        raise InvalidInput("The body must be a JSON object")
    return lambda _roots: read_webhook(payload)


class Postponed:
    """Paths that have to wait for the end of a scan, and the thread that tries them again. Threads may share it."""

    RETRY_S = 1.0
    MOST = 20_000  # a scan later finds what is forgotten

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._paths: dict[str, None] = {}
        self._thread: threading.Thread | None = None

    def add(self, paths: Sequence[str], enqueue: Callable[[list[str]], None]) -> None:
        """Have the paths enqueued as soon as `enqueue` does not raise Conflict."""
        with self._lock:
            self._paths.update(dict.fromkeys(paths[: max(0, self.MOST - len(self._paths))]))
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, args=(enqueue,), name="postponed", daemon=True)
                self._thread.start()

    def _work(self, enqueue: Callable[[list[str]], None]) -> None:
        pause = threading.Event()
        while True:
            pause.wait(self.RETRY_S)
            with self._lock:
                paths = list(self._paths)
            try:
                enqueue(paths)
            except Conflict:
                continue
            except NomarrError as error:
                log.warning("%d postponed paths are left to the next scan: %s", len(paths), error)
            with self._lock:
                for path in paths:
                    self._paths.pop(path, None)
                if not self._paths:
                    self._thread = None
                    return


@router.put("/hooks/lidarr", include_in_schema=False)
@router.post(
    "/hooks/lidarr",
    summary="An event of Lidarr's",
    responses=example(HOOK_EXAMPLE) | problems(400, 401, 403, 413, 503),
    openapi_extra=HOOK_BODY,
)
@needs("enqueue")
def hook(
    request: Request,
    db: UseDatabase,
    settings: UseSettings,
    clock: UseClock,
    read_event: Annotated[Callable[[Sequence[str]], Event], Depends(_read_event)],
) -> HookAnswer:
    """Takes the webhook's JSON and the form of `nomarr-lidarr.sh`. Imported, renamed and retagged files are queued.

    Other events, known or not, are answered with 200 and do nothing; neither is a path that is not ours an error.
    """
    with db.read() as tx:
        mappings, enabled = load_mappings(tx), libraries.list_all(tx, enabled_only=True)
    prefixes = [mapping.from_prefix for mapping in mappings if mapping.source in ("lidarr", "*")]
    event = read_event([*prefixes, *(library.root_path for library in enabled)])
    answers = [_found(path, "lidarr", mappings, enabled) for path in event.paths]
    answers = _with_suggestions(answers, enabled)
    name = _clean(event.name)
    if not event.paths:
        return HookAnswer(name, 0, "Nomarr is ready" if event.is_test else f"Nothing to do for {name}", [])
    enqueued, answers = _enqueue(request, db, settings, clock, answers)
    for answer in answers:
        if answer.status in ("unmapped", "outside_library", "not_found"):
            log.warning("Lidarr %s: %s is %s", printable(name), printable(answer.path), answer.status)
    return HookAnswer(name, enqueued, queued_message(enqueued), [_sendable(answer) for answer in answers])


@router.post(
    "/path-mappings/test",
    summary="Where a path leads",
    responses=example(PATH_EXAMPLE | {"status": "found"}) | problems(400, 401, 403, 413, 503),
)
@needs("read")
def test_path(body: PathTest, db: UseDatabase) -> PathAnswer:
    """Queues nothing; `status` is `found`, or why the file would not be."""
    with db.read() as tx:
        mappings, enabled = load_mappings(tx), libraries.list_all(tx, enabled_only=True)
    answer = _found(body.path, body.source, mappings, enabled)
    return _sendable(_with_suggestions([answer], enabled)[0])


@mappings_router.get("", summary="The path mappings", responses=example(MAPPINGS_EXAMPLE) | problems(401, 403, 503))
def get_mappings(db: UseDatabase) -> Mappings:
    with db.read() as tx:
        return Mappings(load_mappings(tx))


@mappings_router.put(
    "", summary="Set all path mappings", responses=example(MAPPINGS_EXAMPLE) | problems(400, 401, 403, 413, 503)
)
def put_mappings(body: MappingsRequest, db: UseDatabase) -> Mappings:
    """Replaces those that were there."""
    mappings = [checked(PathMapping(m.source, m.from_prefix, m.to_prefix)) for m in body.mappings]
    if len({(mapping.source, mapping.from_prefix) for mapping in mappings}) < len(mappings):
        raise InvalidInput("mappings: two of them are for the same prefix of the same source")
    with db.write() as tx:
        preferences.put(tx, MAPPINGS, [asdict(mapping) for mapping in mappings])
    return Mappings(mappings)


def load_mappings(tx: Transaction) -> list[PathMapping]:
    return [PathMapping(**facts) for facts in preferences.get(tx, MAPPINGS, [])]


def _found(path: str, source: str, mappings: Sequence[PathMapping], enabled: Sequence[Library]) -> PathAnswer:
    """Whether a path leads to something in a library."""
    mapped = map_path(path, mappings, source)
    target = path if mapped is None else mapped
    found = existing(target) if target.startswith("/") else None
    if found is None:
        is_ours = any(map_path(target, [PathMapping("*", library.root_path, "/")]) for library in enabled)
        return PathAnswer(path, mapped, "unmapped" if mapped is None and not is_ours else "not_found")
    try:
        find_places([found], enabled)
    except NotFound:
        return PathAnswer(path, found, "not_found")
    except Forbidden:
        return PathAnswer(path, found, "outside_library")
    return PathAnswer(path, found, "found")


def _with_suggestions(answers: Sequence[PathAnswer], enabled: Sequence[Library]) -> list[PathAnswer]:
    roots = [library.root_path for library in enabled]
    suggested, tries = [], 0
    for answer in answers:
        suggestion = None
        if answer.status == "unmapped" and tries < MOST_SUGGESTIONS:
            suggestion, tries = suggest(answer.path, roots), tries + 1
        suggested.append(replace(answer, suggestion=suggestion))
    return suggested


def _enqueue(
    request: Request, db: Database, settings: Settings, clock: Clock, answers: Sequence[PathAnswer]
) -> tuple[int, list[PathAnswer]]:
    """Queue what was found, now or when the scan that is in the way is through."""
    paths = [answer.mapped for answer in answers if answer.status == "found" and answer.mapped is not None]
    if not paths:
        return 0, list(answers)
    statuses: Mapping[str, Status]
    try:
        done = process_files(ProcessRequest.model_construct(paths=paths), db, settings, clock)
    except Conflict:
        postponed: Postponed = request.app.state.postponed
        postponed.add(paths, lambda some: _process(db, settings, clock, some))
        enqueued, statuses = 0, dict.fromkeys(paths, "postponed")
    else:
        enqueued = done.enqueued
        statuses = {r.path: "unsupported" if r.status == "skipped" else r.status for r in done.results}
    return enqueued, [
        replace(answer, status=statuses[answer.mapped]) if answer.status == "found" and answer.mapped else answer
        for answer in answers
    ]


def _process(db: Database, settings: Settings, clock: Clock, paths: Sequence[str]) -> None:
    """Queue those of the paths that are still there and in a library."""
    with db.read() as tx:
        enabled = libraries.list_all(tx, enabled_only=True)
    there = [path for path in paths if _found(path, "*", (), enabled).status == "found"]
    process_files(ProcessRequest.model_construct(paths=there), db, settings, clock)


def _sendable(answer: PathAnswer) -> PathAnswer:
    """JSON has no way to carry half a character."""
    texts: dict[str, Any] = {"path": _clean(answer.path)}
    if answer.mapped is not None:
        texts["mapped"] = _clean(answer.mapped)
    return replace(answer, **texts)


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
