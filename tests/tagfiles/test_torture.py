"""A short run of benchmarks/torture.py; its full length is for the night."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "torture.py"


def torture(*arguments: str) -> str:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(SCRIPT), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_writer_can_be_killed_at_any_moment():
    assert "0 problems" in torture("kill", "--count", "46")


def test_every_system_call_of_a_write_may_fail():
    if shutil.which("strace") is None or subprocess.run(["strace", "-o", os.devnull, "true"], check=False).returncode:
        pytest.skip("strace is not installed, or must not be used")
    assert "0 problems" in torture("faults", "--only", "mp3_v23", "--errors", "EIO")


def test_damaged_files_are_no_surprise():
    assert "0 problems" in torture("mutate", "--count", "300", "--seed", "2")
