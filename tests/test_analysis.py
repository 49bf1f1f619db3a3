"""One file in, everything that can be heard out; in little memory, the same every time."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from tests.audio_files import encode
from tests.models import HEADS, SIZE, TAGS, make_models_dir, write_backbone, write_head
from tests.shared import real_models
from tests.signals import stereo, tone, whole, write_wav

import nomarr
from nomarr.analysis import Analysis, Models, analyze
from nomarr.audio.decode import Sound
from nomarr.audio.melspectrogram import MUSICNN, MelStream
from nomarr.errors import ModelProblem, SilentAudio, TooShort, UnreadableAudio, VanishedFile
from nomarr.inference.sessions import open_session


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_models_dir(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def models(models_dir: Path) -> Models:
    return Models(models_dir)


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty seconds that change, 25 patches."""
    return write_wav(tmp_path_factory.mktemp("song") / "song.wav", np.tile(stereo(44100), (10, 1)), 44100)


@pytest.fixture(scope="module")
def heard(models: Models, song: Path) -> Analysis:
    return models.analyze(song)


def plainly(models_dir: Path, song: Path) -> tuple[np.ndarray, np.ndarray]:
    """(activations, embeddings) of every patch of the song, patch by patch."""
    stream = MelStream(MUSICNN)
    mel = np.concatenate([*(stream.feed(block) for block in Sound(song).blocks()), stream.finish()])
    session = open_session(models_dir / "tiny" / "embeddings" / "tiny-1.onnx")
    rows = [session.run(["activations", "embeddings"], {"mel": mel[at : at + 187][None]}) for at in starts(len(mel))]
    return np.concatenate([row[0] for row in rows]), np.concatenate([row[1] for row in rows])


def starts(frames: int) -> range:
    return range(0, frames - 186, 93)


def trimmed_mean(matrix: np.ndarray) -> list[float]:
    cut = len(matrix) // 10
    return [sum(sorted(column)[cut : len(matrix) - cut]) / (len(matrix) - 2 * cut) for column in matrix.T.tolist()]


def test_an_analysis_has_all_fields_of_the_contract(heard, models, song):
    assert heard.path == song
    assert heard.duration_s == 40.0
    assert heard.patches == len(starts(2501))
    assert heard.suite == models.fingerprint
    assert set(heard.scores) == {*HEADS, "rock", "electronic", "female_vocalists", "hip_hop"}
    assert all(0 <= score <= 1 for score in heard.scores.values())
    assert {key: tuple(classes) for key, classes in heard.heads.items()} == {
        **{f"tiny:{head}": classes for head, classes in HEADS.items()},
        **{f"tiny:{name}": (tag,) for name, tag in zip(list(heard.scores)[-4:], TAGS, strict=True)},
    }
    assert heard.moods.strict == tuple(mood for mood in heard.moods.regular if mood in heard.moods.strict)
    assert set(heard.moods.regular) <= set(heard.moods.loose)


def test_the_classes_of_a_head_sum_to_about_one(heard):
    for head in HEADS:
        assert sum(heard.heads[f"tiny:{head}"].values()) == pytest.approx(1, abs=0.05)


def test_a_score_is_the_trimmed_mean_of_its_class_over_all_patches(heard, models_dir, song):
    activations, embeddings = plainly(models_dir, song)
    assert [heard.scores[name] for name in list(heard.scores)[-4:]] == pytest.approx(
        trimmed_mean(activations), abs=1e-5
    )
    for head, classes in HEADS.items():
        session = open_session(models_dir / "tiny" / "heads" / "softmax" / f"{head}-tiny-1.onnx")
        expected = dict(zip(classes, trimmed_mean(session.run(["y"], {"x": embeddings})[0]), strict=True))
        assert heard.heads[f"tiny:{head}"] == pytest.approx(expected, abs=1e-5)
    assert heard.scores["mood_sad"] == heard.heads["tiny:mood_sad"]["sad"]
    assert heard.scores["mood_happy"] == heard.heads["tiny:mood_happy"]["happy"]


def test_a_spread_is_the_standard_deviation_over_all_patches(heard, models_dir, song):
    activations, _ = plainly(models_dir, song)
    assert heard.packs[1].spreads == pytest.approx(activations.std(axis=0), abs=1e-5)


