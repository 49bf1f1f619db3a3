"""Computes essentia.npz: what Essentia makes of the sounds in tests/signals.py.

Run it with an interpreter that has essentia (pip install essentia); the tests need only the stored arrays:

    python tests/reference/make_essentia.py

* `mel`: every fourth frame of TensorflowInputMusiCNN over `varied()`, cut by FrameCutter as TensorflowPredictMusiCNN
  sets it up; `frames` is how many there were.
* `loaded_<rate>`: MonoLoader(sampleRate=16000, resampleQuality=4) on a WAV of `stereo(rate)`, the first and the last
  3000 samples; `length_<rate>` is how many there were.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import essentia.standard as essentia
import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from tests.signals import stereo, varied, write_wav  # noqa: E402 - found by the line above

KEPT = 3000


def mel_frames() -> np.ndarray:
    cut = essentia.FrameCutter(frameSize=512, hopSize=256)
    bands = essentia.TensorflowInputMusiCNN()
    sound, frames = varied(), []
    while len(frame := cut(sound)):
        frames.append(bands(frame))
    return np.array(frames, np.float32)


def loaded(rate: int, folder: Path) -> np.ndarray:
    path = write_wav(folder / f"{rate}.wav", stereo(rate), rate)
    return essentia.MonoLoader(filename=str(path), sampleRate=16000, resampleQuality=4)()


def main() -> None:
    mel = mel_frames()
    arrays = {"mel": mel[::4], "frames": len(mel)}
    with tempfile.TemporaryDirectory() as folder:
        for rate in (44100, 48000):
            sound = loaded(rate, Path(folder))
            arrays[f"loaded_{rate}"] = np.concatenate([sound[:KEPT], sound[-KEPT:]])
            arrays[f"length_{rate}"] = len(sound)
    np.savez_compressed(HERE / "essentia.npz", **arrays)


if __name__ == "__main__":
    main()
