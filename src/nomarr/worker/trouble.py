"""What keeps a worker from working, and how it waits for better times: a database, a disk or a folder that is away."""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from nomarr.errors import DatabaseProblem, FileProblem, printable

log = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
AWAY_S = 30.0  # how long nothing is taken from a library whose folder is gone
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG})
T = TypeVar("T")


@dataclass
class Troubles:
    """Threads may share it. `text` is what health says of it, None when all is well."""

    stop: threading.Event
    _away: dict[int, tuple[str, float]] = field(default_factory=dict)  # library -> its folder, when to look again
    _full: str | None = None
    models: str | None = None  # why they did not load

    @property
    def text(self) -> str | None:
        found = [f"{folder} holds nothing; is the disk mounted?" for folder, _ in list(self._away.values())]
        if self.models is not None:
            found.append(self.models)
        if self._full is not None:
            found.append(f"tags cannot be written: {self._full}")
        return "; ".join(found) or None

    def patiently(self, work: Callable[[], T], *, at_most_s: float = float("inf")) -> T:
        """Does it again, ever less often, while the database is away; raises DatabaseProblem when told to stop."""
        began, pause_s = time.monotonic(), FIRST_PAUSE_S
        while True:
            try:
                return work()
            except DatabaseProblem as error:
                if self.stop.is_set() or time.monotonic() - began > at_most_s:
                    raise
                log.warning("waiting for the database: %s", error)
            self.stop.wait(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def away(self) -> list[int]:
        """Libraries whose folder is gone, until it is time to look again."""
        now = time.monotonic()
        return [library for library, (_, until) in self._away.items() if until > now]

    def is_away(self, library: int, root: str) -> bool:
        """Whether the whole folder is gone, as when a disk is not mounted; its files are left alone then."""
        try:
            with os.scandir(root) as entries:
                is_away = next(entries, None) is None
        except OSError:
            is_away = True
        if is_away:
            log.warning("%s holds nothing; its files wait until it is back", printable(root))
            self._away[library] = (printable(root), time.monotonic() + AWAY_S)
        return is_away

    def went_well(self, library: int) -> None:
        self._away.pop(library, None)

    def wrote(self, failure: FileProblem | None) -> None:
        """What became of writing a file."""
        if failure is None:
            self._full = None
        elif getattr(failure, "errno", None) in NO_ROOM:
            self._full = str(failure)
