"""One audio file -> what can be heard in it: the whole pipeline on one page."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import numpy as np

from nomarr.audio.decode import RATE, Sound
from nomarr.audio.melspectrogram import FRONT_ENDS, Frames, MelStream
from nomarr.errors import SilentAudio, TooShort
from nomarr.inference import packs as model_packs
from nomarr.inference.catalog import Pack, Suite, read_suite
from nomarr.inference.scoring import HeadRunner, Heard, Listener, Network, evenly_spaced, pooled, spread
from nomarr.moods.reference import reference_calibrations
from nomarr.moods.tiers import moods_of
from nomarr.scores import Embedding, Moods, PackScores, Vector
from nomarr.settings import Device, load_settings

log = logging.getLogger(__name__)

STAGES = ("decode", "mel", "inference")
SHORTEST_S = 1.0
SILENCE = 1e-4  # peak amplitude, -80 dBFS: less than the dither of a 16-bit recording of nothing
KEPT_PATCHES = 32  # 32 spread patches give head scores within 0.035 of all patches for 95 % of tracks


@dataclass(frozen=True)
class Analysis:
    """What was heard in one file. Scores are raw, 0..1."""

    path: Path
    duration_s: float
    patches: int
    suite: str
    packs: tuple[PackScores, ...]
    embeddings: tuple[Embedding, ...]
    scores: dict[str, float]
    moods: Moods
    heads: dict[str, dict[str, float]]
    seconds: Mapping[str, float] = field(default_factory=dict, compare=False)  # that decode, mel and inference took

    @property
    def embedding(self) -> Vector | None:
        """The track's mean embedding on its first backbone, float32[200] for MusiCNN."""
        return self.embeddings[0].mean if self.embeddings else None


class _Stopwatch:
    """Seconds spent in each stage."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(STAGES, 0.0)

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[stage] += time.perf_counter() - started

    def over(self, blocks: Iterator[Vector]) -> Iterator[Vector]:
        """The same blocks; decoding is what it takes to get them."""
        while True:
            with self("decode"):
                block = next(blocks, None)
            if block is None:
                return
            yield block


class Models:
    """Loaded models; close it, or use it in a `with` block.

    An empty models folder first gets the default packs. Raises ModelProblem where no usable model is left.
    `device` is "cpu", "cuda", or "auto" for a GPU where there is one; `between_blocks` is called all the while that
    a file is listened to, every second of sound or so.
    """

    def __init__(
        self,
        models_dir: str | Path | None = None,
        *,
        packs: Sequence[str] | None = None,
        threads: int = 1,
        device: Device = "auto",
        progress: Callable[[str], None] | None = None,
        between_blocks: Callable[[], None] = lambda: None,
    ) -> None:
        self.between_blocks = between_blocks
        self.folder = Path(models_dir) if models_dir is not None else load_settings().models
        if model_packs.needs_default_packs(self.folder):
            model_packs.install_missing(self.folder, progress=progress or log.info)
        self.suite: Suite = read_suite(self.folder, packs)
        self.networks = {b.identity: Network(b, threads, device) for b in self.suite.backbones}
        self.heads = [HeadRunner(pack) for pack in self.suite.packs]
        self.score_names = self.suite.score_names()
        self.head_keys = self.suite.head_keys()
        self.fingerprint = self.suite.fingerprint

    def __enter__(self) -> Models:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.networks.clear()
        self.heads.clear()

    def analyze(self, path: str | Path) -> Analysis:
        """Listens to one file. Raises UnreadableAudio (also TooShort, SilentAudio) or VanishedFile."""
        path = Path(path)
        sound, watch = Sound(path), _Stopwatch()
        heard = self._listen(sound, watch)
        with watch("inference"):
            scored = [(runner.pack, runner.classes(heard[runner.pack.backbone.identity])) for runner in self.heads]
        packs = tuple(_pack_scores(pack, classes) for pack, classes in scored)
        scores = {
            self.score_names[pack.pack, name]: float(value)
            for pack in packs
            for name, value in zip(pack.heads, pack.values, strict=True)
        }
        return Analysis(
            path=path,
            duration_s=sound.duration_s,
            patches=max(len(h.activations) for h in heard.values()),
            suite=self.fingerprint,
            packs=packs,
            embeddings=self._embeddings(heard),
            scores=scores,
            moods=moods_of(packs, reference_calibrations()),
            heads={key: value for pack, classes in scored for key, value in self._classes(pack, classes)},
            seconds=watch.seconds,
        )

    def _listen(self, sound: Sound, watch: _Stopwatch) -> dict[str, Heard]:
        listeners = {identity: network.listener() for identity, network in self.networks.items()}
        streams = {name: MelStream(FRONT_ENDS[name]) for name in {b.front_end for b in self.suite.backbones}}
        samples, peak = 0, 0.0
        for block in watch.over(sound.blocks()):
            self.between_blocks()
            samples += len(block)
            peak = max(peak, float(np.abs(block).max(initial=0.0)))
            with watch("mel"):
                frames = {name: stream.feed(block) for name, stream in streams.items()}
            with watch("inference"):
                self._share(frames, listeners)
        if samples < SHORTEST_S * RATE:
            raise TooShort(sound.path, f"only {sound.duration_s:.2f} s of sound; at least one second is needed")
        if peak < SILENCE:
            raise SilentAudio(sound.path, "silent from start to end; there is nothing to hear")
        with watch("mel"):
            frames = {name: stream.finish() for name, stream in streams.items()}
        with watch("inference"):
            self._share(frames, listeners)
            return {identity: listener.finish() for identity, listener in listeners.items()}

    def _share(self, frames: dict[str, Frames], listeners: dict[str, Listener]) -> None:
        for backbone in self.suite.backbones:
            listeners[backbone.identity].feed(frames[backbone.front_end])

    def _embeddings(self, heard: dict[str, Heard]) -> tuple[Embedding, ...]:
        found = []
        for backbone in self.suite.backbones:
            patches = heard[backbone.identity].embeddings
            if patches.shape[1]:
                kept = patches[evenly_spaced(len(patches), KEPT_PATCHES)].astype(np.float16)
                mean = patches.mean(axis=0, dtype=np.float64).astype(np.float32)
                found.append(Embedding(backbone.name, backbone.identity, mean, kept))
        return tuple(found)

    def _classes(self, pack: Pack, classes: np.ndarray) -> list[tuple[str, dict[str, float]]]:
        means = pooled(classes)
        found, first = [], 0
        for head in pack.heads:
            values = means[first : first + len(head.classes)]
            first += len(head.classes)
            key = self.head_keys[pack.name, head.name]
            found.append((key, {c: float(v) for c, v in zip(head.classes, values, strict=True)}))
        return found


def _pack_scores(pack: Pack, classes: np.ndarray) -> PackScores:
    columns = classes[:, pack.score_columns]
    return PackScores(pack.name, pack.fingerprint, pack.scores, pooled(columns), spread(columns), pack.backbone.name)


def analyze(path: str | Path, models: Models | None = None) -> Analysis:
    """Listens to one file with the default models, or with `models` where they are open already."""
    if models is not None:
        return models.analyze(path)
    with Models() as default:
        return default.analyze(path)
