"""The key of an installation, and the commands that show it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nomarr.secretkey import FILE, SecretKey, SecretProblem, generate, show


def test_the_key_stays_the_same_until_another_is_made(tmp_path: Path) -> None:
    key = show(tmp_path)
    assert len(key) > 40
    assert show(tmp_path) == key
    assert generate(tmp_path) not in ("", key)
    assert show(tmp_path) != key


def test_only_the_owner_may_read_the_file_and_the_key_is_not_in_it(tmp_path: Path) -> None:
    key = show(tmp_path / "new")
    file = tmp_path / "new" / FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert key not in file.read_text()
    assert os.listdir(file.parent) == [FILE]


def test_who_comes_at_the_same_time_gets_the_same_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(show, [tmp_path] * 32))) == 1


def test_a_running_server_knows_the_new_key_and_forgets_the_old(tmp_path: Path) -> None:
    secret = SecretKey(tmp_path)
    assert not secret.matches("")
    old = show(tmp_path)
    assert secret.matches(old)
    new = generate(tmp_path)
    assert not secret.matches(old)
    assert secret.matches(new)
    assert not secret.matches(new + "x")
    assert not secret.matches("\ud800")
    (tmp_path / FILE).unlink()
    assert not secret.matches(new)


@pytest.mark.parametrize("content", [b"", b"\n", b"short", b"\xff" * 64])
def test_a_damaged_file_opens_nothing_and_can_be_replaced(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(SecretProblem, match=FILE):
        show(tmp_path)
    secret = SecretKey(tmp_path)
    assert not secret.matches("")
    assert FILE in caplog.text
    assert secret.matches(generate(tmp_path))


@pytest.mark.parametrize(
    ("show_it", "make_it"),
    [
        (["nomarr.manage_key", "--show"], ["nomarr.manage_key", "--generate"]),
        (["nomarr", "key", "show"], ["nomarr", "key", "generate"]),
    ],
)
def test_the_commands_print_the_key_alone_on_the_last_line(
    tmp_path: Path, show_it: list[str], make_it: list[str]
) -> None:
    def run(arguments: list[str]) -> str:
        done = subprocess.run(
            [sys.executable, "-m", *arguments],
            env={**os.environ, "NOMARR_DATA_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.splitlines()[-1]

    first = run(show_it)
    assert first == show(tmp_path)
    second = run(make_it)
    assert second != first
    assert run(show_it) == second


def test_a_folder_that_cannot_be_written_is_said_in_a_sentence() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nomarr.manage_key", "--show"],
        env={**os.environ, "NOMARR_DATA_DIR": "/proc/none"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("nomarr: /proc/none")
    assert "Traceback" not in done.stderr
