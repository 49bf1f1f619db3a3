from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from nomarr import sidecars
from nomarr.store.calibrations import CalibrationRun, HeadCalibration


def run_of(version: int, heads: Mapping[str, str]) -> CalibrationRun:
    """`heads`: name -> pack."""
    made = tuple(
        HeadCalibration(f"{pack}:{name}", pack, "f", pack, name, 0.1, 0.9, 100, 0, 0, None)
        for name, pack in heads.items()
    )
    return CalibrationRun(version, None, 100, "global", None, None, 1_800_000_000_000, made)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "packs" / "vibenet"
    made.mkdir(parents=True)
    return made


HEADS = {"energy": "vibenet", "valence": "vibenet"}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_last_few_versions_stay(folder: Path, tmp_path: Path) -> None:
    for version in range(1, 9):
        run = run_of(version, HEADS)
        saved, unsaved = sidecars.save(run, tmp_path)
        assert (len(saved), unsaved) == (2, None)
        sidecars.prune(tmp_path, run.heads, {version})
    assert names(folder) == {f"{head}-calibration-v{version}.json" for head in HEADS for version in range(4, 9)}


def test_what_holds_for_a_library_stays_however_old_it_is(folder: Path, tmp_path: Path) -> None:
    for version in range(1, 9):
        sidecars.save(run_of(version, HEADS), tmp_path)
    assert sidecars.prune(tmp_path, run_of(8, HEADS).heads, {2, 8}) == 4
    assert {name for name in names(folder) if "energy" in name} == {
        f"energy-calibration-v{version}.json" for version in (2, 4, 5, 6, 7, 8)
    }


def test_files_of_others_stay(folder: Path, tmp_path: Path) -> None:
    for version in range(5, 12):
        sidecars.save(run_of(version, HEADS), tmp_path)
    ours = json.loads((folder / "energy-calibration-v5.json").read_text())
    foreign = {
        "energy-calibration-v1.json": json.dumps({"p5": 0.1}),
        "energy-calibration-v2.json": "not JSON",
        "energy-calibration-v3.json": json.dumps(ours | {"version": 3, "head_name": "valence"}),
        "energy-calibration-v03.json": json.dumps(ours | {"version": 3}),
        "energy-calibration-v4.json": json.dumps(ours),
        "unknown-calibration-v1.json": json.dumps(ours | {"version": 1, "head_name": "unknown"}),
        "energy-calibration-v1.json.bak": "{}",
        "energy.json": "{}",
    }
    for name, text in foreign.items():
        (folder / name).write_text(text)
    (folder / "valence-calibration-v1.json").mkdir()
    sidecars.prune(tmp_path, run_of(11, HEADS).heads, {11})
    assert names(folder) == {*foreign, "valence-calibration-v1.json"} | {
        f"{head}-calibration-v{version}.json" for head in HEADS for version in range(7, 12)
    }


def test_folders_that_are_gone_are_no_reason_to_fail(tmp_path: Path) -> None:
    assert sidecars.prune(tmp_path / "nowhere", run_of(1, HEADS).heads, set()) == 0
