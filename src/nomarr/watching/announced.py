"""What was announced -> a scan of just those places, once they hold still."""

from __future__ import annotations

import hashlib
import logging
import os
import stat
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from nomarr import config
from nomarr.arrivals import NO_ACCESS
from nomarr.errors import Conflict, DatabaseProblem, NomarrError, ScanCancelled, printable
from nomarr.folders import Listing, Scope, Walk, content_of, rule
from nomarr.scan import scan_library
from nomarr.settings import Settings
from nomarr.store import announcements, files, libraries, queue
from nomarr.store.announcements import LONGEST_WAIT_MS, Announcement
from nomarr.store.database import Database
from nomarr.store.files import KnownFile
from nomarr.store.libraries import Library
from nomarr.store.queue import ASKED_FOR

log = logging.getLogger(__name__)

SETTLE_MS = 3_000  # what looks the same after this is complete
BUSY_MS = 1_000  # until the next try while another scan runs
RETRY_MS = 60_000  # until the next try where the folder cannot be read


def scan_announced(
    db: Database,
    settings: Settings,
    *,
    now: int | None = None,
    progress: Callable[[int, str], None] | None = None,
) -> int:
    """Scan what is due, and have analysed what was promised; says how many places were done with.

    `settings` are those that the process started with.
    """
    with db.read() as tx:
        now = tx.now_ms() if now is None else now
        due = announcements.due(tx, now=now)
        if not due:
            return 0
        known = {library.id: library for library in libraries.list_all(tx)}
        settings = config.effective(tx, settings)
    done = 0
    for library_id, places in groupby(sorted(due, key=lambda a: a.library_id), lambda a: a.library_id):
        round_ = _Round(db, settings, known[library_id], now, progress)
        done += round_.run(list(places))
    return done


