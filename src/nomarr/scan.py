"""One library folder -> rows: new, changed, moved, copied and missing files."""

from __future__ import annotations

import fnmatch
import os
import re
import stat
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from nomarr.errors import (
    Conflict,
    DatabaseProblem,
    Forbidden,
    InvalidInput,
    NomarrError,
    NotFound,
    UnreadableAudio,
    VanishedFile,
    printable,
)
from nomarr.store import files, identity, libraries, queue, tags
from nomarr.store.database import Database, Transaction
from nomarr.store.files import Facts, KnownFile, NewFile
from nomarr.store.identity import SameAudio
from nomarr.store.libraries import Library
from nomarr.tagfiles import audiofile, payload
from nomarr.tagfiles.facts import FileFacts

# fmt: off
AUDIO_ENDINGS = frozenset(
    {"mp3", "flac", "m4a", "m4b", "mp4", "aac", "alac", "ogg", "oga", "opus", "spx", "wav", "aiff", "aif", "aifc",
     "wma", "asf", "wv", "ape", "mka", "dsf", "dff", "mpc", "tta", "tak", "au", "caf", "webm", "ac3", "dts", "mp2"}
)
# fmt: on
IGNORE_FILE = ".nomarrignore"
BATCH = 200  # files per write transaction: workers wait a few hundredths of a second for it, not more
HEARTBEAT_MS = 10_000  # well below the silence after which another scan may take over
SKIPPED_LISTED = 1000
LONGEST_FOLDER = 2000  # bytes; PostgreSQL's index rows end at 2,704

IS_LINK = "it is a link, which Nomarr does not follow"
NOT_UTF8 = "its name is not valid UTF-8; rename it to have it tagged"
NO_ACCESS = "no_access"  # error kinds of files that a scan sets aside
UNREADABLE = "unreadable"


@dataclass(frozen=True)
class ScanResult:
    """What a scan met. Of what was skipped at most 1,000 are listed, as (path, reason)."""

    found: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    moved: int = 0
    copied: int = 0
    returned: int = 0
    missing: int = 0
    purged: int = 0
    queued: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)
    skipped_count: int = 0


def scan_library(
    db: Database,
    library: Library,
    *,
    paths: Sequence[str | os.PathLike[str]] | None = None,
    recursive: bool = True,
    force: bool = False,
    clean_missing: bool = True,
    ignore_patterns: Sequence[str] = (),
    queue_new: bool = True,
    namespace: str = "nom",
    now: Callable[[], int] | None = None,
    progress: Callable[[int, str], None] | None = None,
) -> ScanResult:
    """Bring the library's rows up to date with its folder, or with some paths in it; touches no file.

    `force` has everything in scope listened to again; without `queue_new` nothing is queued for listening.
    `now` gives milliseconds UTC (default: the database's clock); `progress` hears of each folder as
    (files found so far, folder). Conflict if another scan of the library runs, or if its folder is empty
    although files of it are known.
    """
    readable_root(library.root_path)
    scopes = _scopes(library, paths, recursive=recursive)
    scan = _Scan(
        db=db,
        library=library,
        force=force,
        queue_new=queue_new,
        namespace=namespace,
        now=now or _clock_of(db),
        progress=progress,
        rules=tuple(_rule("", pattern) for pattern in ignore_patterns),
    )
    with db.write() as tx:
        libraries.begin_scan(tx, library.id, owner=scan.owner, now=scan.now())
    try:
        result = scan.run(scopes, clean_missing=clean_missing)
    except BaseException as error:
        with suppress(DatabaseProblem):
            scan.end(str(error) if isinstance(error, NomarrError) else "it was interrupted")
        raise
    scan.end(None)
    return result


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


class _Scope(NamedTuple):
    """A folder to scan: all of it, or only some names right in it."""

    folder: str
    recursive: bool
    names: frozenset[str] | None = None


class _Rule(NamedTuple):
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


class _Seen(NamedTuple):
    folder: str
    name: str
    path: str
    size: int
    mtime_ns: int


