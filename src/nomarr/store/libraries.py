"""Libraries: folders of music that belong together, none of which lies inside another."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nomarr.errors import Conflict, InvalidInput, NotFound, printable
from nomarr.store import identity
from nomarr.store.database import Transaction

SCAN_SILENT_MS = 60_000  # a running scan says so every few seconds; after this it died
WRITE_MODES = ("native", "moods", "none")
SCAN_DIED = "its process ended before the scan did"
SCAN_CANCELLED = "somebody cancelled it"
UNCHANGED: Any = object()  # None means something for some of the columns

COLUMNS = """
    id, name, root_path, is_enabled, origin, file_write_mode, standard_fields, watch_mode, watch_problem,
    created_at, updated_at, scan_started_at, scan_finished_at, scan_heartbeat_at, scan_error, scan_owner, whole_scan_at
"""


@dataclass(frozen=True)
class Library:
    """A library; `origin` says whether a person made it or tagging a path did."""

    id: int
    name: str
    root_path: str
    is_enabled: bool
    origin: str
    file_write_mode: str | None
    standard_fields: str | None  # "mood,genre"
    watch_mode: str
    watch_problem: str | None
    created_at: int
    updated_at: int
    scan_started_at: int | None
    scan_finished_at: int | None
    scan_heartbeat_at: int | None
    scan_error: str | None
    scan_owner: str | None
    whole_scan_at: int | None

    @property
    def own_standard_fields(self) -> list[str] | None:
        return None if self.standard_fields is None else list(filter(None, self.standard_fields.split(",")))

    def is_being_scanned(self, *, now: int) -> bool:
        """Whether a scan runs and is alive."""
        return self.scan_owner is not None and (self.scan_heartbeat_at or 0) >= now - SCAN_SILENT_MS

    def scan_status(self, *, now: int) -> str:
        """`scanning`, `cancelled`, `failed`, `complete` or `never`."""
        if self.is_being_scanned(now=now):
            return "scanning"
        if self.scan_error == SCAN_CANCELLED:
            return "cancelled"
        if self.scan_failure(now=now) is not None:
            return "failed"
        return "never" if self.scan_finished_at is None else "complete"

    def scan_failure(self, *, now: int) -> str | None:
        """Why the last scan did not come to its end: what it said itself, or that its process died."""
        if self.scan_owner is not None and not self.is_being_scanned(now=now):
            return SCAN_DIED
        return self.scan_error


@dataclass(frozen=True)
class LibraryStats:
    """What the enabled libraries hold, missing files left out."""

    total_files: int
    unique_artists: int
    unique_albums: int
    total_duration_seconds: float


@dataclass(frozen=True)
class LibraryCounts:
    """The files of one library, missing ones left out, and those whose analysis is current."""

    library_id: int
    file_count: int
    tagged_count: int
    missing_count: int


def create(
    tx: Transaction,
    *,
    name: str,
    root_path: str | os.PathLike[str],
    now: int,
    origin: str = "user",
    is_enabled: bool = True,
    file_write_mode: str | None = None,
    standard_fields: Sequence[str] | None = None,
    watch_mode: str = "off",
) -> Library:
    """A new library. Conflict if its name is taken or its folder overlaps another library's."""
    root = _clean_root(root_path)
    _check(name=name, root=root, file_write_mode=file_write_mode, beside=list_all(tx))
    library_id = tx.scalar(
        """
        INSERT INTO libraries ( name,  root_path,  is_enabled,  origin,  file_write_mode,  standard_fields,
                                watch_mode, created_at, updated_at)
        VALUES                (:name, :root,      :is_enabled, :origin, :file_write_mode, :standard_fields,
                               :watch_mode, :now, :now)
        RETURNING id
        """,
        watch_mode=watch_mode,
        name=name,
        root=root,
        is_enabled=is_enabled,
        origin=origin,
        file_write_mode=file_write_mode,
        standard_fields=_as_text(standard_fields),
        now=now,
    )
    return get(tx, library_id)


