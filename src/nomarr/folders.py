"""What lies in a library's folders: the audio files, and what is passed over and why."""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from nomarr.errors import Forbidden, InvalidInput, NotFound, printable
from nomarr.store.libraries import Library

# fmt: off
AUDIO_ENDINGS = frozenset(
    {"mp3", "flac", "m4a", "m4b", "mp4", "aac", "alac", "ogg", "oga", "opus", "spx", "wav", "aiff", "aif", "aifc",
     "wma", "asf", "wv", "ape", "mka", "dsf", "dff", "mpc", "tta", "tak", "au", "caf", "webm", "ac3", "dts", "mp2"}
)
# fmt: on
IGNORE_FILE = ".nomarrignore"
SKIPPED_LISTED = 1000
LONGEST_FOLDER = 2000  # bytes; PostgreSQL's index rows end at 2,704

IS_LINK = "it is a link, which Nomarr does not follow"
NOT_UTF8 = "its name is not valid UTF-8; rename it to have it tagged"


class Scope(NamedTuple):
    """A folder to scan: all of it, or only some names right in it."""

    folder: str
    recursive: bool
    names: frozenset[str] | None = None


class Seen(NamedTuple):
    """An audio file on disk."""

    folder: str
    name: str
    path: str
    size: int
    mtime_ns: int


class Rule(NamedTuple):
    """What to leave out below a folder, or with `is_exception` what to keep after all."""

    base: str
    pattern: re.Pattern[str]
    by_name: bool
    folders_only: bool
    is_exception: bool

    def matches(self, relative: str, *, is_folder: bool) -> bool:
        if self.folders_only and not is_folder:
            return False
        below = relative[len(self.base) :].lstrip("/")
        name = below.rpartition("/")[2]
        return bool(self.pattern.match(below) or (self.by_name and self.pattern.match(name)))


class Listing(NamedTuple):
    """One folder on disk; `spared` are names that are there but could not be looked at."""

    folder: str
    audio: list[Seen]
    spared: set[str]
    subfolders: list[str]
    rules: tuple[Rule, ...]


@dataclass
class Walk:
    """A way through the folders of a library, and what was passed over on it: the first as (path, reason)."""

    root: str
    rules: tuple[Rule, ...] = ()
    skipped: list[tuple[str, str]] = field(default_factory=list)
    skipped_count: int = 0
    closed: list[str] = field(default_factory=list)  # there, but impossible to look into

    def listings(self, scope: Scope) -> Iterator[Listing]:
        """The folders of a scope, each before those in it. A stack of names: no depth is too deep."""
        rules = self._rules_above(scope.folder)
        todo = [] if rules is None else [(scope.folder, rules)]
        while todo:
            folder, rules = todo.pop()
            listing = self._list(folder, rules)
            if listing is None:
                continue
            yield listing
            if scope.recursive:
                todo.extend((subfolder, listing.rules) for subfolder in sorted(listing.subfolders, reverse=True))

    def _list(self, folder: str, rules: tuple[Rule, ...]) -> Listing | None:
        path = self._absolute(folder)
        try:
            with os.scandir(path) as found:
                entries = list(found)
            if any(entry.name == IGNORE_FILE for entry in entries):
                own = _read_rules(Path(path), folder)
                if own is None:
                    return None
                rules = (*rules, *own)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._skip(path, f"it cannot be read: {error.strerror}")
            self.closed.append(folder)
            return None
        listing = Listing(folder, [], set(), [], rules)
        for entry in entries:
            try:
                self._sort_in(listing, entry)
            except FileNotFoundError:
                continue
            except OSError as error:
                self._skip(entry.path, f"it cannot be read: {error.strerror}")
                listing.spared.add(entry.name)
        return listing

    def _sort_in(self, listing: Listing, entry: os.DirEntry[str]) -> None:
        is_audio = Path(entry.name).suffix[1:].lower() in AUDIO_ENDINGS
        relative = f"{listing.folder}/{entry.name}" if listing.folder else entry.name
        if entry.name.startswith(".") or ".nomtmp" in entry.name:
            return
        if entry.is_symlink():
            if (is_audio or Path(entry.path).is_dir()) and not _is_ignored(listing.rules, relative, is_folder=False):
                self._skip(entry.path, IS_LINK)
            return
        is_folder = entry.is_dir(follow_symlinks=False)
        if not (is_folder or is_audio) or _is_ignored(listing.rules, relative, is_folder=is_folder):
            return
        if not _is_utf8(entry.name):
            self._skip(entry.path, NOT_UTF8)
        elif is_folder and len(relative.encode()) > LONGEST_FOLDER:
            self._skip(entry.path, f"its path is longer than {LONGEST_FOLDER} bytes")
        elif is_folder:
            listing.subfolders.append(relative)
        elif not entry.is_file(follow_symlinks=False):
            self._skip(entry.path, "it is not a regular file")
        else:
            facts = entry.stat(follow_symlinks=False)
            listing.audio.append(Seen(listing.folder, entry.name, entry.path, facts.st_size, facts.st_mtime_ns))

    def _rules_above(self, folder: str) -> tuple[Rule, ...] | None:
        """The rules that hold in a folder, from the root down to it; None if it is left out by them."""
        rules, above = self.rules, ""
        for name in folder.split("/") if folder else ():
            try:
                own = _read_rules(Path(self._absolute(above)), above)
            except OSError as error:
                self._skip(self._absolute(above), f"it cannot be read: {error.strerror}")
                self.closed.append(folder)
                return None
            rules = (*rules, *(own or ()))
            above = f"{above}/{name}" if above else name
            if own is None or name.startswith(".") or _is_ignored(rules, above, is_folder=True):
                self._skip(self._absolute(folder), "it is ignored, by its name or by a rule")
                return None
        return rules

    def _absolute(self, folder: str) -> str:
        return os.path.join(self.root, folder) if folder else self.root

    def _skip(self, path: str, reason: str) -> None:
        self.skipped_count += 1
        if len(self.skipped) < SKIPPED_LISTED:
            self.skipped.append((printable(path), reason))


