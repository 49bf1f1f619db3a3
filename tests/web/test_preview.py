"""A look at what would be written into a few files, before there is any library."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from nomarr.tagfiles.audiofile import read_tags
from nomarr.web import preview

from .conftest import Home

PREVIEW = "/api/web/preview-write"


@pytest.fixture
def allowed(home: Home, small_models: Path, tmp_path: Path) -> httpx.Client:
    """Somebody who may look into the folder of this test."""
    home.settings = home.settings.model_copy(update={"models_dir": small_models, "browse_roots": (tmp_path,)})
    home.start()
    return home.connect(token=home.token)


def look(client: httpx.Client, folder: Path, mode: str = "native", **more: object) -> httpx.Response:
    return client.post(PREVIEW, json={"root_path": str(folder), "file_write_mode": mode, **more}, timeout=60)


def test_what_would_be_written_is_shown_and_nothing_is(allowed: httpx.Client, music: Path) -> None:
    (music / "broken.mp3").write_bytes(b"no music" * 100)
    before = {path: path.read_bytes() for path in music.rglob("*.flac")}
    answer = look(allowed, music)
    assert answer.status_code == 200, answer.text
    files = {Path(file["path"]).name: file for file in answer.json()["files"]}
    assert set(files) == {"01 One.flac", "02 Two.flac", "01 Three.flac", "broken.mp3"}
    assert "nom:danceability" in {change["field"] for change in files["01 One.flac"]["changes"]}
    assert set(files["01 One.flac"]["moods"]) == {"strict", "regular", "loose"}
    assert files["broken.mp3"]["problem"] == "nothing could be heard in it"
    assert {path: path.read_bytes() for path in before} == before
    assert not any(map(read_tags, before))
    assert allowed.get("/api/web/libraries").json() == []


def test_mode_none_would_write_nothing(allowed: httpx.Client, music: Path) -> None:
    (file,) = look(allowed, music, "none", limit=1).json()["files"]
    assert file["changes"] == []
    assert file["problem"] is None


def test_a_folder_without_music_has_nothing_to_show(allowed: httpx.Client, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert look(allowed, tmp_path / "empty").json() == {"files": []}


def test_only_folders_that_may_be_looked_into_are_listened_to(allowed: httpx.Client) -> None:
    answer = look(allowed, Path("/etc"))
    assert answer.status_code == 403
    assert answer.json() == {"detail": "/etc lies outside the folders that may be looked into"}


def test_a_folder_that_is_gone_is_said(allowed: httpx.Client, tmp_path: Path) -> None:
    answer = look(allowed, tmp_path / "gone")
    assert answer.status_code == 404
    assert answer.json()["detail"].startswith("Folder not found: ")


def test_one_preview_at_a_time(allowed: httpx.Client, music: Path) -> None:
    with preview._one_at_a_time:
        assert look(allowed, music).status_code == 409
