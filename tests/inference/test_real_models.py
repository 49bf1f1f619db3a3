"""The real models: our lean graphs and packs against what Essentia's own files compute."""

from __future__ import annotations

import json
import zipfile
from functools import cache

import numpy as np
import onnx
import pytest
from tests.shared import HEADS, essentia_models, real_models, wheel
from tests.signals import stereo, write_wav

from nomarr.analysis import Models
from nomarr.audio.decode import Sound
from nomarr.audio.melspectrogram import MUSICNN, MelStream
from nomarr.inference.musicnn import track_graph, weights_from_checkpoint, weights_from_essentia
from nomarr.inference.packs import MODEL, MSD_DEAD_BELOW, verify
from nomarr.inference.scoring import pooled
from nomarr.inference.sessions import open_session

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def song(tmp_path_factory):
    """Twenty seconds that change."""
    return write_wav(tmp_path_factory.mktemp("song") / "a.wav", np.tile(stereo(44100), (5, 1)), 44100)


@pytest.fixture(scope="module")
def mel(song):
    stream = MelStream(MUSICNN)
    return np.concatenate([*(stream.feed(block) for block in Sound(song).blocks()), stream.finish()])


@cache
def original():
    return open_session(essentia_models() / "embeddings" / "msd-musicnn-1.onnx")


def originally(mel, starts):
    """(activations, embeddings) of Essentia's own network."""
    patches = np.stack([mel[start : start + 187] for start in starts])
    return original().run(["activations", "embeddings"], {"melspectrogram": patches})


@pytest.mark.parametrize("starts", [range(0, 1000, 93), [0, 1, 2, 50, 333, 1000]], ids=["regular", "irregular"])
def test_the_lean_msd_network_gives_essentias_numbers(mel, starts):
    session = open_session(real_models() / "packs" / "musicnn" / MODEL)
    inputs = {"melspectrogram": mel, "starts": np.array(starts, np.int64)}
    for lean, full in zip(session.run(["activations", "embeddings"], inputs), originally(mel, starts), strict=True):
        assert np.abs(lean - full).max() < 1e-4


def test_the_wheel_holds_the_same_weights_as_essentias_file_bit_for_bit():
    with zipfile.ZipFile(wheel("musicnn")) as archive:
        folder = "musicnn/MSD_musicnn"
        ours = weights_from_checkpoint(archive.read(f"{folder}/.index"), archive.read(f"{folder}/.data-00000-of-00001"))
    theirs = weights_from_essentia(onnx.load(essentia_models() / "embeddings" / "msd-musicnn-1.onnx"))
    shared = set(ours) & set(theirs)
    assert len(shared) == 56
    assert {name.rsplit("/")[0] for name in set(theirs) - shared} == {"batch_normalization_9", "batch_normalization_10"}
    assert all(np.array_equal(ours[name], theirs[name]) for name in shared)


def test_both_sources_of_the_weights_give_the_same_graph(mel):
    """Essentia's file has two batch normalisations folded, so that these may differ by rounding."""
    theirs = weights_from_essentia(onnx.load(essentia_models() / "embeddings" / "msd-musicnn-1.onnx"))
    graph = track_graph(theirs, dead_below=MSD_DEAD_BELOW).SerializeToString()
    inputs = {"melspectrogram": mel, "starts": np.array([0, 93, 500], np.int64)}
    installed = open_session(real_models() / "packs" / "musicnn" / MODEL)
    for a, b in zip(open_session(graph).run(None, inputs), installed.run(None, inputs), strict=True):
        assert np.abs(a - b).max() < 1e-4


def test_the_lean_graph_is_a_third_of_the_original():
    lean = (real_models() / "packs" / "musicnn" / MODEL).stat().st_size
    assert lean < (essentia_models() / "embeddings" / "msd-musicnn-1.onnx").stat().st_size / 3


def test_the_nine_heads_give_what_onnxruntime_gives_on_the_same_embeddings(song, mel):
    with Models(real_models()) as models:
        assert models.suite.problems == ()
        analysis = models.analyze(song)
    starts = range(0, len(mel) - 186, 93)
    assert analysis.patches == len(starts)
    embeddings = originally(mel, starts)[1]
    for head in HEADS:
        path = essentia_models() / "heads" / "softmax" / f"{head}-msd-musicnn-1.onnx"
        expected = pooled(open_session(path).run(["activations"], {"embeddings": embeddings})[0])
        found = analysis.heads[f"musicnn:{head}"]
        assert list(found) == json.loads(path.with_suffix(".json").read_text())["classes"]
        assert np.abs(np.array(list(found.values())) - expected).max() < 1e-4


@pytest.mark.parametrize(
    ("head", "class_"),
    [
        ("danceability", "danceable"),
        ("gender", "female"),
        ("mood_aggressive", "aggressive"),
        ("mood_happy", "happy"),
        ("mood_party", "party"),
        ("mood_relaxed", "relaxed"),
        ("mood_sad", "sad"),
        ("tonal_atonal", "tonal"),
        ("voice_instrumental", "voice"),
    ],
)
def test_the_score_of_each_head_is_that_of_its_affirmed_class(song, head, class_):
    with Models(real_models(), packs=["essentia-musicnn"]) as models:
        analysis = models.analyze(song)
    assert analysis.scores[head] == analysis.heads[f"musicnn:{head}"][class_]


def test_essentias_network_alone_serves_without_the_pack(song, tmp_path):
    (tmp_path / "musicnn").symlink_to(essentia_models())
    with Models(tmp_path) as alone, Models(real_models(), packs=["musicnn", "essentia-musicnn"]) as both:
        assert alone.suite.problems == ()
        ours, theirs = alone.analyze(song), both.analyze(song)
    assert ours.scores == pytest.approx(theirs.scores, abs=1e-4)


def test_vibenet_hears_seven_attributes(song):
    with Models(real_models(), packs=["vibenet"]) as models:
        analysis = models.analyze(song)
    assert set(analysis.scores) == {
        "acousticness", "danceability", "energy", "instrumentalness", "liveness", "speechiness", "valence",
    }  # fmt: skip
    assert all(0 <= score <= 1 for score in analysis.scores.values())
    assert analysis.patches == 1


def test_freshly_installed_packs_are_in_order():
    assert verify(real_models()) == [("musicnn", None), ("vibenet", None)]
