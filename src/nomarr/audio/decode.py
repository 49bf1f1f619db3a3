"""Any audio file -> mono float32 at 16 kHz, block by block.

Decoding runs inside libavfilter wherever the file is healthy: one filter graph opens, decodes, mixes and cuts the
sound into large blocks without a Python call per packet. A file it stumbles over is decoded packet by packet
instead, so that one damaged packet costs 26 ms of sound and not the track.
"""

from __future__ import annotations

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

from nomarr.audio.header import Header, open_container, read_header, reason
from nomarr.audio.resample import LinearResampler
from nomarr.errors import UnreadableAudio, VanishedFile
from nomarr.scores import Vector

RATE = 16000
# Without rematrix_maxval libswresample mixes float stereo 3 dB louder than the mean of both channels.
TO_MONO = "out_sample_fmt=flt:internal_sample_fmt=fltp:out_chlayout=mono:rematrix_maxval=1.0"
BLOCK = 65536  # samples; 256 KB stay in the cache, larger blocks cost page faults
LOUDEST = 2.0**32  # full scale is 1; 32-bit integers stored as floats still pass, and no mel frame overflows
MAX_BAD_SHARE = 0.1  # of all packets
MAX_MISSING_S, MAX_MISSING_SHARE = 2.0, 0.02  # tolerated between the declared and the decoded duration
JUMP_S = 0.05  # between time stamps; less is rounding

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
        header = read_header(self.path)
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

    def _native_blocks(self, header: Header) -> Iterator[Vector]:
        samples = 0
        try:
            # Over a last packet of DSD that is too short for a frame, the graph would turn for ever.
            for block in () if header.is_dsd else self._decode_in_graph(header):
                samples += len(block)
                yield block
            if not header.is_dsd:
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
            raise VanishedFile(self.path, reason(error)) from error
        except (av.error.FFmpegError, ValueError, IndexError) as error:
            raise UnreadableAudio(self.path, f"cannot be decoded ({reason(error)})") from error

    def _decode_in_graph(self, header: Header) -> Iterator[Vector]:
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

    def _decode_with_care(self, header: Header) -> Iterator[Vector]:
        packets = 0
        mixer: _Mixer | None = None
        with closing(open_container(header.path)) as container:
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

    def _check_complete(self, header: Header) -> None:
        if header.cut_short:
            raise UnreadableAudio(self.path, "cut short: its last page is incomplete")
        whole = max(header.duration_s or 0.0, self.duration_s + self.missing_s)
        if self.duration_s < whole - max(MAX_MISSING_S, MAX_MISSING_SHARE * whole):
            raise UnreadableAudio(
                self.path,
                f"damaged or cut short: {self.duration_s:.0f} of its {whole:.0f} seconds could be decoded",
            )


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
