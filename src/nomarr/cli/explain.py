"""nomarr explain: why a file has its moods."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from nomarr.cli.ground import open_database
from nomarr.errors import Conflict, InvalidInput, NotFound, printable
from nomarr.moods.explain import HeadReason, MoodReason
from nomarr.moods.tiers import WORDS
from nomarr.settings import load_settings
from nomarr.store import calibrations, corrections, files, libraries
from nomarr.store.database import Transaction
from nomarr.store.files import LibraryFile
from nomarr.store.matrix import read_blocks
from nomarr.wanted import explained

console = Console()


def run_explain(path: Path, *, mood: str | None, as_json: bool) -> int:
    """NotFound for a file that the database does not know, Conflict before it was listened to."""
    word = None if mood is None else mood.strip().lower()
    if word is not None and word not in WORDS:
        raise InvalidInput(f"there is no mood {printable(word)!r}; there are {', '.join(WORDS)}")
    with open_database(load_settings()) as db, db.read() as tx:
        file = _known(tx, path)
        if file.analyzed_at is None:
            raise Conflict(f"{printable(path)}: not listened to yet; run: nomarr tag {printable(path)}")
        label = calibrations.current_label(tx, file.library_id)
        is_locked = corrections.of(tx, file.id).kept is not None
        found = explained(tx, file.id, read_blocks(tx))
    chosen = [one for one in found if word in (None, one.mood)]
    if as_json:
        report = {"path": printable(file.path), "calibration": label, "locked": is_locked}
        sys.stdout.write(json.dumps({**report, "moods": [asdict(one) for one in chosen]}) + "\n")
        return 0
    console.print(f"{printable(file.path)}", style="bold", markup=False, soft_wrap=True)
    console.print(f"  calibration: {label}{', locked' if is_locked else ''}", markup=False, highlight=False)
    if word is None:
        _show_all(chosen)
    else:
        _show_heads(chosen[0])
    return 0


def _known(tx: Transaction, path: Path) -> LibraryFile:
    # Not resolved as a whole: a link to a file is a file of its own in the library.
    absolute = Path(os.path.realpath(path.parent)) / path.name
    library = libraries.containing(tx, absolute.parent)
    found = None
    if library is not None:
        place = absolute.relative_to(os.path.realpath(library.root_path))
        folder = "" if str(place.parent) == "." else str(place.parent)
        found = files.by_path(tx, library.id, folder, place.name)
    if found is None:
        if not os.path.lexists(absolute):
            raise NotFound(f"{printable(path)}: there is no such file")
        raise NotFound(f"{printable(path)}: not known yet; run: nomarr tag {printable(path)}")
    return found


def _show_all(moods: Sequence[MoodReason]) -> None:
    for one in moods:
        if one.strength is None and one.by_hand is None:
            continue
        console.print(f"  {one.mood:13} {one.tier:8} {one.because}", markup=False, highlight=False, soft_wrap=True)


def _show_heads(one: MoodReason) -> None:
    console.print(f"  {one.mood}: {one.because}", markup=False, highlight=False, soft_wrap=True)
    for other in one.opposites:
        text = f"  opposite: {other.mood} {other.strength:.4f}, {other.tier}"
        console.print(text, markup=False, highlight=False)
    table = Table("score", "says", "weight", "raw", "spread", "lower in library", "p5", "p95", "from", "calibrated")
    for head in one.heads:
        table.add_row(*_row(head))
    if one.heads:
        console.print(table)


def _row(head: HeadReason) -> tuple[str, ...]:
    lower = "-" if head.percentile is None else f"{head.percentile:.1f} %"
    numbers = (f"{head.raw:.4f}", f"{head.spread:.4f}", lower, f"{head.p5:.4f}", f"{head.p95:.4f}")
    return (f"{head.pack}:{head.head}", head.says, f"{head.weight:g}", *numbers, head.percentiles_from,
            f"{head.calibrated:.4f}")  # fmt: skip
