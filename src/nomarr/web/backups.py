"""Backups of the database: which there are, whether they are made, another one now, and their files."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from fastapi.responses import FileResponse

from nomarr import backups
from nomarr.backups import HOUR_MS, ON_POSTGRESQL, PROBLEM, Backup
from nomarr.errors import Conflict, NomarrError, NotFound
from nomarr.settings import Settings
from nomarr.store import preferences
from nomarr.store.database import Database, patches_beside
from nomarr.web.answers import Done, example, problems, utc
from nomarr.web.auth import needs, require_login
from nomarr.web.context import UseClock, UseDatabase, UseSettings

log = logging.getLogger(__name__)
router = APIRouter(prefix="/api/web/backups", tags=["system"], dependencies=[Depends(require_login)])

FileName = Annotated[str, Path(min_length=1, max_length=100)]
EXAMPLE = {
    "state": "ok",
    "about": "A backup is made every 24 hours; of each of the last 7 days one is kept.",
    "problem": None,
    "next_at": "2027-01-16T08:00:00Z",
    "backups": [
        {
            "name": "nomarr-20270115T080000Z.db",
            "files": ["nomarr-20270115T080000Z.db", "nomarr-20270115T080000Z-patches.db"],
            "made_at": "2027-01-15T08:00:00Z",
            "size_bytes": 184320000,
        }
    ],
}
FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            "application/vnd.sqlite3": {"schema": {"type": "string", "format": "binary"}, "example": "the file's bytes"}
        }
    }
}


@dataclass(frozen=True)
class BackupAnswer:
    """A complete backup, which `nomarr restore` takes by its name."""

    name: str
    files: list[str]
    made_at: str
    size_bytes: int


@dataclass(frozen=True)
class BackupsAnswer:
    """`state`: ok, running, failed (`problem` says why), off, or elsewhere: on PostgreSQL, whose own tools do it."""

    state: str
    about: str
    problem: str | None
    next_at: str | None
    backups: list[BackupAnswer]


@router.get("", summary="List the backups", responses=example(EXAMPLE) | problems(401, 403, 503))
@needs("admin")
def list_backups(db: UseDatabase, settings: UseSettings, clock: UseClock) -> BackupsAnswer:
    """The newest first. The next one comes within a minute of `next_at`, null where none is made on time."""
    if db.is_postgresql:
        return BackupsAnswer("elsewhere", f"{ON_POSTGRESQL}.", None, None, [])
    with db.read() as tx:
        now, problem = clock(tx), preferences.get(tx, PROBLEM)
    found = backups.found(backups.folder(settings))
    is_off = settings.backup_interval_h == 0
    made_at = [one.made_at for one in found if one.made_at <= now]
    next_at = made_at[0] + settings.backup_interval_h * HOUR_MS if made_at else now
    if problem is not None:
        next_at = max(next_at, problem["at"] + backups.RETRY_MS)
    return BackupsAnswer(
        state=_state(settings, has_problem=problem is not None),
        about=_about(settings),
        problem=None if problem is None else problem["why"],
        next_at=None if is_off else utc(max(next_at, now)),
        backups=[_answer(backup) for backup in found],
    )


@router.post(
    "",
    status_code=202,
    summary="Back the database up now",
    responses=example({"message": "A backup is being made", "status": "success"}, status=202)
    | problems(401, 403, 409, 503),
)
def make_backup(db: UseDatabase, settings: UseSettings, clock: UseClock) -> Done:
    """Answers at once; the list says `running`, then `ok` or `failed`."""
    if db.is_postgresql:
        raise Conflict(ON_POSTGRESQL)
    if backups.is_being_made(backups.folder(settings)):
        raise Conflict("A backup is being made already")
    with db.read() as tx:
        now = clock(tx)
    threading.Thread(target=_make, args=(db, settings, now), name="backup", daemon=True).start()
    return Done("A backup is being made")


@router.get(
    "/{name}",
    summary="Download a file of a backup",
    response_class=FileResponse,
    responses=FILE | problems(400, 401, 403, 404, 503),
)
@needs("admin")
def download(name: FileName, settings: UseSettings) -> FileResponse:
    """One of the `files` of the list. Keep it as you keep your passwords: it holds what logins are compared with."""
    for backup in backups.found(backups.folder(settings)):
        for file in (backup.file, patches_beside(backup.file)):
            if file.name == name and file.is_file():
                return FileResponse(file, media_type="application/vnd.sqlite3", filename=name)
    raise NotFound("There is no such backup")


def _make(db: Database, settings: Settings, now: int) -> None:
    try:
        backups.make(
            db,
            backups.folder(settings),
            now=now,
            keep=settings.backup_keep,
            with_patches=settings.backup_patches,
        )
    except NomarrError as error:  # the list says so
        log.error("the backup failed: %s", error)


def _state(settings: Settings, *, has_problem: bool) -> str:
    if backups.is_being_made(backups.folder(settings)):
        return "running"
    return "failed" if has_problem else "off" if settings.backup_interval_h == 0 else "ok"


def _about(settings: Settings) -> str:
    if settings.backup_interval_h == 0:
        return "Backups are made only when somebody asks for one."
    return (
        f"A backup is made every {settings.backup_interval_h} hours; "
        f"of each of the last {settings.backup_keep} days one is kept."
    )


def _answer(backup: Backup) -> BackupAnswer:
    files = [file.name for file in (backup.file, patches_beside(backup.file)) if file.is_file()]
    return BackupAnswer(backup.file.name, files, utc(backup.made_at), backup.size_bytes)
