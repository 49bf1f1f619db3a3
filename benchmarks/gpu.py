"""How quickly tracks are analysed with a GPU and without, and how far the scores are apart.

    python benchmarks/gpu.py --models DIR [--workers 1 4 8] [--rounds 2] TRACK...

Each worker is a process of its own, with one thread, as `nomarr worker` starts them; the time is that from when all
have loaded their models and heard the first track until the last is done.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import argparse
import multiprocessing
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path

import psutil

from nomarr.analysis import Models
from nomarr.settings import Device

SPAWN = multiprocessing.get_context("spawn")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", required=True, type=Path)
    parser.add_argument("--workers", type=int, nargs="+", default=[1])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("tracks", nargs="+")
    given = parser.parse_args()
    compare(given.models, given.tracks)
    for workers in given.workers:
        for device in ("cpu", "cuda"):
            rate, seconds = measure(given.models, given.tracks, given.rounds, device, workers)
            print(
                f"{workers:3} workers on {device:4}: {rate:7.2f} tracks/s, {seconds * 1000:6.0f} ms a track and worker"
            )


def compare(models: Path, tracks: list[str]) -> None:
    with Models(models, device="cpu") as on_cpu, Models(models, device="cuda") as on_gpu:
        where = {network.backbone.name: network.session.is_on_gpu for network in on_gpu.networks.values()}
        print(f"on the GPU: {where}")
        apart = 0.0
        for track in tracks:
            one, other = on_cpu.analyze(track), on_gpu.analyze(track)
            apart = max(apart, *(abs(one.scores[name] - other.scores[name]) for name in one.scores))
            print(f"{Path(track).name}: {one.duration_s:.0f} s, {one.patches} patches; {stages(one)} | {stages(other)}")
        print(f"scores are at most {apart:.1e} apart")
        held = psutil.Process().memory_info()
        print(f"this process holds {held.rss / 2**20:.0f} MB, {(held.rss - held.shared) / 2**20:.0f} MB of them alone")


def stages(analysis: object) -> str:
    seconds: dict[str, float] = analysis.seconds  # type: ignore[attr-defined]
    return " ".join(f"{name} {1000 * spent:.0f} ms" for name, spent in seconds.items())


def measure(models: Path, tracks: list[str], rounds: int, device: Device, workers: int) -> tuple[float, float]:
    ready = SPAWN.Barrier(workers + 1)
    processes = [SPAWN.Process(target=work, args=(models, tracks, rounds, device, ready)) for _ in range(workers)]
    for process in processes:
        process.start()
    ready.wait()
    began = time.perf_counter()
    for process in processes:
        process.join()
    took = time.perf_counter() - began
    return workers * rounds * len(tracks) / took, took / rounds / len(tracks)


def work(models: Path, tracks: list[str], rounds: int, device: Device, ready: Barrier) -> None:
    with Models(models, device=device) as loaded:
        for track in tracks:
            loaded.analyze(track)
        ready.wait()
        for track in tracks * rounds:
            loaded.analyze(track)


if __name__ == "__main__":
    main()
