"""The queue: asking for files to be analysed, and how much there is to do."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from nomarr.errors import Forbidden, NotFound, printable
from nomarr.scan import scan_library
from nomarr.settings import Settings
from nomarr.store import files, libraries, queue
from nomarr.store.database import Database, Transaction
from nomarr.store.libraries import Library
from nomarr.store.queue import ASKED_FOR, QueueDepth
from nomarr.web.answers import example, problems, queued_message
from nomarr.web.auth import needs, require_login
from nomarr.web.context import UseClock, UseDatabase, UseSettings
from nomarr.web.paths import AbsolutePath

router = APIRouter(prefix="/api/web", tags=["queue"], dependencies=[Depends(require_login)])

QUEUED = {
    "enqueued": 1,
    "message": "Queued 1 file for processing",
    "results": [{"path": "/music/Artist/Album/Track.mp3", "status": "queued"}],
}
DEPTH = {"depth": 11, "pending": 10, "running": 1, "completed": 245, "errors": 2}


class ProcessRequest(BaseModel):
    paths: list[AbsolutePath]
    force: bool = False


@dataclass(frozen=True)
class PathResult:
    """What became of one path: `current` needs nothing, `skipped` holds no audio that Nomarr may take."""

    path: str
    status: Literal["queued", "current", "skipped"]


@dataclass(frozen=True)
class ProcessAnswer:
    """How many files were queued, and what became of each path."""

    enqueued: int
    message: str
    results: list[PathResult]


@dataclass(frozen=True)
class _Place:
    """Where a path leads after resolving links."""

    path: str
    library: Library
    relative: str  # to the library's root, "" for the root itself
    facts: os.stat_result

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.facts.st_mode)

    @property
    def absolute(self) -> str:
        return os.path.join(self.library.root_path, self.relative)


@router.post(
    "/processing/process-files",
    summary="Queue files and folders for analysis",
    responses=example(QUEUED) | problems(400, 401, 403, 404, 409, 413, 503),
)
@needs("enqueue")
def process_files(body: ProcessRequest, db: UseDatabase, settings: UseSettings, clock: UseClock) -> ProcessAnswer:
    """Every path is checked first: if one of them is wrong, nothing is queued."""
    with db.read() as tx:
        enabled = libraries.list_all(tx, enabled_only=True)
    places = find_places(body.paths, enabled)
    _register(db, settings, places)
    with db.read() as tx:
        ids = [_ids(tx, place) for place in places]
    with db.write() as tx:
        now = clock(tx)
        counts = [queue.request_analysis(tx, some, force=body.force, priority=ASKED_FOR, now=now) for some in ids]
        everything = sorted({file_id for some in ids for file_id in some})
        overlaps = len(everything) < sum(map(len, ids))
        enqueued = queue.request_analysis(tx, everything, force=body.force, now=now) if overlaps else sum(counts)
    results = [
        PathResult(place.path, "queued" if count else "current" if some else "skipped")
        for place, some, count in zip(places, ids, counts, strict=True)
    ]
    return ProcessAnswer(enqueued, queued_message(enqueued), results)


@router.get("/queue/queue-depth", summary="How much there is to do", responses=example(DEPTH) | problems(401, 503))
def queue_depth(db: UseDatabase, clock: UseClock) -> QueueDepth:
    with db.read() as tx:
        return queue.queue_depth(tx, now=clock(tx))


def find_places(paths: Iterable[str], enabled: Sequence[Library]) -> list[_Place]:
    """NotFound for a path that does not exist, Forbidden for one outside every enabled library."""
    roots = [(library, os.path.realpath(library.root_path)) for library in enabled]
    return [_find_place(path, roots) for path in paths]


def _find_place(path: str, roots: Iterable[tuple[Library, str]]) -> _Place:
    try:
        real = os.path.realpath(path, strict=True)
        facts = os.stat(real)
    except (OSError, ValueError) as error:
        raise NotFound(f"File not found: {printable(path)}") from error
    for library, root in roots:
        if Path(real).is_relative_to(root):
            relative = os.path.relpath(real, root)
            return _Place(path, library, "" if relative == "." else relative, facts)
    raise Forbidden(f"{printable(path)} lies outside every enabled library")


def _register(db: Database, settings: Settings, places: Iterable[_Place]) -> None:
    """Have a row for every file, as it is now. Only what is new or changed needs a scan for that."""
    to_scan: dict[Library, list[str]] = {}
    with db.read() as tx:
        for place in places:
            if not _is_registered(tx, place):
                to_scan.setdefault(place.library, []).append(place.absolute)
    for library, paths in to_scan.items():
        scan_library(
            db,
            library,
            paths=paths,
            clean_missing=False,
            ignore_patterns=settings.library_ignore_patterns,
            queue_new=False,
            namespace=settings.namespace,
        )


def _is_registered(tx: Transaction, place: _Place) -> bool:
    if place.is_folder:
        return False
    folder, _, name = place.relative.rpartition("/")
    row = files.by_path(tx, place.library.id, folder, name)
    if row is None or row.missing_since is not None:
        return False
    return (row.size, row.mtime_ns) == (place.facts.st_size, place.facts.st_mtime_ns)


def _ids(tx: Transaction, place: _Place) -> list[int]:
    """The files at a place that are not missing."""
    library_id = place.library.id
    if not place.is_folder:
        folder, _, name = place.relative.rpartition("/")
        row = files.by_path(tx, library_id, folder, name)
        return [] if row is None or row.missing_since is not None else [row.id]
    return [
        file.id
        for folder in list(files.folders(tx, library_id, below=place.relative))
        for file in files.in_folder(tx, library_id, folder).values()
        if file.missing_since is None
    ]
