"""Looking for tracks: by words, by facts, by tags, by what became of them; sorted, a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nomarr.store.database import Row, Transaction
from nomarr.store.facts import LONGEST_KEY, fold
from nomarr.store.files import FROM, join_path
from nomarr.store.manyids import among
from nomarr.store.queue import PROBLEM

Ids = NDArray[np.int64]
Status = Literal["pending", "running", "done", "errors", "missing", "unwritten", "analysed", "tagged", "failed"]
Fact = Literal["year", "genre", "container", "minutes"]
Order = Literal["path", "artist", "album", "title", "added", "analyzed"]

FEW = 2000  # so many are sorted at once; more are met by walking along an index of the order
MOST_WORDS = 10
LAST_CHARACTER = "\U0010ffff"

# In the order in which the index of what is to do says it, or SQLite does not see that it may be used.
TO_DO = "(f.needs_tagging OR f.needs_write) AND f.missing_since IS NULL AND NOT f.set_aside"
CURRENT = "f.missing_since IS NULL AND f.analyzed_at IS NOT NULL AND NOT f.needs_tagging"
STATUSES: dict[Status | None, str] = {
    None: "f.missing_since IS NULL",
    "pending": f"{TO_DO} AND (f.lease_until IS NULL OR f.lease_until < :now)",
    "running": f"{TO_DO} AND f.lease_until >= :now",
    "done": f"{CURRENT} AND NOT f.set_aside",
    "errors": f"{PROBLEM} AND f.missing_since IS NULL",
    "missing": "f.missing_since IS NOT NULL",
    "unwritten": f"{CURRENT} AND (f.needs_write OR f.written_hash IS NULL)",
    # As store.analytics counts how far a library is.
    "analysed": CURRENT,
    "tagged": "f.written_hash IS NOT NULL AND f.missing_since IS NULL",
    "failed": "f.set_aside AND f.missing_since IS NULL",
}
ORDERS: dict[Order, tuple[str, ...]] = {
    "path": ("f.library_id", "f.folder", "f.name"),
    "artist": ("f.artist_key", "f.album_key", "f.disc", "f.track", "f.id"),
    "album": ("f.album_key", "f.disc", "f.track", "f.id"),
    "title": ("f.title_key", "f.id"),
    "added": ("f.id",),
    "analyzed": ("f.analyzed_at", "f.id"),
}


@dataclass(frozen=True)
class UntimedTrack:
    """A file as lists show it, but for the times at which something was done to it."""

    id: int
    library_id: int
    path: str
    title: str | None
    artist: str | None
    album: str | None
    album_artist: str | None
    genre: str | None
    year: int | None
    track: int | None
    disc: int | None
    duration_s: float | None
    status: str
    error: str | None


@dataclass(frozen=True)
class Track(UntimedTrack):
    """A file as lists show it; times are milliseconds UTC."""

    analyzed_at: int | None
    written_at: int | None


@dataclass(frozen=True)
class Wanted:
    """Which files: all that is given must hold. `ids`, ascending, are files that are not missing.

    `tags` are pairs of a tag's name and its value, None for any; `without` are those that a file must not have. Upper
    and lower case are alike, and so are accents but in the values of tags. `facts` hold to the letter, and None stands
    for files that do not say; `minutes` are whole ones, and 60 all from an hour on. No library stands for all.
    """

    words: str = ""
    artist: str | None = None
    album: str | None = None
    tags: tuple[tuple[str, str | None], ...] = ()
    ids: Ids | None = None
    library_ids: tuple[int, ...] = ()
    status: Status | None = None
    without: tuple[tuple[str, str | None], ...] = ()
    facts: tuple[tuple[Fact, str | int | None], ...] = ()


@dataclass(frozen=True)
class Found:
    """One page of what was found, and how many there are in all."""

    total: int
    tracks: list[Track]


def find(
    tx: Transaction,
    wanted: Wanted,
    *,
    now: int,
    order: Order = "path",
    descending: bool = False,
    limit: int,
    offset: int = 0,
) -> Found:
    """A page of the files that are wanted; missing ones only where their status is asked for."""
    total, conditions, params = _met(tx, wanted, now)
    limit = max(0, min(limit, total - offset))
    from_the_end = offset > total // 2  # half the way at most
    if from_the_end:
        descending, offset = not descending, total - offset - limit
    by = ", ".join(f"{column} DESC" if descending else column for column in ORDERS[order])
    page = _ids(
        tx,
        f"SELECT f.id FROM library_files AS f WHERE {conditions} ORDER BY {by} LIMIT :limit OFFSET :offset",
        {**params, "limit": limit, "offset": max(0, offset)},
    )
    return Found(total, tracks(tx, page[::-1] if from_the_end else page, now=now))


def _met(tx: Transaction, wanted: Wanted, now: int) -> tuple[int, str, dict[str, Any]]:
    """How many files are wanted, and SQL that lets them through."""
    conditions, params = _conditions(wanted, now)
    if wanted.ids is not None:
        ids = wanted.ids
        if replace(wanted, ids=None) != Wanted():
            found = np.array(_ids(tx, f"SELECT f.id FROM library_files AS f WHERE {conditions}", params), np.int64)
            ids = np.intersect1d(ids, found, assume_unique=True)
        return len(ids), *_these(tx, ids)
    some = _ids(tx, f"SELECT f.id FROM library_files AS f WHERE {conditions} LIMIT {FEW + 1}", params)
    if len(some) <= FEW:
        return len(some), "f.id IN :some", {"some": some}
    total = int(tx.scalar(f"SELECT COUNT(*) FROM library_files AS f WHERE {conditions}", **params))
    return total, *_conditions(wanted, now, walking=True)


def _these(tx: Transaction, ids: Ids) -> tuple[str, dict[str, Any]]:
    """SQL for these files, however many, and its parameters."""
    if len(ids) <= FEW:
        return "f.id IN :some", {"some": ids.tolist()}
    these, listed = among(tx, ids.tolist())
    return f"f.missing_since IS NULL AND +f.id {these}", {"ids": listed}


def tracks(tx: Transaction, ids: Sequence[int], *, now: int) -> list[Track]:
    """The files with these ids, in this order."""
    rows = tx.all(
        f"""
        SELECT f.id, f.library_id, l.root_path, f.folder, f.name, f.title, f.artist, f.album, f.album_artist,
               f.genre, f.year, f.track, f.disc, f.duration_s, f.analyzed_at, f.written_at,
               f.missing_since, f.set_aside, f.error, f.write_error, f.write_failures,
               f.needs_tagging, f.needs_write, f.lease_until
          {FROM}
         WHERE f.id IN :ids
        """,
        ids=list(ids),
    )
    by_id = {row["id"]: _track(row, now) for row in rows}
    return [by_id[file_id] for file_id in ids if file_id in by_id]


def status_of(row: Row, *, now: int) -> str:
    """`missing`, `error`, `running`, `pending`, `done` or `new`, from a row of library_files."""
    if row["missing_since"] is not None:
        return "missing"
    if row["set_aside"] or row["write_failures"]:
        return "error"
    if row["needs_tagging"] or row["needs_write"]:
        return "running" if (row["lease_until"] or 0) >= now else "pending"
    return "new" if row["analyzed_at"] is None else "done"


def _track(row: Row, now: int) -> Track:
    names = ("title", "artist", "album", "album_artist", "genre", "year", "track", "disc", "duration_s")
    return Track(
        id=row["id"],
        library_id=row["library_id"],
        path=join_path(row["root_path"], row["folder"], row["name"]),
        **{name: row[name] for name in names},
        status=status_of(row, now=now),
        error=row["error"] or row["write_error"],
        analyzed_at=row["analyzed_at"],
        written_at=row["written_at"],
    )


def _conditions(wanted: Wanted, now: int, *, walking: bool = False) -> tuple[str, dict[str, Any]]:
    """SQL and its parameters. `walking`: written so that SQLite keeps to the index of the order."""
    plus = "+" if walking else ""
    parts, params = [STATUSES[wanted.status]], dict[str, Any]()
    if ":now" in parts[0]:
        params["now"] = now
    if wanted.library_ids:
        parts.append(f"{plus}f.library_id IN :libraries")
        params["libraries"] = wanted.library_ids
    for column, text in (("artist", wanted.artist), ("album", wanted.album)):
        if text is not None:
            parts.append(f"f.{column}_key = :{column}")
            params[column] = fold(text)[:LONGEST_KEY]
    for number, word in enumerate(fold(wanted.words).split()[:MOST_WORDS]):
        parts.append(f"f.words LIKE :word_{number} ESCAPE '!'")
        params[f"word_{number}"] = f"%{_literally(word)}%"
    tagged = [("IN", *tag) for tag in wanted.tags] + [("NOT IN", *tag) for tag in wanted.without]
    for number, (sign, name, value) in enumerate(tagged):
        condition, more = _tagged(str(number), name, value)
        parts.append(f"{plus}f.id {sign} (SELECT file_id FROM file_tags WHERE {condition})")
        params.update(more)
    for fact, known in wanted.facts:
        condition, values = _fact(fact, known)
        parts.append(condition)
        params.update(values)
    return " AND ".join(parts), params


def _tagged(key: str, name: str, value: str | None) -> tuple[str, dict[str, str]]:
    """SQL and parameters; by the first letter, small and capital, the index leads close to the value."""
    condition, params = f"name = :name_{key}", {f"name_{key}": name}
    if value is None:
        return condition, params
    ranges: list[str] = []
    for letter in sorted({value[:1], value[:1].lower(), value[:1].upper()}):
        low, high = f"low_{key}_{len(ranges)}", f"high_{key}_{len(ranges)}"
        ranges.append(f"{condition} AND value >= :{low} AND value < :{high}")
        params.update({low: letter, high: f"{letter}{LAST_CHARACTER}"})
    params[f"value_{key}"] = value
    return f"({' OR '.join(ranges)}) AND LOWER(value) = LOWER(CAST(:value_{key} AS TEXT))", params


def _fact(fact: Fact, value: str | int | None) -> tuple[str, dict[str, str | int]]:
    """SQL and parameters for what a file says of itself."""
    column = "f.duration_s" if fact == "minutes" else f"f.{fact}"
    if value is None:
        return f"{column} IS NULL", {}
    if fact != "minutes":
        return f"{column} = :{fact}", {fact: value}
    first = 60 * int(value)
    if first >= 3600:
        return f"{column} >= :minutes", {"minutes": 3600}
    return f"{column} >= :minutes AND {column} < :minutes_end", {"minutes": first, "minutes_end": first + 60}


def _literally(word: str) -> str:
    return word.replace("!", "!!").replace("%", "!%").replace("_", "!_")


def _ids(tx: Transaction, sql: str, params: dict[str, Any]) -> list[int]:
    return [row[0] for row in tx.tuples(sql, **params)]