class _Listing(NamedTuple):
    """One folder on disk; `spared` are names that are there but could not be looked at."""

    folder: str
    audio: list[_Seen]
    spared: set[str]
    subfolders: list[str]
    rules: tuple[_Rule, ...]


@dataclass(frozen=True)
class _Look:
    """What reading a new or changed file gave; `gone` are rows with such audio whose file is not there."""

    seen: _Seen
    known: KnownFile | None
    new: NewFile
    facts: FileFacts
    audio_hash: str | None = None
    gone: frozenset[int] = frozenset()


@dataclass
class _Scan:
    """One run: its options, what it counted, and the changes that wait for the next write transaction."""

    db: Database
    library: Library
    force: bool
    queue_new: bool
    namespace: str
    now: Callable[[], int]
    progress: Callable[[int, str], None] | None
    rules: tuple[_Rule, ...]
    owner: str = field(default_factory=lambda: uuid.uuid4().hex)
    counts: dict[str, int] = field(default_factory=dict)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    visited: set[str] = field(default_factory=set)
    closed: list[str] = field(default_factory=list)  # there, but impossible to look into
    to_read: list[tuple[_Seen, KnownFile | None]] = field(default_factory=list)
    returned: list[int] = field(default_factory=list)
    forced: list[int] = field(default_factory=list)
    vanished: list[int] = field(default_factory=list)
    moved_ids: set[int] = field(default_factory=set)
    last_beat: int = 0

    def run(self, scopes: Sequence[_Scope], *, clean_missing: bool) -> ScanResult:
        self.last_beat = self.now()
        with os.scandir(self.library.root_path) as entries:
            self._refuse_if_empty(next(entries, None) is None)
        for scope in scopes:
            for listing in self._walk(scope):
                self._compare(listing, scope.names)
        self._write()
        self._refuse_if_empty(not self.counts.get("found") and any(s == _Scope("", True) for s in scopes))
        if clean_missing:
            self._mark_missing(scopes)
            self._purge()
        return ScanResult(**self.counts, skipped=self.skipped)

    def end(self, error: str | None) -> None:
        with self.db.write() as tx:
            libraries.end_scan(tx, self.library.id, owner=self.owner, now=self.now(), error=error)

    # the disk

    def _walk(self, scope: _Scope) -> Iterator[_Listing]:
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

    def _list(self, folder: str, rules: tuple[_Rule, ...]) -> _Listing | None:
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
        listing = _Listing(folder, [], set(), [], rules)
        for entry in entries:
            try:
                self._sort_in(listing, entry)
            except FileNotFoundError:
                continue
            except OSError as error:
                self._skip(entry.path, f"it cannot be read: {error.strerror}")
                listing.spared.add(entry.name)
        return listing

    def _sort_in(self, listing: _Listing, entry: os.DirEntry[str]) -> None:
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
            listing.audio.append(_Seen(listing.folder, entry.name, entry.path, facts.st_size, facts.st_mtime_ns))

    def _rules_above(self, folder: str) -> tuple[_Rule, ...] | None:
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
        return os.path.join(self.library.root_path, folder) if folder else self.library.root_path

    # the comparison

    def _compare(self, listing: _Listing, names: frozenset[str] | None) -> None:
        if names is None:
            self.visited.add(listing.folder)
        with self.db.read() as tx:
            known = files.in_folder(tx, self.library.id, listing.folder)
        for seen in listing.audio:
            if names is not None and seen.name not in names:
                continue
            self._count("found")
            self._compare_file(seen, known.get(seen.name))
            if len(self.to_read) + len(self.returned) + len(self.forced) >= BATCH:
                self._write()
        there = {seen.name for seen in listing.audio} | listing.spared
        self.vanished.extend(
            row.id
            for name, row in known.items()
            if name not in there and row.missing_since is None and (names is None or name in names)
        )
        self._stay_alive()
        if self.progress is not None:
            self.progress(self.counts.get("found", 0), listing.folder)

    def _compare_file(self, seen: _Seen, known: KnownFile | None) -> None:
        is_same = known is not None and (known.size, known.mtime_ns) == (seen.size, seen.mtime_ns)
        if known is None or not is_same or known.error_kind == NO_ACCESS:
            self.to_read.append((seen, known))
            return
        if known.missing_since is not None:
            self.returned.append(known.id)
            self._count("returned")
        else:
            self._count("unchanged")
        if self.force:
            self.forced.append(known.id)

    def _look(self, seen: _Seen, known: KnownFile | None) -> _Look | None:
        """Read a file outside of any transaction; None if it vanished meanwhile."""
        place = (seen.folder, seen.name, seen.size, seen.mtime_ns)
        facts = FileFacts("")
        try:
            facts = audiofile.describe(seen.path, namespace=self.namespace)
            new = NewFile(*place, facts=_columns(facts), audio_key=payload.audio_key(seen.path))
            return self._look_for_twins(_Look(seen, known, new, facts))
        except VanishedFile as error:
            if not os.path.lexists(seen.path):
                return None
            return _Look(seen, known, NewFile(*place, error=error.why, error_kind=NO_ACCESS), facts)
        except UnreadableAudio as error:
            new = NewFile(*place, facts=_columns(facts), error=error.why, error_kind=UNREADABLE)
            return _Look(seen, known, new, facts)

    def _look_for_twins(self, look: _Look) -> _Look:
        """Read the audio in full only where the database may know it."""
        key = look.new.audio_key or ""
        with self.db.read() as tx:
            twins = identity.find_same_audio(tx, key)
        was_heard = look.known is not None and look.known.audio_hash is not None and look.known.audio_key == key
        if not twins and not was_heard:
            return look
        return _Look(
            look.seen,
            look.known,
            look.new,
            look.facts,
            audio_hash=payload.audio_hash(look.seen.path),
            gone=frozenset(twin.id for twin in twins if self._is_gone(twin)),
        )

    def _is_gone(self, twin: SameAudio) -> bool:
        """Whether the file left its place. Another library may merely be unmounted: only its own scan can say."""
        if twin.library_id != self.library.id:
            return twin.missing_since is not None
        return not os.path.lexists(twin.path)

    # the database

    def _write(self) -> None:
        """One write transaction for all that waits; the reading of files comes before it."""
        looks = []
        for seen, known in self.to_read:
            looks.append(self._look(seen, known))
            self._stay_alive()
        if looks or self.returned or self.forced:
            with self.db.write() as tx:
                for look in looks:
                    if look is not None:
                        self._record(tx, look)
                files.mark_present(tx, self.returned, self.now())
                queued = queue.request_analysis(tx, self.forced, force=True, now=self.now())
                self._count("queued", queued)
        self.to_read, self.returned, self.forced = [], [], []

    def _record(self, tx: Transaction, look: _Look) -> None:
        if look.known is None:
            self._record_new(tx, look)
        elif look.new.error_kind == NO_ACCESS:
            self._record_unopened(tx, look, look.known)
        else:
            self._record_changed(tx, look, look.known)

    def _record_new(self, tx: Transaction, look: _Look) -> None:
        twin = self._twin(tx, look)
        if twin is not None and self._left_its_place(twin, look):
            lost = self._lacks_our_tags(tx, twin.id, look.facts)
            identity.move(tx, twin.id, look.new, library_id=self.library.id, now=self.now(), needs_write=lost)
            tags.replace_file_tags(tx, twin.id, _file_tags(look.facts))
            self.moved_ids.add(twin.id)
            self._count("moved")
            self._force(tx, twin.id)
            return
        file_id = files.insert(
            tx, self.library.id, look.new, now=self.now(), needs_tagging=self.queue_new or self.force
        )
        if file_id is None:
            return
        tags.add_file_tags(tx, {file_id: _file_tags(look.facts)})
        if twin is not None and not self.force:
            self._copy(tx, twin, file_id, look)
            return
        self._count("new")
        if look.new.error is None and (self.queue_new or self.force):
            self._count("queued")

    def _record_changed(self, tx: Transaction, look: _Look, known: KnownFile) -> None:
        is_same_audio = known.audio_hash is not None and look.audio_hash == known.audio_hash
        was_taken = files.update_changed(
            tx,
            known,
            look.new,
            now=self.now(),
            same_audio=is_same_audio,
            needs_tagging=self.queue_new or self.force,
            needs_write=is_same_audio and self._lacks_our_tags(tx, known.id, look.facts),
        )
        if not was_taken:
            self._count("unchanged")  # in a worker's hands; the next scan sees what became of it
            return
        tags.replace_file_tags(tx, known.id, _file_tags(look.facts))
        self._count("changed")
        if is_same_audio:
            self._force(tx, known.id)
            return
        twin = None if self.force else self._twin(tx, look)
        if twin is not None:
            self._copy(tx, twin, known.id, look)
        elif look.new.error is None and (self.queue_new or self.force):
            self._count("queued")

    def _record_unopened(self, tx: Transaction, look: _Look, known: KnownFile) -> None:
        is_same = (known.size, known.mtime_ns) == (look.new.size, look.new.mtime_ns)
        if known.error_kind == NO_ACCESS and is_same and known.missing_since is None:
            self._count("unchanged")
            return
        files.set_aside_unopened(tx, known, look.new, now=self.now())
        self._count("changed")

    def _twin(self, tx: Transaction, look: _Look) -> SameAudio | None:
        """A row with the very same audio: best one whose file is gone and had the same name."""
        if look.audio_hash is None or look.new.audio_key is None:
            return None
        twins = [
            twin
            for twin in identity.find_same_audio(tx, look.new.audio_key)
            if twin.audio_hash == look.audio_hash and (look.known is None or twin.id != look.known.id)
        ]
        twins.sort(key=lambda twin: (not self._left_its_place(twin, look), twin.name != look.seen.name))
        return twins[0] if twins else None

    def _left_its_place(self, twin: SameAudio, look: _Look) -> bool:
        """What was seen of the disk, but for rows that have been moved since: those are in place."""
        return twin.missing_since is not None or twin.id in look.gone - self.moved_ids

    def _copy(self, tx: Transaction, twin: SameAudio, file_id: int, look: _Look) -> None:
        written = tags.written(tx, twin.id)
        identity.copy_analysis(
            tx,
            source_id=twin.id,
            target_id=file_id,
            now=self.now(),
            tags_are_in_file=bool(written) and _holds(look.facts.ours, written),
        )
        self._count("copied")

    def _lacks_our_tags(self, tx: Transaction, file_id: int, facts: FileFacts) -> bool:
        return not _holds(facts.ours, tags.written(tx, file_id))

    def _force(self, tx: Transaction, file_id: int) -> None:
        if self.force:
            self._count("queued", queue.request_analysis(tx, [file_id], force=True, now=self.now()))

    def _mark_missing(self, scopes: Iterable[_Scope]) -> None:
        for start in range(0, len(self.vanished), BATCH):
            self._stay_alive()
            with self.db.write() as tx:
                ids = [i for i in self.vanished[start : start + BATCH] if i not in self.moved_ids]
                self._count("missing", files.mark_missing(tx, ids, self.now()))
        for scope in scopes:
            if scope.recursive:
                self._mark_folders_missing(scope.folder)

    def _mark_folders_missing(self, below: str) -> None:
        with self.db.read() as tx:
            gone = [folder for folder in files.folders(tx, self.library.id, below=below) if self._is_left(folder)]
        for folder in gone:
            self._stay_alive()
            with self.db.write() as tx:
                self._count("missing", files.mark_folder_missing(tx, self.library.id, folder, self.now()))

    def _is_left(self, folder: str) -> bool:
        is_hidden = any(folder == c or c == "" or folder.startswith(f"{c}/") for c in self.closed)
        return folder not in self.visited and not is_hidden

    def _purge(self) -> None:
        while True:
            self._stay_alive()
            with self.db.write() as tx:
                purged = files.purge_missing(tx, library_id=self.library.id, now=self.now())
            self._count("purged", purged)
            if not purged:
                return

    def _refuse_if_empty(self, is_empty: bool) -> None:
        if not is_empty:
            return
        with self.db.read() as tx:
            known = files.count(tx, self.library.id)
        if known:
            raise Conflict(
                f"{printable(self.library.root_path)} holds no music, but {known} files of library "
                f"{self.library.name} are known: is the disk mounted? Nothing was changed"
            )

    # the books

    def _stay_alive(self) -> None:
        now = self.now()
        if now - self.last_beat < HEARTBEAT_MS:
            return
        with self.db.write() as tx:
            libraries.renew_scan(tx, self.library.id, owner=self.owner, now=now)
        self.last_beat = now

    def _count(self, what: str, by: int = 1) -> None:
        self.counts[what] = self.counts.get(what, 0) + by

    def _skip(self, path: str, reason: str) -> None:
        self._count("skipped_count")
        if len(self.skipped) < SKIPPED_LISTED:
            self.skipped.append((printable(path), reason))


