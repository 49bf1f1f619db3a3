"""Mel patches -> embeddings -> one pooled score per head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nomarr.errors import ModelProblem
from nomarr.inference.catalog import Backbone, Pack
from nomarr.inference.sessions import Session, open_session
from nomarr.inference.vocabulary import VIBENET as VIBENET_OUTPUTS
from nomarr.inference.vocabulary import VIBENET_LOGITS
from nomarr.scores import Vector
from nomarr.settings import Device

Matrix = NDArray[np.float32]
Frames = NDArray[np.float32]  # mel frames, float32[frames, bands]

PATCHES_AT_ONCE = 16  # more is no faster and takes 4 MB a patch
PATCHES_AT_ONCE_ON_GPU = 256  # a song in one go: a GPU is quick only with much to do at once
TRIM = 0.1  # of the patches, at either end of the order


@dataclass(frozen=True)
class Heard:
    """What a backbone made of one track: a row a patch."""

    activations: Matrix  # float32[patches, tags]; no columns where the backbone has no tags of its own
    embeddings: Matrix  # float32[patches, size]


class Listener(Protocol):
    """Takes in one track's mel frames, block by block."""

    def feed(self, frames: Frames) -> None: ...

    def finish(self) -> Heard: ...


def pooled(matrix: Matrix) -> Vector:
    """The 10 %-trimmed mean of each column: a tenth of the rows is left out at either end of its order."""
    cut = int(len(matrix) * TRIM)
    if not cut:
        return matrix.mean(axis=0, dtype=np.float64).astype(np.float32)
    ordered = np.sort(matrix, axis=0)[cut : len(matrix) - cut]
    return ordered.mean(axis=0, dtype=np.float64).astype(np.float32)


def spread(matrix: Matrix) -> Vector:
    """The standard deviation of each column."""
    return matrix.std(axis=0, dtype=np.float64).astype(np.float32)


def decibels(power: Frames) -> Frames:
    """10 log10(max(x, 1e-10)), clipped to 80 dB below the loudest value of the piece, as librosa's power_to_db."""
    level = 10 * np.log10(np.maximum(power, 1e-10))
    return np.maximum(level, level.max() - 80.0)


def evenly_spaced(count: int, wanted: int) -> NDArray[np.int64]:
    """At most `wanted` indices of 0 .. count-1, first and last included."""
    if count <= wanted:
        return np.arange(count)
    return np.round(np.linspace(0, count - 1, wanted)).astype(np.int64)


class Network:
    """One backbone, loaded; `listener()` starts a track."""

    def __init__(self, backbone: Backbone, threads: int, device: Device = "cpu") -> None:
        self.backbone = backbone
        self.session = Session(backbone.load(), threads=threads, device=device)

    def listener(self) -> Listener:
        if self.backbone.kind == "window":
            return WindowListener(self.backbone, self._window)
        run = self._track if self.backbone.kind == "track" else self._patches
        at_once = PATCHES_AT_ONCE_ON_GPU if self.session.is_on_gpu else PATCHES_AT_ONCE
        return PatchListener(self.backbone, run, at_once=at_once)

    def _run(self, outputs: list[str], inputs: dict[str, Any]) -> list[Matrix]:
        return self.session.run(outputs, inputs)

    def _track(self, frames: Frames, starts: NDArray[np.int64]) -> Heard:
        return Heard(*self._run(["activations", "embeddings"], {"melspectrogram": frames, "starts": starts}))

    def _patches(self, frames: Frames, starts: NDArray[np.int64]) -> Heard:
        size = self.backbone.frames
        patches = np.stack([frames[start : start + size] for start in starts])
        outputs = [self.backbone.activations, self.backbone.embeddings]
        return Heard(*self._run(outputs, {self.backbone.input: patches}))

    def _window(self, level: Frames) -> Vector:
        raw = self._run(["out"], {"x": np.ascontiguousarray(level.T)[None]})[0][0]
        logit = np.array([output.label in VIBENET_LOGITS for output in VIBENET_OUTPUTS])
        with np.errstate(over="ignore"):
            return np.where(logit, 1 / (1 + np.exp(-raw)), np.clip(raw, 0, 1)).astype(np.float32)