def test_the_embedding_of_a_track_is_kept_with_spread_patches(heard, models_dir, song):
    (embedding,) = heard.embeddings
    assert embedding.backbone == "tiny"
    assert embedding.mean.shape == (SIZE,)
    assert embedding.mean.dtype == np.float32
    assert embedding.patches.dtype == np.float16
    _, plain = plainly(models_dir, song)
    assert embedding.mean == pytest.approx(plain.mean(axis=0), abs=1e-4)
    assert embedding.patches.shape == (len(plain), SIZE)
    assert np.allclose(embedding.patches, plain, atol=0.01)
    assert heard.embedding is embedding.mean


def test_of_a_long_track_32_patches_are_kept(models, tmp_path):
    path = encode(tmp_path / "long.flac", source="anoisesrc=r=16000:d=120:seed=1:a=0.3")
    analysis = models.analyze(path)
    assert analysis.patches > 32
    assert analysis.embeddings[0].patches.shape == (32, SIZE)


def test_the_same_file_gives_the_same_scores_every_time(models, models_dir, heard, song):
    again = models.analyze(song)
    assert again.scores == heard.scores
    assert again.heads == heard.heads
    with Models(models_dir) as others:
        assert others.analyze(song).scores == heard.scores


def test_names_and_times_do_not_matter(models, heard, song, tmp_path):
    shutil.copy(song, tmp_path / "other name.wav")
    assert models.analyze(tmp_path / "other name.wav").scores == heard.scores


def test_two_folders_with_one_network_hear_the_same_as_one(models_dir, heard, song, tmp_path):
    shutil.copytree(models_dir / "tiny", tmp_path / "models" / "tiny")
    shutil.copytree(models_dir / "tiny", tmp_path / "models" / "twin")
    with Models(tmp_path / "models") as models:
        analysis = models.analyze(song)
    assert analysis.patches == heard.patches
    assert len(analysis.embeddings) == 1
    assert {name: analysis.scores[name] for name in heard.scores} == heard.scores
    assert analysis.scores["mood_sad_essentia_twin"] == heard.scores["mood_sad"]


def test_a_suite_may_hold_networks_with_different_patches(models_dir, heard, song, tmp_path):
    shutil.copytree(models_dir / "tiny", tmp_path / "tiny")
    write_backbone(tmp_path / "effnet", "effnet-1", ("jazz",), frames=128, algorithm="TensorflowPredictEffnetDiscogs")
    write_head(tmp_path / "effnet", "engagement", ("not_engaging", "engaging"), embeddings="effnet-1")
    with Models(tmp_path) as models:
        analysis = models.analyze(song)
    assert analysis.patches == len(range(0, 2501 - 127, 62))
    assert {name: analysis.scores[name] for name in heard.scores} == heard.scores
    assert set(analysis.scores) - set(heard.scores) == {"engagement", "jazz"}


def test_packs_can_be_chosen(models_dir, song):
    with Models(models_dir, packs=["essentia-tiny"]) as models:
        assert set(models.analyze(song).scores) == set(HEADS)
        assert models.analyze(song).embedding is not None


# Too little to hear, or nothing


@pytest.mark.parametrize("rate", [16000, 44100])
def test_half_a_second_is_too_short(rate, models, tmp_path):
    with pytest.raises(TooShort, match=r"only 0\.50 s of sound"):
        models.analyze(write_wav(tmp_path / "a.wav", whole(tone(rate=rate, seconds=0.5)), rate))


@pytest.mark.parametrize("seconds", [1.0, 1.2, 2.9])
def test_sound_shorter_than_a_patch_is_repeated(seconds, models, tmp_path):
    analysis = models.analyze(write_wav(tmp_path / "a.wav", whole(tone(seconds=seconds)), 44100))
    assert analysis.duration_s == pytest.approx(seconds, abs=0.001)
    assert analysis.patches == 1


def test_digital_silence_is_nothing_to_hear(models, tmp_path):
    with pytest.raises(SilentAudio, match="silent from start to end"):
        models.analyze(write_wav(tmp_path / "a.wav", np.zeros(44100 * 3, np.int16), 44100))


