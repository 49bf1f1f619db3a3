"""How quickly a large library is calibrated and looked at as a whole.

    python benchmarks/analytics.py [--tracks 100000] [--url sqlite:////tmp/x.db]

Fills an empty database with files, their own tags and scores as the default packs give them, then calibrates it and
asks every analytics endpoint, cold and warm.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from fastapi import FastAPI

from nomarr import recalibration
from nomarr.inference.vocabulary import MSD, VIBENET
from nomarr.moods.reference import reference_calibrations
from nomarr.settings import Settings
from nomarr.store.database import Database
from nomarr.store.matrix import ScoreMatrix
from nomarr.web.app import create_app
from nomarr.web.auth import require_login

BATCH = 10_000
PACKS = {"musicnn": [output.head for output in MSD], "vibenet": [output.head for output in VIBENET]}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--tracks", type=int, default=100_000)
    arguments.add_argument("--url", help="a database, empty or filled before; by default SQLite in a temporary folder")
    given = arguments.parse_args()
    logging.disable()
    with (
        tempfile.TemporaryDirectory(prefix="nomarr-analytics-") as folder,
        Database(given.url or f"sqlite:///{folder}/nomarr.db") as db,
    ):
        if is_empty(db):
            timed(f"making {given.tracks} tracks", lambda: fill(db, given.tracks))
        measure(db, Path(folder))


ENDPOINTS = ("tag-frequencies", "mood-distribution", "tag-correlations", "mood-cooccurrence", "overview", "coverage")
MOODS = "/api/web/analytics/mood-distribution"


def measure(db: Database, folder: Path) -> None:
    settings = Settings(data_dir=folder / "data", calibrate_heads=True)
    timed("loading the matrix", lambda: load(db))
    for name in ENDPOINTS:
        app = None  # type: ignore[assignment]
        gc.collect()
        app = make_app(settings, db)  # one that was never asked anything
        timed(name, lambda name=name, app=app: ask(app, f"/api/web/analytics/{name}"), again=5)
    timed("calibration from memory", lambda: ask(app, "/api/web/calibration/generate-histogram", "POST"), again=3)
    timed("calibration from the database", lambda: recalibration.generate(db, folder))
    timed("calibration status", lambda: ask(app, "/api/web/calibration/status"), again=3)
    timed("mood-distribution, calibrated", lambda: ask(app, MOODS), again=5)
    with db.write() as tx:
        tx.run("UPDATE library_files SET missing_since = 5 WHERE id IN (7, 700)")
    timed("mood-distribution, 2 files changed", lambda: ask(app, MOODS), again=5)
    with db.write() as tx:
        tx.run("UPDATE library_files SET missing_since = NULL WHERE id IN (7, 700)")
    matrix = app.state.matrix
    timed("finding files that change", lambda: find(db, lambda tx: matrix.refresh(tx).blocks), again=2)
    timed("having them written", lambda: recalibration.apply(db, "native"))
    with db.write() as tx:
        tx.run("UPDATE library_files SET needs_write = FALSE")


def make_app(settings: Settings, db: Database) -> FastAPI:
    app = create_app(settings, db)
    app.dependency_overrides[require_login] = lambda: None
    return app


def ask(app: FastAPI, path: str, method: str = "GET") -> None:
    async def answer() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://nomarr") as client:
            return await client.request(method, path)

    answered = asyncio.run(answer())
    assert answered.status_code == 200, answered.text


def find(db: Database, blocks: recalibration.ReadBlocks) -> int:
    return sum(len(found.changed) for found in recalibration.find_changes(db, "native", blocks=blocks))


def load(db: Database) -> None:
    with db.read() as tx:
        ScoreMatrix().refresh(tx)


def is_empty(db: Database) -> bool:
    db.migrate()
    with db.read() as tx:
        return not tx.scalar("SELECT COUNT(*) FROM library_files")


def fill(db: Database, tracks: int) -> None:
    db.migrate()
    rng = np.random.default_rng(1)
    with db.write() as tx:
        tx.run(
            "INSERT INTO libraries (id, name, root_path, created_at, updated_at) VALUES (1, 'Music', '/music', 1, 1)"
        )
        tx.many(
            "INSERT INTO score_packs (id, pack, fingerprint, backbone, heads) VALUES (:id, :pack, 'f', :pack, :heads)",
            [{"id": i, "pack": pack, "heads": json.dumps(heads)} for i, (pack, heads) in enumerate(PACKS.items(), 1)],
        )
    for first in range(1, tracks + 1, BATCH):
        add_batch(db, range(first, min(first + BATCH, tracks + 1)), rng)


def add_batch(db: Database, ids: range, rng: np.random.Generator) -> None:
    with db.write() as tx:
        tx.many(
            """
            INSERT INTO library_files (id, library_id, folder, name, size, mtime_ns, container, duration_s, title,
                                       artist, album, genre, year, suite, analyzed_at, audio_key, audio_hash,
                                       written_hash, written_at, calibration, created_at, updated_at)
            VALUES (:id, 1, :folder, :name, 9000000, 1, :container, :duration, :name,
                    :artist, :folder, :genre, :year, 'suite', 1, :key, :key,
                    'unknown', 1, 'reference', 1, 1)
            """,
            [file_row(i, rng) for i in ids],
        )
        tx.many(
            "INSERT INTO file_tags (file_id, name, value) VALUES (:id, :name, :value)",
            [{"id": i, "name": name, "value": value} for i in ids for name, value in own_tags(i)],
        )
        for pack_id, (pack, heads) in enumerate(PACKS.items(), 1):
            values = some_scores(pack, heads, len(ids), rng)
            tx.many(
                "INSERT INTO file_scores (file_id, pack_id, scores, spreads) VALUES (:id, :pack, :scores, :scores)",
                [{"id": i, "pack": pack_id, "scores": row.tobytes()} for i, row in zip(ids, values, strict=True)],
            )


def file_row(i: int, rng: np.random.Generator) -> dict[str, Any]:
    return {
        "id": i,
        "folder": f"Artist {i // 120}/Album {i // 12}",
        "name": f"Song {i}.flac",
        "container": "flac" if i % 3 else "mp3",
        "duration": float(rng.uniform(60, 600)),
        "artist": f"Artist {i // 120}",
        "genre": f"Genre {i // 60 % 80}",
        "year": 1950 + i // 12 % 75,
        "key": f"{i:032x}",
    }


def own_tags(i: int) -> list[tuple[str, str]]:
    """As a tagger like Picard leaves them: two genres, dates, identifiers, loudness."""
    album = i // 12
    named = [("genre", f"Genre {i // 60 % 80}"), ("genre", f"Style {album % 200}"), ("date", f"{1950 + album % 75}")]
    named += [("label", f"Label {album % 900}"), ("releasecountry", "XE"), ("bpm", f"{60 + i % 120}")]
    named += [(f"musicbrainz_{of}id", f"{album if of == 'album' else i:032x}") for of in ("album", "track", "work")]
    return [*named, ("replaygain_track_gain", f"{i % 900 / -100:.2f} dB"), ("composer", f"Composer {i // 120}")]


def some_scores(pack: str, heads: list[str], tracks: int, rng: np.random.Generator) -> np.ndarray:
    """Spread as in the reference, and correlated through a few hidden moods."""
    loadings = np.random.default_rng(len(heads)).normal(0, 1, (3, len(heads)))
    hidden = rng.normal(0, 1, (tracks, 3)) @ loadings + rng.normal(0, 1, (tracks, len(heads)))
    ends = [reference_calibrations()[pack, head] for head in heads]
    low, high = np.array([e.p5 for e in ends]), np.array([e.p95 for e in ends])
    share = 1 / (1 + np.exp(-hidden))
    return np.clip(low + (high - low) * (share * 1.2 - 0.1), 0, 1).astype("<f4")


def timed(what: str, run: Callable[[], Any], *, again: int = 0) -> None:
    first, cpu = once(run)
    text = f"{what:>34}: {first:8.0f} ms (CPU {cpu:6.0f})"
    if again:
        took, cpu = (statistics.median(times) for times in zip(*(once(run) for _ in range(again)), strict=True))
        text += f", again {took:7.1f} ms (CPU {cpu:7.1f})"
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{text}   peak {memory:.0f} MiB", flush=True)


def once(run: Callable[[], Any]) -> tuple[float, float]:
    started, cpu = time.perf_counter(), time.process_time()
    run()
    return (time.perf_counter() - started) * 1000, (time.process_time() - cpu) * 1000


if __name__ == "__main__":
    main()
