"""Lidarr's events, from its webhook or its script, and the paths by which other programs know the music."""

from __future__ import annotations

import json
import logging
import os
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from nomarr.errors import InvalidInput, printable
from nomarr.folders import AUDIO_ENDINGS
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
from nomarr.store import announcements, libraries, preferences
from nomarr.store.announcements import LONGEST_PATH, Place
from nomarr.store.database import Transaction
from nomarr.store.libraries import Library
from nomarr.watching.announced import seen_of
from nomarr.web.answers import example, problems, queued_message
from nomarr.web.auth import needs, require_key, require_login
from nomarr.web.context import UseClock, UseDatabase, UseSettings
from nomarr.web.lidarr_events import remember

log = logging.getLogger(__name__)
router = APIRouter(prefix="/api/v1", tags=["lidarr"], dependencies=[Depends(require_key)])
mappings_router = APIRouter(prefix="/api/web/path-mappings", tags=["lidarr"], dependencies=[Depends(require_login)])

MAPPINGS = "path_mappings"  # the preference that holds them
MOST_MAPPINGS = 100
MOST_SUGGESTIONS = 10  # in one answer: each looks for many files
FORM = "application/x-www-form-urlencoded"
MOST_FIELDS = 100
FORM_FIELDS = ("eventType", "paths", "previousPaths", "deletedPaths", "artistPath", "deletedFiles")

Status = Literal["queued", "awaited", "noted", "found", "unmapped", "outside_library", "not_found", "unsupported"]
OURS = frozenset({"queued", "awaited", "noted"})


@dataclass(frozen=True)
class PathAnswer:
    """What became of one path.

    `mapped` is what Nomarr took it for. `queued`: it will be looked at when nothing more is heard of its album, and
    analysed if it is new. `awaited`: the same, as soon as it is there. `noted`: something was taken away from there;
    what is gone will be marked as missing. `found`, `not_found`: whether it is there (only asked). `unmapped`: nothing
    is known by this path; `suggestion` is a mapping that would help. `unsupported`: it is no audio that Nomarr takes.
    """

    path: str
    mapped: str | None
    status: Status
    suggestion: Suggestion | None = None


@dataclass(frozen=True)
class HookAnswer:
    """What was done about an event. `enqueued` counts the files that will be looked at."""

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
                    "properties": {name: {"type": "string"} for name in FORM_FIELDS},
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


@router.put("/hooks/lidarr", include_in_schema=False)
@router.post(
    "/hooks/lidarr",
    summary="An event of Lidarr's",
    responses=example(HOOK_EXAMPLE) | problems(400, 401, 403, 413, 503),
    openapi_extra=HOOK_BODY,
)
@needs("enqueue")
def hook(
    db: UseDatabase,
    settings: UseSettings,
    clock: UseClock,
    read_event: Annotated[Callable[[Sequence[str]], Event], Depends(_read_event)],
) -> HookAnswer:
    """Takes the webhook's JSON and the form of `nomarr-lidarr.sh`.

    Imported, renamed and retagged files are looked at when nothing more is heard of their album for a few seconds, and
    so is where files were deleted; what is announced twice is looked at once. Other events, known or not, are answered
    with 200 and do nothing; neither is a path that is not ours an error.
    """
    with db.read() as tx:
        mappings, enabled = load_mappings(tx), libraries.list_all(tx, enabled_only=True)
    prefixes = [mapping.from_prefix for mapping in mappings if mapping.source in ("lidarr", "*")]
    event = read_event([*prefixes, *(library.root_path for library in enabled)])
    name = _clean(event.name)
    finds = [_find(path, "lidarr", mappings, enabled) for path in event.paths]
    finds += [_find(path, "lidarr", mappings, enabled, is_left=True) for path in event.left]
    if not finds:
        message = "Nomarr is ready" if event.is_test else f"Nothing to do for {name}"
        with db.write() as tx:
            remember(tx, name, message, now=clock(tx))
        return HookAnswer(name, 0, message, [])
    enqueued = sum(find.answer.status in ("queued", "awaited") for find in finds)
    strays = [(_clean(find.answer.path), find.answer.status) for find in finds if find.answer.status not in OURS]
    with db.write() as tx:
        remember(tx, name, queued_message(enqueued), len(finds), strays, now=clock(tx))
        places = [find.place for find in finds if find.place is not None]
        announcements.announce(tx, places, now=clock(tx), quiet_ms=round(settings.arrival_quiet_s * 1000))
    for path, status in strays:
        log.warning("Lidarr %s: %s is %s", printable(name), printable(path), status)
    answers = _with_suggestions([find.answer for find in finds], enabled)
    return HookAnswer(name, enqueued, queued_message(enqueued), [_sendable(answer) for answer in answers])


