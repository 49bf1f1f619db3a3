"""The lean MusiCNN graph computes what the network's description says, whatever the weights and the patches."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from nomarr.errors import ModelProblem
from nomarr.inference.musicnn import BRANCHES, track_graph, weights_from_essentia
from nomarr.inference.sessions import open_session

# Fewer filters than the real network's, so that the plain computation below takes a second, not minutes; their
# numbers fill whole blocks of lanes, leave a rest, or both.
FILTERS = {"conv2d": (7, 38, 21), "conv2d_1": (7, 67, 5), "conv2d_2": (128, 1, 3), "conv2d_3": (64, 1, 16)}
FILTERS["conv2d_4"] = (32, 1, 18)
DEAD = {"conv2d": [0, 7], "conv2d_1": [4], "conv2d_3": [2, 3, 5], "conv2d_4": [17]}
MIDDLE, TAGS = 6, 4


def random_weights(seed: int = 3) -> dict[str, np.ndarray]:
    """Weights of the right architecture, with dead filters and with batch-norm scales of either sign."""
    rng = np.random.default_rng(seed)
    weights: dict[str, np.ndarray] = {}

    def layer(name: str, *shape: int) -> None:
        weights[f"{name}/kernel"] = rng.normal(0, 1 / np.sqrt(np.prod(shape[:-1])), shape)
        weights[f"{name}/bias"] = rng.normal(0, 0.2, shape[-1])

    def norm(number: int, size: int) -> None:
        name = "batch_normalization" + (f"_{number}" if number else "")
        weights[f"{name}/gamma"] = rng.normal(0, 1, size)
        weights[f"{name}/beta"] = rng.normal(0, 0.5, size)
        weights[f"{name}/moving_mean"] = rng.normal(0, 0.5, size)
        weights[f"{name}/moving_variance"] = rng.uniform(0.2, 2, size)

    norm(0, 1)
    for number, (name, (height, width, filters)) in enumerate(FILTERS.items(), start=1):
        layer(name, height, width, 1, filters)
        weights[f"{name}/kernel"][..., DEAD.get(name, [])] *= 1e-9
        norm(number, filters)
    channels = sum(filters for _, _, filters in FILTERS.values())
    for number, inputs in ((5, channels), (6, MIDDLE), (7, MIDDLE)):
        layer(f"conv2d_{number}", 7, inputs, 1, MIDDLE)
        norm(number + 1, MIDDLE)
    features = channels + 3 * MIDDLE
    norm(9, 2 * features)
    layer("dense", 2 * features, 200)
    norm(10, 200)
    layer("dense_1", 200, TAGS)
    return {name: np.asarray(array, np.float32) for name, array in weights.items()}


def plainly(weights: dict[str, np.ndarray], patch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(activations, embedding) of one patch [187, 96], layer by layer in float64, nothing left out or reordered."""

    def norm(values: np.ndarray, number: int) -> np.ndarray:
        """Channels last."""
        name = "batch_normalization" + (f"_{number}" if number else "")
        gamma, beta, mean, variance = (
            weights[f"{name}/{part}"].astype(np.float64) for part in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        return gamma * (values - mean) / np.sqrt(variance + 1e-3) + beta

    def over_time(values: np.ndarray, kernel: np.ndarray, above: int) -> np.ndarray:
        """ "Same" convolution along the frames: values [frames, columns], kernel [height, columns, filters]."""
        height = len(kernel)
        padded = np.pad(values, ((above, height - 1 - above), (0, 0)))
        return sum(padded[row : row + len(values)] @ kernel[row] for row in range(height))

    mel = norm(patch.astype(np.float64)[..., None], 0)[..., 0]
    outputs = []
    for number, (name, above) in enumerate(BRANCHES, start=1):
        kernel = weights[f"{name}/kernel"][:, :, 0].astype(np.float64)
        width = kernel.shape[1]
        positions = [over_time(mel[:, at : at + width], kernel, above) for at in range(96 - width + 1)]
        sound = np.maximum(np.array(positions) + weights[f"{name}/bias"], 0)  # [positions, frames, filters]
        outputs.append(norm(sound, number).max(axis=0))
    front = np.concatenate(outputs, axis=1)
    layers, below = [front], front
    for number in (5, 6, 7):
        name = f"conv2d_{number}"
        out = over_time(below, weights[f"{name}/kernel"][:, :, 0].astype(np.float64), 3) + weights[f"{name}/bias"]
        out = norm(np.maximum(out, 0), number + 1)
        below = out if number == 5 else out + below
        layers.append(below)
    features = np.concatenate(layers, axis=1)
    pooled = np.stack([features.max(axis=0), features.mean(axis=0)], axis=1).reshape(-1)
    embedding = norm(pooled, 9) @ weights["dense/kernel"].astype(np.float64) + weights["dense/bias"]
    hidden = norm(np.maximum(embedding, 0), 10)
    logits = hidden @ weights["dense_1/kernel"].astype(np.float64) + weights["dense_1/bias"]
    return 1 / (1 + np.exp(-logits)), embedding


def heard(graph: onnx.ModelProto, mel: np.ndarray, starts: list[int]) -> tuple[np.ndarray, np.ndarray]:
    session = open_session(graph.SerializeToString())
    inputs = {"melspectrogram": mel.astype(np.float32), "starts": np.array(starts, np.int64)}
    return tuple(session.run(["activations", "embeddings"], inputs))


def noise(frames: int) -> np.ndarray:
    return np.random.default_rng(8).uniform(0, 6, (frames, 96)).astype(np.float32)


@pytest.mark.parametrize(
    ("frames", "starts"),
    [
        (187, [0]),
        (187 + 93 * 2, [0, 93, 186]),
        (400, [0, 1, 5, 77, 212, 213]),
        (400, [213, 0, 100, 100]),
    ],
)
def test_the_graph_computes_what_the_network_is(frames, starts):
    weights, mel = random_weights(), noise(frames)
    activations, embeddings = heard(track_graph(weights, dead_below=1e-3), mel, starts)
    for row, start in enumerate(starts):
        tags, embedding = plainly(weights, mel[start : start + 187])
        assert np.abs(activations[row] - tags).max() < 1e-4
        assert np.abs(embeddings[row] - embedding).max() < 1e-4


def test_leaving_dead_filters_out_changes_nothing():
    weights, mel, starts = random_weights(), noise(500), [0, 93, 186, 313]
    lean, full = (heard(track_graph(weights, dead_below=below), mel, starts) for below in (1e-3, 0.0))
    assert np.abs(lean[0] - full[0]).max() < 1e-4
    assert np.abs(lean[1] - full[1]).max() < 1e-4


def test_a_branch_may_be_dead_as_a_whole():
    weights, mel = random_weights(), noise(200)
    for name in ("conv2d_1", "conv2d_3"):
        weights[f"{name}/kernel"] = weights[f"{name}/kernel"] * np.float32(1e-9)
    activations, embeddings = heard(track_graph(weights, dead_below=1e-3), mel, [13])
    tags, embedding = plainly(weights, mel[13:200])
    assert np.abs(activations[0] - tags).max() < 1e-4
    assert np.abs(embeddings[0] - embedding).max() < 1e-4


def test_another_graph_is_no_musicnn():
    with pytest.raises(ModelProblem, match="not a MusiCNN graph"):
        weights_from_essentia(onnx.ModelProto())
