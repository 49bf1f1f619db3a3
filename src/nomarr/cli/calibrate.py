"""nomarr calibrate: percentiles from the stored scores, and which files they change."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from nomarr import recalibration
from nomarr.cli.ground import open_database
from nomarr.config import current
from nomarr.errors import NotFound
from nomarr.recalibration import Generated
from nomarr.settings import load_settings
from nomarr.store import libraries
from nomarr.store.database import Database

console = Console()

SHOWN_HEADS = 12  # those that moved most


def run_calibrate(*, apply: bool, library: str | None) -> int:
    settings = load_settings()
    with open_database(settings) as db:
        settings = current(db, settings)
        library_id = None if library is None else _library_id(db, library)
        made = recalibration.generate(
            db, settings.models, library_id=library_id, min_files=settings.calibration_min_files
        )
        _show(made)
        if apply:
            applied = recalibration.apply(db, settings.file_write_mode, library_id=library_id)
            console.print(
                f"{_files(applied.to_write)} will be written again by the workers, {applied.unchanged} stay the same."
            )
        else:
            changes = recalibration.find_changes(db, settings.file_write_mode, library_id=library_id)
            count = sum(len(change.changed) for change in changes)
            console.print(f"The tags of {_files(count)} would change. To have them written: nomarr calibrate --apply")
    return 0


def _library_id(db: Database, name: str) -> int:
    with db.read() as tx:
        known = {library.name: library.id for library in libraries.list_all(tx)}
    if name not in known:
        raise NotFound(f"there is no library named {name!r}; there are {', '.join(sorted(known)) or 'none'}")
    return known[name]


def _show(made: Generated) -> None:
    run = made.run
    drift = "" if run.drift is None else f", no score moved by more than {run.drift:.4f}"
    console.print(
        f"Calibration {run.label} from {_files(run.library_size)}, {len(run.heads)} heads{drift}",
        style="bold",
        highlight=False,
    )
    table = Table("head", "p5", "p95", "files", "moved by")
    ranked = sorted(run.heads, key=lambda head: (-(head.drift or 0.0), head.head_key))
    for head in ranked[:SHOWN_HEADS]:
        moved = "" if head.drift is None else f"{head.drift:.4f}"
        table.add_row(head.head_key, f"{head.p5:.4f}", f"{head.p95:.4f}", str(head.n), moved)
    console.print(table)
    if len(ranked) > SHOWN_HEADS:
        console.print(f"and {len(ranked) - SHOWN_HEADS} more heads")
    for note in filter(None, (run.note, made.unsaved)):
        console.print(note, style="yellow", markup=False, soft_wrap=True)


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"
