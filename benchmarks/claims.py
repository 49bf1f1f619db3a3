"""What it costs to hand out files, how throughput grows with workers, and two machines on one PostgreSQL.

    python benchmarks/claims.py          [--database sqlite postgresql] [--files 50000] [--workers 1 8] [--at-most 300]
    python benchmarks/claims.py scaling  [--database sqlite postgresql] --models DIR --music DIR [--workers 1 2]
    python benchmarks/claims.py idle     [--database sqlite postgresql]
    python benchmarks/claims.py hosts    --models DIR --music DIR            (as root)

* `drain`, the default: processes claim files and finish them at once, each number of them for so many seconds at most.
  The overhead is what claiming and finishing take together, as the worker sees it.
* `scaling`: real workers analyse copies of real music; nothing is written into the files.
* `idle`: what a worker that finds nothing costs, and how soon it takes up a new file.
* `hosts`: as `scaling`, with one and with two hosts of one worker each: two network namespaces with names of their own,
  each joined to the server by a pair of virtual interfaces. They are removed in the end.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.queues import Queue
from pathlib import Path
from statistics import mean
from typing import cast

from postgresql import Server

from nomarr.analysis import Models
from nomarr.scan import scan_library
from nomarr.settings import Settings, load_settings
from nomarr.store import claims, libraries, queue
from nomarr.store.database import Database
from nomarr.worker.loop import POLL_S, Worker
from nomarr.worker.supervisor import Supervisor

SPAWN = multiprocessing.get_context("spawn")
LEASE_MS = 60_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("drain", "scaling", "idle", "hosts"), nargs="?", default="drain")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--at-most", type=float, default=300, help="seconds")
    parser.add_argument("--files", type=int, default=50_000)
    parser.add_argument("--workers", type=int, nargs="+")
    parser.add_argument("--models", type=Path)
    parser.add_argument("--music", type=Path)
    parser.add_argument("--copies", type=int, default=1)
    given = parser.parse_args()
    if given.what == "hosts":
        hosts(given)
        return
    for kind in given.database:
        with database(kind) as url, Database(url) as db:
            db.migrate()
            {"drain": drain, "scaling": scaling, "idle": idle}[given.what](db, url, given)


@contextmanager
def database(kind: str) -> Iterator[str]:
    if kind == "postgresql":
        with Server() as server:
            yield server.url
    else:
        with tempfile.TemporaryDirectory(prefix="nomarr-") as folder:
            yield f"sqlite:///{folder}/nomarr.db"


def name_of(db: Database) -> str:
    return "postgresql" if db.is_postgresql else "sqlite"


# handing out


def drain(db: Database, url: str, given: argparse.Namespace) -> None:
    for workers in given.workers or [1, 8]:
        fill(db, given.files)
        results: Queue[tuple[int, float, float]] = SPAWN.Queue()  # files, seconds waited, seconds of CPU
        started = SPAWN.Barrier(workers + 1)
        processes = [
            SPAWN.Process(target=take_all, args=(url, n, started, results, given.at_most)) for n in range(workers)
        ]
        for process in processes:
            process.start()
        started.wait()
        began = time.perf_counter()
        found = [results.get() for _ in processes]
        took = time.perf_counter() - began
        for process in processes:
            process.join()
        done, waited_s, used_s = (sum(column) for column in zip(*found, strict=True))
        assert done == given.files or took >= given.at_most, f"{done} of {given.files} files were handed out"
        with db.read() as tx:
            assert queue.queue_depth(tx, now=tx.now_ms()).completed == done
        print(
            f"{name_of(db):10} {workers:2} workers: {done} files in {took:6.1f} s, {done / took:6.0f}/s, "
            f"{took / done * 1000:5.2f} ms a file; a worker waits {waited_s / done * 1000:5.2f} ms for a file and uses "
            f"{used_s / done * 1000:5.2f} ms of CPU; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores",
            flush=True,
        )


def fill(db: Database, count: int) -> None:
    with db.write() as tx:
        tx.run("DELETE FROM libraries")
        library = libraries.create(tx, name="Music", root_path="/music", now=tx.now_ms())
        rows = [{"l": library.id, "f": f"{n // 12}", "n": f"{n}.mp3", "now": tx.now_ms()} for n in range(count)]
        tx.many(
            """
            INSERT INTO library_files (library_id, folder, name, size, mtime_ns, needs_tagging, created_at, updated_at)
            VALUES (:l, :f, :n, 1, 1, TRUE, :now, :now)
            """,
            rows,
        )


def take_all(
    url: str, number: int, started: object, results: Queue[tuple[int, float, float]], at_most_s: float
) -> None:
    count, waited = 0, 0.0
    with Database(url) as db:
        with db.read() as tx:
            tx.now_ms()
        started.wait()  # type: ignore[attr-defined]
        used, until = time.process_time(), time.perf_counter() + at_most_s
        while (began := time.perf_counter()) < until:
            with db.write() as tx:
                file = claims.claim_next(tx, worker=f"w{number}", now=tx.now_ms(), lease_ms=LEASE_MS)
            if file is None:
                break
            with db.write() as tx:
                claims.finish(
                    tx,
                    file,
                    now=tx.now_ms(),
                    suite="s",
                    patches=1,
                    duration_s=1,
                    audio_hash="h",
                    needs_write=False,
                )
            count, waited = count + 1, waited + time.perf_counter() - began
        results.put((count, waited, time.process_time() - used))


def idle(db: Database, url: str, given: argparse.Namespace) -> None:
    fill(db, given.files)
    with db.write() as tx:
        tx.run("UPDATE library_files SET needs_tagging = FALSE, analyzed_at = 1, suite = 's'")
    worker = Worker(settings(url, Path("/nowhere")), db, "idle")
    worker.models = cast(Models, "none, for it listens to nothing")
    worker._claim()
    used, began, times = time.process_time(), time.perf_counter(), 300
    for _ in range(times):
        assert worker._claim() is None
    wall, cpu = time.perf_counter() - began, time.process_time() - used
    print(f"{name_of(db)}: an idle poll takes {wall / times * 1000:.2f} ms, {cpu / times * 1000:.2f} ms of it CPU")
    print(f"at one in {POLL_S:g} s that is {cpu / times / POLL_S:.2%} of a core for each worker")
    delays = []
    for number in range(20):
        with db.write() as tx:
            queue.request_analysis(tx, [file_id(tx, number)], force=True, now=tx.now_ms())
        began = time.perf_counter()
        time.sleep(POLL_S * (number % 10) / 10)  # wherever the poll happens to be
        while worker._claim() is None:
            time.sleep(POLL_S)
        delays.append(time.perf_counter() - began)
        with db.write() as tx:
            tx.run("UPDATE library_files SET needs_tagging = FALSE, lease_until = NULL WHERE needs_tagging")
    print(f"a new file is taken up after {mean(delays):.2f} s, {max(delays):.2f} s at most")


def file_id(tx: object, number: int) -> int:
    return tx.scalar("SELECT id FROM library_files ORDER BY id LIMIT 1 OFFSET :n", n=number)  # type: ignore[attr-defined]


# real analysis


def settings(url: str, models: Path, **more: object) -> Settings:
    folder = tempfile.gettempdir()
    return load_settings({}, data_dir=folder, database_url=url, models_dir=models, file_write_mode="none", **more)


def scaling(db: Database, url: str, given: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="nomarr-music-") as folder:
        count = copy_music(given.music, Path(folder), given.copies)
        rates = {}
        for workers in given.workers or [1, 2]:
            requeue(db, Path(folder))
            supervisor = Supervisor(settings(url, given.models), db, workers, drain=True, log_level="warning")
            began, used = time.perf_counter(), _children_s()
            supervisor.start()
            while not supervisor.finished:
                time.sleep(0.05)
            took = time.perf_counter() - began
            supervisor.stop()
            rates[workers] = count / took
            grown = rates[workers] / rates[min(rates)]
            busy = (_children_s() - used) / took
            print(
                f"{name_of(db):10} {workers:2} workers: {count} files in {took:6.1f} s, {rates[workers]:5.2f}/s, "
                f"{grown:4.2f}x; {busy:.2f} of {os.cpu_count()} cores busy"
            )


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def copy_music(source: Path, target: Path, copies: int) -> int:
    count = 0
    for number in range(copies):
        for path in sorted(p for p in source.rglob("*") if p.suffix in (".mp3", ".flac", ".ogg", ".opus", ".m4a")):
            (target / str(number)).mkdir(exist_ok=True)
            shutil.copy(path, target / str(number) / path.name)
            count += 1
    return count


def requeue(db: Database, root: Path) -> None:
    with db.write() as tx:
        tx.run("DELETE FROM libraries")
        library = libraries.create(tx, name="Music", root_path=root, now=tx.now_ms())
    scan_library(db, library)
    with db.write() as tx:  # copies of the same sound are not listened to otherwise
        tx.run("UPDATE library_files SET needs_tagging = TRUE, analyzed_at = NULL, suite = NULL")


# two machines


def hosts(given: argparse.Namespace) -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nomarr-music-")))
        names = [stack.enter_context(host(number)) for number in (1, 2)]
        server = stack.enter_context(Server(*(f"10.213.{number}.1" for number in (1, 2)), port=free_port()))
        db = stack.enter_context(Database(server.url))
        db.migrate()
        count = copy_music(given.music, folder, given.copies)
        first = 0.0
        for used in (names[:1], names):
            requeue(db, folder)
            took, shares = run_hosts(db, used, server, given.models)
            first = first or took
            print(
                f"{len(used)} hosts: {count} files in {took:6.1f} s, {count / took:5.2f}/s, {first / took:4.2f}x"
                f" {shares}",
            )


@contextmanager
def host(number: int) -> Iterator[str]:
    name, outside, inside = f"nomarr-{number}", f"nomarr-o{number}", f"nomarr-i{number}"
    ip("netns", "add", name)
    try:
        ip("link", "add", outside, "type", "veth", "peer", "name", inside, "netns", name)
        ip("addr", "add", f"10.213.{number}.1/30", "dev", outside)
        ip("link", "set", outside, "up")
        ip("-n", name, "addr", "add", f"10.213.{number}.2/30", "dev", inside)
        ip("-n", name, "link", "set", inside, "up")
        yield name
    finally:
        ip("netns", "del", name)  # and the interfaces with it


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run_hosts(db: Database, names: list[str], server: Server, models: Path) -> tuple[float, dict[str, int]]:
    processes = []
    shares: Counter[str] = Counter()
    began = time.perf_counter()
    for name in names:
        address = f"10.213.{name[-1]}.1"
        environment = {
            **os.environ,
            "NOMARR_DATABASE_URL": f"postgresql://nomarr@{address}:{server.port}/nomarr",
            "NOMARR_MODELS_DIR": str(models),
            "NOMARR_DATA_DIR": str(server.folder / name),
            "NOMARR_FILE_WRITE_MODE": "none",
            "NOMARR_LOG_LEVEL": "warning",
        }
        worker = f"hostname {name}; exec {sys.executable} -m nomarr worker --workers 1"
        command = ["ip", "netns", "exec", name, "unshare", "--uts", "sh", "-c", worker]
        processes.append(subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL))
    seen: dict[int, str] = {}
    while True:
        with db.read() as tx:
            left = queue.queue_depth(tx, now=tx.now_ms()).depth
            for row in tx.all("SELECT id, claimed_by FROM library_files WHERE claimed_by IS NOT NULL"):
                seen[row["id"]] = row["claimed_by"].partition(":")[0]
        if not left:
            break
        time.sleep(0.05)
    took = time.perf_counter() - began
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait(timeout=60)
    shares.update(seen.values())
    return took, dict(shares)


if __name__ == "__main__":
    main()
