"""A calibration that is being applied when the server is killed."""

from __future__ import annotations

import signal
import time

from ground import Ground
from heard import fill
from nomarr import applying
from nomarr.recalibration import generate
from nomarr.store import libraries
from nomarr.store.database import Database

from .test_serve import Server, serving

FILES = applying.AHEAD + 300


def outdated(server: Server) -> tuple[int, str]:
    status = server.call("GET", "/api/web/calibration/status")
    return status["libraries"][0]["outdated_count"], (status["applying"] or {}).get("state", "done")


def test_a_killed_server_goes_on_applying_when_it_comes_back(ground: Ground) -> None:
    settings = ground.settings()
    with Database(settings.database) as db:
        db.migrate()
        with db.write() as tx:
            library = libraries.create(tx, name="Music", root_path=str(ground.folder / "gone"), now=1)
        fill(db, library.id, FILES)
        label = generate(db, settings.models).run.label
        with serving(ground, "--workers", 0) as (server, process):
            server.login()
            assert server.call("POST", "/api/web/calibration/apply", {})["queued"] == FILES
            process.send_signal(signal.SIGKILL)
            process.wait(timeout=30)
        with db.write() as tx:  # what workers elsewhere wrote meanwhile
            written = tx.run(
                "UPDATE library_files SET needs_write = FALSE, calibration = :label WHERE needs_write", label=label
            )
        assert written == applying.AHEAD
        with serving(ground, "--workers", 0) as (server, _):
            server.login()
            deadline = time.monotonic() + 60
            while True:
                with db.read() as tx:
                    waiting = tx.scalar("SELECT COUNT(*) FROM library_files WHERE needs_write")
                if waiting:
                    break
                assert time.monotonic() < deadline
                time.sleep(0.1)
            assert waiting == FILES - applying.AHEAD
            assert outdated(server) == (waiting, "writing")
