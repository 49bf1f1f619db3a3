"""The MusiCNN weights -> a lean ONNX graph that computes what the original computes.

Network: Pons & Serra, "musicnn: pre-trained convolutional neural networks for music audio tagging" (2019). Five
front-end convolutions listen to a patch of 187 mel frames, three residual convolutions follow over time, then
max- and mean-pooling, a dense layer of 200 (the embedding, before its ReLU) and one of 50 (the tags).

Four things make the graph lean; none of them changes a result beyond float32 rounding:

* Dead filters. Training with weight decay left most front-end filters at zero; such a filter gives the constant
  s*relu(b)+t, which is added further down instead of being computed.
* Sign before maximum. With g = sign(s), max_f(s*relu(z)+t) = s*relu(g*max_f(g*z))+t, so the maximum over
  frequency is taken straight on the convolution, by MaxPool.
* Shared frames. Patches overlap; the 7-frame filters run once over all frames, and only the three frames at
  either end of a patch, which see its zero padding, are computed per patch.
* Full lanes. Convolution kernels work on 16 (or 8) channels at once. A group of n filters that would leave lanes
  empty is computed with stride k: lane (n, p) holds filter n moved down by p frames, so one step yields k frames.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from nomarr.errors import ModelProblem
from nomarr.inference.checkpoint import read_checkpoint

Weights = Mapping[str, NDArray[np.float32]]
Array = NDArray[Any]

FRAMES = 187  # mel frames of a patch, 3 s: what the network was trained on
BANDS = 96
EMBEDDING = 200
BATCH_NORM_EPSILON = 1e-3
OPSET = 17
# kernel height, zero padding above ("same" convolution); widths come from the weights
BRANCHES = (("conv2d", 3), ("conv2d_1", 3), ("conv2d_2", 63), ("conv2d_3", 31), ("conv2d_4", 15))
TIMBRAL, TEMPORAL = (0, 1), (2, 3, 4)
LANES = 16
MAX_STRIDE = 8


def weights_from_checkpoint(index: bytes, data: bytes) -> Weights:
    """The tensors of a musicnn checkpoint, without the optimiser's."""
    tensors = read_checkpoint(index, data)
    return {name: t for name, t in tensors.items() if "Adam" not in name and "power" not in name}


def weights_from_essentia(model: onnx.ModelProto) -> Weights:
    """The same tensors out of Essentia's msd-musicnn-1.onnx; raises ModelProblem for any other graph."""
    found = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    try:
        weights: dict[str, Array] = {}
        for name in [branch for branch, _ in BRANCHES] + ["conv2d_5", "conv2d_6", "conv2d_7"]:
            if name == "conv2d_3":  # exported as a matrix product
                weights["conv2d_3/kernel"] = found["model_conv2d_3_BiasAdd_mm_W"][:, None, None, :]
                weights["conv2d_3/bias"] = found["model_conv2d_3_BiasAdd_mm_B"].reshape(-1)
                continue
            weights[f"{name}/kernel"] = found[f"{name}/kernel/read:0"].transpose(2, 3, 1, 0)
            weights[f"{name}/bias"] = found[f"{name}/bias/read:0"]
        for number in range(9):
            name = _batch_norm_name(number)
            for part in ("gamma", "beta", "moving_mean", "moving_variance"):
                weights[f"{name}/{part}"] = found[f"{name}/{part}/read:0"]
        for number in (9, 10):  # exported as one multiplication and one addition
            name = _batch_norm_name(number)
            weights[f"{name}/scale"] = found[f"model/{name}/batchnorm/mul:0"]
            weights[f"{name}/shift"] = found[f"model/{name}/batchnorm/sub:0"]
        for name in ("dense", "dense_1"):
            weights[f"{name}/kernel"] = found[f"{name}/kernel/read:0"]
            weights[f"{name}/bias"] = found[f"{name}/bias/read:0"]
    except (KeyError, ValueError) as error:
        raise ModelProblem(f"not a MusiCNN graph: {error}") from error
    return weights


def track_graph(weights: Weights, *, dead_below: float) -> onnx.ModelProto:
    """`melspectrogram` float32[frames, 96], `starts` int64[patches] -> `activations` [patches, 50],
    `embeddings` [patches, 200]; patch p listens to frames starts[p] .. starts[p] + 186.

    Filters whose weights sum to less than `dead_below` in absolute value are taken for zero.
    """
    return _TrackGraph(weights, dead_below).build()


@dataclass(frozen=True)
class _Branch:
    """One front-end convolution: kernel [height, width, filters] and what follows it, per filter."""

    kernel: Array
    bias: Array
    scale: Array
    shift: Array
    padding: int
    first: int  # its first channel in the full front-end
    alive: Array  # indices of filters that are not dead

    @property
    def constants(self) -> Array:
        return self.scale * np.maximum(self.bias, 0) + self.shift


