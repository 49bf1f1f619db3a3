"""ONNX sessions: on a GPU where there is one, threads, log level, and errors in our own words."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from nomarr.errors import ModelProblem
from nomarr.settings import Device

log = logging.getLogger(__name__)

# Otherwise onnxruntime tells its maker about this machine, and keeps a database for that in the home folder. It looks
# when it is imported, which only this module does.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
CUDA_OPTIONS = {
    # Every new number of patches is a new shape; trying all algorithms on each would take longer than listening.
    "cudnn_conv_algo_search": "HEURISTIC",
    "use_tf32": "0",  # ten bits of mantissa would move scores in the third decimal
    "arena_extend_strategy": "kSameAsRequested",  # several workers share the card
}
MIXED_UP = (
    "onnxruntime-gpu is installed, but the plain onnxruntime lies over it, so the GPU is not used; mend it with: "
    "pip uninstall -y onnxruntime && pip install --force-reinstall --no-deps onnxruntime-gpu"
)


class Session:
    """A model ready to run. What a GPU fails at is done on the CPU from then on."""

    def __init__(self, model: Path | bytes, *, threads: int = 1, device: Device = "cpu") -> None:
        self._model, self._threads = model, threads
        self.is_on_gpu = device != "cpu" and has_gpu(device)
        self._session = open_session(model, threads=threads, on_gpu=self.is_on_gpu)
        if self.is_on_gpu and CUDA not in self._session.get_providers():
            log.warning(
                "the GPU cannot be used (its driver, CUDA or cuDNN does not load); listening on the CPU instead"
            )
            self.is_on_gpu = False

    def run(self, outputs: Sequence[str], inputs: Mapping[str, Any]) -> list[Any]:
        """The outputs of these names; raises ModelProblem where the CPU fails as well."""
        if self.is_on_gpu:
            try:
                return self._session.run(outputs, inputs)
            except Exception as error:  # noqa: BLE001 (onnxruntime's own exceptions share no base class)
                log.warning("the GPU failed (%s); listening on the CPU instead", first_line(error))
                self.is_on_gpu = False
                self._session = open_session(self._model, threads=self._threads)
        return self._session.run(outputs, inputs)


@cache
def has_gpu(device: Device) -> bool:
    """Whether onnxruntime may use a GPU here; says once why not, where somebody asked for one."""
    import onnxruntime

    if CUDA in onnxruntime.get_available_providers():
        if hasattr(onnxruntime, "preload_dlls"):  # finds CUDA and cuDNN where pip put them
            onnxruntime.preload_dlls()
        return True
    if _is_installed("onnxruntime-gpu"):
        log.warning(MIXED_UP)
    elif device == "cuda":
        log.warning("this onnxruntime knows no GPU (pip install nomarr[gpu]); listening on the CPU instead")
    return False


def first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def open_session(model: Path | bytes, *, threads: int = 1, on_gpu: bool = False) -> Any:
    """An onnxruntime.InferenceSession; raises ModelProblem where the model cannot be loaded."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Spinning wins nothing with one thread and steals the neighbour's core with more.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    name = str(model) if isinstance(model, Path) else "built model"
    providers: list[Any] = [(CUDA, CUDA_OPTIONS), CPU] if on_gpu else [CPU]
    try:
        return onnxruntime.InferenceSession(
            model if isinstance(model, bytes) else str(model), options, providers=providers
        )
    except Exception as error:  # onnxruntime's own exceptions share no base class
        if on_gpu:
            log.warning("the GPU cannot be used (%s)", first_line(error))
            return open_session(model, threads=threads)
        raise ModelProblem(f"{name}: not a model that can be loaded ({first_line(error)})") from error


def _is_installed(distribution: str) -> bool:
    try:
        metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True
