"""What a safe write costs: tags into a FLAC of 10 MB, against a plain copy with fsync.

python benchmarks/write.py [--folder /somewhere/on/the/disk] [--rounds 15]
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from nomarr.tagfiles.audiofile import remove_tags, write_tags

TAGS = {f"head_{number}": [f"{number / 60:.4f}"] for number in range(60)} | {"mood-strict": ["happy", "party"]}
LONG = TAGS | {"long": ["x" * 100_000]}  # beyond the padding: the audio has to move


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--folder", type=Path)
    arguments.add_argument("--rounds", type=int, default=15)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="nomarr-write-", dir=given.folder) as name:
        path = Path(name) / "track.flac"
        source = "anoisesrc=d=79:c=white:r=44100:a=0.5:seed=3"
        command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, "-ac", "2", "-c:a", "flac", str(path)]
        subprocess.run(command, check=True)
        print(f"{path.stat().st_size / 1e6:.1f} MB")
        measure(path, given.rounds)


def measure(path: Path, rounds: int) -> None:
    """The ways take turns, so that a busy machine slows all of them down."""
    ways: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "plain copy and fsync": (lambda: copy(path), lambda: None),
        "write, into the padding": (lambda: write_tags(path, TAGS), lambda: remove_tags(path)),
        "write, the audio moves": (lambda: write_tags(path, LONG), lambda: remove_tags(path)),
        "nothing to change": (lambda: remove_tags(path), lambda: None),
    }
    write_tags(path, TAGS)
    remove_tags(path)
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, (action, undo) in ways.items():
            os.sync()
            started = time.perf_counter()
            action()
            times[name].append(time.perf_counter() - started)
            undo()
    for what, of in (("median", statistics.median), ("best", min)):
        plain = of(times["plain copy and fsync"])
        for name, taken in times.items():
            print(f"{what:8}{name:26} {of(taken) * 1000:7.1f} ms   {of(taken) / plain:.2f} x")


def copy(path: Path) -> None:
    target = path.with_suffix(".copy")
    shutil.copyfile(path, target)
    with target.open("rb") as file:
        os.fsync(file.fileno())
    target.replace(path.with_suffix(".copied"))
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


if __name__ == "__main__":
    main()