def test_one_soft_moment_is_something_to_hear(models, tmp_path):
    samples = np.zeros(44100 * 3, np.int16)
    samples[50000:50500] = whole(tone(seconds=1.0, peak=0.01))[:500]
    assert models.analyze(write_wav(tmp_path / "a.wav", samples, 44100)).patches == 1


def test_what_cannot_be_heard_is_refused_as_it_is_when_decoding(models, tmp_path):
    (tmp_path / "a.mp3").write_bytes(b"no music" * 100)
    with pytest.raises(UnreadableAudio):
        models.analyze(tmp_path / "a.mp3")
    with pytest.raises(VanishedFile):
        models.analyze(tmp_path / "b.mp3")


def test_after_a_file_that_failed_the_next_is_heard_as_ever(models, heard, song, tmp_path):
    content = song.read_bytes()
    (tmp_path / "cut.wav").write_bytes(content[: len(content) // 2])
    with pytest.raises(UnreadableAudio):
        models.analyze(tmp_path / "cut.wav")
    assert models.analyze(song).scores == heard.scores


def test_a_model_that_gives_what_is_no_number_is_named(models_dir, song, tmp_path):
    shutil.copytree(models_dir, tmp_path / "models")
    path = tmp_path / "models" / "tiny" / "heads" / "softmax" / "mood_sad-tiny-1.onnx"
    model = onnx.load(str(path))
    for weights in model.graph.initializer:
        weights.CopyFrom(
            onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weights) * np.float32("nan"), weights.name)
        )
    onnx.save(model, str(path))
    with Models(tmp_path / "models") as models, pytest.raises(ModelProblem, match="essentia-tiny"):
        models.analyze(song)


# The package


def test_the_public_function_takes_open_models(models, heard, song):
    assert nomarr.analyze(song, models).scores == heard.scores
    assert nomarr.analyze is analyze


def test_the_public_function_opens_the_models_that_the_settings_name(models_dir, heard, song, monkeypatch):
    monkeypatch.setenv("NOMARR_MODELS_DIR", str(models_dir))
    assert nomarr.analyze(str(song)).scores == heard.scores


def test_importing_nomarr_is_light():
    code = "import sys, nomarr; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "nomarr" in loaded
    assert not {"numpy", "onnx", "onnxruntime", "av", "fastapi", "sqlalchemy", "pydantic", "mutagen"} & set(loaded)


# Memory


def peak_mb(models_dir: Path, *paths: Path) -> list[int]:
    """The peak resident memory of a process of its own after each of the files."""
    code = r"""
import re, sys
from nomarr.analysis import Models
with Models(sys.argv[1]) as models:
    for path in sys.argv[2:]:
        models.analyze(path)
        # not getrusage's ru_maxrss, which begins with what the parent process had
        print(int(re.search(r"VmHWM:\s+(\d+) kB", open("/proc/self/status").read())[1]) // 1024)
"""
    command = [sys.executable, "-c", code, str(models_dir), *map(str, paths)]
    return [int(line) for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()]


def test_memory_does_not_grow_over_many_files(models_dir, tmp_path):
    path = encode(tmp_path / "a.flac", source="anoisesrc=r=44100:d=20:seed=1:a=0.3")
    peaks = peak_mb(models_dir, *[path] * 30)
    assert peaks[-1] - peaks[5] < 10


def test_memory_does_not_grow_with_the_length_of_a_file(models_dir, tmp_path):
    short = encode(tmp_path / "short.flac", source="anoisesrc=r=16000:d=60:seed=1:a=0.3")
    long = encode(tmp_path / "long.flac", source="anoisesrc=r=16000:d=3600:seed=1:a=0.3")
    peaks = peak_mb(models_dir, short, long)
    assert peaks[1] - peaks[0] < 40


@pytest.mark.shared
def test_three_hours_are_heard_by_the_real_models_in_less_than_400_mb(tmp_path):
    path = encode(tmp_path / "long.flac", source="anoisesrc=r=16000:d=10800:seed=1:a=0.3")
    assert peak_mb(real_models(), path)[0] < 400
