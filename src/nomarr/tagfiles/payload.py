"""The coded audio inside a file, apart from its tags: proof of a clean write, and the content identity."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from nomarr.errors import UnreadableAudio
from nomarr.tagfiles.containers import OGG_KINDS, AnyPath, Sniffed, reading, sniff
from nomarr.tagfiles.oggpages import audio_packets, last_granule
from nomarr.tagfiles.trailers import audio_end

_BLOCK = 1 << 18  # fits the processor's cache, and two threads seldom wait for each other
_EDGE = 1 << 14  # bytes at each end of the audio that make the quick key
_ASF_DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
_UNKNOWN_SIZES = (0, 0xFFFFFFFF)  # what programs leave in a WAV header when they write to a pipe


@dataclass(frozen=True)
class Extent:
    """A stretch of the file."""

    offset: int
    length: int


@dataclass(frozen=True)
class Payload:
    """Where the coded audio of one file lies; `header` are coding parameters that belong to it."""

    kind: str
    extents: tuple[Extent, ...]
    header: bytes = b""

    @property
    def length(self) -> int:
        return sum(extent.length for extent in self.extents)

    @property
    def outline(self) -> tuple[object, ...]:
        """Everything but the place of the audio and its content."""
        return self.kind, self.header, [extent.length for extent in self.extents]


class _StructureError(Exception):
    """The file's structure does not lead to its audio."""


def audio_hash(path: AnyPath) -> str:
    """SHA-256 of the coded audio: the same after renaming, moving or retagging the file.

    A file of unknown structure is hashed whole. Reads all of the audio, a block at a time.
    """
    with reading(path) as file:
        kind, start = _sniffed(path, file)
        if kind in OGG_KINDS:
            return _ogg_hash(path, file, start)
        payload = _payload(path, file, Sniffed(kind, start))
        digest = hashlib.sha256(payload.header)
        for block in _blocks(file, payload.extents):
            digest.update(block)
        return digest.hexdigest()


def is_same_audio(path: AnyPath, other: AnyPath) -> bool:
    """Whether two files hold the very same coded audio; compares bytes, which is far quicker than hashing both."""
    with reading(path) as file, reading(other) as other_file:
        mine, theirs = _sniffed(path, file), _sniffed(other, other_file)
        if mine.kind in OGG_KINDS:
            return _ogg_hash(path, file, mine.start) == _ogg_hash(other, other_file, theirs.start)
        payload, other_payload = _payload(path, file, mine), _payload(other, other_file, theirs)
        if payload.outline != other_payload.outline:
            return False
        both = zip(_blocks(file, payload.extents), _blocks(other_file, other_payload.extents), strict=True)
        return all(block == other_block for block, other_block in both)


def audio_key(path: AnyPath) -> str:
    """A quick hint at the same identity, from the edges and the length of the audio.

    Equal audio gives equal keys; equal keys are worth an `audio_hash`. Reads less than 200 KB as a rule.
    """
    with reading(path) as file:
        kind, start = _sniffed(path, file)
        digest = hashlib.sha1(usedforsecurity=False)
        if kind in OGG_KINDS:
            digest.update(f"{kind} {last_granule(file)} ".encode())
            digest.update(_first_ogg_audio(file, start))
            return digest.hexdigest()
        payload = _payload(path, file, Sniffed(kind, start))
        digest.update(f"{kind} {payload.length} ".encode() + payload.header)
        digest.update(_span(file, payload.extents, 0, _EDGE))
        digest.update(_span(file, payload.extents, max(0, payload.length - _EDGE), _EDGE))
        return digest.hexdigest()


def top_level_boxes(file: BinaryIO) -> Iterator[tuple[bytes, Extent]]:
    """The outermost boxes of an MP4 file as (name, content)."""
    return boxes(file, Extent(0, file.seek(0, 2)))


def boxes(file: BinaryIO, within: Extent) -> Iterator[tuple[bytes, Extent]]:
    """The boxes in a stretch of an MP4 file as (name, content), without those inside them."""
    position, end = within.offset, within.offset + within.length
    while position + 8 <= end:
        file.seek(position)
        header = file.read(16)
        length, head = int.from_bytes(header[:4], "big"), 8
        if length == 1:
            length, head = int.from_bytes(header[8:16], "big"), 16
        elif length == 0:
            length = end - position
        if length < head:
            return
        yield header[4:8], Extent(position + head, min(length, end - position) - head)
        position += length


def _sniffed(path: AnyPath, file: BinaryIO) -> Sniffed:
    if not file.seek(0, 2):
        raise UnreadableAudio(path, "the file is empty")
    return sniff(file)


def _payload(path: AnyPath, file: BinaryIO, sniffed: Sniffed) -> Payload:
    kind, start = sniffed
    size = file.seek(0, 2)
    try:
        payload = _FINDERS.get(kind, _whole)(file, kind, start)
    except _StructureError:
        payload = Payload(kind, (Extent(0, size),))
    if not payload.length:
        raise UnreadableAudio(path, "the file holds no audio")
    return payload


