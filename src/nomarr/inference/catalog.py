"""What can be heard with the models in a folder: backbones, packs of heads, and the fingerprint of them all."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from nomarr.errors import ModelProblem

# Goes into every fingerprint; counts up when decoding, resampling, framing or pooling change a result.
ANALYSIS_VERSION = 1

# "track": mel frames and patch starts (our own MusiCNN graphs); "patches": float32[n, frames, bands] (Essentia's);
# "window": one window float32[1, bands, frames] at a time (VibeNet).
GraphKind = Literal["track", "patches", "window"]


@dataclass(frozen=True)
class Head:
    """One question put to the music: the classes it tells apart, in column order.

    `positive` is the class whose probability is the head's score; with None every class is a score of its own.
    """

    name: str
    classes: tuple[str, ...]
    positive: int | None = 0

    @property
    def scores(self) -> tuple[tuple[str, int], ...]:
        """(name, column) of each score."""
        if self.positive is not None:
            return ((self.name, self.positive),)
        return tuple((f"{self.name}_{slug(label)}", column) for column, label in enumerate(self.classes))


@dataclass(frozen=True)
class HeadModel:
    """A classifier on a backbone's embeddings: float32[n, embedding] -> float32[n, columns], several heads' worth."""

    path: Path
    input: str
    output: str
    columns: int


@dataclass(frozen=True)
class Backbone:
    """A network that listens: from mel patches to activations of its own and an embedding for heads."""

    name: str
    kind: GraphKind
    load: Callable[[], Path | bytes] = field(compare=False, repr=False)
    front_end: str  # whose mel frames it takes: "musicnn" or "vibenet"
    frames: int
    hop: int
    embedding_size: int  # 0: none that heads could use
    provides: str = ""  # what head metadata calls it: "msd-musicnn-1"
    identity: str = ""  # hash of the weights
    input: str = ""
    activations: str = ""
    embeddings: str = ""


@dataclass(frozen=True)
class Pack:
    """Heads that were installed together and run on one backbone.

    The pack's class matrix is the backbone's own activations (where `tags` is set) or the output of each head model;
    `heads` lie in it side by side, in order.
    """

    name: str
    title: str
    licence: str
    source: str
    backbone: Backbone
    heads: tuple[Head, ...]
    fingerprint: str
    tags: bool = True
    models: tuple[HeadModel, ...] = ()
    folder: Path | None = None

    @property
    def scores(self) -> tuple[str, ...]:
        """Names of the scores, in the order of the stored vectors."""
        return tuple(name for head in self.heads for name, _ in head.scores)

    @property
    def score_columns(self) -> list[int]:
        """Where in the class matrix each score lies."""
        columns, first = [], 0
        for head in self.heads:
            columns += [first + column for _, column in head.scores]
            first += len(head.classes)
        return columns


@dataclass(frozen=True)
class Suite:
    """Every usable pack, the preferred ones first, and what had to be left out and why."""

    packs: tuple[Pack, ...]
    problems: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        return digest(sorted(f"{pack.name}={pack.fingerprint}" for pack in self.packs))

    @property
    def backbones(self) -> tuple[Backbone, ...]:
        """Each network once, though two folders hold it."""
        unique: dict[str, Backbone] = {}
        for pack in self.packs:
            unique.setdefault(pack.backbone.identity, pack.backbone)
        return tuple(unique.values())

    def score_names(self) -> dict[tuple[str, str], str]:
        """(pack, score) -> its name under the namespace; the preferred pack has the plain name, others add theirs."""
        return score_names([(pack.name, pack.scores) for pack in self.packs])

    def head_keys(self) -> dict[tuple[str, str], str]:
        """(pack, head) -> "<backbone>:<head>", told apart in the same way where two packs share a backbone."""
        keys: dict[tuple[str, str], str] = {}
        taken: set[str] = set()
        for pack in self.packs:
            for head in pack.heads:
                key = f"{pack.backbone.name}:{head.name}"
                if key in taken:
                    key = f"{key}_{slug(pack.name)}"
                taken.add(key)
                keys[pack.name, head.name] = key
        return keys


def score_names(packs: Iterable[tuple[str, Sequence[str]]]) -> dict[tuple[str, str], str]:
    """As Suite.score_names, for packs known only by name and scores."""
    names: dict[tuple[str, str], str] = {}
    taken: set[str] = set()
    for pack, heads in sorted(packs, key=lambda item: preference(item[0])):
        for head in heads:
            name = head if head not in taken else f"{head}_{slug(pack)}"
            taken.add(name)
            names[pack, head] = name
    return names


def preference(pack: str) -> tuple[int, str]:
    """Essentia's heads first: somebody installed them on purpose, and they were trained for the one question."""
    if pack.startswith("essentia-"):
        return 0, pack
    return {"vibenet": 1, "mtt": 3}.get(pack, 2), pack


def slug(text: str) -> str:
    """[a-z0-9_]+, as names of scores are."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def digest(parts: Iterable[str]) -> str:
    """A short hash of facts, in order. 16 hexadecimal digits."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def pack_fingerprint(name: str, weights: str, heads: Sequence[Head]) -> str:
    """What a pack's scores depend on: its weights, its heads in order, and how we analyse."""
    facts = [f"{h.name}:{','.join(h.classes)}:{h.positive}" for h in heads]
    return digest([f"analysis {ANALYSIS_VERSION}", name, weights, *facts])


def file_hash(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelProblem(f"{path}: {error.strerror}") from error


def read_json(path: Path) -> dict[str, object]:
    """A JSON object; ModelProblem says what is wrong with it."""
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelProblem(f"{path}: there is no such file") from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ModelProblem(f"{path}: not readable as JSON ({error})") from error
    if not isinstance(loaded, dict):
        raise ModelProblem(f"{path}: expected a JSON object")
    return loaded


def read_suite(models_dir: Path, packs: Sequence[str] | None = None) -> Suite:
    """Everything in models_dir, or only what `packs` names (a pack's or a backbone's name).

    Raises ModelProblem where nothing usable is left, or where `packs` names something that is not there.
    """
    from nomarr.inference.essentia import read_folders
    from nomarr.inference.packs import read_installed

    found, problems = read_installed(models_dir)
    essentia, more = read_folders(models_dir, found)
    everything = sorted([*found, *essentia], key=lambda pack: preference(pack.name))
    chosen = [p for p in everything if packs is None or p.name in packs or p.backbone.name in packs]
    missing = [n for n in packs or () if not any(n in (p.name, p.backbone.name) for p in everything)]
    if missing:
        raise ModelProblem(f"no model pack named {missing[0]!r} in {models_dir}; run: nomarr models list")
    if not chosen:
        why = "; ".join([*problems, *more]) or "the folder holds no models"
        raise ModelProblem(f"no usable models in {models_dir}: {why}")
    return Suite(tuple(chosen), (*problems, *more))
