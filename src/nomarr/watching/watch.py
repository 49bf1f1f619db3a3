"""One library that is watched: whatever happens in its folders is announced."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from watchfiles import Change, watch

from nomarr import config
from nomarr.errors import NomarrError, printable
from nomarr.folders import AUDIO_ENDINGS, IGNORE_FILE, Scope, Walk, content_of, rule
from nomarr.settings import Settings
from nomarr.store import announcements, files, libraries
from nomarr.store.announcements import Place
from nomarr.store.database import Database
from nomarr.store.libraries import Library
from nomarr.watching.announced import is_below, is_known, seen_in

log = logging.getLogger(__name__)
logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it would count changes, in a line for each round

LOOK_MS = 2_000  # how often the folder itself is looked at, which may be a disk that is taken out
RETRY_S = 10.0  # after that
AGAIN_S = 60.0  # what still is not as the database has it is announced again
SHARE = 20  # looking through all folders takes at most one twentieth of the time
LIMITS = (
    "the system's limit on watched folders is reached; Nomarr looks through all folders every {every} s instead. "
    "Raise fs.inotify.max_user_watches and fs.inotify.max_user_instances with sysctl on the host ({limits}), "
    "then switch watching off and on again"
)


class Lost(NomarrError):
    """The library's folder is not what it was."""