@dataclass(frozen=True)
class _Group:
    """Filters of one branch computed together, `stride` frames a step."""

    branch: int
    filters: Array
    stride: int


def _batch_norm_name(number: int) -> str:
    return "batch_normalization" + (f"_{number}" if number else "")


def _batch_norm(weights: Weights, number: int) -> tuple[Array, Array]:
    """Batch normalisation as scale and shift, float64."""
    name = _batch_norm_name(number)
    if f"{name}/scale" in weights:
        return weights[f"{name}/scale"].astype(np.float64), weights[f"{name}/shift"].astype(np.float64)
    variance = weights[f"{name}/moving_variance"].astype(np.float64)
    scale = weights[f"{name}/gamma"] / np.sqrt(variance + BATCH_NORM_EPSILON)
    return scale, weights[f"{name}/beta"] - scale * weights[f"{name}/moving_mean"]


def _branches(weights: Weights, dead_below: float) -> list[_Branch]:
    branches, first = [], 0
    for number, (name, padding) in enumerate(BRANCHES):
        kernel = weights[f"{name}/kernel"][:, :, 0, :]
        scale, shift = _batch_norm(weights, number + 1)
        alive = np.flatnonzero(np.abs(kernel).sum((0, 1)) >= dead_below)
        bias = weights[f"{name}/bias"].astype(np.float64)
        branches.append(_Branch(kernel, bias, scale, shift, padding, first, alive))
        first += kernel.shape[2]
    return branches


def _groups(branches: list[_Branch]) -> list[_Group]:
    """Splits each branch so that few lanes stay empty: full blocks of lanes first, then the best stride."""
    groups = []
    for number, branch in enumerate(branches):
        full = len(branch.alive) // LANES * LANES
        if full:
            groups.append(_Group(number, branch.alive[:full], 1))
        if len(branch.alive) > full:
            rest = branch.alive[full:]
            groups.append(_Group(number, rest, _best_stride(len(rest), branch.kernel.shape[0])))
    return groups


