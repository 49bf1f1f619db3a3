"""The identity of a file's sound."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import mutagen
import pytest
from mutagen.id3 import ID3, TIT2

from nomarr.errors import UnreadableAudio, VanishedFile
from nomarr.tagfiles.payload import audio_hash, audio_key

from .samples import CONTAINER, ENCODED, HAND_MADE, WRITABLE

ALL = [*ENCODED, *HAND_MADE]


def _retag(path: Path, name: str) -> None:
    """What another program might do."""
    audio = mutagen.File(path)
    if audio.tags is None:
        audio.add_tags()
    if hasattr(audio.tags, "add"):
        audio.tags.add(TIT2(encoding=3, text=["Another title " * 500]))
    elif CONTAINER.get(name, name) == "m4a":
        audio["©nam"] = ["Another title " * 500]
    else:
        audio["Title"] = "Another title " * 500
    audio.save()


@pytest.mark.parametrize("name", WRITABLE)
def test_retagging_by_others_changes_neither_hash_nor_key(copy_of, name):
    path = copy_of(name)
    before = audio_hash(path), audio_key(path)
    size = path.stat().st_size
    _retag(path, name)
    assert path.stat().st_size != size or name == "flac"
    assert (audio_hash(path), audio_key(path)) == before


@pytest.mark.parametrize("name", ["mp3_id3v1", "mp3_ape", "mp3_v24", "flac_id3", "wv_id3v1"])
def test_taking_all_tags_off_changes_neither_hash_nor_key(copy_of, name):
    path = copy_of(name)
    before = audio_hash(path), audio_key(path)
    mutagen.File(path).delete()
    mutagen.apev2.delete(path)
    ID3(path).delete(path) if name == "flac_id3" else None
    assert (audio_hash(path), audio_key(path)) == before


@pytest.mark.parametrize("name", ALL)
def test_renaming_changes_neither_hash_nor_key(copy_of, name):
    path = copy_of(name)
    before = audio_hash(path), audio_key(path)
    path = path.rename(path.with_name("Größe \udcff.bin"))
    assert (audio_hash(path), audio_key(path)) == before


def test_different_sound_has_another_hash_and_key(originals, other_flac):
    assert audio_hash(originals["flac"]) != audio_hash(other_flac)
    assert audio_key(originals["flac"]) != audio_key(other_flac)


def test_every_container_has_an_identity_of_its_own(originals):
    same_sound = [name for name in ALL if not name.startswith("mp3") and name not in ("flac_id3", "wv_id3v1")]
    assert len({audio_hash(originals[name]) for name in same_sound}) == len(same_sound)
    assert len({audio_key(originals[name]) for name in same_sound}) == len(same_sound)


@pytest.mark.parametrize("name", [name for name in ALL if name != "mka"])
def test_a_flipped_bit_in_the_audio_changes_the_hash(copy_of, name):
    path = copy_of(name)
    before = audio_hash(path)
    content = bytearray(path.read_bytes())
    # Inside the audio of the test files: MP4 has its tags at the end, the others at the front if anywhere.
    content[int(len(content) * {"m4a": 0.35, "speex": 0.75}.get(name, 0.6))] ^= 1
    path.write_bytes(content)
    assert audio_hash(path) != before


def test_the_hash_of_an_mp3_is_that_of_its_frames(copy_of):
    bare, tagged = copy_of("mp3_bare"), copy_of("mp3_ape")
    assert audio_hash(bare) == hashlib.sha256(bare.read_bytes()).hexdigest() == audio_hash(tagged)


def test_the_hash_of_a_wav_is_that_of_its_samples(copy_of):
    path = copy_of("wav")
    content = path.read_bytes()
    at = content.index(b"data")
    (size,) = struct.unpack("<I", content[at + 4 : at + 8])
    assert audio_hash(path) == hashlib.sha256(content[at + 8 : at + 8 + size]).hexdigest()


def test_lyrics3_and_stacked_tags_do_not_count(copy_of):
    path = copy_of("mp3_bare")
    before = audio_hash(path), audio_key(path)
    lyrics = b"LYRICSBEGININD0000200LYR00004\r\nla"
    front = b"ID3\x04\x00\x00\x00\x00\x00\x0a" + bytes(10)
    with_footer = b"ID3\x04\x00\x10\x00\x00\x00\x0a" + bytes(10) + b"3DI\x04\x00\x10\x00\x00\x00\x0a"
    trailer = lyrics + b"%06d" % len(lyrics) + b"LYRICS200" + b"TAG".ljust(128, b"\0")
    path.write_bytes(front + with_footer + path.read_bytes() + trailer)
    assert (audio_hash(path), audio_key(path)) == before


@pytest.mark.parametrize(("first", "second"), [("ogg", "ogg"), ("ogg", "opus"), ("opus", "speex")])
def test_chained_ogg_streams_are_hashed_together(copy_of, tmp_path, first, second):
    chained = tmp_path / "chained.ogg"
    chained.write_bytes(copy_of(first).read_bytes() + copy_of(second).read_bytes())
    before = audio_hash(chained), audio_key(chained)
    assert before[0] != audio_hash(copy_of(first))
    _retag(chained, first)
    assert (audio_hash(chained), audio_key(chained)) == before


def test_junk_between_ogg_pages_is_skipped(copy_of):
    path = copy_of("ogg")
    before = audio_hash(path)
    content = path.read_bytes()
    last = content.rindex(b"OggS")
    path.write_bytes(content[:last] + b"junk" * 20_000 + content[last:])
    assert audio_hash(path) == before


@pytest.mark.parametrize("written", [(1, 16), (0, 8)])
def test_mp4_boxes_of_any_size_form_are_understood(copy_of, written):
    form, head = written
    path = copy_of("m4a")
    content = path.read_bytes()
    at = content.index(b"mdat") - 4
    (size,) = struct.unpack(">I", content[at : at + 4])
    body = content[at + 8 : at + size]
    header = struct.pack(">I4sQ", 1, b"mdat", len(body) + 16) if form else struct.pack(">I4s", 0, b"mdat")
    path.write_bytes(content[:at] + content[at + size :] + header + body)
    assert len(header) == head
    assert audio_hash(path) == hashlib.sha256(body).hexdigest()


def test_a_wav_written_to_a_pipe_has_a_hash(copy_of):
    path = copy_of("wav")
    content = bytearray(path.read_bytes())
    at = content.index(b"data")
    samples = bytes(content[at + 8 : at + 8 + 1000])
    content[at + 4 : at + 8] = b"\xff" * 4
    path.write_bytes(content[: at + 8] + samples)
    assert audio_hash(path) == hashlib.sha256(samples).hexdigest()


@pytest.mark.parametrize("identity", [audio_hash, audio_key])
def test_files_without_sound_are_explained(tmp_path, identity):
    empty, only_tag = tmp_path / "empty.mp3", tmp_path / "only-tag.mp3"
    empty.touch()
    only_tag.write_bytes(b"ID3\x04\x00\x00\x00\x00\x00\x0a" + bytes(10))
    with pytest.raises(UnreadableAudio, match="empty"):
        identity(empty)
    with pytest.raises(UnreadableAudio, match="no audio"):
        identity(only_tag)
    with pytest.raises(VanishedFile, match="no such file"):
        identity(tmp_path / "gone.mp3")
    with pytest.raises(VanishedFile, match="folder"):
        identity(tmp_path)
