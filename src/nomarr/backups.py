"""Backups of an SQLite database: made while it is in use, checked, kept for some days, and put back."""

from __future__ import annotations

import fcntl
import logging
import os
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from nomarr import config
from nomarr.errors import Conflict, DatabaseProblem, InvalidInput, NomarrError, NotFound, printable
from nomarr.settings import Settings
from nomarr.store import copying, preferences, snapshots
from nomarr.store.database import Database, patches_beside
from nomarr.store.snapshots import Progress

log = logging.getLogger(__name__)

PROBLEM = "backup_problem"  # the preference: when the last backup failed, and why
ON_POSTGRESQL = "PostgreSQL is backed up by its own tools, pg_dump and pg_restore, and by whoever looks after it"
NAME = re.compile(r"nomarr-(\d{8}T\d{6}Z)\.db")
STAMP = "%Y%m%dT%H%M%SZ"
PART = ".part-"  # before the name of what is not complete
SPARE_BYTES = 100_000_000  # left free on the disk
HOUR_MS = 3_600_000
RETRY_MS = HOUR_MS
SILENT_MS = 60_000


class NoRoom(NomarrError):
    """The disk has no room for another copy."""

    status = 507


@dataclass(frozen=True)
class Backup:
    """A complete backup: a database and the patches beside it, which Nomarr could be started on as they are."""

    file: Path
    made_at: int  # milliseconds UTC
    size_bytes: int


def folder(settings: Settings) -> Path:
    return settings.backup_dir or settings.data_dir / "backups"


def found(place: Path) -> list[Backup]:
    """The complete backups in a folder, the newest first."""
    backups = []
    with suppress(OSError):  # whoever makes one will be told
        for file in place.iterdir():
            match = NAME.fullmatch(file.name)
            if match is not None and file.is_file():
                with suppress(ValueError):  # a month 13, for instance
                    at = datetime.strptime(match[1], STAMP).replace(tzinfo=UTC)
                    backups.append(Backup(file, int(at.timestamp() * 1000), _size(file)))
    return sorted(backups, key=lambda backup: backup.made_at, reverse=True)


