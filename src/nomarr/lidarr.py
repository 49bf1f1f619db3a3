"""What Lidarr tells, as webhook or through its script -> paths; and paths as another program sees them -> ours."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

from nomarr.errors import InvalidInput

Source = Literal["lidarr", "api", "*"]

WINDOWS = re.compile(r"(?:[A-Za-z]:(?=[\\/]|$)|\\\\[^\\/]+[\\/][^\\/]+)")  # D:\... or \\server\share\...
TEST = "Test"
# Webhook and script call the same events by different names.
WITH_FILES = frozenset({"Download", "AlbumDownload", "Rename", "Retag", "TrackRetag"})
DELETED = re.compile(r"(Artist|Album|TrackFile)Deleted?")
SHORTEST_TAIL = 2  # parts of a path that must be the same before a mapping is suggested
DEEPEST = 64  # parts of a path that are tried for a suggestion


@dataclass(frozen=True)
class Event:
    """What happened in Lidarr, by paths as Lidarr sees them.

    `paths` are files that are there now, or soon. From `left`, files and folders, something was taken away.
    """

    name: str
    paths: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    @property
    def is_test(self) -> bool:
        return self.name == TEST


@dataclass(frozen=True)
class PathMapping:
    """What one program calls `from_prefix`, Nomarr calls `to_prefix`. The source * stands for any program."""

    source: Source
    from_prefix: str
    to_prefix: str

    @property
    def is_windows(self) -> bool:
        return WINDOWS.match(self.from_prefix) is not None


@dataclass(frozen=True)
class Suggestion:
    """A mapping that would lead to a file which is there."""

    from_prefix: str
    to_prefix: str


def read_webhook(payload: Mapping[str, Any]) -> Event:
    """The event of a webhook's JSON. InvalidInput if it is none; events that nobody knows have no paths."""
    name = payload.get("eventType")
    if not isinstance(name, str):
        raise InvalidInput("eventType: it is required, and a text")
    single, artist, deleted = payload.get("trackFile"), payload.get("artist"), payload.get("deletedFiles")
    files = [single, *_list(payload.get("trackFiles")), *_list(payload.get("renamedTrackFiles"))]
    if name in WITH_FILES:
        return Event(name, _paths(files), _paths(_list(deleted)) + _paths(files, "previousPath"))
    if DELETED.fullmatch(name) and deleted is not False:
        return Event(name, left=_paths([*files, *_list(deleted)]) or _paths([artist]))
    return Event(name)


def read_form(fields: Mapping[str, str], roots: Sequence[str] = ()) -> Event:
    """The event of the script's form. `roots` are where music lies, as Lidarr sees it, and tell paths apart."""
    name = fields.get("eventType", "").strip()
    if not name:
        raise InvalidInput("eventType: it is required")

    def paths(field: str) -> tuple[str, ...]:
        return _unique(split_paths(fields.get(field, ""), roots))

    if name in WITH_FILES:
        return Event(name, paths("paths"), _unique(paths("deletedPaths") + paths("previousPaths")))
    if DELETED.fullmatch(name) and fields.get("deletedFiles", "").lower() != "false":
        artist = fields.get("artistPath", "")
        return Event(name, left=paths("deletedPaths") or ((artist,) if artist else ()))
    return Event(name)


def split_paths(text: str, roots: Sequence[str] = ()) -> list[str]:
    """The paths of a list that Lidarr joined with `|`, which paths may contain themselves.

    A piece starts a new path if it is an absolute one, and lies below one of `roots` where the first path does.
    """
    pieces = text.split("|")
    known = [PathMapping("*", root, "") for root in roots]
    if map_path(pieces[0], known) is None:
        known = []
    paths: list[list[str]] = []
    for piece in pieces:
        is_start = _is_absolute(piece) and (not known or map_path(piece, known) is not None)
        if is_start or not paths:
            paths.append([piece])
        else:
            paths[-1].append(piece)
    return [path for path in map("|".join, paths) if path]


def map_path(path: str, mappings: Iterable[PathMapping], source: str = "*") -> str | None:
    """The path as Nomarr sees it by the longest prefix that fits; None if none fits."""
    fitting = [mapping for mapping in mappings if mapping.source in (source, "*")]
    for mapping in sorted(fitting, key=lambda mapping: -len(_bare(mapping.from_prefix))):
        rest = _below(path, mapping)
        if rest is not None:
            return f"{mapping.to_prefix.rstrip('/')}/{rest}".rstrip("/") or "/"
    return None


def existing(path: str) -> str | None:
    """The path as it is on disk, where accents may be written in another way; None if there is nothing."""
    for form in (path, unicodedata.normalize("NFC", path), unicodedata.normalize("NFD", path)):
        try:
            if os.path.exists(form):
                return form
        except ValueError:  # a character that no path can hold
            return None
    return None


def suggest(path: str, roots: Iterable[str]) -> Suggestion | None:
    """The mapping by which the longest end of the path is found below one of our folders."""
    separator = "\\" if WINDOWS.match(path) else "/"
    parts = [part for part in re.split(r"[\\/]" if separator == "\\" else "/", path) if part]
    if ".." in parts or len(parts) > DEEPEST:
        return None
    places = list(roots)
    for start in range(1, len(parts) - SHORTEST_TAIL + 1):
        tail = "/".join(parts[start:])
        for root in places:
            if existing(os.path.join(root, tail)):
                head = separator.join(parts[:start])
                return Suggestion(_lead(path) + head, root)
    return None


def checked(mapping: PathMapping) -> PathMapping:
    """The mapping with tidy prefixes. InvalidInput if it cannot work."""
    texts = (mapping.from_prefix, mapping.to_prefix)
    if any("\0" in text or not _is_unicode(text) for text in texts):
        raise InvalidInput("A prefix must be text without NUL characters")
    if not _is_absolute(mapping.from_prefix):
        raise InvalidInput("from_prefix: it must be an absolute path, as /data/music, D:\\Music or \\\\server\\share")
    if not mapping.to_prefix.startswith("/") or ".." in PurePosixPath(mapping.to_prefix).parts:
        raise InvalidInput("to_prefix: it must be an absolute path without ..")
    return PathMapping(
        mapping.source, _bare(mapping.from_prefix) or mapping.from_prefix[:1], mapping.to_prefix.rstrip("/") or "/"
    )


def _below(path: str, mapping: PathMapping) -> str | None:
    """What follows the prefix in the path, with / between its parts; None if the path does not lie below it."""
    prefix = _bare(mapping.from_prefix)
    if mapping.is_windows:
        given, wanted = path.replace("\\", "/"), prefix.replace("\\", "/")
        fits = given[: len(wanted)].casefold() == wanted.casefold()
        rest = given[len(wanted) :]
    else:
        fits, rest = path.startswith(prefix), path[len(prefix) :]
    if not fits or (rest and not rest.startswith("/")):
        return None
    return rest.strip("/") if mapping.is_windows else rest.lstrip("/")


def _bare(prefix: str) -> str:
    return prefix.rstrip("\\/") if WINDOWS.match(prefix) else prefix.rstrip("/")


def _lead(path: str) -> str:
    return "\\\\" if path.startswith("\\\\") else "/" if path.startswith("/") else ""


def _is_absolute(text: str) -> bool:
    return text.startswith("/") or WINDOWS.match(text) is not None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _paths(files: Iterable[object], member: str = "path") -> tuple[str, ...]:
    """A member of the objects among them, where it is a text."""
    found = (file.get(member) for file in files if isinstance(file, dict))
    return _unique(path for path in found if isinstance(path, str) and path)


def _unique(paths: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(paths))
