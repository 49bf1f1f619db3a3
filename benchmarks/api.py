"""How quickly a real server answers on a large library: every route that reads, then many clients at once, then SSE.

    python benchmarks/api.py [--tracks 100000] [--data /tmp/nomarr-api] [--database postgresql://...]

Starts `nomarr serve --workers 0` in a data folder of its own, on a library that benchmarks/make_library.py makes
where there is none yet. Prints p50 and p95 for one client, what fifty clients at once get, and the server's memory.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
from make_library import make_library

from nomarr.inference.catalog import read_suite
from nomarr.store.database import Database

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from models import make_models_dir

PASSWORD = "benchmark password"
ROUNDS = 40
CLIENTS, SECONDS = 50, 20
LISTENERS = 200
FILES = "/api/web/files"
VARIANTS = (
    f"{FILES}?limit=50",
    f"{FILES}?limit=500",
    f"{FILES}?sort=artist",
    f"{FILES}?sort=-analyzed",
    f"{FILES}?sort=title&offset=50000",
    f"{FILES}?sort=artist&offset=99000",
    f"{FILES}?q=love",
    f"{FILES}?q=night river&sort=artist",
    f"{FILES}?q=bjork",
    f"{FILES}?q=nothinglikethis",
    f"{FILES}?q=a&sort=title",
    f"{FILES}?artist=Nina Kalo&sort=album",
    f"{FILES}?album=Blue",
    f"{FILES}?tag=genre:house",
    f"{FILES}?tag=genre:house&q=love",
    f"{FILES}?tag=mood:happy",
    f"{FILES}?tag=mood-strict:happy&sort=artist",
    f"{FILES}?tag=nom:danceability>0.7&tag=mood:happy",
    f"{FILES}?tag=nom:danceability>0.7&q=love",
    f"{FILES}?library_id=1&sort=album",
    *(f"{FILES}?status={status}" for status in ("pending", "running", "done", "errors", "missing", "unwritten")),
)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--tracks", type=int, default=100_000)
    arguments.add_argument("--data", type=Path, default=Path("/tmp/nomarr-api"))
    arguments.add_argument("--database", help="an empty database elsewhere; by default SQLite in the data folder")
    arguments.add_argument("--only", default="", help="routes that hold this text")
    given = arguments.parse_args()
    models = make_models_dir(given.data / "models")
    url = given.database or f"sqlite:///{given.data}/nomarr.db"
    with Database(url) as db:
        db.migrate()
        with db.read() as tx:
            is_empty = tx.scalar("SELECT COUNT(*) FROM library_files") == 0
        if is_empty:
            make_library(db, given.tracks, suite=read_suite(models).fingerprint)
    with serving(given.data, url) as (base, process):
        client = logged_in(base)
        print(f"memory after start: {memory_mb(process)}")
        one_client(client, given.only, process)
        print(f"memory after one client: {memory_mb(process)}")
        many_clients(base, client.headers["authorization"], process)
        listeners(base, client, process, url)


@contextmanager
def serving(data: Path, url: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("NOMARR_")}
    own = {"NOMARR_DATA_DIR": str(data), "NOMARR_DATABASE_URL": url, "NOMARR_ADMIN_PASSWORD": PASSWORD}
    command = [sys.executable, "-m", "nomarr", "serve", "--workers", "0", "--port", str(port)]
    with subprocess.Popen(command, env={**inherited, **own}) as process:
        try:
            base = f"http://127.0.0.1:{port}"
            while True:
                try:
                    httpx.get(f"{base}/ping")
                    break
                except httpx.TransportError:
                    assert process.poll() is None, "the server did not start"
                    time.sleep(0.1)
            yield base, process
        finally:
            started = time.perf_counter()
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)
            print(f"shutdown: {time.perf_counter() - started:.1f} s")


def logged_in(base: str) -> httpx.Client:
    client = httpx.Client(base_url=base, timeout=60)
    token = client.post("/api/web/auth/login", json={"password": PASSWORD}).json()["session_token"]
    client.headers["Authorization"] = f"Bearer {token}"
    return client


def reads(client: httpx.Client) -> list[tuple[str, str, object]]:
    """(method, address, body) of everything that only reads, from the server's own description."""
    paths = client.get("/openapi.json").json()["paths"]
    plain = [path for path, methods in paths.items() if "get" in methods and "{" not in path]
    left_out = {FILES, "/api/web/events/status", "/api/v1/info"}  # the first below, the last needs an API key
    numbered = [
        path.replace("{library_id}", "1").replace("{file_id}", "4242")
        for path, methods in paths.items()
        if "get" in methods and path.count("{") == 1 and ("{library_id}" in path or "{file_id}" in path)
    ]
    found: list[tuple[str, str, object]] = [("GET", path, None) for path in [*plain, *numbered] if path not in left_out]
    found += [("GET", address, None) for address in VARIANTS]
    preview = "/api/web/navidrome/playlists/preview"
    if preview in paths:
        query = 'nom:mood_happy is true AND (nom:danceability > 0.7 OR genre contains "house") AND NOT year < 1990'
        found.append(("POST", preview, {"query": query, "preview_limit": 10}))
    return found


