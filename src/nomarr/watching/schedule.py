"""Scans of whole libraries from time to time, which find what nobody announced."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from nomarr import config
from nomarr.errors import DatabaseProblem, NomarrError, ScanCancelled
from nomarr.scan import scan_library
from nomarr.settings import Settings
from nomarr.store import libraries
from nomarr.store.database import Database
from nomarr.store.libraries import Library

log = logging.getLogger(__name__)

HOUR_MS = 3_600_000
JITTER = 0.1  # of the interval: several libraries on one disk should not meet every day
RETRY_MS = 10 * 60_000


def next_scan_at(library: Library, interval_h: int) -> int | None:
    """When the library is to be scanned as a whole again, None for never. Each time a little later than asked for."""
    if interval_h == 0:
        return None
    last = max(library.whole_scan_at or 0, library.created_at)
    jitter = random.Random(f"{library.id}:{last}").random() * JITTER  # noqa: S311 (no secret)
    return last + round(interval_h * HOUR_MS * (1 + jitter))


@dataclass
class Schedule:
    """Remembers which scans did not go well, so that they are not tried all the time."""

    db: Database
    settings: Settings  # those that the process started with
    not_before: dict[int, int] = field(default_factory=dict)

    def scan_due(self, *, now: int | None = None, progress: Callable[[int, str], None] | None = None) -> list[str]:
        """Scan the libraries whose time has come, but for those that are being scanned; says their names."""
        with self.db.read() as tx:
            now = tx.now_ms() if now is None else now
            settings = config.effective(tx, self.settings)
            enabled = libraries.list_all(tx, enabled_only=True)
        scanned = []
        for library in enabled:
            due = next_scan_at(library, settings.scan_interval_h)
            if due is None or due > now or self.not_before.get(library.id, 0) > now:
                continue
            if not library.is_being_scanned(now=now) and self._scan(library, settings, now, progress):
                scanned.append(library.name)
        return scanned

    def _scan(
        self, library: Library, settings: Settings, now: int, progress: Callable[[int, str], None] | None
    ) -> bool:
        try:
            result = scan_library(
                self.db,
                library,
                ignore_patterns=settings.library_ignore_patterns,
                queue_new=settings.library_auto_tag,
                namespace=settings.namespace,
                progress=progress,
            )
        except ScanCancelled as error:
            log.info("%s", error)
            self.not_before[library.id] = now + settings.scan_interval_h * HOUR_MS
            return False
        except DatabaseProblem:
            raise
        except NomarrError as error:
            log.warning("the scheduled scan of library %s is put off: %s", library.name, error)
            self.not_before[library.id] = now + RETRY_MS
            return False
        log.info(
            "scheduled scan of library %s: %d new, %d changed, %d moved, %d missing of %d",
            library.name,
            result.new,
            result.changed,
            result.moved,
            result.missing,
            result.found,
        )
        return True
