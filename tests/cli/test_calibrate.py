"""nomarr calibrate, as a process."""

from __future__ import annotations

from pathlib import Path

import pytest

from ground import Ground, tone
from models import make_models_dir
from nomarr.tagfiles.audiofile import read_tags


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    """With models of its own, for sidecars are written beside them."""
    return Ground(tmp_path, make_models_dir(tmp_path / "models"))


@pytest.fixture
def tagged(ground: Ground) -> Ground:
    for number in range(1, 4):
        tone(ground.music / f"{number}.flac", seconds=3, hertz=200 * number)
    assert ground.run("tag", ground.music).returncode == 0
    return ground


def test_calibrate_shows_what_would_change_and_apply_has_it_written(tagged: Ground) -> None:
    path = tagged.music / "1.flac"
    before = read_tags(path)
    looked = tagged.run("calibrate")
    assert looked.returncode == 0, looked.stderr
    assert "Calibration v1 from 3 files" in looked.stdout
    assert "Only 3 analysed files" in looked.stdout
    assert "The tags of 3 files would change" in looked.stdout
    assert read_tags(path) == before
    applied = tagged.run("calibrate", "--apply")
    assert "3 files will be written again" in applied.stdout
    assert tagged.run("tag", tagged.music).returncode == 0
    assert read_tags(path)["calibration"] == ("v2",)


def test_calibrate_needs_music_that_was_heard(ground: Ground) -> None:
    done = ground.run("calibrate")
    assert done.returncode == 2
    assert done.stderr.strip() == "nomarr: 0 analysed files: a calibration needs at least 1"


def test_calibrate_knows_libraries_by_name(tagged: Ground) -> None:
    assert "from 3 files" in tagged.run("calibrate", "--library", "music").stdout
    wrong = tagged.run("calibrate", "--library", "nowhere")
    assert wrong.returncode == 2
    assert "there is no library named 'nowhere'" in wrong.stderr


def test_sidecars_are_written_beside_the_heads(tagged: Ground) -> None:
    assert tagged.run("calibrate").returncode == 0
    assert (tagged.models / "tiny" / "heads" / "mood_happy-calibration-v1.json").is_file()
