"""One library folder -> rows: new, changed, moved, copied and missing files."""

from __future__ import annotations

import os
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from nomarr.arrivals import NO_ACCESS, Arrivals
from nomarr.errors import Conflict, DatabaseProblem, NomarrError, printable
from nomarr.folders import Listing, Scope, Seen, Walk, content_of, distinct, readable_root, rule, scopes_of
from nomarr.store import files, journal, queue, scans
from nomarr.store.database import Database, Transaction
from nomarr.store.files import KnownFile
from nomarr.store.libraries import Library

BATCH = 200  # files per write transaction: workers wait a few hundredths of a second for it, not more
HEARTBEAT_MS = 2_000  # well below the silence after which another scan may take over; as often it hears of a cancel
WHOLE = Scope("", True)


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
    scopes: Sequence[Scope] | None = None,
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

    `scopes` stand for paths, which need not be there any more. `force` has everything in scope listened to again;
    without `queue_new` nothing is queued for listening. `now` gives milliseconds UTC (default: the database's clock);
    `progress` hears of each folder as (files found so far, folder). Conflict if another scan of the library runs, if
    its folder is empty although files of it are known, or if the disk was taken out meanwhile; ScanCancelled if
    somebody did not want it any more.
    """
    readable_root(library.root_path)
    places = scopes_of(library, paths, recursive=recursive) if scopes is None else distinct(scopes)
    now = now or _clock_of(db)
    counts: Counter[str] = Counter()
    scan = _Scan(
        db=db,
        library=library,
        force=force,
        now=now,
        progress=progress,
        walk=Walk(library.root_path, tuple(rule("", pattern) for pattern in ignore_patterns)),
        arrivals=Arrivals(db, library, force=force, queue_new=queue_new, namespace=namespace, now=now, counts=counts),
        counts=counts,
    )
    with db.write() as tx:
        scans.begin(tx, library.id, owner=scan.owner, now=scan.now())
    try:
        result = scan.run(places, clean_missing=clean_missing)
    except BaseException as error:
        with suppress(DatabaseProblem):
            scan.end(str(error) if isinstance(error, NomarrError) else "it was interrupted")
        raise
    scan.end(None, is_whole=clean_missing and WHOLE in places)
    return result


@dataclass
class _Scan:
    """One run: its options, what it counted, and the changes that wait for the next write transaction."""

    db: Database
    library: Library
    force: bool
    now: Callable[[], int]
    progress: Callable[[int, str], None] | None
    walk: Walk
    arrivals: Arrivals
    counts: Counter[str]
    owner: str = field(default_factory=lambda: uuid.uuid4().hex)
    visited: set[str] = field(default_factory=set)
    to_read: list[tuple[Seen, KnownFile | None]] = field(default_factory=list)
    returned: list[int] = field(default_factory=list)
    forced: list[int] = field(default_factory=list)
    vanished: list[int] = field(default_factory=list)
    last_beat: int = 0

    def run(self, scopes: Sequence[Scope], *, clean_missing: bool) -> ScanResult:
        self.last_beat = self.now()
        at_first = content_of(self.library.root_path)
        self._refuse_if_empty(not at_first[-1])
        for scope in scopes:
            for listing in self.walk.listings(scope):
                self._compare(listing, scope.names)
        self._write()
        self._refuse_if_empty(not self.counts["found"] and WHOLE in scopes)
        self._refuse_if_lost(at_first)
        if clean_missing:
            self._mark_missing(scopes)
            self._purge()
        return ScanResult(**self.counts, skipped=self.walk.skipped, skipped_count=self.walk.skipped_count)

    def end(self, error: str | None, *, is_whole: bool = False) -> None:
        with self.db.write() as tx:
            scans.end(tx, self.library.id, owner=self.owner, now=self.now(), error=error, is_whole=is_whole)

    # the comparison

    def _compare(self, listing: Listing, names: frozenset[str] | None) -> None:
        if names is None:
            self.visited.add(listing.folder)
        with self.db.read() as tx:
            scans.check(tx, self.library.id, owner=self.owner)
            known = files.in_folder(tx, self.library.id, listing.folder)
        for seen in listing.audio:
            if names is not None and seen.name not in names:
                continue
            self.counts["found"] += 1
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
            self.progress(self.counts["found"], listing.folder)

    def _compare_file(self, seen: Seen, known: KnownFile | None) -> None:
        is_same = known is not None and (known.size, known.mtime_ns) == (seen.size, seen.mtime_ns)
        if known is None or not is_same or known.error_kind == NO_ACCESS:
            self.to_read.append((seen, known))
            return
        if known.missing_since is not None:
            self.returned.append(known.id)
            self.counts["returned"] += 1
        else:
            self.counts["unchanged"] += 1
        if self.force:
            self.forced.append(known.id)

    # the database

    def _write(self) -> None:
        """One write transaction for all that waits; the reading of files comes before it."""
        looks = []
        for seen, known in self.to_read:
            looks.append(self.arrivals.look(seen, known))
            self._stay_alive()
        if looks or self.returned or self.forced:
            with self._writing() as tx:
                for look in looks:
                    if look is not None:
                        self.arrivals.record(tx, look)
                files.mark_present(tx, self.returned, self.now())
                self.counts["queued"] += queue.request_analysis(tx, self.forced, force=True, now=self.now())
        self.to_read, self.returned, self.forced = [], [], []

    def _mark_missing(self, scopes: Iterable[Scope]) -> None:
        for start in range(0, len(self.vanished), BATCH):
            with self._writing() as tx:
                ids = [i for i in self.vanished[start : start + BATCH] if i not in self.arrivals.moved_ids]
                self.counts["missing"] += files.mark_missing(tx, ids, self.now())
        for scope in scopes:
            if scope.recursive:
                self._mark_folders_missing(scope.folder)

    def _mark_folders_missing(self, below: str) -> None:
        with self.db.read() as tx:
            gone = [folder for folder in files.folders(tx, self.library.id, below=below) if self._is_left(folder)]
        for folder in gone:
            with self._writing() as tx:
                self.counts["missing"] += files.mark_folder_missing(tx, self.library.id, folder, self.now())

    def _is_left(self, folder: str) -> bool:
        is_hidden = any(folder == c or c == "" or folder.startswith(f"{c}/") for c in self.walk.closed)
        return folder not in self.visited and not is_hidden

    def _purge(self) -> None:
        while True:
            with self._writing() as tx:
                purged = files.purge_missing(tx, library_id=self.library.id, now=self.now())
                forgotten = journal.forget_gone(tx, now=self.now())
            self.counts["purged"] += purged
            if not purged and not forgotten:
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

    def _refuse_if_lost(self, at_first: tuple[int, int, bool]) -> None:
        """A disk that is taken out looks as if all its folders had been removed."""
        if content_of(self.library.root_path) != at_first:
            raise Conflict(
                f"{printable(self.library.root_path)} changed under the scan of library {self.library.name}: "
                "was the disk taken out? Nothing was marked as missing"
            )

    # the books

    def _stay_alive(self) -> None:
        if self.now() - self.last_beat >= HEARTBEAT_MS:
            with self._writing():
                pass

    @contextmanager
    def _writing(self) -> Iterator[Transaction]:
        """A transaction that is kept only while the scan may go on."""
        now = self.now()
        with self.db.write() as tx:
            scans.renew(tx, self.library.id, owner=self.owner, now=now)
            yield tx
        self.last_beat = now


def _clock_of(db: Database) -> Callable[[], int]:
    """The database's clock, asked once: this machine's, put right."""
    with db.read() as tx:
        ahead_ms = tx.now_ms() - time.time_ns() // 1_000_000
    return lambda: time.time_ns() // 1_000_000 + ahead_ms
