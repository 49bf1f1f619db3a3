"""Whatever else lies in a file stays, byte for byte, and a sample table still points at its samples."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest
from mutagen.mp4 import MP4

from nomarr.errors import WriteFailed
from nomarr.tagfiles import mp4
from nomarr.tagfiles.audiofile import read_tags, remove_tags, write_tags
from nomarr.tagfiles.payload import audio_hash, top_level_boxes
from nomarr.tagfiles.surroundings import surroundings

from .samples import CONTAINER, WRITABLE, decoded

TAGS = {"mood_happy": ["0.8712"], "long": ["x" * 30_000]}


def seen(path: Path, name: str) -> object:
    kind = {"oggflac": "oggflac"}.get(name, CONTAINER.get(name, name))
    with path.open("rb") as file:
        return surroundings(file, kind)


@pytest.mark.parametrize("name", WRITABLE)
def test_writing_and_removing_leave_all_else(copy_of, name):
    path = copy_of(name)
    before = seen(path, name)
    write_tags(path, TAGS)
    assert seen(path, name) == before
    remove_tags(path)
    assert seen(path, name) == before


def chunk(name: bytes, body: bytes, order: str) -> bytes:
    return name + struct.pack(order + "I", len(body)) + body + b"\0" * (len(body) & 1)


@pytest.mark.parametrize(("name", "order"), [("wav", "<"), ("aiff", ">")])
def test_chunks_of_other_programs_stay(copy_of, name, order):
    path = copy_of(name)
    content = path.read_bytes()
    odd = chunk(b"bext", b"broadcast!!", order) + chunk(b"cue ", bytes(range(50)), order)
    size = struct.pack(order + "I", len(content) + len(odd) - 8)
    path.write_bytes(content[:4] + size + content[8:] + odd)
    before = seen(path, name)
    assert len(before) >= 3
    write_tags(path, TAGS)
    assert odd in path.read_bytes()
    assert seen(path, name) == before


@pytest.fixture
def with_chapters(tmp_path: Path) -> Path:
    path, facts = tmp_path / "book.m4b", tmp_path / "chapters.txt"
    facts.write_text(
        ";FFMETADATA1\ntitle=Book\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=1000\ntitle=One\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=1000\nEND=3000\ntitle=Two\n"
    )
    source = ["-f", "lavfi", "-i", "sine=duration=3", "-i", str(facts), "-map_metadata", "1"]
    subprocess.run(["ffmpeg", "-v", "error", *source, "-c:a", "aac", "-f", "ipod", str(path)], check=True)
    facts.unlink()
    return path


def chapters(path: Path) -> str:
    command = ["ffprobe", "-v", "error", "-show_chapters", "-of", "json", str(path)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_chapters_stay(with_chapters):
    before, sound = chapters(with_chapters), decoded(with_chapters)
    assert "Two" in before
    write_tags(with_chapters, TAGS)
    assert chapters(with_chapters) == before
    assert decoded(with_chapters) == sound
    remove_tags(with_chapters)
    assert chapters(with_chapters) == before
    assert [chapter.title for chapter in MP4(with_chapters).chapters] == ["One", "Two"]


def test_a_64_bit_audio_box_in_front_of_or_behind_the_tags_plays_on(copy_of):
    for name in ("m4a", "alac"):  # the tags at the end, and at the front
        path = copy_of(name)
        sound = decoded(path)
        _widen_audio_box(path)
        assert decoded(path) == sound
        identity = audio_hash(path)
        write_tags(path, TAGS)
        assert decoded(path) == sound
        assert audio_hash(path) == identity
        remove_tags(path)
        assert read_tags(path) == {}
        assert decoded(path) == sound


def _widen_audio_box(path: Path) -> None:
    """Gives mdat a 64-bit length, and every sample table its new place."""
    content = path.read_bytes()
    with path.open("rb") as file:
        (audio,) = [extent for box, extent in top_level_boxes(file) if box == b"mdat"]
    at = audio.offset - 8
    wide = struct.pack(">I4sQ", 1, b"mdat", audio.length + 16)
    content = bytearray(content[:at] + wide + content[at + 8 :])
    table = content.index(b"stco") + 4
    (count,) = struct.unpack_from(">I", content, table + 4)
    for entry in range(count):
        place = table + 8 + 4 * entry
        struct.pack_into(">I", content, place, struct.unpack_from(">I", content, place)[0] + 8)
    path.write_bytes(content)


def test_a_sample_table_that_points_beside_its_samples_is_never_written(copy_of, monkeypatch):
    path = copy_of("alac")
    before = path.read_bytes()
    rewrite = mp4.rewrite

    def careless(audio, prefix, wanted, standard, file, kind):
        rewrite(audio, prefix, wanted, standard, file, kind)
        file.seek(0)
        table = file.read().index(b"stco") + 12
        file.seek(table)
        file.write(struct.pack(">I", 7))

    monkeypatch.setattr(mp4, "rewrite", careless)
    with pytest.raises(WriteFailed, match="would be lost or changed"):
        write_tags(path, TAGS)
    assert path.read_bytes() == before