@dataclass
class Watch:
    """Watches a library from a thread of its own until stopped."""

    db: Database
    settings: Settings  # those that the process started with
    library: Library
    mode: str = ""
    problem: str | None = None
    _told: dict[str, tuple[str | None, float]] = field(default_factory=dict)  # what polling announced: look and time
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    @property
    def what(self) -> tuple[str, str]:
        """What it watches, and how it should."""
        return self.library.root_path, self.library.watch_mode

    def start(self) -> None:
        self.mode, self.problem = self.library.watch_mode, self.library.watch_problem
        self._thread = threading.Thread(target=self._run, name=f"watch {self.library.id}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def join(self, timeout_s: float) -> None:
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                if self.mode == "events":
                    self._follow_events()
                else:
                    self._poll()
            except Lost as error:
                self._tell(str(error))
                self._stop.wait(RETRY_S)
            except NomarrError as error:  # the database; it comes back or it does not
                log.warning("library %s is not watched at the moment: %s", self.library.name, error)
                self._stop.wait(RETRY_S)
            except Exception:  # the edge of the thread: it must go on
                log.exception("library %s is not watched at the moment", self.library.name)
                self._stop.wait(RETRY_S)

    # as the system tells

    def _follow_events(self) -> None:
        content = self._content(None)
        try:
            rounds = watch(
                self.library.root_path,
                watch_filter=None,
                step=100,
                stop_event=self._stop,
                rust_timeout=LOOK_MS,
                yield_on_timeout=True,
                raise_interrupt=False,
                force_polling=False,
                ignore_permission_denied=True,
            )
            is_first = True
            for changes in rounds:
                content = self._content(content)
                if is_first or any(change == Change.added and os.path.isdir(path) for change, path in changes):
                    self._require_free_watches()
                if is_first:  # what happened while nobody watched
                    self._announce([Place(self.library.id, "", is_tree=True)])
                    self._tell(None)
                    is_first = False
                self._announce(self._places(changes))
        except (OSError, RuntimeError) as error:  # as watchfiles has it
            self._content(content)
            log.info("library %s: %s", self.library.name, error)
            self._tell(LIMITS.format(every=self._every_s(), limits=_limits()))
            self.mode = "poll"

    def _require_free_watches(self) -> None:
        """OSError if the system has none left, which watchfiles passes over together with folders it may not read."""
        probe = watch(
            self.library.root_path, recursive=False, force_polling=False, rust_timeout=1, step=1, yield_on_timeout=True
        )
        with closing(probe):
            next(probe)

    def _places(self, changes: Iterable[tuple[Change, str]]) -> list[Place]:
        """Where to look. Hidden files are nothing to us, and so are our own copies in the making."""
        trees: set[str] = set()
        folders: set[str] = set()
        for change, path in changes:
            relative = os.path.relpath(path, self.library.root_path)
            folder, _, name = relative.rpartition("/")
            if name == IGNORE_FILE:
                trees.add(folder)
            elif relative == "." or any(part.startswith(".") for part in relative.split("/")):
                continue
            elif Path(name).suffix[1:].lower() in AUDIO_ENDINGS:
                folders.add(folder)
            elif change == Change.deleted or (change == Change.added and os.path.isdir(path)):
                trees.add(relative)
        return [
            *(Place(self.library.id, tree, is_tree=True) for tree in sorted(trees) if _is_text(tree)),
            *(Place(self.library.id, folder) for folder in sorted(folders - trees) if _is_text(folder)),
        ]

    # by looking

    def _poll(self) -> None:
        content = self._content(None)
        while not self._stop.is_set():
            started = time.monotonic()
            places = self._differences()
            content = self._content(content)  # a disk that was taken out meanwhile looks like files removed
            self._announce(self._news(places))
            if self.library.watch_mode == "poll":
                self._tell(None)
            if self._stop.wait(max(self._every_s(), SHARE * (time.monotonic() - started))):
                return
            content = self._content(content)

    def _differences(self) -> list[Place]:
        """The folders that are not as the database has them; it remembers, so nothing else has to."""
        with self.db.read() as tx:
            patterns = config.effective(tx, self.settings).library_ignore_patterns
        walk = Walk(self.library.root_path, tuple(rule("", pattern) for pattern in patterns))
        visited, places = set(), []
        for listing in walk.listings(Scope("", True)):
            if self._stop.is_set():
                return []
            visited.add(listing.folder)
            with self.db.read() as tx:
                known = files.in_folder(tx, self.library.id, listing.folder)
            if not is_known(listing, known):
                places.append(Place(self.library.id, listing.folder, seen=seen_in(listing)))
        with self.db.read() as tx:
            for folder in files.folders(tx, self.library.id):
                if folder in visited or is_below(folder, walk.closed):
                    continue
                if any(row.missing_since is None for row in files.in_folder(tx, self.library.id, folder).values()):
                    places.append(Place(self.library.id, folder, is_tree=True))
        return places

    def _news(self, places: list[Place]) -> list[Place]:
        """Those that do not look as when they were announced a moment ago: telling again would only put them off."""
        now = time.monotonic()
        before, self._told = self._told, {}
        news = []
        for place in places:
            seen, at = before.get(place.path, (None, 0.0))
            if seen != place.seen or place.path not in before or now - at > AGAIN_S:
                news.append(place)
                at = now
            self._told[place.path] = (place.seen, at)
        return news

    def _every_s(self) -> int:
        return self.settings.watch_poll_s

    # both

    def _content(self, before: tuple[int, int, bool] | None) -> tuple[int, int, bool]:
        """What the library's folder is; Lost if it is not what it was, or nothing where there should be files."""
        root = printable(self.library.root_path)
        try:
            content = content_of(self.library.root_path)
        except OSError as error:
            raise Lost(f"{root} cannot be read ({error.strerror}): is the disk mounted? Nomarr keeps trying") from error
        if not content[-1]:
            with self.db.read() as tx:
                known = files.count(tx, self.library.id)
            if known:
                raise Lost(f"{root} is empty, but {known} files are known: is the disk mounted? Nomarr keeps trying")
        if before is not None and content[:2] != before[:2]:
            raise Lost(f"{root} is another folder than before: was a disk mounted or taken out? Nomarr looks again")
        return content

    def _announce(self, places: list[Place]) -> None:
        if not places:
            return
        with self.db.write() as tx:
            quiet_ms = round(self.settings.arrival_quiet_s * 1000)
            announcements.announce(tx, places, now=tx.now_ms(), quiet_ms=quiet_ms)

    def _tell(self, problem: str | None) -> None:
        """Say once what is wrong, or that it is over."""
        if problem == self.problem:
            return
        if problem is not None:
            log.warning("library %s: %s", self.library.name, problem)
        else:
            log.info("library %s is watched again", self.library.name)
        with self.db.write() as tx:
            libraries.set_watch_problem(tx, self.library.id, problem)
        self.problem = problem


def _limits() -> str:
    found = []
    for name in ("max_user_watches", "max_user_instances"):
        try:
            found.append(f"{name} is {Path('/proc/sys/fs/inotify', name).read_text().strip()}")
        except OSError:
            continue
    return ", ".join(found) or "their values are not known"


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in path