def _clock_of(db: Database) -> Callable[[], int]:
    """The database's clock, asked once: this machine's, put right."""
    with db.read() as tx:
        ahead_ms = tx.now_ms() - time.time_ns() // 1_000_000
    return lambda: time.time_ns() // 1_000_000 + ahead_ms


def _scopes(library: Library, paths: Sequence[str | os.PathLike[str]] | None, *, recursive: bool) -> list[_Scope]:
    """What to scan, without overlaps. Every path is checked before anything is scanned."""
    if paths is None:
        return [_Scope("", recursive)]
    folders: set[str] = set()
    names: dict[str, set[str]] = {}
    for path in paths:
        relative, is_folder = _inside(library, os.fspath(path))
        folder, _, name = relative.rpartition("/")
        if is_folder:
            folders.add(relative)
        else:
            names.setdefault(folder, set()).add(name)
    kept = [f for f in folders if not (recursive and _is_below_any(f, folders - {f}))]
    single = [
        _Scope(folder, False, frozenset(found))
        for folder, found in names.items()
        if folder not in folders and not (recursive and _is_below_any(folder, folders))
    ]
    return [_Scope(folder, recursive) for folder in sorted(kept)] + single


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


def _is_below_any(folder: str, others: Iterable[str]) -> bool:
    return any(folder != other and (other == "" or folder.startswith(f"{other}/")) for other in others)