def readable_root(root: str | os.PathLike[str]) -> None:
    """Raise unless this is a folder whose content can be listed."""
    try:
        with os.scandir(root):
            pass
    except FileNotFoundError as error:
        raise NotFound(f"Folder not found: {printable(root)}") from error
    except NotADirectoryError as error:
        raise InvalidInput(f"{printable(root)}: it is not a folder") from error
    except OSError as error:
        raise InvalidInput(f"{printable(root)}: cannot be read: {error.strerror}") from error


def content_of(root: str) -> tuple[int, int, bool]:
    """What tells whether another disk is there than before: device, number of the folder, whether it holds anything."""
    facts = os.stat(root)
    with os.scandir(root) as entries:
        return facts.st_dev, facts.st_ino, next(entries, None) is not None


def scopes_of(library: Library, paths: Sequence[str | os.PathLike[str]] | None, *, recursive: bool) -> list[Scope]:
    """What to scan, without overlaps. Every path is checked before anything is scanned."""
    if paths is None:
        return [Scope("", recursive)]
    scopes = []
    for path in paths:
        relative, is_folder = _inside(library, os.fspath(path))
        folder, _, name = relative.rpartition("/")
        scopes.append(Scope(relative, recursive) if is_folder else Scope(folder, False, frozenset({name})))
    return distinct(scopes)


def distinct(scopes: Iterable[Scope]) -> list[Scope]:
    """The same without overlaps: trees first, then folders, then names in folders."""
    trees: set[str] = set()
    folders: set[str] = set()
    names: dict[str, set[str]] = {}
    for scope in scopes:
        if scope.recursive:
            trees.add(scope.folder)
        elif scope.names is None:
            folders.add(scope.folder)
        else:
            names.setdefault(scope.folder, set()).update(scope.names)
    return [
        *(Scope(tree, True) for tree in sorted(trees) if not _is_in_any(tree, trees - {tree})),
        *(Scope(folder, False) for folder in sorted(folders) if not _is_in_any(folder, trees)),
        *(
            Scope(folder, False, frozenset(found))
            for folder, found in names.items()
            if folder not in folders and not _is_in_any(folder, trees)
        ),
    ]


def _inside(library: Library, path: str) -> tuple[str, bool]:
    """The path relative to the library's root, and whether it is a folder."""
    root = os.path.realpath(library.root_path)
    absolute = os.path.realpath(os.path.join(root, path))
    try:
        is_folder = stat.S_ISDIR(Path(absolute).stat().st_mode)
    except (OSError, ValueError) as error:
        raise NotFound(f"File not found: {printable(path)}") from error
    if not Path(absolute).is_relative_to(root):
        raise Forbidden(f"{printable(path)} lies outside library {library.name}")
    relative = os.path.relpath(absolute, root)
    return ("" if relative == "." else relative), is_folder


def _is_in_any(folder: str, trees: Set[str]) -> bool:
    """Whether the folder is one of the trees, or lies in one."""
    while folder:
        if folder in trees:
            return True
        folder = folder.rpartition("/")[0]
    return "" in trees


def _read_rules(path: Path, folder: str) -> tuple[Rule, ...] | None:
    """The rules of a folder's own ignore file; None if that leaves out the whole folder."""
    try:
        text = (path / IGNORE_FILE).read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return ()
    lines = [line.strip() for line in text.splitlines()]
    if not any(lines):
        return None
    return tuple(rule(folder, line) for line in lines if line and not line.startswith("#"))


def rule(base: str, line: str) -> Rule:
    """What one line of an ignore file says about what lies in the folder `base`."""
    pattern = line.removeprefix("!")
    bare = pattern.rstrip("/").removeprefix("**/")
    return Rule(
        base=base,
        pattern=re.compile(fnmatch.translate(bare.removeprefix("/"))),
        by_name="/" not in bare,
        folders_only=pattern.endswith("/"),
        is_exception=line.startswith("!"),
    )


def _is_ignored(rules: Sequence[Rule], relative: str, *, is_folder: bool) -> bool:
    """As git decides: the last rule that matches wins."""
    for last in reversed(rules):
        if last.matches(relative, is_folder=is_folder):
            return not last.is_exception
    return False


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