def _whole(file: BinaryIO, kind: str, _start: int) -> Payload:
    return Payload(kind, (Extent(0, file.seek(0, 2)),))


def _between_tags(file: BinaryIO, kind: str, start: int) -> Payload:
    end = audio_end(file, start, file.seek(0, 2))
    return Payload(kind, (Extent(start, max(0, end - start)),))


def _flac(file: BinaryIO, kind: str, start: int) -> Payload:
    position, streaminfo, is_last = start + 4, b"", False
    while not is_last:
        file.seek(position)
        header = file.read(4)
        if len(header) < 4:
            raise _StructureError
        is_last = bool(header[0] & 0x80)
        length = int.from_bytes(header[1:], "big")
        if header[0] & 0x7F == 0:
            streaminfo = file.read(length)
        position += 4 + length
    end = audio_end(file, position, file.seek(0, 2))
    return Payload(kind, (Extent(position, max(0, end - position)),), streaminfo)


def _mp4(file: BinaryIO, kind: str, _start: int) -> Payload:
    bodies = tuple(content for name, content in top_level_boxes(file) if name == b"mdat" and content.length)
    if not bodies:
        raise _StructureError
    return Payload(kind, bodies)


def _asf(file: BinaryIO, kind: str, start: int) -> Payload:
    size = file.seek(0, 2)
    position = start
    while position + 24 <= size:
        file.seek(position)
        header = file.read(24)
        length = int.from_bytes(header[16:], "little")
        if header.startswith(_ASF_DATA):
            end = position + length if length >= 24 else size
            return Payload(kind, (Extent(position + 24, min(end, size) - position - 24),))
        if length < 24:
            break
        position += length
    raise _StructureError


@dataclass(frozen=True)
class _Chunks:
    """How one chunked format writes its chunks, and which of them is the audio."""

    audio: tuple[bytes, ...]
    first: int = 12
    size_bytes: int = 4
    byteorder: str = "little"
    size_counts_header: bool = False
    even: bool = True

    def find(self, file: BinaryIO, kind: str, start: int) -> Payload:
        size = file.seek(0, 2)
        head = 4 + self.size_bytes
        position, true_size = start + self.first, 0
        while position + head <= size:
            file.seek(position)
            header = file.read(head)
            length = int.from_bytes(header[4:], "little" if self.byteorder == "little" else "big")
            if self.size_counts_header:
                length -= head
            if header.startswith(self.audio):
                if self.size_bytes == 4 and length in _UNKNOWN_SIZES:
                    length = true_size or size
                return Payload(kind, (Extent(position + head, max(0, min(length, size - position - head))),))
            if header.startswith(b"ds64"):
                true_size = int.from_bytes(file.read(16)[8:], "little")
            if length < 0:
                break
            position += head + length + (length & 1 if self.even else 0)
        raise _StructureError


_FINDERS: dict[str, Callable[[BinaryIO, str, int], Payload]] = {
    **dict.fromkeys(("mp3", "aac", "tta", "wv", "ape", "mpc"), _between_tags),
    "flac": _flac,
    "m4a": _mp4,
    "wma": _asf,
    **dict.fromkeys(("wav", "rf64"), _Chunks((b"data",)).find),
    "aiff": _Chunks((b"SSND",), byteorder="big").find,
    "dsf": _Chunks((b"data",), first=0, size_bytes=8, size_counts_header=True, even=False).find,
    "dff": _Chunks((b"DSD ", b"DST "), first=16, size_bytes=8, byteorder="big").find,
}


def _blocks(file: BinaryIO, extents: tuple[Extent, ...]) -> Iterator[bytes]:
    for extent in extents:
        position, end = extent.offset, extent.offset + extent.length
        while position < end:
            file.seek(position)
            block = file.read(min(end - position, _BLOCK))
            if not block:
                break
            yield block
            position += len(block)


def _span(file: BinaryIO, extents: tuple[Extent, ...], start: int, length: int) -> bytes:
    """`length` bytes of the joined extents from `start` on, or as many as there are."""
    parts = []
    for extent in extents:
        if start < extent.length and length > 0:
            file.seek(extent.offset + start)
            part = file.read(min(length, extent.length - start))
            parts.append(part)
            length -= len(part)
        start = max(0, start - extent.length)
    return b"".join(parts)


def _ogg_hash(path: AnyPath, file: BinaryIO, start: int) -> str:
    streams: dict[int, hashlib._Hash] = {}
    for stream, data in audio_packets(file, start):
        streams.setdefault(stream, hashlib.sha256()).update(data)
    if not streams:
        raise UnreadableAudio(path, "the file holds no audio")
    if len(streams) == 1:
        return next(iter(streams.values())).hexdigest()
    return hashlib.sha256(b"".join(digest.digest() for digest in streams.values())).hexdigest()


def _first_ogg_audio(file: BinaryIO, start: int) -> bytes:
    found = b""
    for _, data in audio_packets(file, start):
        found += data
        if len(found) >= _EDGE:
            break
    return found[:_EDGE]
