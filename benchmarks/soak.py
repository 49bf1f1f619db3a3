"""Many files, workers killed every few seconds, the database taken away three times: is each file done exactly once?

    python benchmarks/soak.py [--database sqlite|postgresql] [--files 20000] [--workers 2] [--kill-every 5] [--write]

Short, different sounds are made and queued, and `nomarr worker` works on them with small models. Every few seconds one
of its processes is killed, never the first, whose memory is watched. At a quarter, a half and three quarters of the
files PostgreSQL is ended as in a crash and started again three seconds later; with SQLite all of Nomarr is killed and
started again. A trigger in the database counts how often each file became analysed.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import wave
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from postgresql import Server

from models import make_models_dir
from nomarr.errors import DatabaseProblem
from nomarr.scan import scan_library
from nomarr.store import journal, libraries, queue
from nomarr.store.database import Database
from nomarr.worker.machine import memory_of_mb

RATE, SECONDS = 8000, 1.2
AWAY_S = 3.0
COUNTING = {
    True: (
        """
        CREATE FUNCTION count_finish() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO finishes VALUES (NEW.id, NEW.claimed_by); RETURN NEW; END $$
        """,
        """
        CREATE TRIGGER count_finish AFTER UPDATE ON library_files FOR EACH ROW
        WHEN (OLD.needs_tagging AND NOT NEW.needs_tagging) EXECUTE FUNCTION count_finish()
        """,
    ),
    False: (
        """
        CREATE TRIGGER count_finish AFTER UPDATE ON library_files WHEN OLD.needs_tagging AND NOT NEW.needs_tagging
        BEGIN INSERT INTO finishes VALUES (NEW.id, NEW.claimed_by); END
        """,
    ),
}


@dataclass
class Soak:
    """One run, and what happened in it."""

    db: Database
    environment: dict[str, str]
    workers: int
    files: int
    server: Server | None
    process: subprocess.Popen[bytes] | None = None
    kills: int = 0
    restarts: int = 0
    memory_mb: list[tuple[float, int]] = field(default_factory=list)  # share done, of the process that is never killed

    def start(self) -> None:
        command = [sys.executable, "-m", "nomarr", "worker", "--workers", str(self.workers)]
        self.process = subprocess.Popen(command, env=self.environment, stdin=subprocess.DEVNULL)

    def pids(self) -> list[int]:
        """The worker processes, the oldest first."""
        assert self.process is not None
        children = psutil.Process(self.process.pid).children()
        return [child.pid for child in sorted(children, key=lambda child: child.create_time())]

    def kill_one(self) -> None:
        others = self.pids()[1:]
        if others:
            os.kill(random.choice(others), signal.SIGKILL)
            self.kills += 1

    def take_database_away(self) -> None:
        self.restarts += 1
        if self.server is not None:
            self.server.stop(signal.SIGQUIT)
            time.sleep(AWAY_S)
            self.server.start()
            return
        assert self.process is not None
        self.process.kill()  # its workers see that, and end after their file; one is not even left that
        self.process.wait()
        self.start()

    def depth(self) -> queue.QueueDepth:
        while True:
            try:
                with self.db.read() as tx:
                    return queue.queue_depth(tx, now=tx.now_ms())
            except DatabaseProblem:
                time.sleep(0.5)

    def run(self, kill_every_s: float, at_most_s: float) -> float:
        """Until nothing is left to do; -> seconds."""
        began = killed = said = time.monotonic()
        self.start()
        while (depth := self.depth()).depth and time.monotonic() - began < at_most_s:
            now, share = time.monotonic(), depth.completed / self.files
            if now - killed > kill_every_s:
                self.kill_one()
                killed = now
                self.memory_mb += [(share, memory_of_mb(pid)) for pid in self.pids()[:1]]
            if self.restarts < 3 and share >= (self.restarts + 1) / 4:
                self.take_database_away()
            if now - said > 30:
                print(f"{now - began:6.0f} s: {depth}, {self.kills} kills, memory {self.memory_mb[-1:]}", flush=True)
                said = now
            time.sleep(0.2)
        return time.monotonic() - began

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kill-every", type=float, default=5.0, metavar="S")
    parser.add_argument("--at-most", type=float, default=6 * 3600, metavar="S")
    parser.add_argument("--write", action="store_true", help="write the tags into the files, too")
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nomarr-soak-")))
        server = stack.enter_context(Server()) if given.database == "postgresql" else None
        url = server.url if server else f"sqlite:///{folder / 'data' / 'nomarr.db'}"
        db = stack.enter_context(Database(url))
        db.migrate()
        soak = Soak(db, environment(folder, url, write=given.write), given.workers, given.files, server)
        prepare(db, folder / "music", given.files)
        try:
            took = soak.run(given.kill_every, given.at_most)
        finally:
            soak.stop()
        sys.exit(report(soak, given, took))


def environment(folder: Path, url: str, *, write: bool) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("NOMARR_")},
        "NOMARR_DATA_DIR": str(folder / "data"),
        "NOMARR_MODELS_DIR": str(make_models_dir(folder / "models")),
        "NOMARR_DATABASE_URL": url,
        "NOMARR_FILE_WRITE_MODE": "native" if write else "none",
        "NOMARR_LEASE_S": "10",
        "NOMARR_LOG_LEVEL": "error",
    }


def prepare(db: Database, root: Path, count: int) -> None:
    began = time.monotonic()
    chance = np.random.default_rng(1)
    for number in range(count):
        path = root / f"{number // 100:04}" / f"{number:06}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 1, RATE, 0, "NONE", "not compressed"))
            file.writeframes(chance.integers(64, 192, int(RATE * SECONDS), np.uint8).tobytes())
    with db.write() as tx:
        tx.run("CREATE TABLE finishes (file_id BIGINT, worker TEXT)")
        for statement in COUNTING[db.is_postgresql]:
            tx.run(statement)
        library = libraries.create(tx, name="Music", root_path=root, now=tx.now_ms())
    result = scan_library(db, library)
    assert result.queued == count, result
    print(f"{count} files made and scanned in {time.monotonic() - began:.0f} s", flush=True)


def report(soak: Soak, given: argparse.Namespace, took: float) -> int:
    depth = soak.depth()
    with soak.db.read() as tx:
        finishes, files = tx.tuples("SELECT COUNT(*), COUNT(DISTINCT file_id) FROM finishes")[0]
        troubles = [(one.path, one.error or one.write_error) for one in queue.problems(tx, 10)]
        # Also where a worker was killed, or its database, between writing the file and confirming that.
        written = tx.scalar(
            """
            SELECT COUNT(DISTINCT f.id)
              FROM library_files AS f
              JOIN journal AS j ON j.file_id = f.id AND j.after_hash = f.written_hash
            """
        )
        assert journal.recent(tx, limit=1) is not None
    print(f"{given.database}: {soak.kills} workers killed, database taken away {soak.restarts} times, {took:.0f} s")
    print(f"{depth.completed} of {given.files} files done, {files} finished, {finishes - files} of them more than once")
    print(f"left {depth.depth}, set aside {depth.errors} {troubles}, {written} files written")
    early = [mb for share, mb in soak.memory_mb if 0.1 <= share < 0.35] or [0]
    late = [mb for share, mb in soak.memory_mb if share >= 0.75] or [0]
    print(
        f"memory of the worker that was left alone: {max(early)} MB at most at the beginning, {max(late)} MB in the end"
    )
    left = [path for path in Path(soak.environment["NOMARR_DATA_DIR"]).parent.rglob(".*") if path.suffix != ".lock"]
    print(f"{len(left)} temporary files left beside the music {left[:3]}")
    return int((depth.completed, files, finishes, depth.depth) != (given.files, given.files, given.files, 0))


if __name__ == "__main__":
    main()
