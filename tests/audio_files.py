"""Audio files of every kind ffmpeg writes, made once and kept for the session; and a few it does not write."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import numpy as np

SIDES = (0.5, 0.25)  # peaks of the left (440 Hz) and the right (660 Hz) tone
SECONDS = 6.0

# kind: ending, ffmpeg's arguments
KINDS: dict[str, tuple[str, list[str]]] = {
    "wav16": ("wav", ["-c:a", "pcm_s16le"]),
    "wav24": ("wav", ["-c:a", "pcm_s24le"]),
    "wavf32": ("wav", ["-c:a", "pcm_f32le"]),
    "aiff": ("aiff", ["-c:a", "pcm_s16be"]),
    "au": ("au", ["-c:a", "pcm_s16be"]),
    "caf": ("caf", ["-c:a", "pcm_s16be"]),
    "flac": ("flac", ["-c:a", "flac"]),
    "alac": ("m4a", ["-c:a", "alac"]),
    "wv": ("wv", ["-c:a", "wavpack", "-sample_fmt", "s16p"]),
    "tta": ("tta", ["-c:a", "tta", "-sample_fmt", "s16"]),
    "mp3_cbr": ("mp3", ["-c:a", "libmp3lame", "-b:a", "192k"]),
    "mp3_vbr": ("mp3", ["-c:a", "libmp3lame", "-q:a", "2"]),
    "mp3_without_xing": ("mp3", ["-c:a", "libmp3lame", "-q:a", "2", "-write_xing", "0"]),
    "m4a": ("m4a", ["-c:a", "aac", "-b:a", "192k"]),
    "m4a_faststart": ("m4a", ["-c:a", "aac", "-b:a", "192k", "-movflags", "+faststart"]),
    "aac": ("aac", ["-c:a", "aac", "-b:a", "192k"]),
    "ogg": ("ogg", ["-c:a", "libvorbis", "-q:a", "6"]),
    "opus": ("opus", ["-c:a", "libopus", "-b:a", "160k"]),
    "oggflac": ("oga", ["-c:a", "flac"]),
    "mka": ("mka", ["-c:a", "libvorbis", "-q:a", "6"]),
    "webm": ("webm", ["-c:a", "libopus", "-b:a", "160k"]),
    "wma": ("wma", ["-c:a", "wmav2", "-b:a", "192k"]),
    "ac3": ("ac3", ["-c:a", "ac3", "-b:a", "384k"]),
    "mp2": ("mp2", ["-c:a", "mp2", "-b:a", "256k"]),
    "speex": ("spx", ["-c:a", "libspeex", "-ac", "1", "-ar", "32000", "-q:a", "10"]),
}


def tones(channels: str = "0.5*sin(2*PI*440*t)|0.25*sin(2*PI*660*t)", *, rate: int = 44100, s: float = SECONDS) -> str:
    """The source for ffmpeg -f lavfi."""
    return f"aevalsrc=exprs={channels}:s={rate}:d={s}"


def encode(path: Path, *arguments: str, source: str | None = None) -> Path:
    command = ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", source or tones(), *arguments, str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path


class AudioFiles:
    """`files["flac"]` is the path of such a file: six seconds, 440 Hz on the left, 660 Hz more softly on the right."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __getitem__(self, kind: str) -> Path:
        ending, arguments = KINDS[kind]
        path = self.folder / f"{kind}.{ending}"
        return path if path.exists() else encode(path, *arguments)

    def content(self, kind: str) -> bytes:
        return self[kind].read_bytes()


def wav_bytes(
    data: bytes,
    *,
    rate: int = 44100,
    channels: int = 1,
    bits: int = 16,
    kind: int = 1,
    declared: int | None = None,
) -> bytes:
    """A WAV of any header; `kind` 1 holds integers, 3 floats, `declared` is the size it says its data has."""
    declared = len(data) if declared is None else declared
    layout = struct.pack("<HHIIHH", kind, channels, rate, rate * channels * bits // 8, channels * bits // 8, bits)
    header = b"WAVEfmt " + struct.pack("<I", len(layout)) + layout + b"data" + struct.pack("<I", declared)
    return b"RIFF" + struct.pack("<I", min(len(header) + declared, 0xFFFFFFFF)) + header + data


def float_wav(samples: np.ndarray, *, rate: int = 44100) -> bytes:
    return wav_bytes(samples.astype("<f4").tobytes(), rate=rate, bits=32, kind=3)


def dsf_bytes(seconds: float, level: float) -> bytes:
    """DSD64, mono: one-bit sound at 2.8 MHz of a 440 Hz tone, in the one block layout the format has."""
    rate, block = 2822400, 4096
    count = round(rate * seconds) // (8 * block) * 8 * block
    wanted = level * np.sin(2 * np.pi * 440 * np.arange(count) / rate)
    # First-order sigma-delta: a bit is set whenever the running sum of the signal passes another whole number.
    steps = np.floor(np.cumsum((wanted + 1) / 2))
    bits = np.diff(steps, prepend=0.0).astype(np.uint8)
    data = np.packbits(bits, bitorder="little").tobytes()
    layout = struct.pack("<IIIIIIQII", 1, 0, 1, 1, rate, 1, count, block, 0)
    chunk = b"fmt " + struct.pack("<Q", 12 + len(layout)) + layout
    sound = b"data" + struct.pack("<Q", 12 + len(data)) + data
    return b"DSD " + struct.pack("<QQQ", 28, 28 + len(chunk) + len(sound), 0) + chunk + sound


def dff_bytes(sound: bytes) -> bytes:
    """DSD64, stereo, as DSDIFF."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return name + struct.pack(">Q", len(body)) + body

    facts = b"SND " + chunk(b"FS  ", struct.pack(">I", 2822400))
    facts += chunk(b"CHNL", struct.pack(">H", 2) + b"SLFTSRGT") + chunk(b"CMPR", b"DSD \x0enot compressed\0")
    body = b"DSD " + chunk(b"FVER", struct.pack(">I", 0x01050000)) + chunk(b"PROP", facts)
    return chunk(b"FRM8", body + chunk(b"DSD ", sound))
