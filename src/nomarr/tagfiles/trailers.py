"""What other programs append to the audio of a flat file: ID3v1, APEv2, Lyrics3, an ID3v2 with a footer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from nomarr.tagfiles.containers import synchsafe

_ID3V1_SIZE = 128
_TAIL = 227  # the largest fixed-size trailer: an enhanced ID3v1 in front of the plain one


def audio_end(file: BinaryIO, start: int, end: int) -> int:
    """Where the audio that begins at `start` ends, once every trailer before `end` is taken off."""
    while start < end and (size := _trailer_size(file, start, end)):
        if end - size < start:
            break
        end -= size
    return end


def id3v1(file: BinaryIO) -> bytes:
    """The ID3v1 tag at the very end of the file, or nothing."""
    size = file.seek(0, 2)
    if size < _ID3V1_SIZE:
        return b""
    file.seek(size - _ID3V1_SIZE)
    tail = file.read(_ID3V1_SIZE)
    return tail if tail.startswith(b"TAG") else b""


@contextmanager
def id3v1_set_aside(file: BinaryIO) -> Iterator[None]:
    """Takes an ID3v1 tag off for a while and puts the very same bytes back.

    mutagen would rebuild it from the ID3v2 fields, or overwrite it with an APEv2 tag.
    """
    tag = id3v1(file)
    if tag:
        file.truncate(file.seek(-_ID3V1_SIZE, 2))
    yield
    if tag:
        file.seek(0, 2)
        file.write(tag)


def _trailer_size(file: BinaryIO, start: int, end: int) -> int:
    begin = max(start, end - _TAIL)
    file.seek(begin)
    tail = file.read(end - begin)
    if tail[-128:].startswith(b"TAG") and len(tail) >= 128:
        return 227 + 128 if _has_enhanced_id3v1(file, start, end) else 128
    if tail[-32:-24] == b"APETAGEX":
        size = int.from_bytes(tail[-20:-16], "little")
        has_header = tail[-9] & 0x80
        return size + (32 if has_header else 0)
    if tail.endswith(b"LYRICS200") and tail[-15:-9].isdigit():
        return int(tail[-15:-9]) + 15
    if tail.endswith(b"LYRICSEND"):
        return _lyrics3v1_size(file, start, end)
    if tail[-10:-7] == b"3DI":
        return synchsafe(tail[-4:]) + 20
    return 0


def _has_enhanced_id3v1(file: BinaryIO, start: int, end: int) -> bool:
    if end - 227 - 128 < start:
        return False
    file.seek(end - 227 - 128)
    return file.read(4) == b"TAG+"


def _lyrics3v1_size(file: BinaryIO, start: int, end: int) -> int:
    begin = max(start, end - 5100 - 20)  # the format allows 5100 bytes of text
    file.seek(begin)
    found = file.read(end - begin).rfind(b"LYRICSBEGIN")
    return end - begin - found if found >= 0 else 0
