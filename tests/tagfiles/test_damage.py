"""Broken files are explained; no other exception ever comes out, and nothing is written to them by chance."""

from __future__ import annotations

import os
import random
from contextlib import suppress

import pytest

from nomarr.errors import FileProblem, TagsNotSupported, UnreadableAudio, VanishedFile
from nomarr.tagfiles.audiofile import describe, read_tags, write_tags
from nomarr.tagfiles.payload import audio_hash, audio_key

from .samples import ENCODED, HAND_MADE

TAGS = {"mood_happy": ["0.8712"]}


def _use(path) -> None:
    """Everything that one can do with a file; only our own errors may come out."""
    assert isinstance(describe(path).container, str)
    for action in (read_tags, audio_hash, audio_key):
        with suppress(FileProblem):
            action(path)
    before = path.read_bytes()
    try:
        written = write_tags(path, TAGS)
    except FileProblem:
        assert path.read_bytes() == before
    else:
        assert written.after == read_tags(path)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("name", [*ENCODED, *HAND_MADE])
@pytest.mark.parametrize("share", [0.001, 0.02, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_no_surprise(copy_of, name, share):
    path = copy_of(name)
    content = path.read_bytes()
    path.write_bytes(content[: max(1, int(len(content) * share))])
    _use(path)


@pytest.mark.parametrize("name", [*ENCODED, *HAND_MADE])
@pytest.mark.parametrize("seed", range(6))
def test_a_file_with_flipped_bytes_is_no_surprise(copy_of, name, seed):
    path = copy_of(name)
    content = bytearray(path.read_bytes())
    chance = random.Random(f"{name} {seed}")
    for _ in range(12):
        where = chance.choice((64, 1024, len(content)))
        content[chance.randrange(where)] = chance.choice((0, 0xFF, chance.randrange(256)))
    path.write_bytes(content)
    _use(path)


@pytest.mark.parametrize("seed", range(5))
def test_random_bytes_are_no_surprise(tmp_path, seed):
    path = tmp_path / "noise.mp3"
    path.write_bytes(random.Random(seed).randbytes(50_000))
    _use(path)


@pytest.mark.parametrize("content", [b"Dear diary,\n" * 500, b"\xff", b"\0" * 5000, b"<html>" * 99, b"ID3", b"OggS"])
def test_what_is_not_audio_gets_no_tags(tmp_path, content):
    path = tmp_path / "diary.mp3"
    path.write_bytes(content)
    assert describe(path).container == ""
    with pytest.raises(TagsNotSupported, match=r"diary\.mp3: Nomarr does not write tags into this kind of file"):
        write_tags(path, TAGS)
    assert path.read_bytes() == content


def test_an_empty_file_is_named_so(tmp_path):
    path = tmp_path / "empty.flac"
    path.touch()
    with pytest.raises(UnreadableAudio, match="the file is empty"):
        write_tags(path, TAGS)


def test_a_pipe_does_not_hold_anybody_up(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp3")
    for action in (describe, audio_hash, audio_key, read_tags):
        with pytest.raises(VanishedFile, match="not a regular file"):
            action(tmp_path / "pipe.mp3")


def test_a_musepack_packet_without_length_holds_nobody_up(copy_of):
    path = copy_of("mpc")
    content = bytearray(path.read_bytes())
    content[content.index(b"SH") + 2] = 0
    path.write_bytes(content)
    _use(path)
    with pytest.raises(TagsNotSupported, match="packet without length"):
        write_tags(path, TAGS)


def test_a_fragmented_mp4_is_left_alone(copy_of):
    path = copy_of("m4a")
    path.write_bytes(path.read_bytes() + b"\0\0\0\x08moof")
    with pytest.raises(TagsNotSupported, match="fragmented"):
        write_tags(path, TAGS)
