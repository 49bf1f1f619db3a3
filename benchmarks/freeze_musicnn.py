"""Writes the frozen TensorFlow graph of MSD MusiCNN that essentia-tensorflow loads, for benchmarks/analysis.py.

Run it with an interpreter that has TensorFlow 2 (pip install tensorflow-cpu) and the musicnn wheel
(pip download --no-deps musicnn==0.1.0):

    python benchmarks/freeze_musicnn.py musicnn-0.1.0-py3-none-any.whl msd-musicnn-1.pb

Layers, their order and the names of input and outputs are those of Essentia's msd-musicnn-1.pb.
"""

from __future__ import annotations

import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import tensorflow.compat.v1 as tf

CHECKPOINT = "musicnn/MSD_musicnn/"


def main(wheel: str, target: str) -> None:
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(wheel) as archive:
        for ending in (".index", ".data-00000-of-00001"):
            Path(folder, f"msd{ending}").write_bytes(archive.read(CHECKPOINT + ending))
        reader = tf.train.load_checkpoint(f"{folder}/msd")
        weights = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    with tf.Graph().as_default() as graph:
        build(weights)
    Path(target).write_bytes(graph.as_graph_def().SerializeToString())


def build(weights: dict[str, np.ndarray]) -> None:
    def constant(name: str) -> tf.Tensor:
        return tf.constant(weights[name].astype(np.float32), name=name)

    def norm(x: tf.Tensor, number: int) -> tf.Tensor:
        name = "batch_normalization" + (f"_{number}" if number else "")
        gamma, beta, mean, variance = (
            weights[f"{name}/{part}"] for part in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        scale = (gamma / np.sqrt(variance + 1e-3)).astype(np.float32)
        return x * tf.constant(scale) + tf.constant((beta - scale * mean).astype(np.float32))

    def convolve(x: tf.Tensor, name: str, padding: str) -> tf.Tensor:
        sound = tf.nn.conv2d(x, constant(f"{name}/kernel"), strides=1, padding=padding)
        return tf.nn.relu(tf.nn.bias_add(sound, constant(f"{name}/bias")))

    def pad(x: tf.Tensor) -> tf.Tensor:
        return tf.pad(x, [[0, 0], [3, 3], [0, 0], [0, 0]])

    mel = tf.placeholder(tf.float32, [None, 187, 96], name="model/Placeholder")
    x = norm(tf.expand_dims(mel, 3), 0)
    front = []
    for number, name in enumerate(("conv2d", "conv2d_1", "conv2d_2", "conv2d_3", "conv2d_4"), start=1):
        timbral = number <= 2
        sound = norm(convolve(pad(x) if timbral else x, name, "VALID" if timbral else "SAME"), number)
        front.append(tf.squeeze(tf.nn.max_pool2d(sound, [1, sound.shape[2]], [1, sound.shape[2]], "VALID"), [2]))
    layers = [tf.concat(front, 2)]
    for number in (5, 6, 7):
        sound = norm(convolve(pad(tf.expand_dims(layers[-1], 3)), f"conv2d_{number}", "VALID"), number + 1)
        sound = tf.squeeze(sound, [2])
        layers.append(sound if number == 5 else sound + layers[-1])
    features = tf.concat(layers, 2)
    pooled = tf.stack([tf.reduce_max(features, 1), tf.reduce_mean(features, 1)], 2)
    pooled = norm(tf.reshape(pooled, [-1, 2 * features.shape[2]]), 9)
    dense = tf.nn.bias_add(
        tf.matmul(pooled, constant("dense/kernel")), constant("dense/bias"), name="model/dense/BiasAdd"
    )
    hidden = norm(tf.nn.relu(dense), 10)
    logits = tf.nn.bias_add(tf.matmul(hidden, constant("dense_1/kernel")), constant("dense_1/bias"))
    tf.sigmoid(logits, name="model/Sigmoid")


if __name__ == "__main__":
    main(*sys.argv[1:])
