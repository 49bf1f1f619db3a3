"""Each head's percentiles as a file beside the head, for other programs: the last few versions and those in force."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from nomarr.inference.packs import FOLDER
from nomarr.moods.calibration import BINS
from nomarr.store.calibrations import CalibrationRun, HeadCalibration

log = logging.getLogger(__name__)

KEPT = 5  # versions of a head's file, the newest; older ones go, but for those in force somewhere
NAME = re.compile(r"(.+)-calibration-v([0-9]{1,9})\.json")


def save(run: CalibrationRun, models_dir: Path) -> tuple[dict[str, str], str | None]:
    """Writes each head's percentiles beside the head; -> head key -> file, and why some could not be saved."""
    saved: dict[str, str] = {}
    problems: dict[str, int] = {}
    for head in run.heads:
        folder = _folder_of(models_dir, head.pack)
        if folder is None:
            why = f"the models of {head.pack} are not in {models_dir}"
            problems[why] = problems.get(why, 0) + 1
            continue
        path = folder / _name(head.head_name, run.version)
        try:
            _write_whole(path, json.dumps(_content(run, head), indent=1) + "\n")
        except OSError as error:
            why = f"{folder} cannot be written to ({error.strerror})"
            problems[why] = problems.get(why, 0) + 1
        else:
            saved[head.head_key] = str(path)
    for why, count in problems.items():
        log.warning("calibration %s: %d files beside the models were not saved: %s", run.label, count, why)
    return saved, "; ".join(f"{count} not saved: {why}" for why, count in problems.items()) or None


def prune(models_dir: Path, heads: Collection[HeadCalibration], in_force: Collection[int]) -> int:
    """Removes what is older than the last few versions and holds for no library; says how many files.

    Only files of our own making: what says something else inside than in its name stays.
    """
    removed = 0
    names: dict[Path, set[str]] = {}
    for head in heads:
        folder = _folder_of(models_dir, head.pack)
        if folder is not None:
            names.setdefault(folder, set()).add(head.head_name)
    for folder, ours in names.items():
        with suppress(OSError):
            versions: dict[str, list[int]] = {}
            for file in folder.iterdir():
                match = NAME.fullmatch(file.name)
                if match is not None and match[1] in ours and file.name == _name(match[1], int(match[2])):
                    versions.setdefault(match[1], []).append(int(match[2]))
            for name, found in versions.items():
                for version in sorted(found)[:-KEPT]:
                    path = folder / _name(name, version)
                    if version not in in_force and _is_ours(path, name, version):
                        path.unlink(missing_ok=True)
                        removed += 1
    return removed


def _name(head: str, version: int) -> str:
    return f"{head}-calibration-v{version}.json"


def _is_ours(path: Path, head: str, version: int) -> bool:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return (
        isinstance(content, dict)
        and (content.get("head_name"), content.get("version")) == (head, version)
        and {"p5", "p95", "n", "pack", "fingerprint", "global_version"} <= content.keys()
    )


def _folder_of(models_dir: Path, pack: str) -> Path | None:
    """Where the heads of a pack lie: packs/<pack>, or heads in the folder of an Essentia backbone."""
    name = pack.removeprefix("essentia-")
    if name == pack and (models_dir / FOLDER / pack).is_dir():
        return models_dir / FOLDER / pack
    for folder in (name, name.removesuffix("-tags")):
        if any((models_dir / folder / inside).is_dir() for inside in ("heads", "embeddings")):
            return models_dir / folder / "heads"
    return None


def _content(run: CalibrationRun, head: HeadCalibration) -> dict[str, object]:
    return {
        "version": run.version,
        "model_name": head.model_name,
        "head_name": head.head_name,
        "p5": head.p5,
        "p95": head.p95,
        "n": head.n,
        "underflow_count": head.underflow,
        "overflow_count": head.overflow,
        "bins": BINS,
        "pack": head.pack,
        "fingerprint": head.fingerprint,
        "library_id": run.library_id,
        "library_size": run.library_size,
        "global_version": run.global_version,
        "created_at": datetime.fromtimestamp(run.created_at / 1000, UTC).isoformat(timespec="seconds"),
    }


def _write_whole(path: Path, text: str) -> None:
    """All of the file or nothing, readable by everybody who may read the models."""
    path.parent.mkdir(exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        scratch.write_text(text, encoding="utf-8")
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)
