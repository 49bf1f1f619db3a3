"""A small ground to run Nomarr on: models, music and settings in temporary folders, and its commands as processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from audio_files import encode
from nomarr.settings import Settings, load_settings
from nomarr.store import files
from nomarr.store.database import Database
from nomarr.store.files import LibraryFile
from nomarr.store.libraries import Library

# name -> ending and encoder of a short track; every container that can carry tags and ffmpeg can write
TRACKS = {
    "mp3": ["-c:a", "libmp3lame"],
    "flac": ["-c:a", "flac"],
    "m4a": ["-c:a", "aac"],
    "ogg": ["-c:a", "libvorbis"],
    "opus": ["-c:a", "libopus"],
    "wav": ["-c:a", "pcm_s16le"],
    "aiff": ["-c:a", "pcm_s16be", "-write_id3v2", "1"],
    "wma": ["-c:a", "wmav2"],
    "wv": ["-c:a", "wavpack", "-sample_fmt", "s16p"],
}


def tone(path: Path, *, seconds: float, hertz: int = 440, artist: str = "Somebody") -> Path:
    """A decaying, beating tone, so that no two patches are alike."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = f"0.4*sin(2*PI*{hertz}*t)*(0.6+0.4*sin(0.7*t))+0.05*random(0)"
    facts = ["-metadata", f"artist={artist}", "-metadata", f"title={path.stem}"]
    source = f"aevalsrc=exprs={wave}:s=22050:d={seconds}"
    return encode(path, *facts, *TRACKS[path.suffix[1:]], source=source)


@dataclass(frozen=True)
class Ground:
    """Where one test's Nomarr lives."""

    folder: Path
    models: Path
    database_url: str | None = None

    @property
    def music(self) -> Path:
        return self.folder / "music"

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        own = {
            "NOMARR_DATA_DIR": str(self.folder / "data"),
            "NOMARR_MODELS_DIR": str(self.models),
            "NOMARR_LEASE_S": "5",
            "COLUMNS": "200",
        }
        if self.database_url is not None:
            own["NOMARR_DATABASE_URL"] = self.database_url
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("NOMARR_")}
        return {**inherited, **own, **(more or {})}

    def settings(self, **more: object) -> Settings:
        return load_settings(self.environment(), **more)

    def start(self, *arguments: object, **more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "nomarr", *map(str, arguments)],
            env=self.environment(more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
        with self.start(*arguments, **more) as process:
            try:
                out, err = process.communicate(timeout=120)
            except subprocess.TimeoutExpired:
                process.kill()  # or leaving the block would wait for it
                raise
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def add(self, source: Path, name: str) -> Path:
        target = self.music / name
        target.parent.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(source, target))


def row(db: Database, library: Library, name: str = "song.flac") -> LibraryFile:
    """What the database has of a file right in the library's folder."""
    with db.read() as tx:
        found = files.by_path(tx, library.id, "", name)
    assert found is not None
    return found