@dataclass
class _Round:
    """One library's places: what is to be scanned, what has to wait."""

    db: Database
    settings: Settings
    library: Library
    now: int
    progress: Callable[[int, str], None] | None
    scopes: list[Scope] = field(default_factory=list)
    later: list[Announcement] = field(default_factory=list)
    wanted: list[str] = field(default_factory=list)  # files that somebody wants analysed
    folders: dict[str, dict[str, KnownFile]] = field(default_factory=dict)

    def run(self, places: Sequence[Announcement]) -> int:
        try:
            if not content_of(self.library.root_path)[-1]:
                raise Conflict(f"{printable(self.library.root_path)} is empty: is the disk mounted?")
            for place in places:
                self._look_at(place)
            self._scan()
        except ScanCancelled as error:
            log.info("%s; what was announced there is left to the next scan", error)
            self.later.clear()
        except DatabaseProblem:
            raise
        except (NomarrError, OSError) as error:
            self._put_off(places, error)
            return 0
        waiting = {place.path for place in self.later}
        finished = [place for place in places if place.path not in waiting]
        with self.db.write() as tx:
            announcements.put_off(tx, self.later, until=self.now + SETTLE_MS)
            announcements.done(tx, finished)
            queue.request_analysis(tx, self._ids(), priority=ASKED_FOR, now=tx.now_ms())
        return len(finished)

    def _put_off(self, places: Sequence[Announcement], error: NomarrError | OSError) -> None:
        with self.db.write() as tx:
            is_busy = libraries.get(tx, self.library.id).is_being_scanned(now=tx.now_ms())
            announcements.put_off(tx, places, until=self.now + (BUSY_MS if is_busy else RETRY_MS))
        if not is_busy:
            log.warning("library %s: what is new waits: %s", self.library.name, error)

    def _look_at(self, place: Announcement) -> None:
        path = os.path.join(self.library.root_path, place.path) if place.path else self.library.root_path
        if not is_without_links(self.library.root_path, place.path):
            return
        try:
            facts = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            self._look_for(place)
            return
        if stat.S_ISDIR(facts.st_mode):
            self._look_into(place)
        elif stat.S_ISREG(facts.st_mode):
            self._look_at_file(place, facts)

    def _look_for(self, place: Announcement) -> None:
        """It is not there: not yet, or not any more."""
        if place.is_promised and self.now < place.first_at + LONGEST_WAIT_MS:
            self.later.append(place)
            return
        if place.is_promised:
            log.warning("library %s: %s was announced, but did not come", self.library.name, printable(place.path))
        folder, _, name = place.path.rpartition("/")
        with self.db.read() as tx:
            was_folder = next(files.folders(tx, self.library.id, below=place.path), None) is not None
        if was_folder:
            self.scopes.append(Scope(place.path, True))
        if name in self._known(folder):
            self.scopes.append(Scope(folder, False, frozenset({name})))

    def _look_into(self, place: Announcement) -> None:
        if place.is_tree:
            self.scopes.append(Scope(place.path, True))
            return
        walk = Walk(self.library.root_path, tuple(rule("", p) for p in self.settings.library_ignore_patterns))
        for listing in walk.listings(Scope(place.path, False)):
            if is_known(listing, self._known(place.path)):
                return
            if self._holds_still(place, seen_in(listing)):
                self.scopes.append(Scope(place.path, False))

    def _look_at_file(self, place: Announcement, facts: os.stat_result) -> None:
        folder, _, name = place.path.rpartition("/")
        known = self._known(folder).get(name)
        is_new = known is None or known.missing_since is not None
        if is_new or (known and (known.size, known.mtime_ns) != (facts.st_size, facts.st_mtime_ns)):
            if not self._holds_still(place, seen_of(facts)):
                return
            self.scopes.append(Scope(folder, False, frozenset({name})))
        if place.is_promised:
            self.wanted.append(place.path)

    def _holds_still(self, place: Announcement, seen: str) -> bool:
        if seen == place.seen or self.now >= place.first_at + LONGEST_WAIT_MS:
            return True
        self.later.append(replace(place, seen=seen))
        return False

    def _scan(self) -> None:
        if not self.scopes:
            return
        result = scan_library(
            self.db,
            self.library,
            scopes=self.scopes,
            ignore_patterns=self.settings.library_ignore_patterns,
            queue_new=self.settings.library_auto_tag,
            namespace=self.settings.namespace,
            progress=self.progress,
        )
        log.info(
            "library %s: %d new, %d changed, %d moved, %d missing",
            self.library.name,
            result.new,
            result.changed,
            result.moved,
            result.missing,
        )

    def _known(self, folder: str) -> Mapping[str, KnownFile]:
        if folder not in self.folders:
            with self.db.read() as tx:
                self.folders[folder] = files.in_folder(tx, self.library.id, folder)
        return self.folders[folder]

    def _ids(self) -> list[int]:
        """The rows of what is wanted, as they are after the scan."""
        self.folders.clear()
        found = (self._known(folder).get(name) for folder, _, name in (path.rpartition("/") for path in self.wanted))
        return [file.id for file in found if file is not None]


def seen_of(facts: os.stat_result) -> str:
    """What a file looks like: the same as long as nobody writes into it."""
    return f"{facts.st_size}:{facts.st_mtime_ns}"


def seen_in(listing: Listing) -> str:
    """What a folder looks like: the same as long as nothing happens to its audio files."""
    text = "\n".join(sorted(f"{file.name}:{file.size}:{file.mtime_ns}" for file in listing.audio))
    return hashlib.sha256(text.encode()).hexdigest()


def is_known(listing: Listing, known: Mapping[str, KnownFile]) -> bool:
    """Whether a scan of the folder would change nothing."""
    rows = {name: row for name, row in known.items() if row.missing_since is None and name not in listing.spared}
    if rows.keys() != {seen.name for seen in listing.audio}:
        return False
    return all(
        (rows[seen.name].size, rows[seen.name].mtime_ns) == (seen.size, seen.mtime_ns)
        and not (rows[seen.name].error_kind == NO_ACCESS and os.access(seen.path, os.R_OK))
        for seen in listing.audio
    )


def is_without_links(root: str, relative: str) -> bool:
    """Whether the path leads to its place below the root, and not through a link to another."""
    real = os.path.realpath(root)
    return not relative or os.path.realpath(os.path.join(real, relative)) == os.path.join(real, relative)


def is_below(folder: str, others: Collection[str]) -> bool:
    return any(other in ("", folder) or folder.startswith(f"{other}/") for other in others)
