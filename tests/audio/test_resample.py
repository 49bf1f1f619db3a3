"""The resampler: what Essentia's MonoLoader does, in a stream."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.signals import stereo, varied, write_wav

from nomarr.audio.decode import Sound
from nomarr.audio.resample import LinearResampler

REFERENCE = Path(__file__).parents[1] / "reference" / "essentia.npz"
RATES = (8000, 11025, 22050, 32000, 44100, 48000, 96000, 192000)


def resampled(rate: int, *blocks: np.ndarray) -> np.ndarray:
    resampler = LinearResampler(rate, 16000)
    return np.concatenate([*(resampler.feed(block) for block in blocks), resampler.finish()])


def by_the_formula(sound: np.ndarray, rate: int) -> np.ndarray:
    """Output j interpolates the input at j / r - 1, all in float64."""
    ratio = float(np.float32(16000) / np.float32(rate))
    at = np.arange(int(len(sound) * ratio) + 1) / ratio - 1
    return np.interp(at, np.arange(len(sound)), sound.astype(np.float64))


@pytest.mark.parametrize("rate", [44100, 48000])
def test_a_stereo_file_loads_as_essentias_monoloader_loads_it(rate, tmp_path):
    sound = np.concatenate(list(Sound(write_wav(tmp_path / "a.wav", stereo(rate), rate)).blocks()))
    with np.load(REFERENCE) as stored:
        assert len(sound) == stored[f"length_{rate}"]
        kept = np.concatenate([sound[:3000], sound[-3000:]])
        assert np.abs(kept - stored[f"loaded_{rate}"]).max() < 1e-5


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("samples", [1, 2, 3, 1000, 192001])
def test_n_samples_give_int_n_r_and_one_more(rate, samples):
    ratio = float(np.float32(16000) / np.float32(rate))
    assert len(resampled(rate, np.ones(samples, np.float32))) == int(samples * ratio) + 1


@pytest.mark.parametrize("rate", RATES)
def test_each_sample_is_a_linear_interpolation_one_input_late(rate):
    sound = varied(rate)[: 3 * rate]
    assert np.abs(resampled(rate, sound) - by_the_formula(sound, rate)).max() < 1e-5


@given(rate=st.sampled_from(RATES), cuts=st.lists(st.integers(0, 20000), max_size=20))
@settings(deadline=None, max_examples=30)
def test_the_result_does_not_depend_on_how_the_sound_is_cut(rate, cuts):
    sound = np.random.default_rng(1).uniform(-1, 1, 20000).astype(np.float32)
    assert np.abs(resampled(rate, *np.split(sound, sorted(cuts))) - resampled(rate, sound)).max() < 1e-6


@pytest.mark.parametrize("rate", [8000, 44100, 192000])
def test_single_samples_are_as_good_as_one_block(rate):
    sound = np.random.default_rng(2).uniform(-1, 1, 700).astype(np.float32)
    assert resampled(rate, *sound[:, None]) == pytest.approx(resampled(rate, sound), abs=1e-6)


def test_sixteen_kilohertz_pass_through():
    sound = varied()
    assert np.array_equal(resampled(16000, sound[:100], sound[100:]), sound)


def test_hours_do_not_drift():
    block = np.full(65536, 0.25, np.float32)
    resampler = LinearResampler(44100, 16000)
    made = sum(len(resampler.feed(block)) for _ in range(2500))  # an hour
    made += len(resampler.finish())
    assert made == int(2500 * 65536 * float(np.float32(16000) / np.float32(44100))) + 1


def test_no_sound_gives_nothing():
    assert len(resampled(44100)) == 0
    assert len(resampled(44100, np.empty(0, np.float32))) == 0