def one_client(client: httpx.Client, only: str, process: subprocess.Popen[bytes]) -> None:
    print(f"{'p50 ms':>8} {'p95 ms':>8} {'first':>8} {'CPU ms':>8}  route")
    for method, address, body in reads(client):
        if only not in address:
            continue
        times = []
        before = cpu_s(process)
        for _ in range(ROUNDS):
            started = time.perf_counter()
            answer = client.request(method, address, json=body)
            times.append((time.perf_counter() - started) * 1000)
        first, *later = times
        p50, p95 = statistics.median(later), statistics.quantiles(later, n=20)[-1]
        bad = "" if answer.is_success else f"  {answer.status_code} {answer.text[:80]}"
        cpu = (cpu_s(process) - before) / ROUNDS * 1000
        print(
            f"{p50:8.1f} {p95:8.1f} {first:8.1f} {cpu:8.1f}  {method if method != 'GET' else ''} {address}{bad}",
            flush=True,
        )


def many_clients(base: str, authorization: str, process: subprocess.Popen[bytes]) -> None:
    with httpx.Client(base_url=base, headers={"Authorization": authorization}, timeout=60) as client:
        asked = [(m, a, b) for m, a, b in reads(client) if client.request(m, a, json=b).is_success]
    times: list[float] = []
    failures: list[str] = []
    until = time.monotonic() + SECONDS

    def work(seed: int) -> None:
        chance = random.Random(seed)
        with httpx.Client(base_url=base, headers={"Authorization": authorization}, timeout=60) as client:
            while time.monotonic() < until:
                method, address, body = chance.choice(asked)
                started = time.perf_counter()
                try:
                    answer = client.request(method, address, json=body)
                    if not answer.is_success:
                        failures.append(f"{address}: {answer.status_code} {answer.text[:100]}")
                except httpx.HTTPError as error:
                    failures.append(f"{address}: {error!r}")
                times.append((time.perf_counter() - started) * 1000)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    p95 = statistics.quantiles(times, n=20)[-1]
    print(f"{CLIENTS} clients: {len(times) / SECONDS:.0f} answers/s, p50 {statistics.median(times):.0f} ms, "
          f"p95 {p95:.0f} ms, {len(failures)} failures {failures[:3]}, memory {memory_mb(process)}")  # fmt: skip


def listeners(base: str, client: httpx.Client, process: subprocess.Popen[bytes], url: str) -> None:
    """How long a change takes to reach many listeners, and what they cost."""
    heard: list[float] = []
    ready = threading.Barrier(LISTENERS + 1)
    over = threading.Event()
    change: list[float] = []

    def listen() -> None:
        headers = {"Authorization": client.headers["authorization"]}
        with httpx.stream("GET", f"{base}/api/web/events/status", headers=headers, timeout=60) as stream:
            is_told = False
            for line in stream.iter_lines():
                if not is_told and line.startswith("data: ") and '"errors"' in line:  # the snapshot's last
                    is_told = True
                    ready.wait()
                elif "pending" in line and change:
                    heard.append(time.perf_counter() - change[0])
                    over.wait(60)
                    return

    threads = [threading.Thread(target=listen, daemon=True) for _ in range(LISTENERS)]
    for thread in threads:
        thread.start()
    ready.wait(timeout=60)
    before, started = cpu_s(process), time.perf_counter()
    time.sleep(10)
    idle = (cpu_s(process) - before) / (time.perf_counter() - started)
    with Database(url) as db, db.write() as tx:
        change.append(time.perf_counter())
        tx.run(
            "UPDATE library_files SET needs_write = NOT needs_write, updated_at = :now WHERE id = 1", now=tx.now_ms()
        )
    deadline = time.monotonic() + 10
    while len(heard) < LISTENERS and time.monotonic() < deadline:
        time.sleep(0.05)
    latency = f"{min(heard) * 1000:.0f} to {max(heard) * 1000:.0f} ms" if heard else "never"
    print(f"{LISTENERS} listeners: {idle:.1%} of a core while idle, memory {memory_mb(process)}; an event reached "
          f"{len(heard)} of them after {latency}")  # fmt: skip
    # They stay, so that the shutdown has somebody to say goodbye to.


def memory_mb(process: subprocess.Popen[bytes]) -> str:
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    kb = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith(("VmRSS", "VmHWM"))}
    return json.dumps({"rss_mb": kb["VmRSS"] // 1024, "peak_mb": kb["VmHWM"] // 1024})


def cpu_s(process: subprocess.Popen[bytes]) -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