def _best_stride(filters: int, height: int) -> int:
    def cost(stride: int) -> float:  # lanes x kernel rows, per frame
        return -(-filters * stride // LANES) * LANES * (height + stride - 1) / stride

    return min(range(1, MAX_STRIDE + 1), key=cost)


class _TrackGraph:
    def __init__(self, weights: Weights, dead_below: float) -> None:
        self.weights = weights
        self.branches = _branches(weights, dead_below)
        self.groups = _groups(self.branches)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def const(self, value: Any, name: str, dtype: type[np.generic] = np.float32) -> str:
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value, dtype), name)
        return name

    def ints(self, *values: int) -> str:
        return self.const(values, "i_" + "_".join(map(str, values)).replace("-", "m"), np.int64)

    def op(self, kind: str, inputs: list[str], name: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def build(self) -> onnx.ModelProto:
        scale, shift = _batch_norm(self.weights, 0)
        mel = self.op("Mul", ["melspectrogram", self.const(scale, "mel_scale")], "mel_scaled")
        mel = self.op("Add", [mel, self.const(shift, "mel_shift")], "mel_normal")
        starts = self.op("Unsqueeze", ["starts", self.ints(1)], "starts_column")
        frames = self.op("Add", [starts, self.const(np.arange(FRAMES)[None], "offsets", np.int64)], "frames")
        patches = self.op("Gather", [mel, frames], "patches", axis=0)
        patches = self.op("Unsqueeze", [patches, self.ints(1)], "patches4")  # [P, 1, 187, 96]
        front = self.op("Concat", [self._timbral(mel, patches, frames), self._temporal(patches)], "front_raw", axis=1)
        self._dense(self._middle(self._front_affine(front)))
        return self._model()

    def _convolve(self, group: _Group, source: str, name: str, above: int, below: int) -> str:
        """Runs a group over source [N, 1, T, 96]; -> [N, filters, ceil(T' / stride) * stride], max over frequency."""
        branch = self.branches[group.branch]
        height, width, _ = branch.kernel.shape
        sign = np.where(branch.scale[group.filters] < 0, -1.0, 1.0)
        kernel = np.zeros((len(group.filters), group.stride, 1, height + group.stride - 1, width), np.float32)
        for lane in range(group.stride):
            kernel[:, lane, 0, lane : lane + height] = (
                branch.kernel[:, :, group.filters] * sign.astype(np.float32)
            ).transpose(2, 0, 1)
        kernel = kernel.reshape(-1, 1, height + group.stride - 1, width)
        bias = np.repeat(branch.bias[group.filters] * sign, group.stride)
        key = f"b{group.branch}x{group.stride}"
        sound = self.op(
            "Conv",
            [source, self.const(kernel, f"{key}_kernel"), self.const(bias, f"{key}_bias")],
            f"{name}_conv",
            kernel_shape=list(kernel.shape[2:]),
            pads=[above, 0, below, 0],
            strides=[group.stride, 1],
        )
        positions = BANDS - width + 1
        peak = self.op("MaxPool", [sound], f"{name}_max", kernel_shape=[1, positions], strides=[1, positions])
        if group.stride == 1:
            return self.op("Squeeze", [peak, self.ints(3)], f"{name}_out")
        lanes = self.const((0, len(group.filters), group.stride, -1), f"{key}_lanes", np.int64)
        split = self.op("Reshape", [peak, lanes], f"{name}_split")
        turned = self.op("Transpose", [split], f"{name}_turned", perm=[0, 1, 3, 2])
        flat = self.const((0, len(group.filters), -1), f"{key}_flat", np.int64)
        return self.op("Reshape", [turned, flat], f"{name}_out")

    def _timbral(self, mel: str, patches: str, frames: str) -> str:
        """[P, alive timbral filters, 187]: inner frames from one pass over all frames, edges per patch."""
        groups = [g for g in self.groups if g.branch in TIMBRAL]
        track = self.op("Unsqueeze", [mel, self.ints(0, 1)], "track")
        shared = [self._convolve(g, track, f"shared{i}", 0, g.stride - 1) for i, g in enumerate(groups)]
        # A stride may yield a frame too many at the end; column j is frame j + 3 of the track.
        last = self.op("Add", [self.op("Shape", [mel], "n_frames", start=0, end=1), self.ints(-6)], "n_shared")
        shared = [
            self.op("Slice", [s, self.ints(0), last, self.ints(2)], f"shared{i}_cut") for i, s in enumerate(shared)
        ]
        whole = self._joined(shared, "shared")
        whole = self.op("Squeeze", [whole, self.ints(0)], "shared2")  # [filters, frames - 6]
        inner = self.op("Slice", [frames, self.ints(0), self.ints(FRAMES - 6), self.ints(1)], "inner_frames")
        inner = self.op("Gather", [whole, inner], "inner_gathered", axis=1)
        inner = self.op("Transpose", [inner], "inner", perm=[1, 0, 2])
        head = self.op("Slice", [patches, self.ints(0), self.ints(6), self.ints(2)], "head_rows")
        tail = self.op("Slice", [patches, self.ints(FRAMES - 6), self.ints(FRAMES), self.ints(2)], "tail_rows")
        head = self.op("Pad", [head, self.ints(0, 0, 3, 0, 0, 0, 0, 0)], "head_strip")
        tail = self.op("Pad", [tail, self.ints(0, 0, 0, 0, 0, 0, 3, 0)], "tail_strip")
        strips = self.op("Concat", [head, tail], "strips", axis=0)  # [2P, 1, 9, 96]
        edges = [self._convolve(g, strips, f"edge{i}", 0, g.stride - 1) for i, g in enumerate(groups)]
        edges = [
            self.op("Slice", [e, self.ints(0), self.ints(3), self.ints(2)], f"edge{i}_cut") for i, e in enumerate(edges)
        ]
        joined = self._joined(edges, "edge")
        self.nodes.append(helper.make_node("Split", [joined], ["edge_head", "edge_tail"], axis=0))
        return self.op("Concat", ["edge_head", inner, "edge_tail"], "timbral", axis=2)

    def _temporal(self, patches: str) -> str:
        """[P, alive temporal filters, 187]."""
        outs = []
        for i, group in enumerate(g for g in self.groups if g.branch in TEMPORAL):
            branch = self.branches[group.branch]
            steps = -(-FRAMES // group.stride)
            rows = (steps - 1) * group.stride + branch.kernel.shape[0] + group.stride - 1
            out = self._convolve(group, patches, f"time{i}", branch.padding, rows - FRAMES - branch.padding)
            if group.stride > 1:
                out = self.op("Slice", [out, self.ints(0), self.ints(FRAMES), self.ints(2)], f"time{i}_cut")
            outs.append(out)
        return self._joined(outs, "temporal")

    def _joined(self, parts: list[str], name: str) -> str:
        return parts[0] if len(parts) == 1 else self.op("Concat", parts, f"{name}_joined", axis=1)

    def _per_filter(self, field: str) -> Array:
        return np.concatenate([getattr(self.branches[g.branch], field)[g.filters] for g in self.groups])

    def _front_affine(self, front: str) -> str:
        scale, shift = self._per_filter("scale"), self._per_filter("shift")
        sign = np.where(scale < 0, -1.0, 1.0)
        front = self.op("Mul", [front, self.const(sign[None, :, None], "front_sign")], "front_signed")
        front = self.op("Relu", [front], "front_relu")
        front = self.op("Mul", [front, self.const(scale[None, :, None], "front_scale")], "front_scaled")
        return self.op("Add", [front, self.const(shift[None, :, None], "front_shift")], "front")

    @property
    def _alive(self) -> Array:
        return np.concatenate([self.branches[g.branch].first + g.filters for g in self.groups])

    @property
    def _dead(self) -> tuple[Array, Array]:
        """Channels of the full front-end that are constant, and their constants."""
        constants = np.concatenate([b.constants for b in self.branches])
        dead = np.setdiff1d(np.arange(len(constants)), self._alive)
        return dead, constants[dead]

    def _middle(self, front: str) -> str:
        """[P, alive + 3 x 64, 187]: the residual convolutions over time, beside their input."""
        layers, source = [front], front
        for number in (5, 6, 7):
            name = f"conv2d_{number}"
            kernel = self.weights[f"{name}/kernel"][:, :, 0, :].transpose(2, 1, 0).astype(np.float64)
            bias = self.weights[f"{name}/bias"].astype(np.float64)
            inputs = [source]
            if number == 5:
                added = self._constant_input(kernel) + bias[:, None]
                inputs.append(self.const(kernel[:, self._alive], f"{name}_kernel"))
            else:
                inputs += [self.const(kernel, f"{name}_kernel"), self.const(bias, f"{name}_bias")]
            out = self.op("Conv", inputs, name, kernel_shape=[7], pads=[3, 3])
            if number == 5:
                out = self.op("Add", [out, self.const(added[None], f"{name}_added")], f"{name}_biased")
            out = self.op("Relu", [out], f"{name}_relu")
            scale, shift = _batch_norm(self.weights, number + 1)
            out = self.op("Mul", [out, self.const(scale[None, :, None], f"{name}_scale")], f"{name}_scaled")
            out = self.op("Add", [out, self.const(shift[None, :, None], f"{name}_shift")], f"{name}_normal")
            source = out if number == 5 else self.op("Add", [out, source], f"{name}_residual")
            layers.append(source)
        return self.op("Concat", layers, "features", axis=1)

    def _constant_input(self, kernel: Array) -> Array:
        """What the dead channels add to conv2d_5, per frame: less at the borders, where zeros pad them. [64, 187]."""
        dead, constants = self._dead
        taps = np.einsum("oct,c->ot", kernel[:, dead], constants)
        inside = np.pad(np.ones(FRAMES), 3)
        return np.stack([np.correlate(inside, row, "valid") for row in taps])

    def _dense(self, features: str) -> None:
        peak = self.op("ReduceMax", [features], "peak", axes=[2], keepdims=0)
        mean = self.op("ReduceMean", [features], "mean", axes=[2], keepdims=0)
        pooled = self.op("Concat", [peak, mean], "pooled", axis=1)
        scale, shift = _batch_norm(self.weights, 9)
        full = scale[:, None] * self.weights["dense/kernel"].astype(np.float64)  # rows 2c, 2c+1: max, mean of c
        dead, constants = self._dead
        bias = self.weights["dense/bias"] + shift @ self.weights["dense/kernel"].astype(np.float64)
        bias = bias + constants @ (full[2 * dead] + full[2 * dead + 1])
        front_end = sum(b.kernel.shape[2] for b in self.branches)
        kept = np.concatenate([self._alive, np.arange(front_end, len(full) // 2)])
        kernel = np.concatenate([full[2 * kept], full[2 * kept + 1]])
        self.op("Gemm", [pooled, self.const(kernel, "dense_kernel"), self.const(bias, "dense_bias")], "embeddings")
        hidden = self.op("Relu", ["embeddings"], "dense_relu")
        scale, shift = _batch_norm(self.weights, 10)
        last = self.weights["dense_1/kernel"].astype(np.float64)
        tags = [
            hidden,
            self.const(scale[:, None] * last, "dense_1_kernel"),
            self.const(self.weights["dense_1/bias"] + shift @ last, "dense_1_bias"),
        ]
        self.op("Sigmoid", [self.op("Gemm", tags, "logits")], "activations")

    def _model(self) -> onnx.ModelProto:
        tags = self.weights["dense_1/bias"].shape[0]
        value = helper.make_tensor_value_info
        graph = helper.make_graph(
            self.nodes,
            "musicnn_track",
            [
                value("melspectrogram", TensorProto.FLOAT, ["frames", BANDS]),
                value("starts", TensorProto.INT64, ["patches"]),
            ],
            [
                value("activations", TensorProto.FLOAT, ["patches", tags]),
                value("embeddings", TensorProto.FLOAT, ["patches", EMBEDDING]),
            ],
            list(self.constants.values()),
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
        onnx.checker.check_model(model, full_check=True)
        return model
