"""The SQL side of a playlist's rules: conditions on files, and the files that meet them.

Texts compare as they do in Navidrome's SQLite: by bytes, and LIKE without regard to the case of A to Z, with no
escape for its wildcards. What a file lacks is what Navidrome makes of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from sys import getsizeof
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from nomarr.store import libraries
from nomarr.store.database import Transaction
from nomarr.store.files import join_path
from nomarr.store.manyids import among, chunks
from nomarr.store.remembered import Remembered

Ids = NDArray[np.int64]

CHUNK = 5_000  # values in one statement
MOST_VALUES = 100  # that a remembered query may compare with
CHANGED_BY_WORK = ("f.size", "f.needs_write", "f.written_hash")  # all else changes in scans alone
T = TypeVar("T")
NO_ALBUM, NO_ARTIST, VARIOUS = "[Unknown Album]", "[Unknown Artist]", "Various Artists"

_UP_TO_DOT = "rtrim(f.name, replace(f.name, '.', ''))"  # "a.b.mp3" -> "a.b."
_BARE_NAME = f"substr(f.name, 1, length({_UP_TO_DOT}) - 1)"
_TITLE = f"COALESCE(f.title, {_BARE_NAME})"
_ARTIST = f"COALESCE(f.artist, '{NO_ARTIST}')"
_TEXTS = {
    "title": _TITLE,
    "album": f"COALESCE(f.album, '{NO_ALBUM}')",
    "filepath": "CASE f.folder WHEN '' THEN f.name ELSE f.folder || '/' || f.name END",
    "filetype": f"lower(substr(f.name, length({_UP_TO_DOT}) + 1))",
}
_TAG_OF = {
    "discsubtitle": "discsubtitle",
    "catalognumber": "catalognumber",
    "mbz_album_id": "musicbrainz_albumid",
    "mbz_recording_id": "musicbrainz_trackid",
    "mbz_release_track_id": "musicbrainz_releasetrackid",
    "mbz_release_group_id": "musicbrainz_releasegroupid",
}
_TEXTS |= {
    column: f"COALESCE((SELECT MIN(t.value) FROM file_tags AS t WHERE t.file_id = f.id AND t.name = '{tag}'), '')"
    for column, tag in _TAG_OF.items()
}
_NUMBERS = {
    "tracknumber": "COALESCE(f.track, 0)",
    "discnumber": "COALESCE(f.disc, 0)",
    "year": "COALESCE(f.year, 0)",
    "size": "f.size",
    "duration": "COALESCE(f.duration_s, 0)",
}
_GROUPED = ("artist", "album_artist", "genre")
_SIGNS = {"is": "=", "isNot": "<>", "gt": ">", "lt": "<"}
_PATTERNS = {"contains": "%{}%", "notContains": "%{}%", "startsWith": "{}%", "endsWith": "%{}"}


@dataclass(frozen=True)
class ListedTrack:
    """A track of a playlist, as Navidrome would show it."""

    id: int
    path: str
    title: str
    artist: str


@dataclass(frozen=True)
class ByText:
    """Files by a text of theirs: the first `counts[0]` of `ids` have the first text, and so on."""

    texts: list[str]
    counts: NDArray[np.int64]
    ids: Ids

    @property
    def size(self) -> int:
        return sum(map(getsizeof, self.texts), self.ids.nbytes + self.counts.nbytes)


class FileQuery:
    """Conditions on the files of the enabled libraries, or of one; missing files are never among them.

    Takes out of `remembered` what an equal query found in the same state of the libraries.
    """

    def __init__(self, tx: Transaction, library_id: int | None = None, remembered: Remembered | None = None) -> None:
        self._tx = tx
        self._remembered = remembered
        self._libraries = libraries.list_all(tx) if remembered is not None else []
        self._params: dict[str, Any] = {}
        self._within = (
            "f.missing_since IS NULL AND f.library_id IN (SELECT id FROM libraries WHERE is_enabled)"
            if library_id is None
            else "f.missing_since IS NULL AND f.library_id = :library"
        )
        self._scope = {} if library_id is None else {"library": library_id}

    # conditions

    def column(self, column: str, operator: str, value: object) -> str:
        """A condition on a column that always has a value."""
        if column in _NUMBERS:
            return self._compared(_NUMBERS[column], operator, value)
        if column in _TAG_OF:
            return self._first_value(_TAG_OF[column], operator, value)
        text = _TEXTS[column]
        if operator in ("isMissing", "isPresent"):
            return f"{text} {'=' if operator == 'isMissing' else '<>'} ''"
        return self._text(text, operator, value)

    def _first_value(self, tag: str, operator: str, value: object) -> str:
        """A condition on a tag's first value, or "" without one; quicker than to look it up for each file."""
        tagged = f"SELECT t.file_id FROM file_tags AS t WHERE t.name = '{tag}'"
        if operator in ("isMissing", "isPresent"):
            return f"f.id {'NOT ' * (operator == 'isMissing')}IN ({tagged})"
        matching = f"{tagged} GROUP BY t.file_id HAVING {self._text('MIN(t.value)', operator, value)}"
        without = self._text("CAST('' AS TEXT)", operator, value)
        return f"(f.id IN ({matching}) OR ({without} AND f.id NOT IN ({tagged})))"

    def all_of(self, conditions: Sequence[str]) -> str:
        return f"({' AND '.join(conditions)})"

    def any_of(self, conditions: Sequence[str]) -> str:
        return f"({' OR '.join(conditions)})"

    def _text(self, expression: str, operator: str, value: object) -> str:
        if operator not in _PATTERNS:
            return self._compared(self._bytewise(expression), operator, value)
        pattern = self._bound(_PATTERNS[operator].format(value))
        negation = "NOT " if operator == "notContains" else ""
        if self._tx.is_postgresql:
            return f"""lower({expression} COLLATE "C") {negation}LIKE lower({pattern} COLLATE "C") ESCAPE ''"""
        return f"{expression} {negation}LIKE {pattern}"

    def _compared(self, expression: str, operator: str, value: object) -> str:
        if isinstance(value, tuple):
            low, high = value
            return f"({expression} >= {self._bound(low)} AND {expression} <= {self._bound(high)})"
        return f"{expression} {_SIGNS[operator]} {self._bound(value)}"

    def _bytewise(self, expression: str) -> str:
        return f'({expression}) COLLATE "C"' if self._tx.is_postgresql else f"({expression})"

    def _bound(self, value: object) -> str:
        name = f"v{len(self._params)}"
        self._params[name] = value
        return f"CAST(:{name} AS TEXT)" if isinstance(value, str) else f":{name}"

    # what meets them, whichever library it is in

    def everything(self) -> Ids:
        """All files of the query, ascending."""
        return np.sort(self._ids(f"SELECT f.id AS id FROM library_files AS f WHERE {self._within}", self._scope))

    def ids(self, condition: str, **params: Any) -> Ids:
        """The files that meet a condition."""
        return self._ids(f"SELECT f.id AS id FROM library_files AS f WHERE {condition}", params)

    def written(self) -> Ids:
        """The files that hold tags of ours, perhaps not the current ones; read from an index alone."""
        # The library only makes SQLite see that the calibrations' index has all of it.
        return self.ids("f.library_id > 0 AND f.written_hash IS NOT NULL AND f.missing_since IS NULL")

    def to_write(self) -> Ids:
        """The files that do not hold our current tags yet, as far as they hold any; read from an index alone."""
        return self.ids("f.needs_write")

    def ids_with_tag(self, tags: Sequence[str], operator: str = "isPresent", value: object = None) -> Ids:
        """The files that have one of the tags, with a value that satisfies the comparison; some perhaps twice."""
        matched = "" if operator == "isPresent" else f" AND {self._text('t.value', operator, value)}"
        sql = f"SELECT t.file_id AS id FROM file_tags AS t WHERE t.name IN :names{matched}"
        return self._ids(sql, {"names": list(tags)})

    def ids_with_values(self, tags: Sequence[str], values: Sequence[str]) -> Ids:
        """The files that have one of the tags with one of the values; some perhaps twice."""
        sql = "SELECT t.file_id AS id FROM file_tags AS t WHERE t.name IN :names AND t.value IN :some"
        return _joined(self._ids(sql, {"names": list(tags), "some": some}) for some in chunks(values, CHUNK))

    def ids_with_artist(self, column: str, values: Sequence[str]) -> Ids:
        """The files whose artist or album_artist is one of the texts."""
        return _joined(self.ids(f"f.{_artist_column(column)} IN :some", some=some) for some in chunks(values, CHUNK))

    def ids_without_artist(self, column: str) -> Ids:
        return self.ids(f"f.{_artist_column(column)} IS NULL")

    def tag_values(self, tags: Sequence[str]) -> list[str]:
        """The distinct values of tags, over all libraries."""
        sql = "SELECT DISTINCT value FROM file_tags WHERE name IN :names"

        def values() -> list[str]:
            return self._tx.columns(sql, names=list(tags))[0]

        return self._recall((sql, *tags), values, lambda found: sum(map(getsizeof, found), getsizeof(found)))

    def by_tag(self, tag: str) -> ByText:
        """The files that have a tag, by its values, the last value first; over all libraries."""
        return self._by_text("SELECT t.value AS text, t.file_id AS id FROM file_tags AS t WHERE t.name = :tag", tag=tag)

    def by_column(self, column: str) -> ByText:
        """The files with an artist, album_artist or genre, by these, the last first; over all libraries."""
        assert column in _GROUPED  # noqa: S101 (it becomes part of a statement)
        return self._by_text(
            f"SELECT f.{column} AS text, f.id AS id FROM library_files AS f WHERE f.{column} IS NOT NULL"
        )

    def in_mp4(self) -> Ids:
        return self._ids("SELECT f.id AS id FROM library_files AS f WHERE f.container = 'm4a'", {})

    def _by_text(self, sql: str, **params: str) -> ByText:
        listed, text = _all_in_one(self._tx), self._bytewise("text")

        def groups() -> ByText:
            rows = f"SELECT text, {listed} FROM ({sql}) AS found GROUP BY text ORDER BY {text} DESC"
            texts, ids = self._tx.columns(rows, **params)
            counts = np.array([one.count(",") + 1 for one in ids], np.int64)
            return ByText(texts, counts, _numbers_in(",".join(ids)))

        return self._recall((sql, *params.values()), groups, lambda found: found.size)

    def artists(self, column: str) -> list[str]:
        """The distinct texts in artist or album_artist, over all libraries."""
        name = _artist_column(column)
        (found,) = self._tx.columns(f"SELECT DISTINCT {name} FROM library_files WHERE {name} IS NOT NULL")
        return found

    # in order

    def can_sort(self, column: str) -> bool:
        return column in _TEXTS or column in _NUMBERS or column == "random"

    def first(self, ids: Ids | None, order: Sequence[tuple[str, bool]], *, limit: int, offset: int) -> list[int]:
        """Some of the files (None: of all) by columns, each with whether it descends; equal ones by id."""
        keys = [f"{self._key(column)}{' DESC' * descends}" for column, descends in order]
        these, listed = ("", "") if ids is None else among(self._tx, ids.tolist())
        rows = self._tx.tuples(
            f"""
            SELECT f.id
              FROM library_files AS f
             WHERE {self._within}{these and f" AND f.id {these}"}
             ORDER BY {", ".join([*keys, "f.id"])}
             LIMIT :limit OFFSET :offset
            """,
            **self._scope,
            **({} if ids is None else {"ids": listed}),
            limit=limit,
            offset=offset,
        )
        return [row[0] for row in rows]

    def values(self, column: str, ids: Ids) -> dict[int, Any]:
        """File -> value of a column, or None, for files of the query."""
        these, listed = among(self._tx, ids.tolist())
        sql = f"SELECT f.id, {self._key(column)} FROM library_files AS f WHERE f.id {these}"
        return dict(zip(*self._tx.columns(sql, ids=listed), strict=True))

    def tracks(self, ids: Sequence[int]) -> list[ListedTrack]:
        """The tracks, in the order of their ids."""
        rows = self._tx.all(
            f"""
            SELECT f.id, l.root_path, f.folder, f.name, {_TITLE} AS title, {_ARTIST} AS artist
              FROM library_files AS f
              JOIN libraries     AS l ON l.id = f.library_id
             WHERE f.id IN :ids
            """,
            ids=list(ids) or [-1],
        )
        found = {
            row["id"]: ListedTrack(
                id=row["id"],
                path=join_path(row["root_path"], row["folder"], row["name"]),
                title=row["title"],
                artist=row["artist"],
            )
            for row in rows
        }
        return [found[file_id] for file_id in ids]

    def _key(self, column: str) -> str:
        if column == "random":
            return "random()"
        return _NUMBERS[column] if column in _NUMBERS else self._bytewise(_TEXTS[column])

    def _used(self, condition: str) -> dict[str, Any]:
        return {name: self._params[name] for name in re.findall(r":(v[0-9]+)\b", condition)}

    def _ids(self, sql: str, params: dict[str, Any]) -> Ids:
        listed = _all_in_one(self._tx)
        given = {**self._used(sql), **params}

        def ids() -> Ids:
            text = self._tx.scalar(f"SELECT {listed} FROM ({sql}) AS found", **given)
            return _numbers_in(text)

        if any(isinstance(value, list) and len(value) > MOST_VALUES for value in given.values()):
            return ids()
        return self._recall((sql, json.dumps(given)), ids, lambda found: found.nbytes)

    def _recall(self, question: tuple[str, ...], answer: Callable[[], T], size_of: Callable[[T], int]) -> T:
        # A running scan tells of its changes a little late.
        if self._remembered is None or any(library.scan_owner is not None for library in self._libraries):
            return answer()
        worked = self._worked if any(column in question[0] for column in CHANGED_BY_WORK) else None
        return self._remembered.recall((question, worked, *self._libraries), answer, size_of)

    @cached_property
    def _worked(self) -> int | None:
        """When something was last done to a file."""
        latest: int | None = self._tx.scalar("SELECT MAX(updated_at) FROM library_files")
        return latest


def _all_in_one(tx: Transaction) -> str:
    """All ids of a group as one text: several times quicker than a row for each."""
    return "string_agg(CAST(id AS TEXT), ',')" if tx.is_postgresql else "group_concat(id)"


def _numbers_in(text: str | None) -> Ids:
    found = np.fromstring(text or "", dtype=np.int64, sep=",")
    found.flags.writeable = False
    return found


def _artist_column(column: str) -> str:
    return {"artist": "artist", "albumartist": "album_artist"}[column]


def _joined(parts: Iterable[Ids]) -> Ids:
    return np.concatenate([np.empty(0, dtype=np.int64), *parts])
