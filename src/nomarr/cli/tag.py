"""nomarr tag | scan | untag: one run over some music, without a server."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from nomarr import config
from nomarr.cli.ground import clear_leftovers, existing, library_for, open_database, ready_models
from nomarr.errors import FileProblem, InvalidInput, TagsNotSupported, printable
from nomarr.folders import AUDIO_ENDINGS
from nomarr.moods.tags import TagValues
from nomarr.rescoring import renew
from nomarr.restoring import Restorer
from nomarr.scan import ScanResult, scan_library
from nomarr.settings import Settings, load_settings
from nomarr.store import files, libraries, runs
from nomarr.store.claims import Scope
from nomarr.store.database import Database, Transaction
from nomarr.store.libraries import Library
from nomarr.store.runs import Result
from nomarr.tagfiles.audiofile import Change, plan_write
from nomarr.tagfiles.standard import shown
from nomarr.wanted import wanted_tags, wanted_words
from nomarr.worker.supervisor import Supervisor, default_workers

console = Console()

POLL_S = 0.25
COUNTED_A_S = 50_000  # files; a look at the progress of more takes longer, and need not come as often
SHOWN_RESULTS = 100  # a run of more files than this shows its progress alone
SHOWN_PROBLEMS = 20


@dataclass(frozen=True)
class Target:
    """A path that was asked for: where it lies, and what of the database it stands for."""

    path: Path
    library: Library
    scope: Scope


def run_tag(paths: Sequence[Path], *, dry_run: bool, force: bool, workers: int | None) -> int:
    settings = load_settings()
    found = [existing(path) for path in paths]
    with open_database(settings) as db:
        settings = config.current(db, settings)
        suite = ready_models(settings, console)
        if not dry_run:
            clear_leftovers(path if path.is_dir() else path.parent for path in found)
        targets = _targets(db, found, settings, is_enabled=not dry_run)
        skipped = _scan(db, targets, settings, force=force)
        scopes = [target.scope for target in targets]
        renew(db, suite, scopes)
        with db.write() as tx:
            started = tx.now_ms()
            if not dry_run:
                runs.take_up_again(tx, scopes, now=started)
        with db.read() as tx:
            total = runs.remaining(tx, scopes, now=started, listen_only=dry_run).total
        began = time.monotonic()
        stopped, failure = False, None
        if total:
            supervisor = Supervisor(
                settings,
                db,
                min(workers or settings.workers or default_workers(), total),
                scopes=scopes,
                drain=True,
                listen_only=dry_run,
                batch=f"tag {started}",
                log_level="error",  # what goes wrong with a file is said below
            )
            stopped = _watch(db, supervisor, scopes, total=total, since=started, listen_only=dry_run)
            failure = supervisor.failure
        if failure is not None:
            console.print(failure, style="red")
            return 2
        if dry_run and not stopped:
            _show_plan(db, scopes, settings)
        troubles = _summary(db, scopes, since=started, seconds=time.monotonic() - began, dry_run=dry_run)
    if stopped:
        return 130
    return 1 if troubles or skipped else 0


def _targets(db: Database, paths: Sequence[Path], settings: Settings, *, is_enabled: bool) -> list[Target]:
    targets = []
    with db.write() as tx:
        now = tx.now_ms()
        for path in paths:
            library_for(tx, path, settings, now=now, is_enabled=is_enabled)
        for path in paths:  # only now: a later path may have widened an earlier path's library
            library = library_for(tx, path, settings, now=now, is_enabled=is_enabled)
            targets.append(Target(path, library, Scope(library.id)))
    return targets


def _scan(db: Database, targets: list[Target], settings: Settings, *, force: bool) -> int:
    """Scans every target, narrows its scope to what was asked for; -> how many files had to be skipped."""
    skipped = 0
    for number, target in enumerate(targets):
        result = _look_through(db, target, settings, force=force)
        skipped += result.skipped_count
        targets[number] = Target(target.path, target.library, _scope(db, target))
    return skipped


def _look_through(db: Database, target: Target, settings: Settings, *, force: bool) -> ScanResult:
    with console.status(f"Looking through {printable(target.path)}"):
        result = scan_library(
            db,
            target.library,
            paths=[target.path],
            force=force,
            ignore_patterns=settings.library_ignore_patterns,
            namespace=settings.namespace,
        )
    _show_scan(target.path, result)
    return result


def _scope(db: Database, target: Target) -> Scope:
    relative = os.path.relpath(target.path, os.path.realpath(target.library.root_path))
    if target.path.is_dir():
        return Scope(target.library.id, None if relative == "." else relative)
    folder, name = os.path.split(relative)
    with db.read() as tx:
        file = files.by_path(tx, target.library.id, folder, name)
    if file is None:
        raise InvalidInput(f"{printable(target.path)}: not a music file by its name")
    return Scope(target.library.id, file_ids=(file.id,))


def _show_scan(path: Path, result: ScanResult) -> None:
    facts = {
        "new": result.new,
        "changed": result.changed,
        "moved": result.moved,
        "copied": result.copied,
        "missing": result.missing,
        "unchanged": result.unchanged,
    }
    text = ", ".join(f"{count} {what}" for what, count in facts.items() if count)
    console.print(f"{printable(path)}: {_files(result.found)} ({text or 'none'})", markup=False, highlight=False)
    for skipped, reason in result.skipped[:SHOWN_PROBLEMS]:
        console.print(f"  skipped {printable(skipped)}: {reason}", style="yellow", markup=False, soft_wrap=True)
    if result.skipped_count > SHOWN_PROBLEMS:
        console.print(f"  and {result.skipped_count - SHOWN_PROBLEMS} more skipped", style="yellow")


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        per_minute = task.completed / task.elapsed * 60 if task.elapsed else 0.0
        return Text(f"{per_minute:.0f}/min" if per_minute else "", style="cyan")


def _watch(
    db: Database, supervisor: Supervisor, scopes: Sequence[Scope], *, total: int, since: int, listen_only: bool
) -> bool:
    """Shows progress until the workers are done; True where somebody stopped the run."""
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    with progress, _running(supervisor) as stop:
        task = progress.add_task("Listening", total=total)
        shown: set[int] = set()
        try:
            while not supervisor.finished:
                time.sleep(POLL_S + total / COUNTED_A_S)
                _advance(db, progress, task, scopes, shown, total=total, since=since, listen_only=listen_only)
        except KeyboardInterrupt:
            progress.update(task, description="Finishing the files in hand")
            stop()
            return True
        _advance(db, progress, task, scopes, shown, total=total, since=since, listen_only=listen_only)
    return False


@contextmanager
def _running(supervisor: Supervisor) -> Iterator[Callable[[], None]]:
    supervisor.start()

    def stop() -> None:
        try:
            supervisor.stop()
        except KeyboardInterrupt:  # asked twice
            supervisor.stop(patience_s=0)

    try:
        yield stop
    finally:
        stop()


def _advance(
    db: Database,
    progress: Progress,
    task: TaskID,
    scopes: Sequence[Scope],
    shown: set[int],
    *,
    total: int,
    since: int,
    listen_only: bool,
) -> None:
    with db.read() as tx:
        left = runs.remaining(tx, scopes, now=tx.now_ms(), listen_only=listen_only).total
        fresh = runs.results(tx, scopes, since=since) if total <= SHOWN_RESULTS else []
        lines = [(one, _words(tx, one)) for one in fresh if one.file_id not in shown]
    progress.update(task, completed=max(0, total - left))
    for one, words in lines:
        shown.add(one.file_id)
        progress.console.print(_line(one, words), markup=False, highlight=False, soft_wrap=True)


def _words(tx: Transaction, one: Result) -> str:
    found = wanted_words(tx, one.file_id)
    return ", ".join(found.regular or found.loose[:2]) or "no mood stands out"


def _line(one: Result, words: str) -> str:
    name = f"{one.artist} - {one.title}" if one.artist and one.title else Path(one.path).name
    return f"  {printable(name)}: {one.error or words}"


def _show_plan(db: Database, scopes: Sequence[Scope], settings: Settings) -> None:
    """What a real run would write, field by field."""
    after = changed = 0
    while True:
        with db.read() as tx:
            page = runs.analysed(tx, scopes, after=after)
            wanted = [(one, wanted_tags(tx, one.file_id, settings)) for one in page]
        if not page:
            break
        after = page[-1].file_id
        for one, tags in wanted:
            changed += _show_change(one, tags, settings)
    console.print(f"{_files(changed)} would change. Nothing was written.")


def _show_change(one: Result, tags: TagValues, settings: Settings) -> bool:
    if not tags:
        return False
    try:
        change: Change = plan_write(settings.here(one.path), tags, namespace=settings.namespace)
    except TagsNotSupported as error:
        console.print(str(error), style="yellow", markup=False, soft_wrap=True)
        return False
    except FileProblem as error:
        console.print(str(error), style="red", markup=False, soft_wrap=True)
        return False
    if change.is_empty:
        return False
    console.print(printable(one.path), style="bold", markup=False, soft_wrap=True)
    for field, old, new in change:
        before = ", ".join(old) or "-"
        name = shown(settings.namespace, field)
        console.print(f"  {name}: {before} -> {', '.join(new) or '-'}", markup=False, highlight=False, soft_wrap=True)
    return True


def _summary(db: Database, scopes: Sequence[Scope], *, since: int, seconds: float, dry_run: bool) -> int:
    """Says what was done and what could not be; -> the number of files with a problem."""
    with db.read() as tx:
        heard, written = runs.tally(tx, scopes, since=since)
        count, first = runs.troubled(tx, scopes, limit=SHOWN_PROBLEMS)
    rate = f", {seconds / heard:.2f} s a track" if heard else ""
    verb = "" if dry_run else f", {written} tagged"
    console.print(f"{heard} analysed{verb} in {seconds:.1f} s{rate}", style="bold", highlight=False)
    for one in first:
        console.print(f"  {printable(one.path)}: {one.error}", style="yellow", markup=False, soft_wrap=True)
    if count > len(first):
        console.print(f"  and {count - len(first)} more; see: nomarr status", style="yellow")
    return count


def run_scan(paths: Sequence[Path], *, force: bool) -> int:
    settings = load_settings()
    found = [existing(path) for path in paths]
    with open_database(settings) as db:
        settings = config.current(db, settings)
        if found:
            targets = _targets(db, found, settings, is_enabled=True)
        else:
            with db.read() as tx:
                enabled = libraries.list_all(tx, enabled_only=True)
            targets = [Target(Path(one.root_path), one, Scope(one.id)) for one in enabled]
        if not targets:
            raise InvalidInput("there is no library yet; name a folder, or run: nomarr tag PATH")
        skipped = sum(_look_through(db, target, settings, force=force).skipped_count for target in targets)
    return 1 if skipped else 0


def run_untag(paths: Sequence[Path]) -> int:
    settings = load_settings()
    found = [existing(path) for path in paths]
    cleaned = failed = 0
    with open_database(settings) as db:
        settings = config.current(db, settings)
        clear_leftovers(path for path in found if path.is_dir())
        with db.read() as tx:
            restorer = Restorer(db, settings, f"untag {tx.now_ms()}")
        for path in found:
            for file in _music(path):
                outcome = restorer.remove(_file_id(db, file), str(file))
                cleaned += outcome.status == "removed"
                if not outcome.is_done:
                    failed += 1
                    console.print(f"{printable(file)}: {outcome.why}", style="red", markup=False, soft_wrap=True)
    console.print(f"Took Nomarr's tags out of {_files(cleaned)}.")
    return 1 if failed else 0


def _music(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower().lstrip(".") in AUDIO_ENDINGS:
                yield Path(folder, name)


def _file_id(db: Database, path: Path) -> int | None:
    with db.read() as tx:
        library = libraries.containing(tx, path)
        if library is None:
            return None
        folder, name = os.path.split(os.path.relpath(path, os.path.realpath(library.root_path)))
        known = files.by_path(tx, library.id, folder, name)
        return None if known is None else known.id


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"
