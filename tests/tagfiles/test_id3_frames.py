"""ID3v2 tags as the world writes them: frames that mutagen would change, drop or refuse stay as bytes."""

from __future__ import annotations

import struct
import zlib

import pytest
from mutagen.id3 import ID3

from nomarr.tagfiles.audiofile import describe, read_tags, remove_tags, write_tags

TAGS = {"mood_happy": ["0.8712"], "mood-strict": ["happy", "party"]}
AS_READ = {"mood_happy": ("0.8712",), "mood-strict": ("happy", "party")}


def _synchsafe(size: int) -> bytes:
    return bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))


def _frame(name: bytes, body: bytes, *, flags: int = 0, size: bytes | None = None) -> bytes:
    return name + (size or struct.pack(">I", len(body))) + struct.pack(">H", flags) + body


def _tag(version: int, *frames: bytes, flags: int = 0) -> bytes:
    body = b"".join(frames) + bytes(50)
    return b"ID3" + bytes([version, 0, flags]) + _synchsafe(len(body)) + body


TITLE = _frame(b"TIT2", b"\x00A title")
ODD_FRAMES = {
    "a date in words": _frame(b"TDRC", b"\x00May 1999"),
    "a frame nobody knows": _frame(b"ZZZZ", b"something"),
    "a frame with damaged text": _frame(b"TPE1", b"\x01\xff"),
    "a frame with an encoding that does not exist": _frame(b"TPE1", b"\x09abc"),
    "an empty text": _frame(b"TALB", b"\x00"),
    "Latin-1 where it says UTF-8": _frame(b"TPE1", b"\x03Caf\xe9"),
    "a field of another program": _frame(b"TXXX", b"\x00nomad\0x"),
    "the same field twice": _frame(b"TXXX", b"\x00a\0x") + _frame(b"TXXX", b"\x00a\0y"),
    "private data": _frame(b"PRIV", b"owner\0\xff\x00\xff\xe0"),
}


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize("odd", ODD_FRAMES)
def test_an_odd_frame_keeps_every_byte(copy_of, version, odd):
    path = copy_of("mp3_bare")
    path.write_bytes(_tag(version, TITLE, ODD_FRAMES[odd]) + path.read_bytes())
    write_tags(path, TAGS)
    assert ODD_FRAMES[odd] in path.read_bytes()
    assert read_tags(path) == AS_READ
    assert describe(path).title == "A title"
    remove_tags(path)
    assert ODD_FRAMES[odd] in path.read_bytes()
    assert ID3(path).version == (2, version, 0)


def test_a_compressed_frame_stays_compressed(copy_of):
    path = copy_of("mp3_bare")
    text = b"\x00" + b"Jazz " * 100
    frame = _frame(b"TCON", struct.pack(">I", len(text)) + zlib.compress(text), flags=0x0080)
    path.write_bytes(_tag(3, TITLE, frame) + path.read_bytes())
    write_tags(path, TAGS)
    assert frame in path.read_bytes()
    assert describe(path).genres == ((b"Jazz " * 100).decode().strip(),)


def test_sizes_in_the_form_of_old_itunes_are_put_right(copy_of):
    path = copy_of("mp3_bare")
    comment = b"\x00" + b"x" * 300
    frames = _frame(b"TALB", comment), TITLE  # plain sizes in a 2.4 tag
    path.write_bytes(_tag(4, *frames) + path.read_bytes())
    write_tags(path, TAGS)
    assert _frame(b"TALB", comment, size=_synchsafe(len(comment))) in path.read_bytes()
    facts = describe(path)
    assert (facts.album, facts.title, facts.ours) == ("x" * 300, "A title", AS_READ)


@pytest.mark.parametrize("version", [3, 4])
def test_an_unsynchronised_tag_stays_readable(copy_of, version):
    path = copy_of("mp3_bare")
    data = b"owner\0\xff\xe0\xff\x00"
    hidden = b"owner\0\xff\x00\xe0\xff\x00\x00"
    frame = _frame(b"PRIV", hidden, size=struct.pack(">I", len(data) if version == 3 else len(hidden)))
    path.write_bytes(_tag(version, TITLE, frame, flags=0x80) + path.read_bytes())
    write_tags(path, TAGS)
    assert ID3(path).getall("PRIV")[0].data == data[6:]
    assert read_tags(path) == AS_READ


def test_a_tag_of_version_2_2_becomes_2_3(copy_of):
    path = copy_of("mp3_bare")
    frames = [name + struct.pack(">I", len(body))[1:] + body for name, body in
              ((b"TT2", b"\x00Old"), (b"TYE", b"\x001997"), (b"TP1", b"\x00Somebody"))]  # fmt: skip
    path.write_bytes(_tag(2, *frames) + path.read_bytes())
    write_tags(path, TAGS)
    assert ID3(path).version == (2, 3, 0)
    facts = describe(path)
    assert (facts.title, facts.artist, facts.year, facts.ours) == ("Old", "Somebody", 1997, AS_READ)


def test_an_extended_header_is_understood(copy_of):
    path = copy_of("mp3_bare")
    tag = _tag(3, struct.pack(">IHI", 6, 0, 0), TITLE, flags=0x40)
    path.write_bytes(tag + path.read_bytes())
    write_tags(path, TAGS)
    assert describe(path).title == "A title"
    assert read_tags(path) == AS_READ