def make(
    db: Database,
    place: Path,
    *,
    now: int,
    keep: int | None = None,
    with_patches: bool = True,
    progress: Progress = lambda _done, _all: None,
) -> Backup:
    """A new backup in the folder, checked by reading it again; then of each of the last `keep` days one stays.

    Conflict while another is being made there. With `keep` the database notes whether it went well.
    """
    _refuse_postgresql(db)
    try:
        try:
            with _only_one(place):
                backup = _make(db, place, now=now, with_patches=with_patches, progress=progress)
                if keep is not None:
                    _forget_old(place, keep, newest=backup)
        except OSError as error:
            raise DatabaseProblem(f"{printable(place)}: no backup can be made there: {error.strerror}") from error
    except Conflict:
        raise
    except NomarrError as error:
        if keep is not None:
            with suppress(DatabaseProblem), db.write() as tx:
                preferences.put(tx, PROBLEM, {"at": now, "why": str(error)})
        raise
    if keep is not None:
        with db.write() as tx:
            preferences.remove(tx, PROBLEM)
    log.info("backed up to %s, %d MB", backup.file, backup.size_bytes // 1_000_000)
    return backup


def make_if_due(db: Database, settings: Settings, *, progress: Progress = lambda _done, _all: None) -> Backup | None:
    """What the settings ask for, when its time has come; an hour after a failure it is tried again."""
    settings = config.current(db, settings)
    if db.is_postgresql or settings.backup_interval_h == 0:
        return None
    with db.read() as tx:
        now, problem = tx.now_ms(), preferences.get(tx, PROBLEM)
    interval_ms = settings.backup_interval_h * HOUR_MS
    # A clock that was wrong for a while may have left backups of the future, which must not put off all others.
    is_recent = any(abs(now - one.made_at) < interval_ms for one in found(folder(settings)))
    if is_recent or (problem is not None and now - problem["at"] < RETRY_MS):
        return None
    try:
        return make(
            db,
            folder(settings),
            now=now,
            keep=settings.backup_keep,
            with_patches=settings.backup_patches,
            progress=progress,
        )
    except Conflict:
        return None
    except NomarrError as error:
        log.error("the backup failed: %s", error)
        return None


def migrate(db: Database, settings: Settings) -> None:
    """Bring the tables up to what this version needs; a copy of what an older one left is kept first.

    NoRoom where there is none for it, and nothing is changed. On PostgreSQL copies are left to its administrator.
    """
    place = folder(settings)
    if db.is_postgresql or not Path(db.name).exists() or db.outdated() is None:
        db.migrate()
        return
    try:
        with _only_one(place, patiently=True):  # several processes may start at the same moment
            if (revision := db.outdated()) is not None:
                _keep_revision(db, place, revision, with_patches=settings.backup_patches)
            db.migrate()
    except OSError as error:
        raise DatabaseProblem(
            f"{printable(place)}: before the tables change a copy is kept, and none can be made there: {error.strerror}"
        ) from error


def restore(settings: Settings, backup: Path, *, now: int, force: bool = False) -> Path | None:
    """Put a backup in the place of the database; -> the folder to which what was there went, if there was anything.

    The backup is read in full first. Conflict while a process uses the database, unless forced.
    """
    database = Database(settings.database)
    _refuse_postgresql(database)
    if not backup.is_file():
        raise NotFound(f"{printable(backup)}: there is no such file")
    target = Path(database.name)
    if backup.resolve() == target.resolve():
        raise InvalidInput(f"{printable(backup)} is the database itself")
    snapshots.check(backup)
    if target.exists() and not force:
        _refuse_used(database, target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _refuse_narrow(target.parent, _size(backup))
        return _put_in_place(backup, target, now)
    except OSError as error:
        raise DatabaseProblem(f"{printable(target)}: the backup cannot be put there: {error.strerror}") from error


def was_cut_off(database: Database) -> bool:
    """Whether a restore was killed between putting the old database aside and the new one in its place."""
    target = Path(database.name)
    return not database.is_postgresql and not target.exists() and target.with_name(f"{PART}{target.name}").exists()


# making


def _make(db: Database, place: Path, *, now: int, with_patches: bool, progress: Progress) -> Backup:
    while (target := place / f"nomarr-{_stamp(now)}.db").exists():
        now += 1000
    _copy_checked(Path(db.name), target, with_patches=with_patches, progress=progress)
    return Backup(target, now, _size(target))


def _keep_revision(db: Database, place: Path, revision: str, *, with_patches: bool) -> None:
    """In place of an earlier copy of the same version, for that one was put back since. No backup's age removes it."""
    target = place / f"nomarr-tables-{revision}.db"
    log.warning("the tables are those of an older Nomarr: before they change, a copy goes to %s", printable(target))
    try:
        _copy_checked(Path(db.name), target, with_patches=with_patches, progress=lambda _done, _all: None)
    except NoRoom as error:
        raise NoRoom(
            f"Before its tables change, a copy of the database is kept. {error}; make room, or choose another folder "
            "with NOMARR_BACKUP_DIR. Nothing was changed"
        ) from error


def _copy_checked(source: Path, target: Path, *, with_patches: bool, progress: Progress) -> None:
    """Both files at one moment, read again, and there as a whole or not at all."""
    place, part = target.parent, target.with_name(f"{PART}{target.name}")
    _clear_remains(place)
    _refuse_narrow(place, _size(source) if with_patches else source.stat().st_size)
    try:
        counts = snapshots.snapshot(source, part, with_patches=with_patches, progress=progress)
        checked = snapshots.check(part)
        if checked.counts != counts:
            raise DatabaseProblem(f"{printable(target)}: the backup does not hold what the database holds")
        # The patches first: a backup is there when its first file is.
        for made, name in ((patches_beside(part), patches_beside(target)), (part, target)):
            made.chmod(0o600)  # it holds what opens doors: password hashes, Navidrome's password
            os.replace(made, name)
        _to_disk(place)
    finally:
        for left in place.glob(f"{PART}*"):
            left.unlink(missing_ok=True)


def _clear_remains(place: Path) -> None:
    """Removes what a backup or its removal left when it was cut off."""
    for left in place.glob(f"{PART}*"):
        left.unlink(missing_ok=True)
    for left in place.glob("nomarr-*-patches.db"):
        first = left.with_name(left.name.replace("-patches", ""))
        if NAME.fullmatch(first.name) and not first.exists():
            left.unlink(missing_ok=True)


def _forget_old(place: Path, keep: int, *, newest: Backup) -> None:
    """Leaves the newest of each of the last days that have one, and what claims to be made later than the newest."""
    past = [backup for backup in found(place) if backup.made_at <= newest.made_at]
    of_day: dict[str, Backup] = {}
    for backup in past:
        of_day.setdefault(backup.file.name[:15], backup)  # nomarr-20270115
    kept = {backup.file for backup in list(of_day.values())[:keep]}
    for backup in past:
        if backup.file not in kept:
            backup.file.unlink(missing_ok=True)  # the first: what is left then is no backup
            patches_beside(backup.file).unlink(missing_ok=True)


@contextmanager
def _only_one(place: Path, *, patiently: bool = False) -> Iterator[None]:
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (place / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX if patiently else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(f"{printable(place)}: a backup is being made there already") from None
        yield


def is_being_made(place: Path) -> bool:
    """Whether some process is at it."""
    try:
        with (place / ".lock").open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


# putting back


def _refuse_used(database: Database, target: Path) -> None:
    try:
        if not snapshots.is_alone(target):
            raise Conflict(
                f"{printable(target)} is in use: stop the server and its workers, or force it. Nothing was changed"
            )
        with database, database.read() as tx:
            elsewhere = copying.users(tx, now=tx.now_ms(), silent_ms=SILENT_MS, except_host=socket.gethostname())
    except DatabaseProblem as error:
        raise Conflict(
            f"the database is damaged, so that nobody can see whether it is in use ({error}); make sure that no "
            "server and no worker runs, then force it. Nothing was changed"
        ) from error
    if elsewhere:
        raise Conflict(f"{printable(target)} is in use by {', '.join(elsewhere)}. Nothing was changed")


def _put_in_place(backup: Path, target: Path, now: int) -> Path | None:
    fresh = target.with_name(f"{PART}{target.name}")
    try:
        _copy_both(backup, fresh)
        aside = _put_aside(target, now)
        os.replace(patches_beside(fresh), patches_beside(target))
        os.replace(fresh, target)
        _to_disk(target.parent)
    finally:
        for left in (fresh, patches_beside(fresh)):
            left.unlink(missing_ok=True)
    return aside


def _copy_both(backup: Path, fresh: Path) -> None:
    for source, target in ((backup, fresh), (patches_beside(backup), patches_beside(fresh))):
        target.unlink(missing_ok=True)
        if source.exists():
            shutil.copyfile(source, target)
        else:
            snapshots.make_empty_patches(target)
        target.chmod(0o600)
        if os.geteuid() == 0:  # the server may run as somebody else than who types the command, as in a container
            owner = target.parent.stat()
            os.chown(target, owner.st_uid, owner.st_gid)
        with target.open("rb") as content:
            os.fsync(content.fileno())


def _put_aside(target: Path, now: int) -> Path | None:
    """Keeps the files of the database in a folder beside it."""
    names = [f"{file}{end}" for file in (target, patches_beside(target)) for end in ("", "-wal", "-shm", "-journal")]
    there = [Path(name) for name in names if os.path.lexists(name)]
    if not there:
        return None
    aside = target.with_name(f"replaced-{_stamp(now)}")
    aside.mkdir(mode=0o700)
    for file in there:
        os.replace(file, aside / file.name)
    return aside


# both


def _refuse_postgresql(db: Database) -> None:
    if db.is_postgresql:
        raise Conflict(ON_POSTGRESQL)


def _refuse_narrow(place: Path, needed: int) -> None:
    free = shutil.disk_usage(place).free
    if free < needed + SPARE_BYTES:
        raise NoRoom(
            f"{printable(place)}: {_megabytes(needed + SPARE_BYTES)} are needed for the copy, and {_megabytes(free)} "
            "are free"
        )


def _size(file: Path) -> int:
    """Of both files, with what has not been moved into them yet."""
    names = [f"{one}{end}" for one in (file, patches_beside(file)) for end in ("", "-wal")]
    return sum(Path(name).stat().st_size for name in names if Path(name).exists())


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:,.0f} MB"


def _stamp(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime(STAMP)


def _to_disk(place: Path) -> None:
    descriptor = os.open(place, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
