"""Small models that run in well under a millisecond a patch, laid out as Essentia's are.

`make_models_dir(path)` writes a models folder that every test may use as NOMARR_MODELS_DIR: one backbone ("tiny", four
tags, an embedding of 16) and five heads. The weights come from fixed seeds: the same bytes, the same fingerprint and
the same scores wherever it is called. The parts serve tests that need another folder, or a broken one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

BACKBONE = "tiny"
EMBEDDINGS = "tiny-1"  # what the heads' metadata calls the backbone
SIZE = 16
TAGS = ("rock", "electronic", "female vocalists", "Hip-Hop")
# name: classes in column order; the affirmed one is first in some and last in others, as in Essentia's own heads
HEADS = {
    "danceability": ("danceable", "not_danceable"),
    "mood_happy": ("happy", "non_happy"),
    "mood_relaxed": ("non_relaxed", "relaxed"),
    "mood_sad": ("non_sad", "sad"),
    "voice_instrumental": ("instrumental", "voice"),
}


def make_models_dir(path: Path) -> Path:
    """Writes the folder, and gives it back."""
    write_backbone(path / BACKBONE)
    for name, classes in HEADS.items():
        write_head(path / BACKBONE, name, classes)
    return path


def write_backbone(
    folder: Path,
    name: str = EMBEDDINGS,
    tags: Sequence[str] = TAGS,
    *,
    size: int = SIZE,
    frames: int = 187,
    algorithm: str = "TensorflowPredictMusiCNN",
) -> Path:
    """<folder>/embeddings/<name>.onnx and .json; a linear embedding of the mean frame, a linear layer of tags."""
    rng = np.random.default_rng(_seed(name))
    towards = rng.normal(0, 0.06, (96, size))
    constants = {
        "towards": towards,
        "offset": -1.5 * towards.sum(axis=0),  # music's mean frame lies about 1.5: centred, scores spread over 0..1
        "tag_weights": rng.normal(0, 0.5, (size, len(tags))),
    }
    nodes = [
        helper.make_node("ReduceMean", ["mel"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("Gemm", ["mean", "towards", "offset"], ["embeddings"]),
        helper.make_node("MatMul", ["embeddings", "tag_weights"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["activations"]),
    ]
    outputs = {"activations": len(tags), "embeddings": size}
    path = folder / "embeddings" / f"{name}.onnx"
    _write(path, _model(nodes, {"mel": ["n", frames, 96]}, outputs, constants))
    write_json(
        path.with_suffix(".json"),
        {
            "name": name,
            "classes": list(tags),
            "schema": {
                "outputs": [
                    {"name": "activations", "shape": [1, len(tags)], "output_purpose": "predictions"},
                    {"name": "embeddings", "shape": [1, size], "output_purpose": "embeddings"},
                ]
            },
            "inference": {"sample_rate": 16000, "algorithm": algorithm},
        },
    )
    return path


def write_head(
    folder: Path,
    name: str,
    classes: Sequence[str],
    *,
    embeddings: str = EMBEDDINGS,
    size: int = SIZE,
    columns: int | None = None,
    kind: str = "softmax",
) -> Path:
    """<folder>/heads/<kind>/<name>-<embeddings>.onnx and .json: a linear layer and a softmax.

    `columns` is how many outputs the network really has, where that is not the number of its classes.
    """
    rng = np.random.default_rng(_seed(name))
    columns = columns or len(classes)
    nodes = [
        helper.make_node("Gemm", ["x", "weights", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["y"], axis=-1),
    ]
    constants = {"weights": rng.normal(0, 0.4, (size, columns)), "bias": rng.normal(0, 0.3, columns)}
    path = folder / "heads" / kind / f"{name}-{embeddings}.onnx"
    _write(path, _model(nodes, {"x": ["n", size]}, {"y": columns}, constants))
    write_json(
        path.with_suffix(".json"),
        {
            "name": name.replace("_", " "),
            "classes": list(classes),
            # the name of the TensorFlow file's output, as in Essentia's metadata: it says nothing about the ONNX file
            "schema": {
                "outputs": [{"name": "model/Softmax", "shape": [len(classes)], "output_purpose": "predictions"}]
            },
            "inference": {"embedding_model": {"algorithm": "TensorflowPredictMusiCNN", "model_name": embeddings}},
        },
    )
    return path


def write_json(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _seed(name: str) -> list[int]:
    return list(name.encode())


def _model(
    nodes: list[onnx.NodeProto], inputs: dict[str, list[Any]], outputs: dict[str, int], constants: dict[str, Any]
) -> bytes:
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "tiny",
        [value(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [value(name, TensorProto.FLOAT, ["n", width]) for name, width in outputs.items()],
        [numpy_helper.from_array(np.asarray(array, np.float32), name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
