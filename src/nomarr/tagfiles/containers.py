"""Which kind of audio file this is, told by its bytes and never by its name."""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO, NamedTuple

from nomarr.errors import VanishedFile

AnyPath = str | os.PathLike[str]

OGG_KINDS = frozenset({"ogg", "opus", "speex", "oggflac", "oggother"})

_MAGIC = (
    (b"fLaC", "flac"),
    (b"wvpk", "wv"),
    (b"MAC ", "ape"),
    (b"MPCK", "mpc"),
    (b"MP+", "mpc"),
    (b"TTA1", "tta"),
    (b"TTA2", "tta"),
    (b"DSD ", "dsf"),
    (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), "wma"),
    (b"RF64", "rf64"),
    (b"BW64", "rf64"),
)
_CHUNKED = {
    (b"RIFF", b"WAVE"): "wav",
    (b"FORM", b"AIFF"): "aiff",
    (b"FORM", b"AIFC"): "aiff",
}
_OGG_CODECS = (
    (b"\x01vorbis", "ogg"),
    (b"OpusHead", "opus"),
    (b"Speex   ", "speex"),
    (b"\x7fFLAC", "oggflac"),
)
_OGG_BEGINS = 2
_HEAD = 4096  # room for the first pages of all streams of an Ogg file
_MPEG_SEARCH = 1 << 16
_MPEG_FRAMES = 3

_REASONS = {
    errno.ENOENT: "there is no such file",
    errno.ENOTDIR: "there is no such file",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.ENOSPC: "no space left on the device",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the folder is read-only",
    errno.EIO: "the device reports a read or write error",
    errno.ESTALE: "the network folder has gone away",
    errno.EBUSY: "another program holds it",
    errno.ELOOP: "its symbolic links run in a circle",
    errno.ENAMETOOLONG: "its name is too long",
}


class Sniffed(NamedTuple):
    """`kind` is a container's short name, or "" for anything unknown; `start` lies after front ID3v2 tags."""

    kind: str
    start: int


def reason(error: OSError) -> str:
    """What the operating system complains about, in words for people."""
    if isinstance(error, io.UnsupportedOperation):  # Python's word for a seek that failed
        return _REASONS[errno.EIO]
    return _REASONS.get(error.errno or 0, (error.strerror or str(error)).lower())


@contextmanager
def reading(path: AnyPath) -> Iterator[BinaryIO]:
    """The file, open for reading; every OSError until it is closed becomes VanishedFile."""
    try:
        file = open(_regular_file(path), "rb")  # noqa: SIM115 (what closing says is of no interest)
        try:
            yield file
        finally:
            with suppress(OSError):
                file.close()
    except OSError as error:
        raise VanishedFile(path, reason(error)) from error


def _regular_file(path: AnyPath) -> int:
    try:
        # Without O_NONBLOCK a named pipe in a music folder would hold a worker forever.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError:  # a NUL in the path
        raise VanishedFile(path, "there is no such file") from None
    mode = os.fstat(fd).st_mode
    if stat.S_ISREG(mode):
        return fd
    os.close(fd)
    raise VanishedFile(path, "it is a folder" if stat.S_ISDIR(mode) else "it is not a regular file")


def sniff(file: BinaryIO) -> Sniffed:
    """The kind of the file's content and where that content starts."""
    start = _after_id3v2(file)
    file.seek(start)
    head = file.read(_HEAD)
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return Sniffed(kind, start)
    if head.startswith(b"OggS"):
        return Sniffed(_ogg_kind(head), start)
    if head[4:8] == b"ftyp":
        return Sniffed("m4a", start)
    if head.startswith(b"FRM8") and head[12:16] == b"DSD ":
        return Sniffed("dff", start)
    chunked = _CHUNKED.get((head[:4], head[8:12]))
    if chunked:
        return Sniffed(chunked, start)
    return Sniffed(_mpeg_kind(file, head, start), start)


def synchsafe(size: bytes) -> int:
    """An ID3v2 size: seven bits in each byte."""
    value = 0
    for byte in size:
        value = value << 7 | byte & 0x7F
    return value


def _after_id3v2(file: BinaryIO) -> int:
    start = 0
    while True:
        file.seek(start)
        header = file.read(10)
        if len(header) < 10 or header[:3] != b"ID3" or header[3] == 0xFF:
            return start
        has_footer = header[5] & 0x10
        start += 10 + synchsafe(header[6:10]) + (10 if has_footer else 0)


def _ogg_kind(head: bytes) -> str:
    """The first audio stream's codec; other streams (Skeleton, pictures) may begin before it."""
    position = 0
    while head[position : position + 4] == b"OggS" and len(head) >= position + 27:
        if not head[position + 5] & _OGG_BEGINS:
            break
        segments = head[position + 27 : position + 27 + head[position + 26]]
        body = position + 27 + len(segments)
        for magic, kind in _OGG_CODECS:
            if head.startswith(magic, body):
                return kind
        position = body + sum(segments)
    return "oggother"


def _mpeg_kind(file: BinaryIO, head: bytes, start: int) -> str:
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return "aac"
    if start:
        # An ID3v2 tag in front of nothing known is an MP3, perhaps with junk before its first frame.
        return "mp3"
    data = head + file.read(_MPEG_SEARCH)
    at = data.find(b"\xff")
    while at >= 0:
        if _starts_mpeg(data, at):
            return "mp3"
        at = data.find(b"\xff", at + 1)
    return ""


def _starts_mpeg(data: bytes, at: int) -> bool:
    """Whether several frames of one kind follow each other: a single header is seen in any noise."""
    version_and_layer, rate = data[at + 1 : at + 2], data[at + 2 : at + 3]
    for _ in range(_MPEG_FRAMES):
        length = _mpeg_frame_length(data, at)
        if not length or data[at + 1 : at + 2] != version_and_layer or (data[at + 2] ^ rate[0]) & 0x0C:
            return False
        at += length
    return True


_KBITS = {  # by (MPEG version 1, layer)
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


def _mpeg_frame_length(data: bytes, at: int) -> int:
    """Length in bytes of the MPEG audio frame whose header stands here, or 0 where none does."""
    if at + 4 > len(data) or data[at] != 0xFF or data[at + 1] & 0xE0 != 0xE0:
        return 0
    version, layer = data[at + 1] >> 3 & 3, 4 - (data[at + 1] >> 1 & 3)
    kbits, rate = data[at + 2] >> 4, data[at + 2] >> 2 & 3
    if version == 1 or layer == 4 or kbits in (0, 15) or rate == 3:
        return 0
    hertz = (44100, 48000, 32000)[rate] >> {3: 0, 2: 1, 0: 2}[version]
    bits = _KBITS[version == 3, layer][kbits - 1] * 1000
    padding = data[at + 2] >> 1 & 1
    if layer == 1:
        return (12 * bits // hertz + padding) * 4
    samples_per_bit = 72 if layer == 3 and version != 3 else 144
    return samples_per_bit * bits // hertz + padding
