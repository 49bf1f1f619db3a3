"""How long a new album takes from Lidarr's event to the last tag, with a real server.

    python benchmarks/album.py SONG --models DIR [--tracks 12] [--minutes 4] [--workers 2]

SONG is any long file of real music: the tracks are made from other parts of it, each with its own tags. The time begins
when the webhook is sent and ends when every file holds its tags; the wait for quiet (10 s by default) is part of it.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from nomarr.tagfiles.audiofile import read_tags

PASSWORD = "a long password for a benchmark"
FORMATS = ("flac", "mp3", "m4a")


def make_album(song: Path, folder: Path, *, tracks: int, minutes: float) -> list[Path]:
    folder.mkdir(parents=True)
    made = []
    for number in range(1, tracks + 1):
        path = folder / f"{number:02} Track {number}.{FORMATS[number % len(FORMATS)]}"
        seconds = minutes * 60 + number % 5
        tags = {"title": f"Track {number}", "artist": "Somebody", "album": "An album", "track": f"{number}/{tracks}"}
        facts = [part for name, value in tags.items() for part in ("-metadata", f"{name}={value}")]
        # Another pitch makes other music of the same song, for files of equal sound are heard only once.
        sound = f"asetrate=44100*{1 + number / 60},aresample=44100,atrim=duration={seconds}"
        command = ["ffmpeg", "-v", "error", "-stream_loop", "-1", "-i", song, "-map", "0:a", "-af", sound]
        subprocess.run([*command, "-t", str(seconds), *facts, path], check=True)
        made.append(path)
    return made


class Server:
    def __init__(self, port: int) -> None:
        self.base, self.headers = f"http://127.0.0.1:{port}", {"Content-Type": "application/json"}

    def call(self, method: str, path: str, body: object = None) -> dict[str, object]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data=data, headers=self.headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def wait(self) -> None:
        while True:
            try:
                self.call("GET", "/health/live")
                return
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def measure(server: Server, music: Path, song: Path, key: str, options: argparse.Namespace) -> None:
    token = server.call("POST", "/api/web/auth/login", {"password": PASSWORD})["session_token"]
    server.headers["Authorization"] = f"Bearer {token}"
    server.call("POST", "/api/web/libraries", {"name": "Music", "root_path": str(music)})
    made = make_album(song, music / "Somebody" / "An album", tracks=options.tracks, minutes=options.minutes)
    server.headers["Authorization"] = f"Bearer {key}"
    load = os.getloadavg()[0]
    event = {"eventType": "Download", "trackFiles": [{"id": n, "path": str(path)} for n, path in enumerate(made)]}
    began = time.monotonic()
    answer = server.call("POST", "/api/v1/hooks/lidarr", event)
    print(f"{answer['message']}; load of the machine {load:.1f} before")
    times: dict[Path, float] = {}
    while len(times) < len(made):
        time.sleep(0.2)
        for path in made:
            if path not in times and read_tags(path):
                times[path] = time.monotonic() - began
    print(
        f"first file {min(times.values()):.1f} s, last file {max(times.values()):.1f} s; load {os.getloadavg()[0]:.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("song", type=Path)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--tracks", type=int, default=12)
    parser.add_argument("--minutes", type=float, default=4)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        music, port = Path(folder) / "music", free_port()
        music.mkdir()
        own = {"NOMARR_DATA_DIR": f"{folder}/data", "NOMARR_MODELS_DIR": str(options.models)}
        environment = {**os.environ, **own, "NOMARR_ADMIN_PASSWORD": PASSWORD, "NOMARR_LOG_LEVEL": "warning"}
        nomarr = [sys.executable, "-m", "nomarr"]
        shown = subprocess.run([*nomarr, "key", "show"], env=environment, check=True, capture_output=True, text=True)
        serve = [*nomarr, "serve", "--port", str(port), "--workers", str(options.workers)]
        with subprocess.Popen(serve, env=environment) as process:
            server = Server(port)
            try:
                server.wait()
                measure(server, music, options.song, shown.stdout.split()[-1], options)
            finally:
                process.terminate()


if __name__ == "__main__":
    main()
