"""nomarr analyze | status: commands that only look."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nomarr.analysis import Analysis, Models
from nomarr.cli.ground import open_database, ready_models
from nomarr.errors import FileProblem, printable
from nomarr.inference.vocabulary import plain_words
from nomarr.settings import load_settings
from nomarr.store import libraries, progress, queue, workers
from nomarr.store.database import Transaction

console = Console()
errors = Console(stderr=True)

SHOWN_SCORES = 12


def run_analyze(paths: list[Path], *, as_json: bool) -> int:
    settings = load_settings()
    ready_models(settings, errors)
    failed = 0
    with Models(settings.models) as models:
        for path in paths:
            try:
                analysis = models.analyze(path)
            except FileProblem as error:
                failed += 1
                errors.print(f"nomarr: {error}", style="red", markup=False, soft_wrap=True)
                continue
            if as_json:
                sys.stdout.write(json.dumps(as_dict(analysis)) + "\n")
                sys.stdout.flush()
            else:
                _show(analysis)
    return 1 if failed else 0


def as_dict(analysis: Analysis) -> dict[str, Any]:
    return {
        "path": printable(analysis.path),
        "duration_s": round(analysis.duration_s, 3),
        "patches": analysis.patches,
        "suite": analysis.suite,
        "scores": {name: round(value, 6) for name, value in analysis.scores.items()},
        "moods": asdict(analysis.moods),
        "heads": analysis.heads,
    }


def _show(analysis: Analysis) -> None:
    minutes, seconds = divmod(round(analysis.duration_s), 60)
    console.print(f"\n{printable(analysis.path)}  {minutes}:{seconds:02d}", style="bold", markup=False)
    for name, words in asdict(analysis.moods).items():
        console.print(f"  {name:8} {', '.join(words) or '-'}", markup=False)
    ranked = sorted(analysis.scores.items(), key=lambda item: -item[1])
    for name, value in ranked[:SHOWN_SCORES]:
        bar = "█" * round(value * 20)
        console.print(f"  {value:.4f} {bar:20} {plain_words(name)}", markup=False, highlight=False)


def run_status(*, as_json: bool) -> int:
    settings = load_settings()
    with open_database(settings) as db, db.read() as tx:
        now = tx.now_ms()
        counts = libraries.counts(tx)
        report: dict[str, Any] = {
            "libraries": [
                {
                    "id": library.id,
                    "name": library.name,
                    "root_path": library.root_path,
                    "is_enabled": library.is_enabled,
                    "files": counts[library.id].file_count if library.id in counts else 0,
                    "tagged": counts[library.id].tagged_count if library.id in counts else 0,
                    **asdict(queue.queue_depth(tx, library_id=library.id, now=now)),
                }
                for library in libraries.list_all(tx)
            ],
            "queue": asdict(queue.queue_depth(tx, now=now)),
            "workers": _workers(tx, now=now, lease_ms=settings.lease_s * 1000),
            "problems": [
                {"path": problem.path, "reason": problem.error or problem.write_error}
                for problem in queue.problems(tx, 20)
            ],
        }
    if as_json:
        sys.stdout.write(json.dumps(report) + "\n")
    else:
        _show_status(report)
    return 0


def _workers(tx: Transaction, *, now: int, lease_ms: int) -> list[dict[str, Any]]:
    """All workers of all machines, each with the file it has in hand now."""
    in_hand = {file.worker: file for file in progress.running(tx, now=now)}
    found = []
    for worker in workers.list_all(tx):
        file = in_hand.get(worker.id)
        state = "silent" if worker.heartbeat_at < now - lease_ms else "busy" if file else worker.state
        found.append({**asdict(worker), "state": state, "file": file.path if file else None})
    return found


def _show_workers(processes: list[dict[str, Any]]) -> None:
    table = Table("machine", "process", "version", "state", "files", "a minute", "memory", "file")
    for worker in processes:
        rate, memory = worker["rate_per_minute"], worker["memory_bytes"]
        table.add_row(
            escape(worker["host"]),
            str(worker["pid"]),
            worker["version"],
            worker["state"],
            str(worker["files"]),
            "-" if rate is None else f"{rate:.1f}",
            "-" if memory is None else f"{memory / 2**20:.0f} MB",
            escape(printable(worker["file"] or worker["trouble"] or "-")),
        )
    console.print(table)


def _show_status(report: dict[str, Any]) -> None:
    table = Table("library", "folder", "files", "analysed", "to do", "set aside")
    for library in report["libraries"]:
        facts = (library["files"], library["completed"], library["depth"], library["errors"])
        table.add_row(library["name"], library["root_path"], *map(str, facts))
    console.print(table)
    if not report["libraries"]:
        console.print("No library yet. Try: nomarr tag PATH")
    if report["workers"]:
        _show_workers(report["workers"])
    for problem in report["problems"]:
        text = f"{printable(problem['path'])}: {problem['reason']}"
        console.print(text, style="yellow", markup=False, soft_wrap=True)
