"""Libraries in numbers: tags of the files' own, years, genres, formats, and how far the analysis is."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from nomarr.store import calibrations
from nomarr.store.database import Transaction

# Tags and what files say of themselves change in scans alone, and every scan leaves its mark with the library.
SCANNED = """
    SELECT COUNT(*) AS libraries, SUM(id) AS ids, MAX(updated_at) AS updated,
           MAX(scan_started_at) AS started, MAX(scan_heartbeat_at) AS heartbeat, MAX(scan_finished_at) AS finished
      FROM libraries
"""
COUNTED = "missing_since IS NULL AND library_id IN :libraries"
OWN_TAGS = """
    SELECT name, COUNT(*) FILTER (WHERE position = 0), COUNT(DISTINCT value)
      FROM file_tags
     WHERE {counted}
     GROUP BY name
     ORDER BY name
"""
# PostgreSQL would sort all values for that. SQLite takes half as long again for this. PostgreSQL shares many rows among
# processes, each of which groups and sorts them on disk: of 11 million in 4.6 s, where along the index it takes 2.0.
ALONG_THE_INDEX = "SELECT set_config('max_parallel_workers_per_gather', '0', TRUE), set_config('jit', 'off', TRUE)"
OWN_TAGS_BY_VALUE = """
    SELECT name, CAST(SUM(files) AS INTEGER), COUNT(*)
      FROM (SELECT name, value, COUNT(*) FILTER (WHERE position = 0) AS files
              FROM file_tags
             WHERE {counted}
             GROUP BY name, value) AS by_value
     GROUP BY name
     ORDER BY name
"""


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
    years: list[Share]
    genres: list[Share]
    formats: list[Share]
    durations: list[Share]  # by whole minutes, from the shortest; from an hour on as one


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
    if tx.is_postgresql:
        tx.run(ALONG_THE_INDEX)  # for this transaction
    rows = tx.tuples((OWN_TAGS_BY_VALUE if tx.is_postgresql else OWN_TAGS).format(counted=counted), **params)
    return [TagUse(*row) for row in rows]


def overview(tx: Transaction, library_ids: Sequence[int], *, genres: int) -> Overview:
    """`genres` is how many of them are listed, the most frequent."""
    seconds = "FLOOR(duration_s)" if tx.is_postgresql else "duration_s"  # a cast rounds there, cuts here
    minutes = f"CASE WHEN duration_s >= 3600 THEN 60 ELSE CAST({seconds} AS INTEGER) / 60 END"
    rows = tx.tuples(
        f"""
        SELECT year, container, {minutes} AS minutes, COUNT(*), SUM(duration_s)
          FROM library_files
         WHERE {COUNTED}
         GROUP BY 1, 2, 3
        """,
        libraries=list(library_ids),
    )
    years, formats, durations = (_shares((row[column], row[3]) for row in rows) for column in range(3))
    return Overview(
        files=sum(row[3] for row in rows),
        total_duration_seconds=math.fsum(row[4] or 0 for row in rows),
        years=sorted(years, key=_by_value),
        genres=_genres(tx, library_ids, limit=genres),
        formats=sorted(formats, key=_by_count),
        durations=sorted(durations, key=_by_value),
    )


def coverage(tx: Transaction) -> list[Coverage]:
    """Every library, missing files left out."""
    counts = {
        row["library_id"]: row
        for row in tx.all(
            """
            SELECT library_id,
                   COUNT(*)                                                              AS files,
                   COUNT(*) FILTER (WHERE analyzed_at IS NOT NULL AND NOT needs_tagging) AS analysed,
                   COUNT(*) FILTER (WHERE set_aside)                                     AS failed
              FROM library_files
             WHERE missing_since IS NULL
             GROUP BY library_id
            """
        )
    }
    tagged = calibrations.tagged_by_label(tx)  # along an index of their own
    nothing = {"files": 0, "analysed": 0, "failed": 0}
    return [
        Coverage(
            **{"library_id": library, **nothing, **counts.get(library, {})},
            tagged=sum(tagged.get(library, {}).values()),
        )
        for (library,) in tx.tuples("SELECT id FROM libraries ORDER BY id")
    ]


def _of_files(tx: Transaction, library_ids: Sequence[int]) -> tuple[str, dict[str, Any]]:
    """SQL for what belongs to files of the libraries; none where those are all files, for that is much quicker."""
    libraries = list(library_ids)
    left_out = "missing_since IS NOT NULL OR library_id NOT IN :libraries"
    others = tx.scalar("SELECT COUNT(*) FROM libraries WHERE id NOT IN :libraries", libraries=libraries)
    missing = tx.scalar("SELECT EXISTS (SELECT 1 FROM library_files WHERE missing_since IS NOT NULL)")
    if not others and not missing:
        return "1 = 1", {}
    return f"file_id NOT IN (SELECT id FROM library_files WHERE {left_out})", {"libraries": libraries}


def _genres(tx: Transaction, library_ids: Sequence[int], *, limit: int) -> list[Share]:
    rows = tx.tuples(
        f"""
        SELECT genre, COUNT(*)
          FROM library_files
         WHERE {COUNTED}
         GROUP BY genre
         ORDER BY COUNT(*) DESC, genre
         LIMIT :limit
        """,
        libraries=list(library_ids),
        limit=limit,
    )
    return sorted(_shares((genre, count) for genre, count in rows), key=_by_count)


def _shares(counted: Iterable[tuple[str | int | None, int]]) -> list[Share]:
    total: Counter[str | int | None] = Counter()
    for value, count in counted:
        total[value] += count
    return [Share(value, count) for value, count in total.items()]


def _by_value(share: Share) -> tuple[bool, Any]:
    """Those that say nothing come last."""
    return share.value is None, share.value or 0


def _by_count(share: Share) -> tuple[bool, int, str]:
    return share.value is None, -share.count, str(share.value)
