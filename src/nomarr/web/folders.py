"""Looking for a folder of music, within the places where one may lie."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from nomarr.errors import Forbidden, InvalidInput, NotFound, printable
from nomarr.settings import Settings
from nomarr.store import libraries
from nomarr.store.database import Database
from nomarr.web.answers import example, problems
from nomarr.web.auth import needs, require_login
from nomarr.web.context import UseDatabase, UseSettings
from nomarr.web.paths import AbsolutePath

router = APIRouter(prefix="/api/web/fs", tags=["libraries"], dependencies=[Depends(require_login)])

USUAL_ROOTS = ("~", "/music", "/media", "/mnt", "/data", "/srv")
MOST_ENTRIES = 20_000  # looked at in one folder
MOST_FOLDERS = 1000  # listed of it
EXAMPLE = {
    "path": "/music",
    "parent": None,
    "folders": [{"name": "Artist", "path": "/music/Artist", "is_readable": True}],
    "truncated": False,
}


@dataclass(frozen=True)
class FolderEntry:
    """A folder to go into or to choose. `path` is where it really lies, links resolved."""

    name: str
    path: str
    is_readable: bool


@dataclass(frozen=True)
class FolderListing:
    """The folders in one; `path` and `parent` are null where no further up may be looked."""

    path: str | None
    parent: str | None
    folders: list[FolderEntry]
    truncated: bool


@router.get("/list", summary="Folders in a folder", responses=example(EXAMPLE) | problems(400, 401, 403, 404, 503))
@needs("admin")
def list_folders(
    db: UseDatabase,
    settings: UseSettings,
    path: Annotated[AbsolutePath | None, Query(description="Left out: the places where to begin")] = None,
) -> FolderListing:
    """Only below the setting `browse_roots` and the libraries. Hidden folders and files are left out."""
    roots = browse_roots(db, settings)
    if path is None:
        return FolderListing(None, None, [_entry(root, root) for root in roots], truncated=False)
    real = os.path.realpath(path)
    if not is_within(real, roots):
        raise Forbidden(f"{printable(path)} lies outside the folders that may be looked into")
    folders, is_cut = _folders(real, path, roots)
    parent = os.path.dirname(real)
    return FolderListing(real, parent if is_within(parent, roots) else None, folders, is_cut)


def browse_roots(db: Database, settings: Settings) -> list[str]:
    """The folders that may be looked into and exist, links resolved."""
    wanted = USUAL_ROOTS if settings.browse_roots is None else settings.browse_roots
    with db.read() as tx:
        of_libraries = [library.root_path for library in libraries.list_all(tx)]
    found = (os.path.realpath(os.path.expanduser(root)) for root in (*wanted, *of_libraries))
    return [root for root in dict.fromkeys(found) if os.path.isdir(root)]


def is_within(real: str, roots: Sequence[str]) -> bool:
    return any(Path(real).is_relative_to(root) for root in roots)


def _folders(real: str, path: str, roots: Sequence[str]) -> tuple[list[FolderEntry], bool]:
    """The folders right in a folder, by name, and whether some were left out for their number."""
    try:
        with os.scandir(real) as entries:
            looked_at = list(islice(entries, MOST_ENTRIES + 1))
    except FileNotFoundError as error:
        raise NotFound(f"Folder not found: {printable(path)}") from error
    except OSError as error:
        raise InvalidInput(f"{printable(path)}: cannot be listed: {error.strerror}") from error
    names = sorted((entry.name for entry in looked_at[:MOST_ENTRIES] if _is_shown(entry)), key=str.casefold)
    places = [(name, os.path.realpath(os.path.join(real, name))) for name in names[: MOST_FOLDERS + 1]]
    shown = [_entry(name, place) for name, place in places[:MOST_FOLDERS] if is_within(place, roots)]
    return shown, len(looked_at) > MOST_ENTRIES or len(places) > MOST_FOLDERS


def _is_shown(entry: os.DirEntry[str]) -> bool:
    try:
        entry.name.encode()
        return not entry.name.startswith(".") and entry.is_dir()
    except (OSError, UnicodeEncodeError):
        return False


def _entry(name: str, place: str) -> FolderEntry:
    return FolderEntry(name, place, os.access(place, os.R_OK | os.X_OK))
