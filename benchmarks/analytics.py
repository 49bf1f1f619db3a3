"""How quickly a large library is calibrated and looked at as a whole.

    python benchmarks/analytics.py [--tracks 100000 1000000] [--url sqlite:////tmp/x.db ...] [--keep FOLDER]

For each number of tracks an SQLite database, and a PostgreSQL one where its server programs are installed, is filled
with files, their own tags and scores of 60 heads; the files' own tags are counted, as a server does after a scan. Then,
each in a process of its own: every analytics endpoint of a server that was never asked anything (cold: the scores are
read first) and again (warm); a calibration by command; and a server that did all this, calibrates, and finds the files
that change. MiB is the most memory that the process held meanwhile. At the end stands what a plain program would do.
CPU time is of that process alone, so PostgreSQL's own is missing; with other work on the machine it is the honest
figure, and the load says how much there was.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psycopg
from fastapi import FastAPI
from postgresql import Server, binary

from nomarr import recalibration
from nomarr.inference.vocabulary import MSD, VIBENET
from nomarr.moods.reference import reference_calibrations
from nomarr.moods.tags import tags_hash
from nomarr.settings import Settings
from nomarr.store import analytics
from nomarr.store.database import Database
from nomarr.store.matrix import ScoreMatrix
from nomarr.wanted import wanted_tags
from nomarr.web.app import create_app
from nomarr.web.auth import require_login
from nomarr.web.memory import Memory, warm
from nomarr.worker.neighbour import share_memory

BATCH = 10_000
SAMPLE = 500  # tracks that the plain program handles one by one; the rest is extrapolated
PACKS = {  # 60 heads
    "musicnn": [output.head for output in MSD],
    "vibenet": [output.head for output in VIBENET],
    "essentia-musicnn": ["danceability", "mood_happy", "mood_party"],
}
ENDPOINTS = ("tag-frequencies", "mood-distribution", "tag-correlations", "mood-cooccurrence", "overview", "coverage")
CLEAR, STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
COLUMNS = f"{'in ms':32} {'cold':>8} {'CPU':>8} {'MiB':>6} {'warm':>8} {'CPU':>8}"
Cost = tuple[float, float, float]  # ms, ms of this process, and MiB that it held at most


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--tracks", type=int, nargs="+", default=[100_000])
    arguments.add_argument("--url", nargs="+", help="databases instead, empty or filled before")
    arguments.add_argument("--keep", type=Path, help="a folder where the SQLite databases stay")
    arguments.add_argument("--part", choices=PARTS, help="only this, of the one database at --url")
    given = arguments.parse_args()
    logging.disable()
    if given.part:
        share_memory()  # as a server does
        with tempfile.TemporaryDirectory() as scratch, Database(given.url[0]) as db:
            PARTS[given.part](db, Path(scratch))
        return
    with ExitStack() as stack:
        folder = given.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nomarr-analytics-")))
        server = None if given.url or not Path(binary("initdb")).exists() else stack.enter_context(Server())
        for tracks in given.tracks:
            for url in given.url or databases(folder, server, tracks):
                with Database(url) as db:
                    if is_empty(db):
                        fill(db, tracks)
                    warm(db, ScoreMatrix(), Memory(), Settings(data_dir=folder))
                    print_header(db)
                for part in PARTS:
                    subprocess.run([sys.executable, __file__, "--url", url, "--part", part], check=True)


def databases(folder: Path, server: Server | None, tracks: int) -> list[str]:
    urls = [f"sqlite:///{folder}/nomarr-{tracks}.db"]
    if server is not None:
        server.administer(f"CREATE DATABASE n{tracks}")
        urls.append(server.url.replace("/nomarr?", f"/n{tracks}?"))
    return urls


def print_header(db: Database) -> None:
    with db.read() as tx:
        tracks = tx.scalar("SELECT COUNT(*) FROM library_files")
    load = os.getloadavg()[0]
    print(
        f"\n{tracks} tracks, {'PostgreSQL' if db.is_postgresql else 'SQLite'}; load {load:.1f}\n{COLUMNS}", flush=True
    )


def measure_endpoint(name: str, db: Database, folder: Path) -> None:
    app, address = make_app(db, folder), f"/api/web/analytics/{name}"
    row(name, once(lambda: ask(app, address)), often(lambda: ask(app, address)))


def measure_command(db: Database, folder: Path) -> None:
    row("a calibration by command", once(lambda: recalibration.generate(db, folder)))
    row("applying it by command", once(lambda: recalibration.apply(db, "native")))
    reset(db)


def measure_server(db: Database, folder: Path) -> None:
    """One that holds the scores already, and has counted moods and tags with them."""
    app = make_app(db, folder)
    for name in ENDPOINTS:
        ask(app, f"/api/web/analytics/{name}")
    matrix: ScoreMatrix = app.state.matrix

    def calibrate() -> None:
        ask(app, "/api/web/calibration/generate-histogram", "POST")

    def found() -> list[recalibration.Changes]:
        return recalibration.find_changes(db, "native", blocks=lambda tx: matrix.refresh(tx).blocks)

    row("a calibration by the server", once(calibrate), often(calibrate))
    row("calibration status", *(often(lambda: ask(app, "/api/web/calibration/status")) for _ in range(2)))
    row("finding files that change", once(found), often(found))
    row("beginning to apply", once(lambda: ask(app, "/api/web/calibration/apply", "POST")))
    reset(db)
    ids = np.concatenate([change.changed for change in found()])
    print("one after the other, as a plain program does it:")
    row("a calibration", once(lambda: count_plainly(matrix)))
    row("finding files that change", scaled(once(lambda: find_plainly(db)), len(ids) / SAMPLE))
    row(f"having {len(ids)} written", scaled(once(lambda: mark_plainly(db, ids[:SAMPLE].tolist())), len(ids) / SAMPLE))
    reset(db)


def measure_reading(db: Database, _: Path) -> None:
    row("counting tags of the files", once(lambda: count_tags(db)))
    row("the same plainly", once(lambda: count_tags_plainly(db)))
    row("reading the scores", once(lambda: load_matrix(db)))
    row("the same plainly", once(lambda: load_plainly(db)))


PARTS: dict[str, Callable[[Database, Path], None]] = {
    **{name: partial(measure_endpoint, name) for name in ENDPOINTS},
    "command": measure_command,
    "server": measure_server,
    "reading": measure_reading,
}


def reset(db: Database) -> None:
    with db.write() as tx:
        tx.run("UPDATE library_files SET needs_write = FALSE WHERE needs_write")
        tx.run("DELETE FROM preferences WHERE key = 'calibration_apply'")


def load_plainly(db: Database) -> None:
    with db.read() as tx:
        rows = tx.tuples("SELECT file_id, pack_id, scores FROM file_scores ORDER BY pack_id, file_id")
        for number in range(1, len(PACKS) + 1):
            np.array([np.frombuffer(scores, "<f4") for _, pack, scores in rows if pack == number])


def count_tags(db: Database) -> None:
    with db.read() as tx:
        analytics.own_tags(tx, [1])


def count_tags_plainly(db: Database) -> None:
    with db.read() as tx:
        tx.all("SELECT name, COUNT(DISTINCT file_id), COUNT(DISTINCT value) FROM file_tags GROUP BY name")


def count_plainly(matrix: ScoreMatrix) -> None:
    blocks = matrix._snapshot.blocks
    for column in range(len(blocks[0].values)):
        counts = sum(np.histogram(block.values[column], bins=10_000, range=(0, 1))[0] for block in blocks)
        np.searchsorted(np.cumsum(counts) / np.sum(counts), [0.05, 0.95])


def find_plainly(db: Database) -> None:
    with db.read() as tx:
        for row in tx.all("SELECT id, written_hash FROM library_files ORDER BY id LIMIT :sample", sample=SAMPLE):
            assert tags_hash(wanted_tags(tx, row["id"], Settings())) != row["written_hash"]


def mark_plainly(db: Database, ids: list[int]) -> None:
    with db.write() as tx:
        tx.many("UPDATE library_files SET needs_write = TRUE, updated_at = 2 WHERE id = :id", [{"id": i} for i in ids])


def load_matrix(db: Database) -> None:
    with db.read() as tx:
        ScoreMatrix().refresh(tx)


def make_app(db: Database, folder: Path) -> FastAPI:
    """Was never asked anything that it could remember, in a process that has answered for an empty library."""
    settings = Settings(data_dir=folder / "data", calibrate_heads=True)
    with Database(f"sqlite:///{folder}/empty.db") as empty:
        empty.migrate()
        first = open_app(settings, empty)
        for name in ENDPOINTS:
            ask(first, f"/api/web/analytics/{name}")
    return open_app(settings, db)


def open_app(settings: Settings, db: Database) -> FastAPI:
    app = create_app(settings, db)
    app.dependency_overrides[require_login] = lambda: None
    ask(app, "/ping")
    return app


def ask(app: FastAPI, path: str, method: str = "GET") -> None:
    async def answer() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://nomarr") as client:
            return await client.request(method, path)

    answered = asyncio.run(answer())
    assert answered.status_code == 200, answered.text


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
    if db.is_postgresql:  # as its autovacuum would have done a minute later
        address = db.url.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")


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
            "INSERT INTO file_tags (file_id, name, position, value) VALUES (:id, :name, :position, :value)",
            [
                {"id": i, "name": name, "position": int(value.startswith("Style")), "value": value}
                for i in ids
                for name, value in own_tags(i)
            ],
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


def row(what: str, cold: Cost, warm: Cost | None = None) -> None:
    text = f"{what:<32} {cold[0]:8.0f} {cold[1]:8.0f} {cold[2]:6.0f}"
    print(text + (f" {warm[0]:8.1f} {warm[1]:8.1f}" if warm else ""), flush=True)


def scaled(cost: Cost, by: float) -> Cost:
    return cost[0] * by, cost[1] * by, cost[2]


def often(run: Callable[[], Any], times: int = 5) -> Cost:
    wall, cpu, peak = zip(*(once(run) for _ in range(times)), strict=True)
    return statistics.median(wall), statistics.median(cpu), max(peak)


def once(run: Callable[[], Any]) -> Cost:
    CLEAR.write_text("5")  # from here on the kernel counts the peak anew
    started, cpu = time.perf_counter(), time.process_time()
    run()
    wall, used = time.perf_counter() - started, time.process_time() - cpu
    (peak,) = (line.split()[1] for line in STATUS.read_text().splitlines() if line.startswith("VmHWM"))
    return wall * 1000, used * 1000, int(peak) / 1024


if __name__ == "__main__":
    main()
