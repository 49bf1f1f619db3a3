"""Any audio file -> mono float32 at 16 kHz, block by block.

Decoding runs inside libavfilter wherever the file is healthy: one filter graph opens, decodes, mixes and cuts the
sound into large blocks without a Python call per packet. A file it stumbles over is decoded packet by packet
instead, so that one damaged packet costs 26 ms of sound and not the track.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.error
import av.filter
import av.logging
import numpy as np
from av.filter.context import FilterContext

from nomarr.audio.resample import LinearResampler
from nomarr.errors import FileProblem, UnreadableAudio, VanishedFile
from nomarr.scores import Vector

RATE = 16000
# Without rematrix_maxval libswresample mixes float stereo 3 dB louder than the mean of both channels.
TO_MONO = "out_sample_fmt=flt:internal_sample_fmt=fltp:out_chlayout=mono:rematrix_maxval=1.0"
BLOCK = 65536  # samples; 256 KB stay in the cache, larger blocks cost page faults
# DSD decodes to 352.8 kHz with its noise above 20 kHz; linear interpolation would fold that into the music.
HIGHEST_RATE = 192_000
LOWEST_RATE = 2000  # below it lies no music, only a damaged header that would unfold into hours
LOUDEST = 2.0**32  # full scale is 1; 32-bit integers stored as floats still pass, and no mel frame overflows
MAX_BAD_SHARE = 0.1  # of all packets
MAX_MISSING_S, MAX_MISSING_SHARE = 2.0, 0.02  # tolerated between the declared and the decoded duration
JUMP_S = 0.05  # between time stamps; less is rounding
NO_SIZE = 0x7FFF0000  # bytes; what writes WAV into a pipe fills its size with one of several values above this
ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")

av.logging.set_level(av.logging.PANIC)


@dataclass
class Sound:
    """One file's sound; its facts are complete once `blocks` is used up."""

    path: Path
    sample_rate: int = 0
    duration_s: float = 0.0
    bad_packets: int = 0
    missing_s: float = 0.0  # jumps in the time stamps: Ogg pages that were damaged are left out without an error

    def blocks(self) -> Iterator[Vector]:
        """Mono float32[n] at 16 kHz, resampled as Essentia's MonoLoader does (resampleQuality 4).

        Raises UnreadableAudio where there is no sound, where it is damaged beyond use, or cut short;
        VanishedFile where the file is gone or cannot be opened now.
        """
        header = _read_header(self.path)
        self.sample_rate = header.rate
        resampler = LinearResampler(header.rate, RATE)
        samples = 0
        for block in self._native_blocks(header):
            if not np.abs(block).max(initial=0.0) <= LOUDEST:  # so written, it is true for NaN, too
                raise UnreadableAudio(self.path, "holds samples that are no sound: not numbers, or out of all bounds")
            samples += len(block)
            yield resampler.feed(block)
        self.duration_s = samples / header.rate
        if not samples:
            raise UnreadableAudio(self.path, "no sound could be decoded")
        self._check_complete(header)
        yield resampler.finish()

    def _native_blocks(self, header: _Header) -> Iterator[Vector]:
        samples = 0
        try:
            for block in self._decode_in_graph(header):
                samples += len(block)
                yield block
            return
        except (av.error.FFmpegError, ValueError):
            pass  # decoded with care below, from where the graph stopped
        try:
            for block in self._decode_with_care(header):
                skipped = min(samples, len(block))
                samples -= skipped
                if skipped < len(block):
                    yield block[skipped:]
        except av.error.FileNotFoundError as error:
            raise VanishedFile(self.path, _reason(error)) from error
        except (av.error.FFmpegError, ValueError, IndexError) as error:
            raise UnreadableAudio(self.path, f"cannot be decoded ({_reason(error)})") from error

    def _decode_in_graph(self, header: _Header) -> Iterator[Vector]:
        graph = av.filter.Graph()
        source = graph.add("amovie", filename=f"file:{header.path}", dec_threads="1")
        expected: Fraction | None = None
        for frame in _pulled(_to_mono(graph, source, header.rate)):
            if frame.pts is not None and frame.time_base is not None:
                begin = frame.pts * frame.time_base
                if expected is not None and begin - expected > JUMP_S:
                    self.missing_s += float(begin - expected)
                expected = begin + Fraction(frame.samples, header.rate)
            yield frame.to_ndarray()[0]

    def _decode_with_care(self, header: _Header) -> Iterator[Vector]:
        packets = 0
        mixer: _Mixer | None = None
        with closing(_open(header.path)) as container:
            for packet in self._packets(container, container.streams.audio[header.index]):
                packets += 1
                try:
                    frames = packet.decode()
                except av.error.FFmpegError:
                    self.bad_packets += 1
                    continue
                for frame in frames:
                    if not frame.samples or not frame.sample_rate:
                        continue
                    if mixer is None or not mixer.fits(frame):
                        if mixer is not None:
                            yield from mixer.finish()
                        mixer = _Mixer(frame, header.rate)
                    yield from mixer.feed(frame)
                if self.bad_packets > 100 and self.bad_packets > packets:
                    break
        if mixer is not None:
            yield from mixer.finish()
        if self.bad_packets > max(3, MAX_BAD_SHARE * packets):
            raise UnreadableAudio(self.path, f"damaged: {self.bad_packets} of {packets} packets cannot be decoded")

    def _packets(
        self, container: av.container.InputContainer, stream: av.AudioStream
    ) -> Iterator[av.Packet[av.AudioStream]]:
        """All packets up to the end, or up to damage that libav cannot step over."""
        try:
            yield from container.demux(stream)
        except av.error.FFmpegError:
            self.bad_packets += 1

    def _check_complete(self, header: _Header) -> None:
        if header.cut_short:
            raise UnreadableAudio(self.path, "cut short: its last page is incomplete")
        whole = max(header.duration_s or 0.0, self.duration_s + self.missing_s)
        if self.duration_s < whole - max(MAX_MISSING_S, MAX_MISSING_SHARE * whole):
            raise UnreadableAudio(
                self.path,
                f"damaged or cut short: {self.duration_s:.0f} of its {whole:.0f} seconds could be decoded",
            )


