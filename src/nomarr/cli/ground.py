"""What several commands stand on: the database brought up to date, the models in place, the library of a path."""

from __future__ import annotations

import logging
import os
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console

from nomarr import backups
from nomarr.errors import Conflict, DatabaseProblem, DatabaseTooNew, NotFound, SettingsError, printable
from nomarr.inference import packs
from nomarr.inference.catalog import Suite, read_suite
from nomarr.settings import Settings
from nomarr.store import copying, libraries, preferences
from nomarr.store.database import Database, Transaction
from nomarr.store.libraries import Library
from nomarr.tagfiles.leftovers import remove_stale_copies

log = logging.getLogger(__name__)


def open_database(settings: Settings) -> Database:
    """The database of the settings, with the tables this version needs."""
    _make_writable(settings.data_dir)
    try:
        db = Database(settings.database)
        if backups.was_cut_off(db):  # an empty one must not take its place
            raise Conflict(f"{db.name}: a restore was cut off, and the old database is put aside; run it again")
        backups.migrate(db, settings)
        _refuse_half_a_copy(db)
    except DatabaseTooNew:
        raise
    except DatabaseProblem as error:
        if settings.database_url is None:
            raise
        raise DatabaseProblem(f"{error}; check NOMARR_DATABASE_URL, and that its server runs") from error
    return db


def _refuse_half_a_copy(db: Database) -> None:
    with db.read() as tx:
        source = preferences.get(tx, copying.MARK)
    if source is not None:
        raise Conflict(f"{db.name} is a copy of {source} that is not complete; run `nomarr db copy` again")


def _make_writable(folder: Path) -> None:
    """The folder, made where there is none; SettingsError where nothing can be written into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise SettingsError(
            f"{printable(folder)}: Nomarr's data cannot be kept there ({error.strerror}); let user {os.geteuid()} "
            "write into it, or choose another folder with NOMARR_DATA_DIR"
        ) from error


def ready_models(settings: Settings, console: Console) -> Suite:
    """The suite in the models folder; an empty folder first gets the default packs."""
    if packs.needs_default_packs(settings.models):
        packs.install_missing(settings.models, progress=lambda text: console.print(text, markup=False))
    suite = read_suite(settings.models)
    for problem in suite.problems:
        console.print(f"left out: {problem}", style="yellow", markup=False, soft_wrap=True)
    return suite


def existing(path: Path) -> Path:
    """The path, absolute and with links resolved; NotFound where there is nothing."""
    if not path.exists():
        raise NotFound(f"{printable(path)}: there is no such file or folder")
    return path.resolve()


def library_for(tx: Transaction, path: Path, settings: Settings, *, now: int, is_enabled: bool) -> Library:
    """The library that holds the path; made where there is none.

    Libraries that an earlier run made inside the path become part of the new, wider one.
    """
    library = libraries.containing(tx, path)
    if library is not None:
        if is_enabled and library.origin == "tag" and not library.is_enabled and path.is_dir():
            return libraries.update(tx, library.id, now=now, is_enabled=True)
        return library
    root = path if path.is_dir() else path.parent
    data_dir = Path(os.path.realpath(settings.data_dir))
    if data_dir.is_relative_to(root):
        raise Conflict(f"{printable(root)} holds Nomarr's own data ({data_dir}); choose the folder of the music")
    everything = libraries.list_all(tx)
    inside = [one for one in everything if Path(os.path.realpath(one.root_path)).is_relative_to(root)]
    chosen = next((one.name for one in inside if one.origin != "tag"), None)
    if chosen is not None:
        raise Conflict(f"{printable(root)} holds the library {chosen!r}; name its folder, or widen the library")
    name = _free_name(root, {one.name for one in everything} - {one.name for one in inside})
    if inside:
        library = libraries.widen(tx, into_root=root, libraries=inside, name=name, now=now)
        return libraries.update(tx, library.id, now=now, is_enabled=is_enabled and path.is_dir())
    return libraries.create(
        tx, name=name, root_path=root, now=now, origin="tag", is_enabled=is_enabled and path.is_dir()
    )


def clear_leftovers(roots: Iterable[Path]) -> None:
    """Removes what killed writers left beside the music, and completes what they were in the middle of."""
    for root in roots:
        for path in remove_stale_copies(root, now=time.time()):
            log.info("removed %s, which a killed process had left", printable(path))


def clear_leftovers_beside(db: Database) -> None:
    """The same for every enabled library, in a thread: a million files on a slow disk must not hold a start up."""
    with db.read() as tx:
        roots = [Path(library.root_path) for library in libraries.list_all(tx, enabled_only=True)]
    threading.Thread(target=clear_leftovers, args=(roots,), name="leftovers", daemon=True).start()


def _free_name(root: Path, taken: set[str]) -> str:
    base = printable(root.name or str(root))
    number, name = 1, base
    while name in taken:
        number += 1
        name = f"{base} {number}"
    return name
