"""Mel frames: against Essentia's own, against librosa's definition, and however the sound is cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.signals import varied

from nomarr.audio.melspectrogram import MUSICNN, VIBENET, FrontEnd, MelStream

REFERENCE = Path(__file__).parents[1] / "reference" / "essentia.npz"


def frames_of(front_end: FrontEnd, *blocks: np.ndarray) -> np.ndarray:
    stream = MelStream(front_end)
    return np.concatenate([*(stream.feed(block) for block in blocks), stream.finish()])


def test_musicnn_frames_are_essentias():
    with np.load(REFERENCE) as stored:
        frames = frames_of(MUSICNN, varied())
        assert len(frames) == stored["frames"]
        assert np.abs(frames[::4] - stored["mel"]).max() < 1e-3


def test_vibenet_frames_follow_librosas_definition():
    sound = varied()
    assert np.allclose(frames_of(VIBENET, sound), librosa_power_mel(sound), rtol=1e-3, atol=1e-6)


def librosa_power_mel(sound: np.ndarray) -> np.ndarray:
    """librosa.feature.melspectrogram(sr=16000, n_fft=1024, win_length=640 cut at 0, hop_length=320, n_mels=128,
    center=False), each step written out in float64."""
    window = np.hanning(641)[:640]
    spectra = [np.fft.rfft(sound[at : at + 640] * window, 1024) for at in range(0, len(sound) - 639, 320)]
    power = np.abs(np.array(spectra)) ** 2
    edges = [_slaney_hz(mel) for mel in np.linspace(0, 15 + 27 * np.log(8) / np.log(6.4), 130)]
    bins = np.arange(513) * 16000 / 1024
    bands = [np.interp(bins, edges[i : i + 3], [0, 2 / (edges[i + 2] - edges[i]), 0]) for i in range(128)]
    return power @ np.array(bands).T


def _slaney_hz(mel: float) -> float:
    return mel * 200 / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)


@pytest.mark.parametrize("samples", [1, 255, 256, 257, 511, 512, 513, 16000, 47361])
def test_musicnn_gives_a_frame_every_256_samples_and_one_more(samples):
    assert frames_of(MUSICNN, np.ones(samples, np.float32)).shape == (-(-samples // 256) + 1, 96)


@pytest.mark.parametrize(("samples", "frames"), [(1, 0), (639, 0), (640, 1), (959, 1), (960, 2), (16000, 49)])
def test_vibenet_gives_complete_frames_only(samples, frames):
    assert frames_of(VIBENET, np.ones(samples, np.float32)).shape == (frames, 128)


def test_sound_of_47361_samples_just_fills_a_patch_of_187_frames():
    assert len(frames_of(MUSICNN, np.ones(47360, np.float32))) == 186
    assert len(frames_of(MUSICNN, np.ones(47361, np.float32))) == 187


def test_silence_gives_exact_zeros():
    assert not frames_of(MUSICNN, np.zeros(5000, np.float32)).any()


def test_no_sound_gives_no_frames():
    assert frames_of(MUSICNN).shape == (0, 96)
    assert frames_of(VIBENET).shape == (0, 128)


@pytest.mark.parametrize("front_end", [MUSICNN, VIBENET], ids=lambda front_end: front_end.name)
@given(cuts=st.lists(st.integers(0, 64000), max_size=12))
@settings(deadline=None, max_examples=30)
def test_frames_do_not_depend_on_how_the_sound_is_cut(front_end, cuts):
    sound = varied()
    blocks = np.split(sound, sorted(cuts))
    assert np.allclose(frames_of(front_end, *blocks), frames_of(front_end, sound), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("front_end", [MUSICNN, VIBENET], ids=lambda front_end: front_end.name)
def test_what_was_fed_is_left_as_it_was(front_end):
    sound = varied()
    before = sound.copy()
    frames_of(front_end, sound)
    assert np.array_equal(sound, before)
