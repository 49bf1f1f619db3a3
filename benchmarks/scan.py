"""How quickly a library is scanned: all files new, then all files unchanged.

    python benchmarks/scan.py [--files 3000] [--url sqlite:////tmp/x.db]

Copies a few short templates (FLAC and MP3, 20 s of noise), each with tags and audio of its own, twelve a folder.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import tempfile
import time
from pathlib import Path

import av
import mutagen
import numpy as np
from mutagen.flac import FLAC
from mutagen.id3 import ID3, TALB, TCON, TDRC, TIT2, TPE1, TRCK, TXXX

from nomarr.scan import scan_library
from nomarr.store import libraries
from nomarr.store.database import Database

PER_FOLDER = 12


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--files", type=int, default=3000)
    arguments.add_argument("--url", help="an empty database; by default SQLite in a temporary folder")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="nomarr-scan-") as folder:
        root = Path(folder) / "music"
        started = time.perf_counter()
        make_library(root, given.files)
        print(f"made {given.files} files in {time.perf_counter() - started:.1f} s")
        with Database(given.url or f"sqlite:///{folder}/nomarr.db") as db:
            measure(db, root, given.files)


def measure(db: Database, root: Path, files: int) -> None:
    db.migrate()
    with db.write() as tx:
        library = libraries.create(tx, name="benchmark", root_path=root, now=tx.now_ms())
    for what in ("new", "unchanged", "unchanged"):
        started, cpu = time.perf_counter(), time.process_time()
        result = scan_library(db, library)
        took, cpu = time.perf_counter() - started, time.process_time() - cpu
        assert getattr(result, what) == files, result
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{what:>10}: {files / took:8.0f} files/s   ({took:.2f} s, {cpu:.2f} s of CPU, peak {memory:.0f} MiB)")


def make_library(root: Path, files: int) -> None:
    root.mkdir(parents=True)
    templates = [encode(root.parent / f"{n}.{kind}", n) for n in range(4) for kind in ("flac", "mp3")]
    for number in range(files):
        template = templates[number % len(templates)]
        folder = root / f"Artist {number // 120}" / f"Album {number // PER_FOLDER}"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{number % PER_FOLDER:02} Song {number}{template.suffix}"
        shutil.copyfile(template, path)
        tag(path, number)


def tag(path: Path, number: int) -> None:
    fields = {"title": f"Song {number}", "artist": f"Artist {number // 120}", "album": f"Album {number // PER_FOLDER}"}
    if path.suffix == ".flac":
        flac = FLAC(path)
        flac.update({**fields, "date": "1999", "tracknumber": str(number % PER_FOLDER), "genre": ["Jazz", "Soul"]})
        flac["musicbrainz_trackid"] = f"{number:032x}"
        flac.save()
        return
    id3 = ID3()
    for frame, value in ((TIT2, "title"), (TPE1, "artist"), (TALB, "album")):
        id3.add(frame(encoding=3, text=fields[value]))
    id3.add(TDRC(encoding=3, text="1999"))
    id3.add(TRCK(encoding=3, text=str(number % PER_FOLDER)))
    id3.add(TCON(encoding=3, text=["Jazz", "Soul"]))
    id3.add(TXXX(encoding=3, desc="MusicBrainz Track Id", text=f"{number:032x}"))
    id3.save(path)


def encode(path: Path, seed: int) -> Path:
    noise = np.random.default_rng(seed).normal(0, 2000, (1, 20 * 22050)).astype(np.int16)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("flac" if path.suffix == ".flac" else "libmp3lame", rate=22050, layout="mono")
        resampler = av.AudioResampler(format=stream.format, layout="mono", rate=22050, frame_size=1152)
        frame = av.AudioFrame.from_ndarray(noise, format="s16", layout="mono")
        frame.rate = 22050
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    assert mutagen.File(path) is not None
    return path


if __name__ == "__main__":
    main()