@mappings_router.post(
    "/test",
    summary="Where a path leads",
    responses=example(PATH_EXAMPLE | {"status": "found"}) | problems(400, 401, 403, 413, 503),
)
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
    answer = _find(body.path, body.source, mappings, enabled).answer
    asked: dict[Status, Status] = {"queued": "found", "awaited": "not_found"}
    answer = replace(answer, status=asked.get(answer.status, answer.status))
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


@dataclass(frozen=True)
class _Find:
    """What a path turned out to be, and where to look for it if it is ours."""

    answer: PathAnswer
    place: Place | None = None


def _find(
    path: str, source: str, mappings: Sequence[PathMapping], enabled: Sequence[Library], *, is_left: bool = False
) -> _Find:
    """What to do about a path; with `is_left` it need not be there any more. Links are resolved before all else."""
    mapped = map_path(path, mappings, source)
    target = path if mapped is None else mapped
    if not target.startswith("/") or "\0" in target or _clean(target) != target:
        return _Find(PathAnswer(path, mapped, "unmapped"))
    there = existing(target)
    real = os.path.realpath(there or target)
    place = _place(real, enabled, is_left=is_left)
    if place is None:
        # By its name alone: nobody is told which files there are beside the libraries.
        is_known = mapped is not None or any(Path(target).is_relative_to(library.root_path) for library in enabled)
        return _Find(PathAnswer(path, mapped, "outside_library" if is_known else "unmapped"))
    if len(place.path.encode()) > LONGEST_PATH:
        return _Find(PathAnswer(path, target, "unsupported"))
    if is_left:
        return _Find(PathAnswer(path, there or target, "noted"), place)
    if Path(real).suffix[1:].lower() not in AUDIO_ENDINGS and not place.is_tree:
        return _Find(PathAnswer(path, there or target, "unsupported"))
    return _Find(PathAnswer(path, there or target, "awaited" if there is None else "queued"), place)


def _place(real: str, enabled: Iterable[Library], *, is_left: bool) -> Place | None:
    """Where a resolved path lies in which library, and what is there now; None if in none."""
    for library in enabled:
        root = os.path.realpath(library.root_path)
        if not Path(real).is_relative_to(root):
            continue
        relative = os.path.relpath(real, root)
        relative = "" if relative == "." else relative
        try:
            facts = os.stat(real)
        except OSError:
            return Place(library.id, relative, is_tree=is_left, is_promised=not is_left)
        if is_left or stat.S_ISDIR(facts.st_mode):
            return Place(library.id, relative, is_tree=True)
        return Place(library.id, relative, is_promised=True, seen=seen_of(facts))
    return None


def _with_suggestions(answers: Iterable[PathAnswer], enabled: Sequence[Library]) -> list[PathAnswer]:
    roots = [library.root_path for library in enabled]
    suggested, tries = [], 0
    for answer in answers:
        suggestion = None
        if answer.status == "unmapped" and tries < MOST_SUGGESTIONS:
            suggestion, tries = suggest(answer.path, roots), tries + 1
        suggested.append(replace(answer, suggestion=suggestion))
    return suggested


def _sendable(answer: PathAnswer) -> PathAnswer:
    """JSON has no way to carry half a character."""
    texts: dict[str, Any] = {"path": _clean(answer.path)}
    if answer.mapped is not None:
        texts["mapped"] = _clean(answer.mapped)
    return replace(answer, **texts)


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