class PatchListener:
    """Overlapping patches of log-mel frames, as Essentia's TensorflowPredict algorithms cut them.

    The last, incomplete patch is dropped; sound too short for one patch is repeated until it fills one.
    """

    def __init__(
        self,
        backbone: Backbone,
        run: Callable[[Frames, NDArray[np.int64]], Heard],
        *,
        at_once: int = PATCHES_AT_ONCE,
    ) -> None:
        self.size, self.hop, self.run, self.at_once = backbone.frames, backbone.hop, run, at_once
        self.held: list[Frames] = []
        self.count = 0  # frames held
        self.heard: list[Heard] = []
        self.enough = (at_once - 1) * self.hop + self.size

    def feed(self, frames: Frames) -> None:
        if not len(frames):
            return
        self.held.append(frames)
        self.count += len(frames)
        while self.count >= self.enough:
            self._listen(self.at_once)

    def finish(self) -> Heard:
        while self.count >= self.size:
            self._listen(min(self.at_once, (self.count - self.size) // self.hop + 1))
        if not self.heard:
            frames = np.concatenate(self.held)
            frames = np.tile(frames, (-(-self.size // len(frames)), 1))[: self.size]
            self.heard.append(self.run(frames, np.zeros(1, np.int64)))
        return Heard(
            np.concatenate([heard.activations for heard in self.heard]),
            np.concatenate([heard.embeddings for heard in self.heard]),
        )

    def _listen(self, patches: int) -> None:
        frames = np.concatenate(self.held)
        starts = np.arange(patches, dtype=np.int64) * self.hop
        self.heard.append(self.run(frames[: starts[-1] + self.size], starts))
        rest = frames[patches * self.hop :]
        self.held, self.count = [rest], len(rest)


class WindowListener:
    """Back-to-back windows of the training length, each with its own loudness floor.

    What is left at the end is heard as one more full window, overlapping the one before, if it is at least a
    quarter of a window; sound shorter than a window is heard as it is, three seconds at least by repetition.
    """

    SHORTEST = 149  # frames, 3 s

    def __init__(self, backbone: Backbone, run: Callable[[Frames], Vector]) -> None:
        self.size, self.run = backbone.frames, run
        self.last = np.empty((0, 0), np.float32)  # the window heard last
        self.held: Frames | None = None  # what came after it
        self.heard: list[Vector] = []

    def feed(self, frames: Frames) -> None:
        self.held = frames if self.held is None else np.concatenate([self.held, frames])
        while len(self.held) >= self.size:
            self.last, self.held = self.held[: self.size], self.held[self.size :]
            self.heard.append(self.run(decibels(self.last)))

    def finish(self) -> Heard:
        frames = self.held if self.held is not None else self.last
        if not self.heard:
            if len(frames) < self.SHORTEST:
                frames = np.tile(frames, (-(-self.SHORTEST // len(frames)), 1))[: self.SHORTEST]
            self.heard.append(self.run(decibels(frames)))
        elif len(frames) >= self.size // 4:
            both = np.concatenate([self.last, frames])
            self.heard.append(self.run(decibels(both[-self.size :])))
        return Heard(np.stack(self.heard), np.empty((len(self.heard), 0), np.float32))


class HeadRunner:
    """A pack's head models, loaded: what a backbone heard -> the pack's class matrix."""

    def __init__(self, pack: Pack) -> None:
        self.pack = pack
        self.sessions = [(model, open_session(model.path)) for model in pack.models]

    def classes(self, heard: Heard) -> Matrix:
        """float32[patches, classes of all heads]; raises ModelProblem where a model gives what is no number."""
        parts = [heard.activations] if self.pack.tags else []
        for model, session in self.sessions:
            parts.append(session.run([model.output], {model.input: heard.embeddings})[0])
        matrix: Matrix = np.concatenate(parts, axis=1)
        expected = sum(len(head.classes) for head in self.pack.heads)
        if matrix.shape[1] != expected or not np.isfinite(matrix).all():
            raise ModelProblem(f"model pack {self.pack.name}: its output is not {expected} numbers a patch")
        return matrix
