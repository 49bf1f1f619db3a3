"""Sounds that are the same on every machine: made by arithmetic and one seeded generator."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.float32]


def tone(frequency: float = 440.0, *, rate: int = 44100, seconds: float = 4.0, peak: float = 0.5) -> Sound:
    return (peak * np.sin(2 * np.pi * frequency * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


def varied(rate: int = 16000) -> Sound:
    """Four seconds: a chirp over all frequencies, noise, silence, and a full-scale mixture. float32[4 rate]."""
    rng = np.random.default_rng(20)
    t = np.arange(rate) / rate
    chirp = 0.5 * np.sin(2 * np.pi * (30 * t + (rate / 2 - 30) * t * t / 2))
    noise = 0.1 * rng.standard_normal(rate)
    loud = np.clip(np.sin(2 * np.pi * 110 * t) + 0.7 * np.sin(2 * np.pi * 3520 * t) + 0.2 * noise, -1, 1)
    return np.concatenate([chirp, noise, np.zeros(rate), loud]).astype(np.float32)


def stereo(rate: int) -> NDArray[np.int16]:
    """Four seconds of 16-bit stereo whose sides differ. int16[4 rate, 2]."""
    left = varied(rate)
    right = 0.5 * np.roll(left, rate // 3)
    return np.round(np.stack([left, right], axis=1) * 32767).astype(np.int16)


def write_wav(path: Path, samples: NDArray[np.int16], rate: int) -> Path:
    """`samples` int16[n] or int16[n, channels]."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return path


def whole(sound: Sound) -> NDArray[np.int16]:
    """Full scale 1 as 16-bit integers."""
    return np.round(sound * 32767).astype(np.int16)
