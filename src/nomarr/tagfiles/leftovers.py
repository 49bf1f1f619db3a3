"""What killed processes left beside the music, found and cleared away at the next start."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from functools import partial
from pathlib import Path

from nomarr.tagfiles import turns
from nomarr.tagfiles.containers import AnyPath
from nomarr.tagfiles.safewrite import fill

SILENT_S = 3600.0  # after which a copy that another machine made is nobody's any more


def remove_stale_copies(root: AnyPath, *, now: float, older_than_s: float = SILENT_S) -> list[str]:
    """Removes copies and locks whose process is gone, everywhere under a folder; gives their paths.

    At once where their process ran on this machine, after an hour where on another. A change in place that was
    interrupted is completed from its copy first.
    """
    removed = []
    for folder, _, names in os.walk(os.fspath(root)):
        for name in filter(turns.is_ours, names):
            path = Path(folder, name)
            with suppress(OSError):
                is_file = stat.S_ISREG(path.lstat().st_mode)
                if is_file and turns.clear(path, now=now, silent_s=older_than_s, first=partial(_finish, path)):
                    removed.append(str(path))
    return removed


def _finish(path: Path) -> None:
    """Its file was being overwritten when the process died: the copy is complete and proven."""
    target = turns.meant_for(path)
    if path.suffix == turns.REDO and target is not None and target.exists():
        with path.open("rb") as copy:
            fill(target, copy.fileno())
