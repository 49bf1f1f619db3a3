"""A GPU is used where there is one, gives the same scores, and is never missed."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from nomarr.analysis import Models
from nomarr.errors import ModelProblem
from nomarr.inference import sessions
from nomarr.inference.sessions import CUDA, Session, has_gpu
from shared import real_models

TINY = Path("tiny", "embeddings", "tiny-1.onnx")
OUTPUTS = ["activations", "embeddings"]


@pytest.fixture(scope="module")
def patches() -> dict[str, np.ndarray]:
    return {"mel": np.random.default_rng(1).random((5, 187, 96), np.float32)}


@pytest.fixture(scope="module")
def track(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ninety seconds of changing noise; made without ffmpeg, which a machine with a GPU may lack."""
    path = tmp_path_factory.mktemp("sound") / "track.wav"
    samples = np.random.default_rng(2).normal(0, 3000, 90 * 22050) * (1 + np.sin(np.arange(90 * 22050) / 30000))
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 22050, 0, "NONE", "not compressed"))
        file.writeframes(samples.astype("<i2").tobytes())
    return path


@pytest.fixture
def gpu() -> None:
    import onnxruntime

    if CUDA not in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime knows no GPU")
    if not Path("/dev/nvidiactl").exists():
        pytest.skip("there is no NVIDIA GPU")


def test_nobody_is_told_that_something_is_listened_to(small_models: Path, tmp_path: Path) -> None:
    """onnxruntime would begin with a database of what to send, in the home folder."""
    code = "import pathlib, sys; from nomarr.inference.sessions import Session; Session(pathlib.Path(sys.argv[1]))"
    inherited = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    subprocess.run([sys.executable, "-c", code, small_models / TINY], env=inherited | home, check=True)
    assert list(tmp_path.iterdir()) == []


def test_the_cpu_does_it_where_there_is_no_gpu(
    small_models: Path,
    patches: dict[str, np.ndarray],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    monkeypatch.setattr(sessions, "_is_installed", lambda _: False)
    has_gpu.cache_clear()
    model = small_models / TINY
    expected = Session(model).run(OUTPUTS, patches)
    with caplog.at_level(logging.WARNING):
        for device, says in (("auto", 0), ("cuda", 1)):
            session = Session(model, device=device)
            assert not session.is_on_gpu
            assert all(np.array_equal(a, b) for a, b in zip(session.run(OUTPUTS, patches), expected, strict=True))
            assert len(caplog.messages) == says
    assert "listening on the CPU instead" in caplog.text
    has_gpu.cache_clear()


def test_two_onnxruntimes_on_top_of_one_another_are_spoken_of(
    small_models: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    monkeypatch.setattr(sessions, "_is_installed", lambda name: name == "onnxruntime-gpu")
    has_gpu.cache_clear()
    Session(small_models / TINY, device="auto")
    assert "pip uninstall -y onnxruntime" in caplog.text
    has_gpu.cache_clear()


@pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="the GPU here does load")
def test_a_gpu_that_does_not_load_costs_nothing_but_a_word(
    small_models: Path,
    patches: dict[str, np.ndarray],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As without a driver: the provider is asked for, and then left out of the session.
    monkeypatch.setattr(sessions, "has_gpu", lambda _: True)
    with pytest.MonkeyPatch.context() as quiet:
        quiet.setattr("warnings.warn", lambda *_, **__: None)  # onnxruntime says it, too
        session = Session(small_models / TINY, device="cuda")
    assert not session.is_on_gpu
    assert "GPU cannot be used" in caplog.text
    assert np.isfinite(session.run(OUTPUTS, patches)[0]).all()


def test_a_gpu_that_fails_in_the_middle_is_given_up(
    small_models: Path, patches: dict[str, np.ndarray], caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def run(self, *_: object) -> None:
            raise RuntimeError("CUDA failure 2: out of memory")

    session = Session(small_models / TINY)
    expected = session.run(OUTPUTS, patches)
    session.is_on_gpu, session._session = True, Broken()
    assert np.array_equal(session.run(OUTPUTS, patches)[0], expected[0])
    assert not session.is_on_gpu
    assert "the GPU failed (CUDA failure 2: out of memory)" in caplog.text


def test_what_is_no_model_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"no model")
    with pytest.raises(ModelProblem, match=r"x\.onnx: not a model"):
        Session(tmp_path / "x.onnx")


def test_patches_at_once_do_not_change_what_is_heard(small_models: Path, track: Path) -> None:
    with Models(small_models, device="cpu") as few, Models(small_models, device="cpu") as many:
        for network in many.networks.values():
            network.session.is_on_gpu = True  # cut as for a GPU
        assert many.analyze(track).scores == pytest.approx(few.analyze(track).scores, abs=1e-6)


@pytest.mark.gpu
@pytest.mark.usefixtures("gpu")
def test_a_gpu_gives_the_scores_of_the_cpu(small_models: Path, track: Path) -> None:
    with Models(small_models, device="cpu") as on_cpu, Models(small_models, device="cuda") as on_gpu:
        assert all(network.session.is_on_gpu for network in on_gpu.networks.values())
        assert on_gpu.analyze(track).scores == pytest.approx(on_cpu.analyze(track).scores, abs=1e-3)


@pytest.mark.gpu
@pytest.mark.shared
@pytest.mark.usefixtures("gpu")
def test_a_gpu_gives_the_scores_of_the_cpu_with_the_real_models(track: Path) -> None:
    with Models(real_models(), device="cpu") as on_cpu, Models(real_models(), device="auto") as on_gpu:
        assert all(network.session.is_on_gpu for network in on_gpu.networks.values())
        one, other = on_cpu.analyze(track), on_gpu.analyze(track)
    assert other.suite == one.suite
    assert other.scores == pytest.approx(one.scores, abs=1e-3)
