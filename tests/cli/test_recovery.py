"""A server that was killed is soon back, and everybody is still logged in."""

from __future__ import annotations

import time
from pathlib import Path

from ground import Ground
from nomarr.tagfiles.audiofile import read_tags

from .test_serve import serving


def test_a_killed_server_is_back_soon_with_its_sessions_and_its_queue(ground: Ground, long_track: Path) -> None:
    path = ground.add(long_track, "long.flac")
    with serving(ground) as (server, process):
        server.login()
        made = server.call("POST", "/api/web/libraries", {"name": "Music", "root_path": str(ground.music)})
        server.call("POST", f"/api/web/libraries/{made['id']}/scan", {})
        token = server.token
        process.kill()
        process.wait()
    began = time.monotonic()
    with serving(ground) as (server, _):
        took = time.monotonic() - began
        server.token = token
        assert server.call("GET", "/api/web/libraries")[0]["name"] == "Music"
        deadline = time.monotonic() + 120
        while (depth := server.call("GET", "/api/web/queue/queue-depth"))["completed"] != 1:
            assert time.monotonic() < deadline, depth
            time.sleep(0.1)
        assert read_tags(path)
    print(f"back after {took:.1f} s")
    assert took < 25, "it is 2 s on an idle machine"
