"""ONNX sessions: threads, log level, and errors in our own words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nomarr.errors import ModelProblem


def open_session(model: Path | bytes, *, threads: int = 1) -> Any:
    """An onnxruntime.InferenceSession; raises ModelProblem where the model cannot be loaded."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Spinning wins nothing with one thread and steals the neighbour's core with more.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    name = str(model) if isinstance(model, Path) else "built model"
    try:
        return onnxruntime.InferenceSession(
            model if isinstance(model, bytes) else str(model), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime's own exceptions share no base class
        raise ModelProblem(f"{name}: not a model that can be loaded ({first_line(error)})") from error


def first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
