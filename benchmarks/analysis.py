"""How quickly a track is analysed on one core, beside Essentia, and how well two workers share two cores.

    python benchmarks/analysis.py --models DIR [--essentia-python PYTHON [--frozen PB]] [--rounds 3] TRACK...
    python benchmarks/analysis.py --models DIR --workers 2 [--rounds 3] TRACK...

DIR is a models folder with the packs musicnn and vibenet (nomarr models pull) and Essentia's own musicnn folder in it:
the MSD network and the nine heads. Without tracks one of four minutes is made. The sides take turns, track by track:

* `nomarr`: Models.analyze with MusiCNN and the nine heads; `with vibenet`: with VibeNet's pack in addition.
* `plain` and `essentia-tensorflow`: see essentia_side.py. PYTHON is an interpreter with essentia-tensorflow and
  onnxruntime; PB is what freeze_musicnn.py writes.

Each side has one thread on one and the same core. Wall time suffers from whatever else the machine does; CPU time
hardly does, so the ratios are of CPU time. The head means compared are plain means over all patches.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", TF_CPP_MIN_LOG_LEVEL="3")

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from nomarr.analysis import Models
from nomarr.audio.decode import Sound

HEADS = ["essentia-musicnn"]
SIDE = Path(__file__).with_name("essentia_side.py")
Pace = tuple[float, float, float]  # tracks per second of wall time and of CPU time, peak MB
Means = dict[str, list[float]]


@dataclass(frozen=True)
class Run:
    wall_s: float
    cpu_s: float
    patches: int
    means: Means


class Ours:
    def __init__(self, models: Path, packs: list[str]) -> None:
        self.models = Models(models, packs=packs)

    def run(self, track: str) -> Run:
        began, used = time.perf_counter(), time.process_time()
        analysis = self.models.analyze(track)
        wall_s, cpu_s = time.perf_counter() - began, time.process_time() - used
        return Run(wall_s, cpu_s, analysis.patches, {})

    def means(self, track: str) -> Means:
        heard = self.models._listen(Sound(Path(track)))
        found: Means = {}
        for runner in self.models.heads:
            columns = runner.classes(heard[runner.pack.backbone.identity]).mean(axis=0, dtype=np.float64).tolist()
            for head in runner.pack.heads:
                found[head.name], columns = columns[: len(head.classes)], columns[len(head.classes) :]
        return found


class Essentia:
    def __init__(self, python: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [python, str(SIDE), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        if self._answer() != "ready":
            sys.exit(f"{python} {SIDE} {' '.join(arguments)}: does not start")

    def run(self, track: str) -> Run:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{track}\n")
        self.process.stdin.flush()
        answer = json.loads(self._answer())
        return Run(answer["wall_s"], answer["cpu_s"], answer["patches"], answer["means"])

    def _answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", required=True, type=Path)
    parser.add_argument("--essentia-python")
    parser.add_argument("--frozen")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--one-worker", type=int, metavar="CORE", help=argparse.SUPPRESS)
    parser.add_argument("tracks", nargs="*")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tracks = given.tracks or [made_track(Path(folder))]
        if given.one_worker is not None:
            work(given.models, tracks, given.one_worker, given.rounds)
        elif given.workers:
            compare_workers(given.models, tracks, given.workers, given.rounds)
        else:
            compare_sides(given, tracks)


def made_track(folder: Path) -> str:
    path = folder / "four minutes.flac"
    noise = "anoisesrc=r=44100:d=240:seed=1:a=0.3:c=pink"
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", noise, "-ac", "2", str(path)], check=True)
    return str(path)


def compare_sides(given: argparse.Namespace, tracks: list[str]) -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    ours = Ours(given.models, HEADS)
    sides: dict[str, Ours | Essentia] = {"nomarr": ours, "with vibenet": Ours(given.models, [*HEADS, "vibenet"])}
    if given.essentia_python:
        folder = str(given.models / "musicnn")
        sides["plain"] = Essentia(given.essentia_python, "plain", folder)
        if given.frozen:
            sides["essentia-tensorflow"] = Essentia(given.essentia_python, "tensorflow", folder, given.frozen)
    for track in tracks:
        runs: dict[str, list[Run]] = defaultdict(list)
        for _ in range(given.rounds + 1):
            for name, side in sides.items():
                runs[name].append(side.run(track))
        report(track, {name: found[1:] for name, found in runs.items()}, ours.means(track))


def report(track: str, runs: dict[str, list[Run]], means: Means) -> None:
    print(f"\n{Path(track).name}, medians of {len(runs['nomarr'])} runs")
    print(f"{'':20} {'wall s':>8} {'CPU s':>8} {'ratio':>7} {'patches':>8} {'head means differ by':>21}")
    own = median(run.cpu_s for run in runs["nomarr"])
    for name, found in runs.items():
        wall_s, cpu_s = median(run.wall_s for run in found), median(run.cpu_s for run in found)
        theirs = found[0].means
        apart = max((max(abs(np.subtract(theirs[head], means[head]))) for head in theirs), default=None)
        text = "" if apart is None else f"{apart:.1e}"
        print(f"{name:20} {wall_s:8.3f} {cpu_s:8.3f} {cpu_s / own:6.1f}x {found[0].patches:8} {text:>21}")


def compare_workers(models: Path, tracks: list[str], workers: int, rounds: int) -> None:
    cores = sorted(os.sched_getaffinity(0))[:workers]
    if len(cores) < workers:
        sys.exit(f"{workers} workers need as many cores; there are {len(cores)}")
    alone: list[Pace] = []
    together: list[Pace] = []
    for _ in range(rounds):
        for core in cores:
            alone += run_workers(models, tracks, [core])
        together += run_workers(models, tracks, cores)
    for name, by in (("wall", 0), ("CPU", 1)):
        one, many = median(pace[by] for pace in alone), workers * median(pace[by] for pace in together)
        print(f"by {name} time: 1 worker {one:.2f} tracks/s, {workers} workers {many:.2f} tracks/s, {many / one:.2f}x")
    print(f"peak memory of a worker: {max(pace[2] for pace in together):.0f} MB")


def run_workers(models: Path, tracks: list[str], cores: list[int]) -> list[Pace]:
    """They begin together once all models are loaded."""
    started = [
        subprocess.Popen(
            [sys.executable, __file__, "--models", str(models), "--one-worker", str(core), "--rounds", "3", *tracks],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for core in cores
    ]
    for process in started:
        assert process.stdout is not None
        process.stdout.readline()
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return [tuple(map(float, process.communicate()[0].split())) for process in started]  # type: ignore[misc]


def work(models: Path, tracks: list[str], core: int, rounds: int) -> None:
    os.sched_setaffinity(0, {core})
    with Models(models) as loaded:
        loaded.analyze(tracks[0])
        print("ready", flush=True)
        sys.stdin.readline()
        began, used = time.perf_counter(), time.process_time()
        for track in tracks * rounds:
            loaded.analyze(track)
        count = len(tracks) * rounds
        print(count / (time.perf_counter() - began), count / (time.process_time() - used))
    status = Path("/proc/self/status").read_text()
    print(int(status.partition("VmHWM:")[2].split()[0]) / 1024)


if __name__ == "__main__":
    main()
