"""Libraries in numbers: tags of the files' own, years, genres, formats, and how far the analysis is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nomarr.store.database import Transaction

# Tags and what files say of themselves change in scans alone, and every scan leaves its mark with the library.
SCANNED = """
    SELECT COUNT(*) AS libraries, SUM(id) AS ids, MAX(updated_at) AS updated,
           MAX(scan_started_at) AS started, MAX(scan_heartbeat_at) AS heartbeat, MAX(scan_finished_at) AS finished
      FROM libraries
"""
COUNTED = "missing_since IS NULL AND library_id IN :libraries"


@dataclass(frozen=True)
class TagUse:
    """How many files carry a tag, and how many values it has."""

    name: str
    files: int
    values: int


@dataclass(frozen=True)
class Share:
    """How many files have a value; null: those that say nothing."""

    value: str | int | None
    count: int


@dataclass(frozen=True)
class Overview:
    """What the files say of themselves."""

    files: int
    total_duration_seconds: float
    years: tuple[Share, ...]
    genres: tuple[Share, ...]
    formats: tuple[Share, ...]
    durations: tuple[Share, ...]  # by whole minutes, from the shortest; from an hour on as one


@dataclass(frozen=True)
class Coverage:
    """How far a library is."""

    library_id: int
    files: int
    analysed: int
    tagged: int
    failed: int


def scan_state(tx: Transaction) -> tuple[Any, ...]:
    """Equal as long as no scan changed what `own_tags` and `overview` count."""
    row = tx.one(SCANNED)
    assert row is not None  # noqa: S101 (an aggregate always has a row)
    return tuple(row.values())


def work_state(tx: Transaction) -> tuple[Any, ...]:
    """Equal as long as nothing changed that `coverage` counts."""
    return (*scan_state(tx), tx.scalar("SELECT MAX(updated_at) FROM library_files"))


def own_tags(tx: Transaction, library_ids: Sequence[int]) -> list[TagUse]:
    """The tags of the files' own, by name; missing files left out."""
    counted, params = _of_files(tx, library_ids)
    rows = tx.all(
        f"""
        SELECT name, COUNT(DISTINCT file_id) AS files, COUNT(DISTINCT value) AS different
          FROM file_tags
         WHERE {counted}
         GROUP BY name
         ORDER BY name
        """,
        **params,
    )
    return [TagUse(row["name"], row["files"], row["different"]) for row in rows]


def overview(tx: Transaction, library_ids: Sequence[int], *, genres: int) -> Overview:
    """`genres` is how many of them are listed, the most frequent."""
    whole = tx.one(
        f"SELECT COUNT(*) AS files, COALESCE(SUM(duration_s), 0) AS seconds FROM library_files WHERE {COUNTED}",
        libraries=list(library_ids),
    )
    assert whole is not None  # noqa: S101 (an aggregate always has a row)
    minutes = "FLOOR(duration_s / 60)" if tx.is_postgresql else "duration_s / 60"  # a cast rounds there, cuts here
    minutes = f"CASE WHEN duration_s >= 3600 THEN 60 ELSE CAST({minutes} AS INTEGER) END"
    return Overview(
        files=whole["files"],
        total_duration_seconds=whole["seconds"],
        years=_shares(tx, "year", library_ids, order="value"),
        genres=_shares(tx, "genre", library_ids, order="count DESC, value", limit=genres),
        formats=_shares(tx, "container", library_ids, order="count DESC, value"),
        durations=_shares(tx, minutes, library_ids, order="value"),
    )


def coverage(tx: Transaction) -> list[Coverage]:
    """Every library, missing files left out."""
    rows = tx.all(
        """
        SELECT l.id                                                                     AS library_id,
               COUNT(f.id)                                                              AS files,
               COUNT(f.id) FILTER (WHERE analyzed_at IS NOT NULL AND NOT needs_tagging) AS analysed,
               COUNT(f.id) FILTER (WHERE written_hash IS NOT NULL)                      AS tagged,
               COUNT(f.id) FILTER (WHERE set_aside)                                     AS failed
          FROM libraries AS l
          LEFT JOIN library_files AS f ON f.library_id = l.id AND f.missing_since IS NULL
         GROUP BY l.id
         ORDER BY l.id
        """
    )
    return [Coverage(**row) for row in rows]


def _of_files(tx: Transaction, library_ids: Sequence[int]) -> tuple[str, dict[str, Any]]:
    """SQL for what belongs to files of the libraries; none where those are all files, for that is much quicker."""
    libraries = list(library_ids)
    left_out = "missing_since IS NOT NULL OR library_id NOT IN :libraries"
    others = tx.scalar("SELECT COUNT(*) FROM libraries WHERE id NOT IN :libraries", libraries=libraries)
    missing = tx.scalar("SELECT EXISTS (SELECT 1 FROM library_files WHERE missing_since IS NOT NULL)")
    if not others and not missing:
        return "1 = 1", {}
    return f"file_id NOT IN (SELECT id FROM library_files WHERE {left_out})", {"libraries": libraries}


def _shares(
    tx: Transaction, value: str, library_ids: Sequence[int], *, order: str, limit: int = 10_000
) -> tuple[Share, ...]:
    rows = tx.all(
        f"""
        SELECT {value} AS value, COUNT(*) AS count
          FROM library_files
         WHERE {COUNTED}
         GROUP BY 1
         ORDER BY {order}
         LIMIT :limit
        """,
        libraries=list(library_ids),
        limit=limit,
    )
    found = [Share(**row) for row in rows]
    return tuple(sorted(found, key=lambda share: share.value is None))
