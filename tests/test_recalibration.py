"""From stored scores to percentiles, sidecars and the files that they change, on both databases."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from heard import HEADS, add_heard, fill, some_scores
from models import make_models_dir
from nomarr.errors import InvalidInput
from nomarr.library_moods import block_tiers, written_scores
from nomarr.moods.tags import tags_hash
from nomarr.recalibration import apply, find_changes, generate, outdated_count
from nomarr.scores import LibraryCalibration, PackScores
from nomarr.settings import Settings
from nomarr.store import calibrations, files, libraries
from nomarr.store.calibrations import CalibrationRun
from nomarr.store.database import Database
from nomarr.store.libraries import Library
from nomarr.store.matrix import read_blocks
from nomarr.wanted import wanted_tags

NATIVE = Settings()


def make_library(db: Database, name: str = "Music", **more: object) -> Library:
    with db.write() as tx:
        return libraries.create(tx, name=name, root_path=f"/{name}", now=1, **more)


@pytest.fixture
def library(db: Database) -> Library:
    return make_library(db)


def percentiles(run: CalibrationRun) -> dict[str, tuple[float, float]]:
    return {head.head_key: (head.p5, head.p95) for head in run.heads}


def by_hand(heard: dict[int, list[PackScores]]) -> dict[str, tuple[float, float]]:
    found = {}
    for i, (pack, heads) in enumerate(HEADS.items()):
        for j, head in enumerate(heads):
            bins = np.sort(np.floor(np.array([t[i].values[j] for t in heard.values()], np.float64) * 10_000))
            n = len(bins)
            ends = (bins[-(-5 * n // 100) - 1] / 10_000, bins[-(-95 * n // 100) - 1] / 10_000)
            found[f"{pack}:{head}"] = ends
    return found


def test_a_calibration_holds_the_percentiles_of_the_stored_scores(
    db: Database, library: Library, tmp_path: Path
) -> None:
    heard = fill(db, library.id, 150)
    run = generate(db, tmp_path).run
    assert percentiles(run) == by_hand(heard)
    assert run.library_size == 150
    assert {head.n for head in run.heads} == {150}
    assert run.drift is None
    assert "Only 150 analysed files" in (run.note or "")
    with db.read() as tx:
        assert calibrations.history(tx, limit=5) == [run]
        assert calibrations.for_library(tx, library.id).label == run.label


def test_missing_files_and_disabled_libraries_do_not_count(db: Database, library: Library, tmp_path: Path) -> None:
    heard = fill(db, library.id, 20)
    off = make_library(db, "Off", is_enabled=False)
    fill(db, off.id, 5, seed=2)
    with db.write() as tx:
        files.mark_missing(tx, [next(iter(heard))], 5)
    heard.pop(next(iter(heard)))
    assert percentiles(generate(db, tmp_path).run) == by_hand(heard)


def test_versions_count_up_and_say_how_far_scores_moved(db: Database, library: Library, tmp_path: Path) -> None:
    fill(db, library.id, 30)
    first, same = generate(db, tmp_path).run, generate(db, tmp_path).run
    assert same.version > first.version
    assert (same.drift, same.global_version) == (0.0, first.global_version)
    fill(db, library.id, 10, seed=2)
    moved = generate(db, tmp_path).run
    assert moved.drift is not None
    assert 0 < moved.drift <= 1
    assert moved.drift == max(head.drift or 0 for head in moved.heads)
    assert moved.global_version != first.global_version


def test_too_few_files_are_refused(db: Database, library: Library, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="0 analysed files: a calibration needs at least 1"):
        generate(db, tmp_path)
    fill(db, library.id, 2)
    with pytest.raises(InvalidInput, match="2 analysed files"):
        generate(db, tmp_path, min_files=3)


def test_a_library_may_have_its_own_until_the_next_that_covers_all(
    db: Database, library: Library, tmp_path: Path
) -> None:
    other = make_library(db, "Other")
    fill(db, library.id, 10)
    fill(db, other.id, 10, seed=2)
    with db.read() as tx:
        assert calibrations.current_label(tx, library.id) == "reference"
    common = generate(db, tmp_path).run
    own = generate(db, tmp_path, library_id=other.id).run
    with db.read() as tx:
        current = calibrations.current(tx)
        assert (current.of(library.id).label, current.of(other.id).label) == (common.label, own.label)
        assert calibrations.current_label(tx, other.id) == own.label
        assert [run.version for run in calibrations.history(tx, limit=9, library_id=library.id)] == [common.version]
    again = generate(db, tmp_path).run
    with db.read() as tx:
        assert calibrations.for_library(tx, other.id).label == again.label


def test_the_version_of_a_pack_that_most_files_have_is_the_one_that_counts(
    db: Database, library: Library, tmp_path: Path
) -> None:
    fill(db, library.id, 6)
    rng = np.random.default_rng(5)
    with db.write() as tx:
        add_heard(tx, library.id, some_scores(rng, fingerprint="newer"))
    run = generate(db, tmp_path).run
    assert {(head.fingerprint, head.n) for head in run.heads} == {("f1", 6)}


def test_sidecars_lie_beside_the_heads(db: Database, library: Library, tmp_path: Path) -> None:
    models = make_models_dir(tmp_path / "models")
    (models / "packs" / "vibenet").mkdir(parents=True)
    rng = np.random.default_rng(1)
    with db.write() as tx:
        add_heard(tx, library.id, some_scores(rng, ("essentia-tiny", "vibenet", "musicnn")))
    made = generate(db, models)
    label = made.run.label
    happy = models / "tiny" / "heads" / f"mood_happy-calibration-{label}.json"
    energy = models / "packs" / "vibenet" / f"energy-calibration-{label}.json"
    assert made.saved_files["tiny:mood_happy"] == str(happy)
    assert made.saved_files["vibenet:energy"] == str(energy)
    written = json.loads(happy.read_text())
    head = next(head for head in made.run.heads if head.head_key == "tiny:mood_happy")
    assert (written["model_name"], written["head_name"]) == ("tiny", "mood_happy")
    assert (written["p5"], written["p95"], written["n"]) == (head.p5, head.p95, 1)
    assert written["version"] == made.run.version
    assert made.unsaved is not None
    assert made.unsaved.startswith("50 not saved: the models of musicnn")
    assert not list(models.rglob(".*calibration*"))


def test_models_that_cannot_be_written_beside_do_not_stop_a_calibration(
    db: Database, library: Library, tmp_path: Path
) -> None:
    fill(db, library.id, 3)
    for pack in HEADS:
        (tmp_path / "packs" / pack).mkdir(parents=True)
        for head in HEADS[pack]:  # not even root can put a file in place of a folder
            for version in range(1, 200):
                (tmp_path / "packs" / pack / f"{head}-calibration-v{version}.json").mkdir()
            break
    made = generate(db, tmp_path)
    if made.run.version < 200:
        assert made.unsaved is not None
        assert "cannot be written to" in made.unsaved
        assert len(made.saved_files) == len(made.run.heads) - 2


@pytest.mark.parametrize("mode", ["native", "moods"])
def test_exactly_those_files_are_written_again_whose_tags_change(db: Database, tmp_path: Path, mode: str) -> None:
    library = make_library(db, file_write_mode=mode)
    heard = fill(db, library.id, 120)
    generate(db, tmp_path)
    with db.write() as tx:
        for file_id in heard:
            now = tags_hash(wanted_tags(tx, file_id, NATIVE))
            tx.run("UPDATE library_files SET written_hash = :hash WHERE id = :id", hash=now, id=file_id)
        before = {file_id: files.get(tx, file_id).written_hash for file_id in heard}
    fill(db, library.id, 15, seed=2, written_hash=None)  # they move the percentiles a little
    run = generate(db, tmp_path).run
    with db.read() as tx:
        wanted = {file_id: tags_hash(wanted_tags(tx, file_id, NATIVE)) for file_id in heard}
    changed = {file_id for file_id in heard if wanted[file_id] != before[file_id]}
    assert changed
    assert mode == "native" or len(changed) < len(heard)
    applied = apply(db, "native")
    assert (applied.to_write, applied.unchanged) == (len(changed), len(heard) - len(changed))
    with db.read() as tx:
        rows = [files.get(tx, file_id) for file_id in heard]
    assert {row.id for row in rows if row.needs_write} == changed
    assert {row.id for row in rows if row.calibration == run.label} == heard.keys() - changed
    assert apply(db, "native").to_write == 0


def test_files_of_a_library_into_which_nothing_is_written_are_never_outdated(db: Database, tmp_path: Path) -> None:
    quiet = make_library(db, file_write_mode="none")
    fill(db, quiet.id, 5)
    generate(db, tmp_path)
    assert find_changes(db, "native") == []
    assert outdated_count(quiet, {"reference": 5}, "v1", "native") == 0


def test_files_without_tags_of_ours_and_files_about_to_be_written_are_left_alone(
    db: Database, library: Library, tmp_path: Path
) -> None:
    fill(db, library.id, 2, written_hash=None)
    fill(db, library.id, 2, seed=2, needs_write=True)
    (lagging,) = fill(db, library.id, 1, seed=3)
    generate(db, tmp_path)
    (changes,) = find_changes(db, "native")
    assert (changes.changed.tolist(), changes.same.tolist()) == ([lagging], [])


def test_words_of_heads_that_a_calibration_leaves_out_come_from_the_reference(db: Database, library: Library) -> None:
    fill(db, library.id, 10)
    with db.read() as tx:
        (block,) = read_blocks(tx)
    empty = LibraryCalibration("v9", {})
    tiers, reference = block_tiers(block, empty), block_tiers(block, LibraryCalibration())
    assert {word: tier.tolist() for word, tier in tiers.items()} == {w: t.tolist() for w, t in reference.items()}
    raw = written_scores(block, empty)["energy"]
    assert raw.tolist() == block.by_column["vibenet", "energy"].tolist()
