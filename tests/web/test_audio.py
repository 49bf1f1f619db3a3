"""Listening to a file: all of it or a part, and nothing but files of libraries."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import httpx
import pytest

from .test_libraries import detail

FILES = "/api/web/files"


@pytest.fixture
def song(client: httpx.Client, scanned: dict[str, Any]) -> tuple[str, Path]:
    """The address of a file's sound, and where the file lies."""
    file = client.get(FILES, params={"q": "One"}).json()["files"][0]
    return f"{FILES}/{file['id']}/audio", Path(file["path"])


def test_a_file_is_heard_as_it_is(client: httpx.Client, song: tuple[str, Path]) -> None:
    url, path = song
    answer = client.get(url)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/flac")
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.content == path.read_bytes()


@pytest.mark.parametrize("wanted", [(0, 99), (100, 1000), (1000, None), (None, 50)])
def test_a_part_is_sent_where_a_part_is_wanted(
    client: httpx.Client, song: tuple[str, Path], wanted: tuple[int | None, int | None]
) -> None:
    url, path = song
    first, last = wanted
    content = path.read_bytes()
    begin, end = (
        (len(content) - 50, len(content)) if first is None else (first, len(content) if last is None else last + 1)
    )
    answer = client.get(
        url, headers={"Range": f"bytes={'' if first is None else first}-{'' if last is None else last}"}
    )
    assert answer.status_code == 206
    assert answer.headers["content-range"] == f"bytes {begin}-{end - 1}/{len(content)}"
    assert answer.content == content[begin:end]


@pytest.mark.parametrize("text", ["bytes=5-2", "bytes=a-b", "bytes=-", "lines=1-2", "bytes=0-1,4-5", "bytes=²-", "x"])
def test_a_range_that_makes_no_sense_is_as_none(client: httpx.Client, song: tuple[str, Path], text: str) -> None:
    answer = client.get(song[0], headers={"Range": text.encode()})
    assert (answer.status_code, answer.content) == (200, song[1].read_bytes())


@pytest.mark.parametrize("text", ["bytes=99999999-", "bytes=-0"])
def test_a_range_behind_the_end_is_refused(client: httpx.Client, song: tuple[str, Path], text: str) -> None:
    answer = client.get(song[0], headers={"Range": text})
    assert detail(answer, 416).startswith(f"Range: the file has {song[1].stat().st_size} bytes")
    assert answer.headers["content-range"] == f"bytes */{song[1].stat().st_size}"


def test_a_link_out_of_the_library_is_not_followed(
    client: httpx.Client, song: tuple[str, Path], tmp_path: Path
) -> None:
    secret = tmp_path / "secret.flac"
    secret.write_text("not for everybody")
    song[1].unlink()
    song[1].symlink_to(secret)
    assert detail(client.get(song[0]), 403).endswith("leads out of its library")


def test_a_file_that_is_gone_is_not_found(client: httpx.Client, song: tuple[str, Path]) -> None:
    song[1].unlink()
    assert detail(client.get(song[0]), 404) == f"File not found: {song[1]}"
    os.mkfifo(song[1])
    assert detail(client.get(song[0]), 400).endswith("cannot be read")


def test_nobody_listens_without_a_login(stranger: httpx.Client, client: httpx.Client, song: tuple[str, Path]) -> None:
    detail(stranger.get(song[0]), 401)
    key = client.post("/api/web/keys", json={"name": "player", "scope": "read"}).json()["key"]
    assert stranger.get(song[0], headers={"X-Api-Key": key}).status_code == 200
