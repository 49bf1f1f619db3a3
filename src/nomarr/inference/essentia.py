"""Essentia-style model folders: <backbone>/embeddings/*.onnx and <backbone>/heads/<type>/*.onnx, each with a .json.

The metadata decides: which front-end, which classes in which order, which embedding a head was trained on. A model
without metadata, or whose ONNX file says otherwise, is left out with a reason.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from nomarr.errors import ModelProblem
from nomarr.inference.catalog import (
    Backbone,
    Head,
    HeadModel,
    Pack,
    digest,
    file_hash,
    pack_fingerprint,
    read_json,
    slug,
)
from nomarr.inference.packs import MSD_DEAD_BELOW
from nomarr.inference.sessions import open_session
from nomarr.inference.vocabulary import known_heads

# algorithm in the metadata -> patch and hop in mel frames (Essentia's defaults)
ALGORITHMS = {"TensorflowPredictMusiCNN": (187, 93), "TensorflowPredictEffnetDiscogs": (128, 62)}
BANDS = 96
# Essentia's own export of the MSD network, whose weights are those of the musicnn wheel, bit for bit.
MSD_MUSICNN = "a04600b137c671d63feece5010553704e104246ec6532018de975bfd589f781f"
NEGATION = re.compile(r"^(non|not|no)[_ -]")
LICENCE = "as its authors say (Essentia's own models: CC BY-NC-SA 4.0)"


def read_folders(models_dir: Path, installed: Sequence[Pack]) -> tuple[list[Pack], list[str]]:
    """The packs of each backbone folder, its tags and its heads, and the reasons for what was left out."""
    packs: list[Pack] = []
    problems: list[str] = []
    if not models_dir.is_dir():
        return packs, problems
    for folder in sorted(models_dir.iterdir()):
        if (folder / "embeddings").is_dir() or (folder / "heads").is_dir():
            packs += _read_folder(folder, installed, problems)
    return packs, problems


def _read_folder(folder: Path, installed: Sequence[Pack], problems: list[str]) -> list[Pack]:
    ready = {p.backbone.provides: p.backbone for p in installed if p.backbone.provides}
    own: list[tuple[Backbone, tuple[Head, ...]]] = []
    for path in sorted((folder / "embeddings").glob("*.onnx")):
        if path.stem in ready and file_hash(path) == MSD_MUSICNN:
            continue  # the installed pack computes the same, only faster
        try:
            own.append(_read_backbone(path, folder.name))
        except ModelProblem as error:
            problems.append(str(error))
    backbones = {**ready, **{b.provides: b for b, _ in own}}
    found: list[_FoundHead] = []
    for path in sorted((folder / "heads").glob("*/*.onnx")):
        try:
            found.append(_read_head(path, backbones))
        except ModelProblem as error:
            problems.append(str(error))
    chosen = found[0].backbone if found else own[0][0] if own else None
    for one in found:
        if one.backbone is not chosen:
            problems.append(f"{one.model.path}: a folder's heads share one backbone, here {found[0].backbone.provides}")
    for backbone, _ in own:
        if backbone is not chosen and chosen is not None:
            problems.append(f"{folder}: {backbone.provides} is not used; a folder has one backbone, {chosen.provides}")
    packs = []
    for backbone, tags in own:
        if backbone is chosen and tags:
            name = folder.name if folder.name not in {p.name for p in installed} else f"{folder.name}-tags"
            packs.append(_pack(folder, name, backbone, tags, ()))
    if found:
        same = tuple(one for one in found if one.backbone is chosen)
        heads = tuple(one.head for one in same)
        models = tuple(one.model for one in same)
        packs.append(_pack(folder, f"essentia-{folder.name}", found[0].backbone, heads, models))
    return packs


@dataclass(frozen=True)
class _FoundHead:
    model: HeadModel
    head: Head
    backbone: Backbone


def _pack(folder: Path, name: str, backbone: Backbone, heads: tuple[Head, ...], models: tuple[HeadModel, ...]) -> Pack:
    weights = digest([backbone.identity, *(file_hash(model.path) for model in models)])
    return Pack(
        name=name,
        title=f"Essentia-style {'heads' if models else 'tags'} in {folder.name}",
        licence=LICENCE,
        source=str(folder),
        backbone=backbone,
        heads=heads,
        fingerprint=pack_fingerprint(name, weights, heads),
        tags=not models,
        models=models,
        folder=folder,
    )


def _read_backbone(path: Path, name: str) -> tuple[Backbone, tuple[Head, ...]]:
    metadata = read_json(path.with_suffix(".json"))
    algorithm = _at(metadata, "inference", "algorithm")
    if algorithm not in ALGORITHMS:
        raise ModelProblem(f"{path}: its metadata names the algorithm {algorithm!r}, which is not supported")
    frames, hop = ALGORITHMS[algorithm]
    classes = _classes(metadata, path)
    size = _output_size(metadata, "embeddings", path)
    heads = known_heads(classes) or tuple(slug(label) for label in classes)
    found = tuple(Head(head, (label,)) for head, label in zip(heads, classes, strict=True))
    identity = file_hash(path)
    if identity == MSD_MUSICNN:
        backbone = Backbone(name, "track", partial(_lean_msd, path), "musicnn", frames, hop, size, path.stem, identity)
        return backbone, found
    session = open_session(path)
    mel = _only_input(session, path)
    if list(mel.shape[1:]) != [frames, BANDS]:
        raise ModelProblem(f"{path}: its input has shape {mel.shape}, expected was [n, {frames}, {BANDS}]")
    return (
        Backbone(
            name,
            "patches",
            partial(Path, path),
            "musicnn",
            frames,
            hop,
            size,
            path.stem,
            identity,
            input=mel.name,
            activations=_output(session, metadata, "predictions", len(classes), path),
            embeddings=_output(session, metadata, "embeddings", size, path),
        ),
        found,
    )


def _lean_msd(path: Path) -> bytes:
    """Essentia's MSD network as our lean graph: the same numbers to 3e-5, fourteen times as fast."""
    import onnx

    from nomarr.inference.musicnn import track_graph, weights_from_essentia

    graph = track_graph(weights_from_essentia(onnx.load(str(path))), dead_below=MSD_DEAD_BELOW)
    return graph.SerializeToString()


