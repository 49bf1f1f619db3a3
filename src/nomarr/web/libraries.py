"""The libraries: what there is, adding and changing them, and scans."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path as Folder
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, StringConstraints

from nomarr.errors import Conflict, InvalidInput, NotFound, printable
from nomarr.folders import readable_root
from nomarr.scan import scan_library
from nomarr.settings import OLD_WRITE_MODES, Settings, StandardField, WriteMode
from nomarr.store import libraries, scans
from nomarr.store.libraries import Library, LibraryCounts, LibraryStats
from nomarr.web.answers import Done, example, problems, queued_message, utc
from nomarr.web.auth import needs, require_login
from nomarr.web.context import UseClock, UseDatabase, UseSettings
from nomarr.web.memory import UseMemory
from nomarr.web.paths import AbsolutePath

router = APIRouter(prefix="/api/web/libraries", tags=["libraries"], dependencies=[Depends(require_login)])


EXAMPLE = {
    "id": 1,
    "name": "Main Library",
    "root_path": "/music",
    "is_enabled": True,
    "created_at": "2027-01-15T08:00:00Z",
    "updated_at": "2027-01-15T08:00:00Z",
    "file_count": 18432,
    "tagged_count": 18400,
    "scan_status": "complete",
    "scan_error": None,
    "file_write_mode": None,
    "standard_fields": None,
    "watch_mode": "off",
    "watch_problem": None,
}
STATS = {"total_files": 18432, "unique_artists": 1247, "unique_albums": 3201, "total_duration_seconds": 5443200.5}


def _without_control_characters(name: str) -> str:
    if not name.isprintable():
        raise ValueError("a name cannot hold line breaks or control characters")
    return name


def _today(mode: object) -> object:
    return OLD_WRITE_MODES.get(mode, mode) if isinstance(mode, str) else mode


LibraryId = Annotated[int, Path(ge=1, le=2**63 - 1)]  # as far as a database can count
Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(_without_control_characters),
]
Mode = Annotated[WriteMode, BeforeValidator(_today)]
WatchMode = Literal["off", "events", "poll"]
ABOUT_STANDARD = "which of MOOD and GENRE are filled where a file has none of its own; null: as the settings say"


class NewLibrary(BaseModel):
    name: Name
    root_path: AbsolutePath
    is_enabled: bool = True
    file_write_mode: Mode | None = Field(default=None, description="null: as the settings say")
    standard_fields: list[StandardField] | None = Field(default=None, max_length=2, description=ABOUT_STANDARD)
    watch_mode: WatchMode = Field(
        default="off", description="events: as the system tells; poll: by looking, for network folders"
    )


class LibraryChange(BaseModel):
    """What is left out stays as it is."""

    name: Name = Field(default_factory=str)
    root_path: AbsolutePath = Field(default_factory=str)
    is_enabled: bool = Field(default_factory=bool)
    file_write_mode: Mode | None = Field(default=None, description="null: as the settings say")
    standard_fields: list[StandardField] | None = Field(default=None, max_length=2, description=ABOUT_STANDARD)
    watch_mode: WatchMode = Field(default="off", description="off, events or poll")


class ScanRequest(BaseModel):
    paths: list[AbsolutePath] | None = Field(
        default=None, description="files and folders of the library; null: all of it"
    )
    recursive: bool = Field(default=True, description="also the folders below")
    force: bool = Field(default=False, description="queue files again that did not change")
    clean_missing: bool = Field(default=True, description="mark vanished files as missing")


@dataclass(frozen=True)
class LibraryAnswer:
    """A library, and how far it is. `file_write_mode` and `standard_fields` are null where the settings decide.

    `watch_problem` says why the library is not watched as `watch_mode` asks for, and what to do about it.
    """

    id: int
    name: str
    root_path: str
    is_enabled: bool
    created_at: str
    updated_at: str
    file_count: int
    tagged_count: int
    scan_status: str
    scan_error: str | None
    file_write_mode: str | None
    standard_fields: list[str] | None
    watch_mode: str
    watch_problem: str | None


@dataclass(frozen=True)
class ScanAnswer:
    """How many files the scan queued."""

    queued: int
    message: str


@router.get("", summary="List the libraries", responses=example([EXAMPLE]) | problems(400, 401, 503))
def list_libraries(db: UseDatabase, clock: UseClock, enabled_only: bool = False) -> list[LibraryAnswer]:
    with db.read() as tx:
        counts, now = libraries.counts(tx), clock(tx)
        found = libraries.list_all(tx, enabled_only=enabled_only)
    return [_answer(library, counts, now=now) for library in found]


@router.get("/stats", summary="Numbers over the enabled libraries", responses=example(STATS) | problems(401, 503))
def stats(db: UseDatabase, memory: UseMemory) -> LibraryStats:
    with db.read() as tx:
        # Only scans change what is counted, and a scan leaves its mark with the library.
        return memory.recall("library stats", tuple(libraries.list_all(tx)), lambda: libraries.stats(tx))


@router.post(
    "",
    status_code=201,
    summary="Add a library",
    responses=example(EXAMPLE, status=201) | problems(400, 401, 403, 409, 413, 503),
)
def create_library(body: NewLibrary, db: UseDatabase, settings: UseSettings, clock: UseClock) -> LibraryAnswer:
    root = _usable_root(body.root_path, settings)
    with db.write() as tx:
        library = libraries.create(
            tx,
            name=body.name,
            root_path=root,
            is_enabled=body.is_enabled,
            file_write_mode=body.file_write_mode,
            standard_fields=body.standard_fields,
            watch_mode=body.watch_mode,
            now=clock(tx),
        )
    return _answer(library, {}, now=library.created_at)


@router.get("/{library_id}", summary="One library", responses=example(EXAMPLE) | problems(400, 401, 404, 503))
def get_library(library_id: LibraryId, db: UseDatabase, clock: UseClock) -> LibraryAnswer:
    with db.read() as tx:
        return _answer(libraries.get(tx, library_id), libraries.counts(tx), now=clock(tx))


@router.patch(
    "/{library_id}",
    summary="Change a library",
    responses=example(EXAMPLE) | problems(400, 401, 403, 404, 409, 413, 503),
)
def change_library(
    library_id: LibraryId, body: LibraryChange, db: UseDatabase, settings: UseSettings, clock: UseClock
) -> LibraryAnswer:
    """With another `root_path` all files are kept by their paths below it: for a folder that was moved."""
    given = body.model_dump(exclude_unset=True)
    root = given.pop("root_path", None)
    with db.read() as tx:
        old = libraries.get(tx, library_id)
    if root is not None and os.path.abspath(root) != old.root_path:
        given["root_path"] = _usable_root(root, settings)
    with db.write() as tx:
        if "root_path" in given:
            _refuse_during_scan(libraries.get(tx, library_id), now=clock(tx))
        library = libraries.update(tx, library_id, now=clock(tx), **given)
        return _answer(library, libraries.counts(tx), now=clock(tx))


@router.delete(
    "/{library_id}",
    summary="Remove a library",
    responses=example({"message": "Removed library Main Library", "status": "success"})
    | problems(400, 401, 403, 404, 409, 503),
)
def delete_library(library_id: LibraryId, db: UseDatabase, clock: UseClock) -> Done:
    """Forgets all that is known about its files. The files stay, with the tags that they carry."""
    with db.write() as tx:
        library = libraries.get(tx, library_id)
        _refuse_during_scan(library, now=clock(tx))
        libraries.delete(tx, library_id)
    return Done(f"Removed library {library.name}")


@router.post(
    "/{library_id}/scan",
    summary="Scan a library",
    responses=example({"queued": 15, "message": "Queued 15 files for processing"})
    | problems(400, 401, 403, 404, 409, 413, 503),
)
@needs("enqueue")
def scan(library_id: LibraryId, db: UseDatabase, settings: UseSettings, body: ScanRequest | None = None) -> ScanAnswer:
    """Answers when all files are registered; the workers listen to those that were queued."""
    asked = body or ScanRequest()
    with db.read() as tx:
        library = libraries.get(tx, library_id)
    result = scan_library(
        db,
        library,
        paths=asked.paths,
        recursive=asked.recursive,
        force=asked.force,
        clean_missing=asked.clean_missing,
        ignore_patterns=settings.library_ignore_patterns,
        queue_new=settings.library_auto_tag,
        namespace=settings.namespace,
    )
    return ScanAnswer(result.queued, queued_message(result.queued))


@router.delete(
    "/{library_id}/scan",
    summary="Cancel a scan",
    responses=example({"message": "Cancelled the scan of library Main Library", "status": "success"})
    | problems(400, 401, 403, 404, 409, 503),
)
@needs("enqueue")
def cancel_scan(library_id: LibraryId, db: UseDatabase, clock: UseClock) -> Done:
    """Whoever runs the scan: it ends within seconds, and writes nothing more. What it has found so far stays."""
    with db.write() as tx:
        scans.cancel(tx, library_id, now=clock(tx))
        return Done(f"Cancelled the scan of library {libraries.get(tx, library_id).name}")


def _answer(library: Library, counts: dict[int, LibraryCounts], *, now: int) -> LibraryAnswer:
    count = counts.get(library.id, LibraryCounts(library.id, 0, 0, 0))
    return LibraryAnswer(
        id=library.id,
        name=library.name,
        root_path=library.root_path,
        is_enabled=library.is_enabled,
        created_at=utc(library.created_at),
        updated_at=utc(library.updated_at),
        file_count=count.file_count,
        tagged_count=count.tagged_count,
        scan_status=library.scan_status(now=now),
        scan_error=library.scan_failure(now=now),
        file_write_mode=library.file_write_mode,
        standard_fields=library.own_standard_fields,
        watch_mode=library.watch_mode,
        watch_problem=library.watch_problem,
    )


def _usable_root(root_path: str, settings: Settings) -> str:
    """The folder without `..` and the like. InvalidInput if it cannot be a library's."""
    root = os.path.abspath(root_path)
    try:
        readable_root(root)
    except NotFound as error:
        raise InvalidInput(str(error)) from error
    resolved = Folder(os.path.realpath(root))
    data = Folder(os.path.realpath(settings.data_dir.expanduser()))
    if data.is_relative_to(resolved):
        raise InvalidInput(f"{printable(root)} holds Nomarr's own data directory")
    if resolved.is_relative_to(data):
        raise InvalidInput(f"{printable(root)} lies in Nomarr's own data directory")
    return root


def _refuse_during_scan(library: Library, *, now: int) -> None:
    if library.is_being_scanned(now=now):
        raise Conflict(f"Library {library.name} is being scanned; try again when the scan is through")
