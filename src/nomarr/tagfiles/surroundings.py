"""All that a file holds besides its coded audio and the block that carries tags: it must not change by a byte.

Where a format points at its audio by position (MP4), the positions are taken relative to the audio: a file whose
sample tables are off by one would carry the same audio and still play noise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

from nomarr.tagfiles.containers import sniff, synchsafe
from nomarr.tagfiles.oggpages import header_packets
from nomarr.tagfiles.payload import Extent, boxes, top_level_boxes
from nomarr.tagfiles.trailers import audio_end

Part = tuple[object, str]  # where it stands, and a hash of it

_BLOCK = 1 << 16
_MOST_PARTS = 10_000  # more than that only damage has

_MP4_CONTAINERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"udta", b"meta", b"edts", b"dinf")
_MP4_OURS = ((b"moov", b"udta", b"meta", b"ilst"), (b"moov", b"udta", b"meta", b"hdlr"))
_MP4_SPACE = (b"free", b"skip", b"wide")

_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_EXTENSION = bytes.fromhex("b503bf5f2ea9cf118ee300c00c205365")
_ASF_DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
_ASF_TAGS = tuple(
    bytes.fromhex(guid)
    for guid in (
        "3326b2758e66cf11a6d900aa0062ce6c",  # content description
        "40a4d0d207e3d21197f000a0c95ea850",  # extended content description
        "eacbf8c5af5b77488467aa8c44fa4cca",  # metadata
        "941c23449894d149a1411d134e457054",  # metadata library
        "74d40618dfca0945a4ba9aabcb96aae8",  # padding
    )
)


def surroundings(file: BinaryIO, kind: str) -> object:
    """Comparable; equal before and after a write that touched nothing but tags."""
    parts = []
    for part in _FINDERS[kind](file):
        parts.append(part)
        if len(parts) > _MOST_PARTS:
            break
    return parts


def _after_front_tag(file: BinaryIO) -> Iterator[Part]:
    """An ID3v2 tag in front is the block for ours; more of them, and whatever follows the audio, are not."""
    size, start = file.seek(0, 2), sniff(file).start
    file.seek(0)
    header = file.read(10)
    first = min(10 + synchsafe(header[6:10]), start) if header.startswith(b"ID3") else 0
    yield "front", _digest(file, Extent(first, start - first))
    end = audio_end(file, start, size)
    yield "back", _digest(file, Extent(end, size - end))


def _before_audio(file: BinaryIO) -> Iterator[Part]:
    yield "front", _digest(file, Extent(0, sniff(file).start))


def _around_flac(file: BinaryIO) -> Iterator[Part]:
    size, start = file.seek(0, 2), sniff(file).start
    yield "front", _digest(file, Extent(0, start))
    end = audio_end(file, start, size)
    yield "back", _digest(file, Extent(end, size - end))


def _ogg_headers(file: BinaryIO) -> Iterator[Part]:
    """Every header packet, but for the comments of the first audio stream."""
    tagged = None
    for stream, number, packet in header_packets(file, sniff(file).start):
        if tagged is None and packet.startswith((b"\x01vorbis", b"OpusHead", b"Speex   ", b"\x7fFLAC")):
            tagged = stream
        if (stream, number) != (tagged, 1):
            yield (stream, number), hashlib.sha256(packet).hexdigest()


def _mp4_boxes(file: BinaryIO) -> Iterator[Part]:
    audio = [content for name, content in top_level_boxes(file) if name == b"mdat"]
    todo: list[tuple[tuple[bytes, ...], Extent]] = [((name,), content) for name, content in top_level_boxes(file)]
    while todo:
        path, content = todo.pop(0)
        name = path[-1]
        if path == (b"mdat",) or path in _MP4_OURS or name in _MP4_SPACE:
            continue
        if name in (b"stco", b"co64"):
            yield path, _chunk_places(file, content, 4 if name == b"stco" else 8, audio)
        elif name in _MP4_CONTAINERS:
            inside = _without_version(file, content) if name == b"meta" else content
            todo[:0] = [((*path, inner), extent) for inner, extent in boxes(file, inside)]
        else:
            yield path, _digest(file, content)


def _without_version(file: BinaryIO, content: Extent) -> Extent:
    """QuickTime's meta box holds boxes at once, MP4's after four bytes of version."""
    file.seek(content.offset)
    skipped = 0 if file.read(8)[4:] == b"hdlr" else 4
    return Extent(content.offset + skipped, max(0, content.length - skipped))


def _chunk_places(file: BinaryIO, table: Extent, width: int, audio: list[Extent]) -> str:
    """Where the samples lie, counted from the start of the audio box that they are in."""
    file.seek(table.offset + 8)
    digest = hashlib.sha256()
    count = max(0, table.length - 8) // width
    for start in range(0, count, 1000):
        block = file.read(width * min(1000, count - start))
        for at in range(0, len(block) - width + 1, width):
            offset = int.from_bytes(block[at : at + width], "big")
            box = next((n for n, e in enumerate(audio) if e.offset <= offset < e.offset + e.length), -1)
            digest.update(f"{box} {offset - audio[box].offset if box >= 0 else offset},".encode())
    return digest.hexdigest()


def _asf_objects(file: BinaryIO) -> Iterator[Part]:
    start, size = sniff(file).start, file.seek(0, 2)
    todo: list[tuple[tuple[str, ...], int, int]] = [((), start, size)]
    while todo:
        place, position, end = todo.pop()
        while position + 24 <= end:
            file.seek(position)
            header = file.read(24)
            guid, length = header[:16], int.from_bytes(header[16:], "little")
            if length < 24:
                break
            if guid == _ASF_HEADER:
                todo.append((("header",), position + 30, min(position + length, end)))
            elif guid == _ASF_EXTENSION:
                todo.append((("extension",), position + 46, min(position + length, end)))
            elif guid not in (_ASF_DATA, *_ASF_TAGS):
                yield (*place, guid), _digest(file, Extent(position + 24, min(length, end - position) - 24))
            position += length


def _chunks(first: int, size_bytes: int, byteorder: str, audio: tuple[bytes, ...]) -> Callable[..., Iterator[Part]]:
    def find(file: BinaryIO) -> Iterator[Part]:
        position, size = sniff(file).start + first, file.seek(0, 2)
        head = 4 + size_bytes
        while position + head <= size:
            file.seek(position)
            header = file.read(head)
            length = int.from_bytes(header[4:], "little" if byteorder == "little" else "big")
            name = header[:4]
            if name not in audio and name.upper() != b"ID3 ":
                yield name, _digest(file, Extent(position + head, min(length, size - position - head)))
            position += head + length + (length & 1)

    return find


def _dsf_format(file: BinaryIO) -> Iterator[Part]:
    yield "fmt", _digest(file, Extent(sniff(file).start + 28, 52))


_FINDERS: dict[str, Callable[[BinaryIO], Iterator[Part]]] = {
    **dict.fromkeys(("mp3", "tta"), _after_front_tag),
    **dict.fromkeys(("wv", "ape", "mpc"), _before_audio),
    "flac": _around_flac,
    **dict.fromkeys(("ogg", "opus", "speex", "oggflac"), _ogg_headers),
    "m4a": _mp4_boxes,
    "wma": _asf_objects,
    "wav": _chunks(12, 4, "little", (b"data",)),
    "aiff": _chunks(12, 4, "big", (b"SSND",)),
    "dff": _chunks(16, 8, "big", (b"DSD ", b"DST ")),
    "dsf": _dsf_format,
}


def _digest(file: BinaryIO, extent: Extent) -> str:
    digest = hashlib.sha256()
    file.seek(extent.offset)
    left = max(0, extent.length)
    while left and (block := file.read(min(left, _BLOCK))):
        digest.update(block)
        left -= len(block)
    return digest.hexdigest()
