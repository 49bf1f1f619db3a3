"""The pages of an Ogg file, and the audio packets inside them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

_BEGINS = 2
_NEVER = 1 << 30
_LARGEST_PAGE = 27 + 255 + 255 * 255
_HEADER_PACKETS = ((b"\x01vorbis", 3), (b"OpusHead", 2), (b"\x80theora", 3), (b"fishead", _NEVER))


class Page(NamedTuple):
    """One page; `lacing` holds the segment lengths, a packet ends at each one below 255."""

    begins_stream: bool
    serial: int
    lacing: bytes
    body: bytes


def pages(file: BinaryIO, start: int = 0) -> Iterator[Page]:
    """All pages in order; damaged stretches are skipped, a page cut off at the end is given as it is."""
    file.seek(start)
    while True:
        header = file.read(27)
        if len(header) < 27:
            return
        if header[:4] != b"OggS":
            if not _seek_next_page(file, file.tell() - 26):
                return
            continue
        lacing = file.read(header[26])
        body = file.read(sum(lacing))
        yield Page(bool(header[5] & _BEGINS), int.from_bytes(header[14:18], "little"), lacing, body)


def audio_packets(file: BinaryIO, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """Stretches of audio packets as (number of the stream, bytes).

    Joined per stream they are the same however the packets are spread over pages. Streams are numbered as
    they begin, so chained and multiplexed files work, and a changed serial number does not matter.
    """
    numbers: dict[int, int] = {}
    headers_left: dict[int, int] = {}
    for page in pages(file, start):
        if page.begins_stream or page.serial not in numbers:
            numbers[page.serial] = len(headers_left)
            headers_left[numbers[page.serial]] = _header_packets(page.body)
        stream = numbers[page.serial]
        audio_at = 0
        if headers_left[stream]:
            ended, audio_at = skip_packets(page.lacing, headers_left[stream])
            headers_left[stream] -= ended
        if audio_at < len(page.body):
            yield stream, page.body[audio_at:]


def header_packets(file: BinaryIO, start: int = 0) -> Iterator[tuple[int, int, bytes]]:
    """The packets that are not audio as (number of the stream, number in the stream, bytes)."""
    numbers: dict[int, int] = {}
    wanted: list[int] = []
    found: list[list[bytes]] = []  # by stream, the last one unfinished
    for page in pages(file, start):
        if page.begins_stream or page.serial not in numbers:
            numbers[page.serial] = len(wanted)
            wanted.append(_header_packets(page.body))
            found.append([b""])
        stream, position = numbers[page.serial], 0
        packets = found[stream]
        for length in page.lacing:
            if len(packets) > wanted[stream]:
                break
            packets[-1] += page.body[position : position + length]
            position += length
            if length < 255:
                yield stream, len(packets) - 1, packets[-1]
                packets.append(b"")


def last_granule(file: BinaryIO) -> int:
    """The position that the file's last page ends at: for audio, the number of samples."""
    size = file.seek(0, 2)
    file.seek(max(0, size - 2 * _LARGEST_PAGE))
    tail = file.read()
    at = tail.rfind(b"OggS")
    while at >= 0:
        granule = int.from_bytes(tail[at + 6 : at + 14], "little", signed=True)
        if len(tail) >= at + 27 and tail[at + 4] == 0 and granule != -1:
            return granule
        at = tail.rfind(b"OggS", 0, at)
    return -1


def _header_packets(first: bytes) -> int:
    """How many packets at the start of a stream are not audio, told by its first packet."""
    for magic, count in _HEADER_PACKETS:
        if first.startswith(magic):
            return count
    if first.startswith(b"Speex   "):
        extra = int.from_bytes(first[68:72], "little")
        return 2 + extra if extra < 16 else 2
    if first.startswith(b"\x7fFLAC"):
        return 1 + (int.from_bytes(first[7:9], "big") or 1)
    return 0


def skip_packets(lacing: bytes, wanted: int) -> tuple[int, int]:
    """(packets that end in this page, at most `wanted`; where the rest of the page starts)."""
    ended = position = 0
    for length in lacing:
        position += length
        if length < 255:
            ended += 1
            if ended == wanted:
                break
    return ended, position


def _seek_next_page(file: BinaryIO, position: int) -> bool:
    while True:
        file.seek(position)
        block = file.read(1 << 16)
        found = block.find(b"OggS")
        if found >= 0:
            file.seek(position + found)
            return True
        if len(block) < 1 << 16:
            return False
        position += len(block) - 3
