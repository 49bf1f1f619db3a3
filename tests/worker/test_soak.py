"""The soak in small: workers killed every few seconds, the database taken away three times."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.postgresql import binary

SOAK = Path(__file__).parents[2] / "benchmarks" / "soak.py"


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_every_file_is_done_exactly_once_whatever_is_killed(database: str) -> None:
    if database == "postgresql" and not Path(binary("initdb")).exists():
        pytest.skip("PostgreSQL's server programs are not installed")
    options = ["--database", database, "--files", "60", "--kill-every", "2", "--at-most", "200", "--write"]
    soak = subprocess.run([sys.executable, SOAK, *options], capture_output=True, text=True, timeout=300)
    assert soak.returncode == 0, soak.stdout + soak.stderr
    assert "60 of 60 files done, 60 finished, 0 of them more than once" in soak.stdout
    assert "60 files written" in soak.stdout
