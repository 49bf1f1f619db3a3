"""nomarr models list | pull | verify"""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from nomarr.errors import ModelProblem, PackUnavailable
from nomarr.inference import packs
from nomarr.inference.catalog import read_suite
from nomarr.settings import load_settings

console = Console()


def run_list() -> int:
    folder = load_settings().models
    table = Table("pack", "heads", "licence", "source", "state")
    try:
        suite = read_suite(folder)
    except ModelProblem as error:
        suite = None
        console.print(str(error), style="yellow", markup=False)
    installed = {pack.name for pack in suite.packs} if suite else set()
    for pack in suite.packs if suite else ():
        table.add_row(pack.name, str(len(pack.scores)), pack.licence, pack.source, "installed")
    for source in packs.SOURCES.values():
        if source.name not in installed:
            table.add_row(source.name, str(len(source.outputs)), source.licence, source.wheel, "can be pulled")
    console.print(table)
    for problem in suite.problems if suite else ():
        console.print(f"left out: {problem}", style="yellow", markup=False)
    if suite:
        console.print(f"suite {suite.fingerprint} in {folder}", markup=False)
    return 0


def run_pull(names: list[str]) -> int:
    folder = load_settings().models
    for name in names or packs.DEFAULT_PACKS:
        if name not in packs.SOURCES:
            raise PackUnavailable(f"no model pack is named {name!r}; there are {', '.join(packs.SOURCES)}")
    for name in names or packs.DEFAULT_PACKS:
        packs.install(folder, name, progress=lambda text: console.print(text, markup=False))
    return 0


def run_verify() -> int:
    folder = load_settings().models
    results = packs.verify(folder)
    for name, fault in results:
        console.print(f"{name}: {fault or 'good'}", style="red" if fault else "green", markup=False)
    if not results:
        console.print(f"no pack is installed in {folder}", markup=False)
    return 1 if any(fault for _, fault in results) or not results else 0
