"""One real file for every container and tag layout, made once and copied for each test."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .samples import make_all, make_noise


@pytest.fixture(scope="session")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_all(tmp_path_factory.mktemp("originals"))


@pytest.fixture
def copy_of(originals: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    """Gives a test its own copy of an original."""

    def copied(name: str) -> Path:
        return Path(shutil.copy(originals[name], tmp_path))

    return copied


@pytest.fixture(scope="session")
def other_flac(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("other") / "other.flac"
    make_noise(path, ["-c:a", "flac"], seed=8)
    return path


@pytest.fixture(scope="session")
def long_flac(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """About 10 MB."""
    path = tmp_path_factory.mktemp("long") / "long.flac"
    source = "anoisesrc=d=60:c=white:r=44100:a=0.5:seed=3"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, "-ac", "2", "-c:a", "flac", str(path)]
    subprocess.run(command, check=True)
    return path