@dataclass(frozen=True)
class _Header:
    path: Path
    rate: int  # of the blocks: the file's own, or 44.1 / 48 kHz where that is above HIGHEST_RATE
    index: int  # among the audio streams
    duration_s: float | None  # where the file itself declares it
    cut_short: bool


def _open(path: Path) -> av.container.InputContainer:
    # "file:" keeps libav from taking a name such as "http:..." for an address.
    return av.open(f"file:{path}", metadata_errors="ignore")


def _read_header(path: Path) -> _Header:
    ends = _read_ends(path)
    try:
        with closing(_open(path)) as container:
            stream = container.streams.best("audio")
            if stream is None or not isinstance(stream, av.AudioStream):
                raise UnreadableAudio(path, "has no audio stream")
            rate = stream.rate
            if not rate or rate < LOWEST_RATE:
                raise UnreadableAudio(path, f"its audio stream has a sample rate of {rate or 0} Hz")
            return _Header(
                path=path,
                rate=rate if rate <= HIGHEST_RATE else (48000 if rate % 48000 == 0 else 44100),
                index=list(container.streams.audio).index(stream),
                duration_s=_declared_duration(container, stream, ends),
                cut_short=container.format.name == "ogg" and _last_page_is_cut(ends.end),
            )
    except FileProblem:
        raise
    except (av.error.FFmpegError, ValueError, OverflowError) as error:
        raise UnreadableAudio(path, f"not an audio file that can be read ({_reason(error)})") from error


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


def _reason(error: Exception) -> str:
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


def _pulled(sink: FilterContext) -> Iterator[av.AudioFrame]:
    """What has come out of a graph by now, mono."""
    while True:
        try:
            frame = sink.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        assert isinstance(frame, av.AudioFrame)  # noqa: S101 - the sink is an abuffersink
        yield frame


def _to_mono(graph: av.filter.Graph, source: FilterContext, rate: int) -> FilterContext:
    """Mixes and cuts what `source` gives; -> the sink."""
    mono = graph.add("aresample", f"{TO_MONO}:out_sample_rate={rate}")
    cut = graph.add("asetnsamples", f"n={BLOCK}:p=0")
    sink = graph.add("abuffersink")
    source.link_to(mono)
    mono.link_to(cut)
    cut.link_to(sink)
    graph.configure()
    return sink


class _Mixer:
    """Decoded frames of one kind -> mono blocks."""

    def __init__(self, frame: av.AudioFrame, rate: int) -> None:
        self.kind = self._kind(frame)
        graph = av.filter.Graph()
        self.source = graph.add_abuffer(
            sample_rate=frame.sample_rate,
            format=frame.format.name,
            layout=frame.layout.name,
            time_base=Fraction(1, frame.sample_rate),
        )
        self.sink = _to_mono(graph, self.source, rate)
        self.graph = graph
        self.waiting = 0

    @staticmethod
    def _kind(frame: av.AudioFrame) -> tuple[int, str, str]:
        return frame.sample_rate, frame.format.name, frame.layout.name

    def fits(self, frame: av.AudioFrame) -> bool:
        return self._kind(frame) == self.kind

    def feed(self, frame: av.AudioFrame) -> Iterator[Vector]:
        frame.pts = None
        self.source.push(frame)
        self.waiting += frame.samples
        if self.waiting >= BLOCK:
            self.waiting = 0
            yield from self._mixed()

    def finish(self) -> Iterator[Vector]:
        self.source.push(None)
        yield from self._mixed()

    def _mixed(self) -> Iterator[Vector]:
        for frame in _pulled(self.sink):
            yield frame.to_ndarray()[0]
