"""What a file says about its sound before any is decoded: which stream, at which rate, how long."""

from __future__ import annotations

import os
import stat
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.error

from nomarr.errors import FileProblem, UnreadableAudio, VanishedFile

# DSD decodes to 352.8 kHz with its noise above 20 kHz; linear interpolation would fold that into the music.
HIGHEST_RATE = 192_000
LOWEST_RATE = 2000  # below it lies no music, only a damaged header that would unfold into hours
NO_SIZE = 0x7FFF0000  # bytes; what writes WAV into a pipe fills its size with one of several values above this
PLAYLISTS = frozenset({"concat", "dash", "hls", "sdp"})  # libav would follow them to other files
ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")


@dataclass(frozen=True)
class Header:
    """The facts that decoding begins with."""

    path: Path
    rate: int  # of the blocks: the file's own, or 44.1 / 48 kHz where that is above HIGHEST_RATE
    index: int  # among the audio streams
    duration_s: float | None  # where the file itself declares it
    cut_short: bool
    is_dsd: bool


def open_container(path: Path) -> av.container.InputContainer:
    """The file opened by libav, whatever its name or its tags are."""
    # "file:" keeps libav from taking a name such as "http:..." for an address.
    return av.open(f"file:{path}", metadata_errors="ignore")


def read_header(path: Path) -> Header:
    """Raises UnreadableAudio where the file holds no sound, VanishedFile where it cannot be opened now."""
    ends = _read_ends(path)
    try:
        with closing(open_container(path)) as container:
            if container.format.name in PLAYLISTS:
                raise UnreadableAudio(path, "is a playlist, without sound of its own")
            stream = container.streams.best("audio")
            if stream is None or not isinstance(stream, av.AudioStream):
                raise UnreadableAudio(path, "has no audio stream")
            if stream.codec_context is None:
                raise UnreadableAudio(path, "its sound has a format that no decoder is known for")
            rate = stream.rate
            if not rate or rate < LOWEST_RATE:
                raise UnreadableAudio(path, f"its audio stream has a sample rate of {rate or 0} Hz")
            return Header(
                path=path,
                rate=rate if rate <= HIGHEST_RATE else (48000 if rate % 48000 == 0 else 44100),
                index=list(container.streams.audio).index(stream),
                duration_s=_declared_duration(container, stream, ends),
                cut_short=container.format.name == "ogg" and _last_page_is_cut(ends.end),
                is_dsd=stream.codec_context.name.startswith("dsd_"),
            )
    except FileProblem:
        raise
    except (av.error.FFmpegError, ValueError, OverflowError) as error:
        raise UnreadableAudio(path, f"not an audio file that can be read ({reason(error)})") from error


@dataclass(frozen=True)
class _Ends:
    """The first bytes of a file behind any ID3 tag, and its last."""

    start: bytes
    end: bytes
    size: int  # from `start` on


def _read_ends(path: Path) -> _Ends:
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):  # a pipe would be waited for without end
            raise UnreadableAudio(path, "is a folder" if stat.S_ISDIR(mode) else "is no regular file")
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            at = 0
            file.seek(0)
            while len(tag := file.read(10)) == 10 and tag[:3] == b"ID3":
                at += 10 + sum((byte & 127) << shift for byte, shift in zip(tag[6:], (21, 14, 7, 0), strict=True))
                file.seek(at)
            file.seek(at)
            start = file.read(16384)
            file.seek(max(0, size - 65536 - 512))
            end = file.read()
    except OSError as error:
        raise VanishedFile(path, os.strerror(error.errno or 0).lower()) from error
    except ValueError as error:  # a name with a zero byte
        raise VanishedFile(path, str(error)) from error
    if not size:
        raise UnreadableAudio(path, "the file is empty")
    return _Ends(start, end, max(0, size - at))


def reason(error: Exception) -> str:
    """What libav calls the error, in small letters."""
    return (getattr(error, "strerror", None) or type(error).__name__).lower()


def _declared_duration(container: av.container.InputContainer, stream: av.AudioStream, ends: _Ends) -> float | None:
    """How long the file itself says it is; None where libav could but guess from the bit rate."""
    name = container.format.name
    if name in ("aac", "ac3", "eac3", "dts", "ogg", "mpeg"):  # "ogg": wrong where streams are chained
        return None
    if name == "mp3":
        return _mp3_duration(ends.start, stream.rate)
    if name == "asf":
        return _asf_duration(ends.start)
    duration = stream.duration * stream.time_base if stream.duration and stream.time_base else None
    if duration is None and container.duration:
        duration = Fraction(container.duration, av.time_base)
    if duration is None:
        return None
    return float(duration) * (_wav_overhang(ends) if name == "wav" else 1.0)


def _mp3_duration(start: bytes, rate: int) -> float | None:
    """By the count of frames in a Xing, Info or VBRI header, if there is one."""
    samples = 1152 if rate >= 32000 else 576  # a frame of MPEG 1; of MPEG 2
    for mark in (b"Xing", b"Info"):
        at = start.find(mark)
        if at >= 0 and len(start) >= at + 12 and start[at + 7] & 1:
            return int.from_bytes(start[at + 8 : at + 12], "big") * samples / rate
    at = start.find(b"VBRI")
    if at >= 0 and len(start) >= at + 18:
        return int.from_bytes(start[at + 14 : at + 18], "big") * samples / rate
    return None


def _wav_overhang(ends: _Ends) -> float:
    """How much longer than the file its sound should be; libav quietly takes what is there for all."""
    start, at = ends.start, 12
    while start[:4] == b"RIFF" and len(start) >= at + 8:
        size = int.from_bytes(start[at + 4 : at + 8], "little")
        at += 8
        if start[at - 8 : at - 4] == b"data":
            return max(1.0, size / max(1, ends.size - at)) if size < NO_SIZE else 1.0
        at += size + size % 2
    return 1.0


def _asf_duration(start: bytes) -> float | None:
    """By the file properties, unless they say that they were written before the sound."""
    at = start.find(ASF_FILE_PROPERTIES)
    if at < 0 or len(start) < at + 92 or start[at + 88] & 1:
        return None
    play, preroll = (int.from_bytes(start[at + offset : at + offset + 8], "little") for offset in (64, 80))
    return play / 1e7 - preroll / 1e3


def _last_page_is_cut(end: bytes) -> bool:
    """Whether the last Ogg page announces more bytes than follow."""
    at = end.rfind(b"OggS")
    if at < 0 or len(end) < at + 27:
        return at >= 0
    segments = end[at + 26]
    table = end[at + 27 : at + 27 + segments]
    return len(table) < segments or len(end) < at + 27 + segments + sum(table)