def list_all(tx: Transaction, *, enabled_only: bool = False) -> list[Library]:
    condition = "WHERE is_enabled" if enabled_only else ""
    return [Library(**row) for row in tx.all(f"SELECT {COLUMNS} FROM libraries {condition} ORDER BY id")]


def get(tx: Transaction, library_id: int) -> Library:
    row = tx.one(f"SELECT {COLUMNS} FROM libraries WHERE id = :id", id=library_id)
    if row is None:
        raise NotFound(f"Library not found: {library_id}")
    return Library(**row)


def update(
    tx: Transaction,
    library_id: int,
    *,
    now: int,
    name: str = UNCHANGED,
    root_path: str | os.PathLike[str] = UNCHANGED,
    is_enabled: bool = UNCHANGED,
    file_write_mode: str | None = UNCHANGED,
    standard_fields: Sequence[str] | None = UNCHANGED,
    watch_mode: str = UNCHANGED,
) -> Library:
    """The library with what was given changed. Moving its root keeps all files by their relative paths."""
    old = get(tx, library_id)
    new: dict[str, Any] = {
        "name": old.name if name is UNCHANGED else name,
        "root": old.root_path if root_path is UNCHANGED else _clean_root(root_path),
        "file_write_mode": old.file_write_mode if file_write_mode is UNCHANGED else file_write_mode,
    }
    others = [library for library in list_all(tx) if library.id != library_id]
    _check(**new, beside=others)
    tx.run(
        """
        UPDATE libraries
           SET name = :name, root_path = :root, is_enabled = :is_enabled,
               file_write_mode = :file_write_mode, standard_fields = :standard_fields, watch_mode = :watch_mode,
               updated_at = :now
         WHERE id = :id
        """,
        id=library_id,
        is_enabled=old.is_enabled if is_enabled is UNCHANGED else is_enabled,
        watch_mode=old.watch_mode if watch_mode is UNCHANGED else watch_mode,
        standard_fields=old.standard_fields if standard_fields is UNCHANGED else _as_text(standard_fields),
        now=now,
        **new,
    )
    return get(tx, library_id)


def delete(tx: Transaction, library_id: int) -> None:
    """Forget the library and all that is known about its files; the files themselves stay untouched."""
    tx.run(
        """
        DELETE FROM patches.patch_embeddings
         WHERE file_id IN (SELECT id FROM library_files WHERE library_id = :id)
        """,
        id=library_id,
    )
    if tx.run("DELETE FROM libraries WHERE id = :id", id=library_id) != 1:
        raise NotFound(f"Library not found: {library_id}")


def containing(tx: Transaction, path: str | os.PathLike[str]) -> Library | None:
    """The library that the path lies in, after resolving links; None if in no library."""
    resolved = Path(os.path.realpath(path))
    for library in list_all(tx):
        if resolved.is_relative_to(os.path.realpath(library.root_path)):
            return library
    return None


def widen(
    tx: Transaction, *, into_root: str | os.PathLike[str], libraries: Sequence[Library], name: str, now: int
) -> Library:
    """One library in place of several that tagging made inside its root; every file keeps its analysis."""
    root = _clean_root(into_root)
    prefixes = {library.id: _relative(library, root) for library in libraries}
    others = [library for library in list_all(tx) if library.id not in prefixes]
    _check(name=name, root=root, file_write_mode=None, beside=others)
    # Names and roots are unique: the old ones step aside until their files have moved.
    for library in libraries:
        tx.run(
            "UPDATE libraries SET name = :aside, root_path = :aside WHERE id = :id",
            aside=f"\n{library.id}",
            id=library.id,
        )
    modes = {library.file_write_mode for library in libraries}
    fields = {library.standard_fields for library in libraries}
    agreed = fields.pop() if len(fields) == 1 else None
    wide = create(
        tx,
        name=name,
        root_path=root,
        now=now,
        origin="tag",
        file_write_mode=modes.pop() if len(modes) == 1 else None,
        standard_fields=None if agreed is None else list(filter(None, agreed.split(","))),
    )
    for library_id, prefix in prefixes.items():
        identity.move_all(tx, from_library=library_id, into_library=wide.id, prefix=prefix, now=now)
        tx.run("DELETE FROM libraries WHERE id = :id", id=library_id)
    return wide


