"""Waveform -> log-mel frames, exactly as the models were trained.

Two front-ends: Essentia's TensorflowInputMusiCNN (also EffNet's), framed as TensorflowPredictMusiCNN frames it, and
VibeNet's (librosa's definitions). Both are streams: feed samples in blocks of any length, get the frames so far.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nomarr.scores import Vector

Frames = NDArray[np.float32]  # float32[frames, bands]

RATE = 16000
CHUNK = 256  # frames transformed at once; measured best between cache and call overhead
# Frames multiplied at once. OpenBLAS starts a thread a core for larger products, which then spend more time waiting
# for one another than one thread needs for the whole; so many small products are the faster way to one large one.
SLICE = 4


def hz_to_mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Slaney's mel scale (Auditory Toolbox): linear below 1 kHz, logarithmic above."""
    return np.where(hz >= 1000, 15 + np.log(np.maximum(hz, 1e-9) / 1000) * 27 / np.log(6.4), hz * 3 / 200)


def mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(mel >= 15, 1000 * np.exp((mel - 15) * np.log(6.4) / 27), mel * 200 / 3)


def filterbank(bands: int, fft: int) -> Vector:
    """Triangles over 0-8000 Hz, equally spaced in mel, each of area one (Slaney). float32[fft / 2 + 1, bands]."""
    edges = mel_to_hz(np.linspace(0.0, float(hz_to_mel(np.array(RATE / 2))), bands + 2))
    bins = np.linspace(0, RATE / 2, fft // 2 + 1)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    weights = np.maximum(0, np.minimum(rising, falling)) * 2 / (edges[2:] - edges[:-2])
    return weights.astype(np.float32)


@dataclass(frozen=True)
class FrontEnd:
    """What turns sound into frames: window and hop in samples at 16 kHz, mel bands, and their compression."""

    name: str
    window: Vector
    hop: int
    fft: int
    weights: Vector
    lead: int  # zeros before the first sample
    pads_end: bool  # whether a last frame is filled up with zeros
    logarithmic: bool  # log10(10000 x + 1) of the energies, or the energies themselves

    @property
    def bands(self) -> int:
        return self.weights.shape[1]


def _musicnn() -> FrontEnd:
    n = np.arange(512)
    window = (0.5 - 0.5 * np.cos(2 * np.pi * n / 511)).astype(np.float32)  # symmetric, as Essentia's Windowing
    return FrontEnd("musicnn", window, 256, 512, filterbank(96, 512), lead=256, pads_end=True, logarithmic=True)


def _vibenet() -> FrontEnd:
    n = np.arange(640)
    window = (0.5 - 0.5 * np.cos(2 * np.pi * n / 640)).astype(np.float32)  # periodic, as librosa's
    return FrontEnd("vibenet", window, 320, 1024, filterbank(128, 1024), lead=0, pads_end=False, logarithmic=False)


FRONT_ENDS = {front_end.name: front_end for front_end in (_musicnn(), _vibenet())}
MUSICNN, VIBENET = FRONT_ENDS["musicnn"], FRONT_ENDS["vibenet"]


class MelStream:
    """Samples in, mel frames out.

    With MUSICNN, n samples give ceil(n / 256) + 1 frames, the first starting 256 samples before the sound; with
    VIBENET floor((n - 640) / 320) + 1.
    """

    def __init__(self, front_end: FrontEnd) -> None:
        self.front_end = front_end
        self.held: Vector = np.zeros(front_end.lead, np.float32)
        self.samples = 0

    def feed(self, samples: Vector) -> Frames:
        """The frames that are complete by now, in whole chunks. float32[frames, bands]."""
        self.samples += len(samples)
        self.held = np.concatenate([self.held, samples])
        return self._transform(self._complete() // CHUNK * CHUNK)

    def finish(self) -> Frames:
        """The remaining frames; the last one filled up with zeros where the front-end does so."""
        front = self.front_end
        if front.pads_end and self.samples:
            total = -(-self.samples // front.hop) + 1
            given = (front.lead + self.samples - len(self.held)) // front.hop
            missing = (total - given - 1) * front.hop + len(front.window) - len(self.held)
            self.held = np.concatenate([self.held, np.zeros(max(0, missing), np.float32)])
            return self._transform(total - given)
        return self._transform(self._complete())

    def _complete(self) -> int:
        size = len(self.front_end.window)
        return (len(self.held) - size) // self.front_end.hop + 1 if len(self.held) >= size else 0

    def _transform(self, count: int) -> Frames:
        front = self.front_end
        power = np.empty((count, front.bands), np.float32)
        if not count:
            return power
        frames = np.lib.stride_tricks.sliding_window_view(self.held, len(front.window))[:: front.hop]
        for start in range(0, count, CHUNK):
            stop = min(start + CHUNK, count)
            spectrum = np.fft.rfft(frames[start:stop] * front.window, front.fft)
            parts = spectrum.view(np.float32)
            np.multiply(parts, parts, out=parts)
            _multiply(parts[:, ::2] + parts[:, 1::2], front.weights, power[start:stop])
        self.held = self.held[count * front.hop :]
        if front.logarithmic:
            power *= 10000
            power += 1
            np.log10(power, out=power)
        return power


def _multiply(energies: Frames, weights: Vector, out: Frames) -> None:
    whole = len(energies) // SLICE * SLICE
    sliced = (-1, SLICE, weights.shape[0]), (-1, SLICE, weights.shape[1])
    np.matmul(energies[:whole].reshape(sliced[0]), weights, out=out[:whole].reshape(sliced[1]))
    np.matmul(energies[whole:], weights, out=out[whole:])