def _read_rules(path: Path, folder: str) -> tuple[_Rule, ...] | None:
    """The rules of a folder's own ignore file; None if that leaves out the whole folder."""
    try:
        text = (path / IGNORE_FILE).read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return ()
    lines = [line.strip() for line in text.splitlines()]
    if not any(lines):
        return None
    return tuple(_rule(folder, line) for line in lines if line and not line.startswith("#"))


def _rule(base: str, line: str) -> _Rule:
    pattern = line.removeprefix("!")
    bare = pattern.rstrip("/").removeprefix("**/")
    return _Rule(
        base=base,
        pattern=re.compile(fnmatch.translate(bare.removeprefix("/"))),
        by_name="/" not in bare,
        folders_only=pattern.endswith("/"),
        is_exception=line.startswith("!"),
    )


def _is_ignored(rules: Sequence[_Rule], relative: str, *, is_folder: bool) -> bool:
    """As git decides: the last rule that matches wins."""
    for rule in reversed(rules):
        if rule.matches(relative, is_folder=is_folder):
            return not rule.is_exception
    return False


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _columns(facts: FileFacts) -> Facts:
    return Facts(
        container=facts.container,
        duration_s=facts.duration_s,
        title=facts.title,
        artist=facts.artist,
        album=facts.album,
        album_artist=facts.album_artist,
        genre=facts.genres[0] if facts.genres else None,
        year=facts.year,
        track=facts.track,
        disc=facts.disc,
    )


def _file_tags(facts: FileFacts) -> Mapping[str, tuple[str, ...]]:
    return {**facts.tags, "genre": facts.genres}


def _holds(ours: Mapping[str, Sequence[str]], written: Mapping[str, Sequence[str]]) -> bool:
    return all(tuple(ours.get(name, ())) == tuple(values) for name, values in written.items())