def stats(tx: Transaction) -> LibraryStats:
    """Numbers over the enabled libraries. An album is its album artist (else artist) and its title."""
    # The wide rows once, and then what is left of them: a row for each album or two.
    row = tx.one(
        """
        WITH albums AS MATERIALIZED (
            SELECT artist, album_artist, album, COUNT(*) AS files, SUM(duration_s) AS seconds
              FROM library_files
             WHERE missing_since IS NULL
               AND library_id IN (SELECT id FROM libraries WHERE is_enabled)
             GROUP BY artist, album_artist, album
        )
        SELECT CAST(COALESCE(SUM(files), 0) AS INTEGER)  AS total_files,
               COUNT(DISTINCT artist)                    AS unique_artists,
               COALESCE(SUM(seconds), 0)                 AS total_duration_seconds,
               (SELECT COUNT(*)
                  FROM (SELECT DISTINCT COALESCE(album_artist, artist), album
                          FROM albums
                         WHERE album IS NOT NULL) AS titles
               )                                         AS unique_albums
          FROM albums
        """
    )
    assert row is not None  # noqa: S101 (an aggregate always has a row)
    return LibraryStats(**row)


def counts(tx: Transaction) -> dict[int, LibraryCounts]:
    """Library id -> how many files it has; libraries without files are not in it."""
    rows = tx.all(
        """
        SELECT library_id,
               COUNT(*) FILTER (WHERE missing_since IS NULL)      AS file_count,
               COUNT(*) FILTER (WHERE missing_since IS NULL
                                  AND analyzed_at IS NOT NULL
                                  AND NOT needs_tagging)          AS tagged_count,
               COUNT(*) FILTER (WHERE missing_since IS NOT NULL)  AS missing_count
          FROM library_files
         GROUP BY library_id
        """
    )
    return {row["library_id"]: LibraryCounts(**row) for row in rows}


def set_watch_problem(tx: Transaction, library_id: int, problem: str | None) -> None:
    """Note why the library is not watched as it should be, or that it is."""
    tx.run("UPDATE libraries SET watch_problem = :problem WHERE id = :id", id=library_id, problem=problem)


def _as_text(names: Sequence[str] | None) -> str | None:
    return None if names is None else ",".join(names)


def _clean_root(root_path: str | os.PathLike[str]) -> str:
    root = os.path.abspath(os.fspath(root_path))
    try:
        root.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(f"{printable(root)}: a library's folder needs a name in valid UTF-8") from error
    return root


def _check(*, name: str, root: str, file_write_mode: str | None, beside: Sequence[Library]) -> None:
    if not name.strip():
        raise InvalidInput("A library needs a name")
    if file_write_mode is not None and file_write_mode not in WRITE_MODES:
        raise InvalidInput(f"file_write_mode: must be one of {', '.join(WRITE_MODES)}")
    resolved = Path(os.path.realpath(root))
    for other in beside:
        other_root = os.path.realpath(other.root_path)
        if resolved.is_relative_to(other_root) or Path(other_root).is_relative_to(resolved):
            raise Conflict(f"{printable(root)} overlaps library {other.name} ({printable(other.root_path)})")
        if other.name == name:
            raise Conflict(f"There is already a library named {name}")


def _relative(library: Library, root: str) -> str:
    """The library's folder as seen from the wider root, "" for the root itself."""
    old, new = os.path.realpath(library.root_path), os.path.realpath(root)
    if library.origin != "tag":
        raise Conflict(f"Library {library.name} was made by hand and stays as it is")
    if not Path(old).is_relative_to(new):
        raise Conflict(f"Library {library.name} ({printable(old)}) does not lie inside {printable(root)}")
    relative = os.path.relpath(old, new)
    return "" if relative == "." else relative
