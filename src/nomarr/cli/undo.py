"""nomarr undo: what Nomarr wrote is taken back, write by write."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console

from nomarr import config
from nomarr.cli.ground import existing, open_database
from nomarr.errors import InvalidInput, NotFound, printable
from nomarr.restoring import Outcome, Restorer, undo_page
from nomarr.settings import load_settings
from nomarr.store import files, journal, libraries
from nomarr.store.claims import Scope
from nomarr.store.database import Transaction

console = Console()

PAGE = 200  # writes
COLOURS = {"refused": "yellow", "failed": "red"}


def run_undo(paths: Sequence[Path], *, last: bool, batch: str | None, force: bool) -> int:
    if sum((bool(paths), last, batch is not None)) != 1:
        raise InvalidInput("say what to undo: paths, or --last, or --batch NAME")
    settings = load_settings()
    found = [existing(path) for path in paths]
    with open_database(settings) as db:
        settings = config.current(db, settings)
        with db.read() as tx:
            restorer = Restorer(db, settings, f"undo {tx.now_ms()}")
            chosen = journal.last_batch(tx) if last else batch
            scopes = [_scope(tx, path) for path in found]
            if batch is not None and not journal.recent(tx, limit=1, batch=batch):
                raise NotFound(f"there is no batch {batch!r}")
        if last and chosen is None:
            console.print("There is nothing to undo.")
            return 0
        counts: Counter[str] = Counter()
        for outcome in _undone(restorer, chosen, scopes, force=force):
            counts[outcome.status] += 1
            _show(outcome)
    what = f" of batch {chosen}" if chosen else ""
    console.print(f"{_files(counts['restored'])}{what} restored.", markup=False, highlight=False)
    refused = counts["refused"] + counts["failed"]
    if counts["refused"] and not force:
        console.print("With --force files are restored that other programs changed since.", highlight=False)
    return 1 if refused else 0


def _undone(restorer: Restorer, batch: str | None, scopes: Sequence[Scope], *, force: bool) -> Iterator[Outcome]:
    before_id: int | None = None
    while True:
        page = undo_page(restorer, limit=PAGE, before_id=before_id, batch=batch, scopes=scopes, even_if_changed=force)
        yield from page.outcomes
        if page.next is None:
            return
        before_id = page.next


def _scope(tx: Transaction, path: Path) -> Scope:
    library = libraries.containing(tx, path)
    if library is None:
        raise NotFound(f"{printable(path)}: Nomarr has written nothing there")
    relative = os.path.relpath(path, os.path.realpath(library.root_path))
    if path.is_dir():
        return Scope(library.id, None if relative == "." else relative)
    folder, name = os.path.split(relative)
    file = files.by_path(tx, library.id, folder, name)
    if file is None:
        raise NotFound(f"{printable(path)}: Nomarr has written nothing there")
    return Scope(library.id, file_ids=(file.id,))


def _show(outcome: Outcome) -> None:
    if outcome.status in COLOURS:
        console.print(
            f"{printable(outcome.path)}: {outcome.why}", style=COLOURS[outcome.status], markup=False, soft_wrap=True
        )
    for note in outcome.notes:
        console.print(f"{printable(outcome.path)}: {note}", style="yellow", markup=False, soft_wrap=True)


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"
