"""nomarr db copy | backup | restore | export | import: the data, out of one place and into another."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from nomarr import backups, config
from nomarr.cli.ground import open_database
from nomarr.errors import Conflict, InvalidInput, NotFound, printable
from nomarr.exchange import export_results, import_results
from nomarr.settings import Settings, load_settings
from nomarr.store import copying
from nomarr.store.database import Database

console = Console(stderr=True)  # stdout may be where results go


def run_copy(to: str, source: str | None, *, with_patches: bool, restart: bool, force: bool) -> int:
    settings = load_settings()
    with _existing(load_settings(database_url=source)) as old, Database(to) as new:
        backups.migrate(old, settings)
        with old.read() as tx:
            users = copying.users(tx, now=tx.now_ms(), silent_ms=settings.lease_s * 1000)
        if users and not force:
            raise Conflict(
                f"{old.name} is in use by {', '.join(users)}: stop them first, or what they do meanwhile is missing in "
                "the copy; --force copies all the same"
            )
        if users:
            console.print(f"What {', '.join(users)} do from now on is missing in the copy.", style="yellow")
        new.migrate()
        with _bar() as bar:
            task = bar.add_task("copying")

            def show(what: str, table: str, done: int, total: int) -> None:
                bar.update(task, description=f"{what} {table}", completed=done, total=total)

            copied = copying.copy(old, new, with_patches=with_patches, restart=restart, progress=show)
    for table in copied:
        if table.rows:
            console.print(f"{table.table}: {table.rows} rows, checksum {table.checksum[:12]}", highlight=False)
    console.print(
        f"All of it is in {new.name}, and the same. Set NOMARR_DATABASE_URL to use it.", markup=False, soft_wrap=True
    )
    return 0


def run_backup(to: Path | None, *, with_patches: bool) -> int:
    settings = load_settings()
    with _existing(settings) as db:  # as it is: a backup before an update is of the tables before it
        settings = config.current(db, settings)
        with db.read() as tx:
            now = tx.now_ms()
        with _bar() as bar:
            task = bar.add_task("backing up")
            backup = backups.make(
                db,
                to or backups.folder(settings),
                now=now,
                keep=settings.backup_keep if to is None else None,
                with_patches=with_patches and (to is not None or settings.backup_patches),
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
    console.print(f"{printable(backup.file)}, {backup.size_bytes / 1e6:,.1f} MB, checked", markup=False, soft_wrap=True)
    return 0


def run_restore(file: Path, *, force: bool) -> int:
    settings = load_settings()
    if not file.exists() and file.name == str(file):
        file = backups.folder(settings) / file  # one of `ls <data>/backups`, by its name alone
    aside = backups.restore(settings, file, now=time.time_ns() // 1_000_000, force=force)
    with open_database(settings):
        pass  # brought up to date, if the backup is of an older version
    console.print(f"{printable(file)} is now the database.", markup=False, soft_wrap=True)
    if aside is not None:
        console.print(f"What was there before is kept in {printable(aside)}.", markup=False, soft_wrap=True)
    return 0


def run_export(file: str, *, with_embeddings: bool) -> int:
    settings = load_settings()
    with _existing(settings) as db, _bar() as bar, _written(file) as out:
        backups.migrate(db, settings)
        task = bar.add_task("exporting")
        count = export_results(
            db,
            out,
            with_embeddings=with_embeddings,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    console.print(f"Results of {_files(count)} exported.", highlight=False)
    return 0


def run_import(file: str) -> int:
    settings = load_settings()
    with open_database(settings) as db, _bar() as bar, _read(file) as lines:
        task = bar.add_task("importing")
        done = import_results(
            db,
            config.current(db, settings),
            lines,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    console.print(
        f"{_files(done.taken)} took results over, {done.known} had their own; corrections of {_files(done.corrected)}, "
        f"{done.calibrations} calibrations.",
        highlight=False,
        soft_wrap=True,
    )
    if done.absent:
        console.print(
            f"{_files(done.absent)} of the export are not here, or were not scanned yet (nomarr scan).",
            style="yellow",
            soft_wrap=True,
        )
    return 0


def _existing(settings: Settings) -> Database:
    """The database of the settings; NotFound where that would be a new, empty one."""
    db = Database(settings.database)
    if not db.is_postgresql and not Path(db.name).exists():
        raise NotFound(f"{printable(db.name)}: there is no database")
    return db


@contextmanager
def _written(file: str) -> Iterator[BinaryIO]:
    """A file that is there as a whole or not at all; `-` is stdout."""
    if file == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    target = Path(file)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
    except OSError as error:
        raise InvalidInput(f"{printable(target)}: cannot be written: {error.strerror}") from error
    try:
        with os.fdopen(handle, "wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        os.replace(name, target)
    except OSError as error:
        raise InvalidInput(f"{printable(target)}: cannot be written: {error.strerror}") from error
    finally:
        Path(name).unlink(missing_ok=True)


@contextmanager
def _read(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield sys.stdin.buffer
        return
    try:
        lines = Path(file).open("rb")  # noqa: SIM115 (closed below)
    except OSError as error:
        raise InvalidInput(f"{printable(file)}: cannot be read: {error.strerror}") from error
    with lines:
        yield lines


def _bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"
