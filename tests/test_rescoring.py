"""New heads are scored from stored embeddings, on both databases, with a real worker and real files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ground import Ground
from models import BACKBONE, make_models_dir, write_head
from nomarr import rescoring
from nomarr.inference.catalog import Suite, read_suite
from nomarr.rescoring import score_new_heads
from nomarr.scan import scan_library
from nomarr.scores import PackScores
from nomarr.store import files, libraries, runs, scores
from nomarr.store.database import Database
from nomarr.store.libraries import Library
from nomarr.worker.loop import Worker

PACK = f"essentia-{BACKBONE}"
NEW_HEAD = "mood_party"


@pytest.fixture
def here(tmp_path: Path, db_url: str, tracks: dict[str, Path]) -> Ground:
    """A few files, and models of their own, to which a test may add some."""
    here = Ground(tmp_path, make_models_dir(tmp_path / "models"), db_url)
    for ending in ("flac", "mp3", "opus"):
        here.add(tracks[ending], f"track.{ending}")
    return here


@pytest.fixture
def library(db: Database, here: Ground) -> Library:
    """The files as a library, analysed with the heads that were there first."""
    with db.write() as tx:
        library = libraries.create(tx, name="Music", root_path=here.music, now=tx.now_ms())
    scan_library(db, library)
    listen(db, here)
    return library


def listen(db: Database, here: Ground) -> None:
    Worker(here.settings(), db, "worker 1", drain=True, listen_only=True).run()


def with_new_head(here: Ground) -> Suite:
    write_head(here.models / BACKBONE, NEW_HEAD, ("non_party", "party"))
    return read_suite(here.models)


def all_files(db: Database, library: Library) -> list[int]:
    with db.read() as tx:
        return [known.id for known in files.in_folder(tx, library.id, "").values()]


def of_heads(db: Database, file_id: int) -> PackScores:
    """The scores that come from head models."""
    with db.read() as tx:
        (found,) = [pack for pack in scores.load(tx, file_id) if pack.pack == PACK]
    return found


def test_a_new_head_is_scored_at_once_and_close_to_what_listening_again_gives(
    db: Database, here: Ground, library: Library
) -> None:
    ids = all_files(db, library)
    before = {file_id: of_heads(db, file_id) for file_id in ids}
    suite = with_new_head(here)
    heard: list[int] = []
    here.music.rename(here.folder / "away")  # no audio is needed
    assert score_new_heads(db, suite, progress=heard.append) == len(ids) == 3
    assert heard == [3]
    (here.folder / "away").rename(here.music)
    at_once = {file_id: of_heads(db, file_id) for file_id in ids}
    for file_id in ids:
        assert at_once[file_id].heads == tuple(sorted((*before[file_id].heads, NEW_HEAD)))
        known = [at_once[file_id].heads.index(head) for head in before[file_id].heads]
        assert np.allclose(at_once[file_id].values[known], before[file_id].values, atol=0.002)
    with db.write() as tx:
        assert runs.renew_suite(tx, suite.fingerprint, now=tx.now_ms()) == len(ids)
    listen(db, here)
    for file_id in ids:
        again = of_heads(db, file_id)
        assert (again.fingerprint, again.heads) == (at_once[file_id].fingerprint, at_once[file_id].heads)
        assert np.allclose(at_once[file_id].values, again.values, atol=0.002)
        assert np.allclose(at_once[file_id].spreads, again.spreads, atol=0.002)


def test_scores_of_other_packs_stay_and_the_file_still_waits_to_be_heard_again(
    db: Database, here: Ground, library: Library
) -> None:
    file_id, *_ = all_files(db, library)
    with db.read() as tx:
        before = {pack.pack: pack for pack in scores.load(tx, file_id)}
    suite = with_new_head(here)
    score_new_heads(db, suite)
    with db.read() as tx:
        after = {pack.pack: pack for pack in scores.load(tx, file_id)}
        assert file_id in runs.heard_by_others(tx, suite.fingerprint, after=0, limit=10)
    assert after.keys() == before.keys() == {PACK, BACKBONE}
    assert np.array_equal(after[BACKBONE].values, before[BACKBONE].values)


@pytest.mark.parametrize("lost", ["embeddings", "patches.patch_embeddings"])
def test_files_without_embeddings_are_left_to_be_heard_again(
    db: Database, here: Ground, library: Library, lost: str
) -> None:
    left, *others = all_files(db, library)
    with db.write() as tx:
        tx.run(f"DELETE FROM {lost} WHERE file_id = :id", id=left)
    assert score_new_heads(db, with_new_head(here)) == len(others)
    assert NEW_HEAD not in of_heads(db, left).heads
    assert all(NEW_HEAD in of_heads(db, file_id).heads for file_id in others)


def test_embeddings_of_another_backbone_are_of_no_use(db: Database, here: Ground, library: Library) -> None:
    with db.write() as tx:
        tx.run("UPDATE embeddings SET fingerprint = 'other'")
        tx.run("UPDATE patches.patch_embeddings SET fingerprint = 'other'")
    assert score_new_heads(db, with_new_head(here)) == 0


def test_where_all_heads_are_known_there_is_nothing_to_do(db: Database, here: Ground, library: Library) -> None:
    assert score_new_heads(db, read_suite(here.models)) == 0
    suite = with_new_head(here)
    assert score_new_heads(db, suite) == 3
    assert score_new_heads(db, suite) == 0


def test_more_files_than_fit_into_one_batch_are_all_scored(
    db: Database, here: Ground, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rescoring, "BATCH", 2)
    heard: list[int] = []
    assert score_new_heads(db, with_new_head(here), progress=heard.append) == 3
    assert heard == [2, 3]