def _read_head(path: Path, backbones: dict[str, Backbone]) -> _FoundHead:
    metadata = read_json(path.with_suffix(".json"))
    classes = _classes(metadata, path)
    trained_on = _at(metadata, "inference", "embedding_model", "model_name")
    backbone = backbones.get(str(trained_on))
    if backbone is None:
        raise ModelProblem(f"{path}: it needs the embeddings of {trained_on!r}, which is not installed")
    declared = _output_size(metadata, "predictions", path)
    if declared != len(classes):
        raise ModelProblem(f"{path}: its metadata lists {len(classes)} classes but {declared} outputs")
    session = open_session(path)
    embedding = _only_input(session, path)
    if list(embedding.shape[1:]) != [backbone.embedding_size]:
        raise ModelProblem(
            f"{path}: its input has shape {embedding.shape}, but {trained_on} gives {backbone.embedding_size} values"
        )
    output = _output(session, metadata, "predictions", len(classes), path)
    name = slug(path.name.split("-")[0])
    model = HeadModel(path, embedding.name, output, len(classes))
    return _FoundHead(model, _head(name, classes), backbone)


def _head(name: str, classes: tuple[str, ...]) -> Head:
    """Two classes make one score, more make one each.

    Of two classes the score is the one that is not a negation ("non_happy"); else the one the head is named after
    first ("tonal_atonal": tonal); else the first.
    """
    if len(classes) != 2:
        return Head(name, classes, None)
    affirmed = [i for i, label in enumerate(classes) if not NEGATION.match(label.lower())]
    if len(affirmed) == 1:
        return Head(name, classes, affirmed[0])
    named = [i for i, label in enumerate(classes) if name.startswith(f"{slug(label)}_")]
    return Head(name, classes, named[0] if len(named) == 1 else 0)


def _classes(metadata: dict[str, object], path: Path) -> tuple[str, ...]:
    classes = metadata.get("classes")
    if not isinstance(classes, list) or not classes or not all(isinstance(c, str) and c for c in classes):
        raise ModelProblem(f"{path}: its metadata lists no classes")
    if len({slug(c) for c in classes}) != len(classes):
        raise ModelProblem(f"{path}: its metadata lists a class twice")
    return tuple(classes)


def _output_size(metadata: dict[str, object], purpose: str, path: Path) -> int:
    shape = _declared(metadata, purpose).get("shape")
    if not isinstance(shape, list) or not shape or not isinstance(shape[-1], int):
        raise ModelProblem(f"{path}: its metadata describes no output for {purpose}")
    return shape[-1]


def _declared(metadata: dict[str, object], purpose: str) -> dict[str, Any]:
    outputs = _at(metadata, "schema", "outputs")
    for output in outputs if isinstance(outputs, list) else ():
        if isinstance(output, dict) and output.get("output_purpose") == purpose:
            return output
    return {}


def _only_input(session: Any, path: Path) -> Any:
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type != "tensor(float)":
        raise ModelProblem(f"{path}: expected one float32 input, it has {[(i.name, i.type) for i in inputs]}")
    if inputs[0].shape and isinstance(inputs[0].shape[0], int):
        raise ModelProblem(f"{path}: it takes exactly {inputs[0].shape[0]} patches at once, not any number of them")
    return inputs[0]


def _output(session: Any, metadata: dict[str, object], purpose: str, size: int, path: Path) -> str:
    """The ONNX output the metadata means: the one of that name, else the only one of that size.

    Metadata written for the TensorFlow file gives that file's names, so a name alone cannot decide.
    """
    name = _declared(metadata, purpose).get("name")
    fitting = [o.name for o in session.get_outputs() if len(o.shape) == 2 and o.shape[1] == size]
    if name in fitting:
        return str(name)
    if len(fitting) == 1:
        return str(fitting[0])
    raise ModelProblem(f"{path}: {len(fitting)} of its outputs could be the {size} {purpose} of its metadata")


def _at(tree: object, *keys: str) -> Any:
    for key in keys:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree
