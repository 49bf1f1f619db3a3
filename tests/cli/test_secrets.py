"""nomarr password reset, with the server's own check."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ground import Ground
from nomarr.store import access, preferences
from nomarr.store.database import Database
from nomarr.web.auth import HASHER, PASSWORD


def stored(ground: Ground) -> tuple[str, bool]:
    """The hash of the password, and whether a session is left."""
    with Database(ground.settings().database) as db, db.read() as tx:
        return preferences.get(tx, PASSWORD), access.is_alive(tx, "session", tx.now_ms(), 1_000_000)


def test_a_reset_prints_another_password_and_ends_all_sessions(ground: Ground) -> None:
    with Database(ground.settings().database) as db:
        db.migrate()
        with db.write() as tx:
            access.add(tx, "session", tx.now_ms())
    done = ground.run("password", "reset")
    assert done.returncode == 0, done.stderr
    password = done.stdout.strip()
    hashed, has_session = stored(ground)
    assert HASHER.verify(hashed, password)
    assert not has_session


@pytest.mark.parametrize(("typed", "status"), [("open sesame\n", 0), ("", 2), ("\n", 2), ("x" * 2000, 2)])
def test_a_password_of_choice_comes_by_stdin(ground: Ground, typed: str, status: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nomarr", "password", "reset", "--stdin"],
        env=ground.environment(),
        input=typed,
        capture_output=True,
        text=True,
    )
    assert done.returncode == status, done.stderr
    assert done.stdout == ""
    if status == 0:
        assert HASHER.verify(stored(ground)[0], "open sesame")


def test_a_password_that_the_settings_decide_is_not_reset(ground: Ground) -> None:
    done = ground.run("password", "reset", NOMARR_ADMIN_PASSWORD="x")
    assert done.returncode == 2
    assert "NOMARR_ADMIN_PASSWORD" in done.stderr
