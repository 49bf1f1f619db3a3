"""New heads are scored from stored embeddings, on both databases, with a real worker and real files."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ground import Ground
from models import BACKBONE, make_models_dir, write_head
from nomarr import rescoring
from nomarr.inference.catalog import Suite, read_suite
from nomarr.rescoring import Renewing, renew
from nomarr.scan import scan_library
from nomarr.scores import PackScores
from nomarr.store import claims, files, leases, libraries, queue, scores
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


def waiting(db: Database) -> int:
    """Files that wait to be listened to."""
    with db.read() as tx:
        return int(tx.scalar("SELECT COUNT(*) FROM library_files WHERE needs_tagging"))


def wait_for(true: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_a_new_head_is_scored_at_once_and_close_to_what_listening_again_gives(
    db: Database, here: Ground, library: Library
) -> None:
    ids = all_files(db, library)
    before = {file_id: of_heads(db, file_id) for file_id in ids}
    suite = with_new_head(here)
    done: list[int] = []
    here.music.rename(here.folder / "away")  # no audio is needed
    assert renew(db, suite, progress=done.append) == 0
    assert done == [3]
    (here.folder / "away").rename(here.music)
    at_once = {file_id: of_heads(db, file_id) for file_id in ids}
    for file_id in ids:
        assert at_once[file_id].heads == tuple(sorted((*before[file_id].heads, NEW_HEAD)))
        known = [at_once[file_id].heads.index(head) for head in before[file_id].heads]
        assert np.allclose(at_once[file_id].values[known], before[file_id].values, atol=0.002)
    assert waiting(db) == len(ids)
    listen(db, here)
    for file_id in ids:
        again = of_heads(db, file_id)
        assert (again.fingerprint, again.heads) == (at_once[file_id].fingerprint, at_once[file_id].heads)
        assert np.allclose(at_once[file_id].values, again.values, atol=0.002)
        assert np.allclose(at_once[file_id].spreads, again.spreads, atol=0.002)


def test_scores_of_other_packs_stay(db: Database, here: Ground, library: Library) -> None:
    file_id, *_ = all_files(db, library)
    with db.read() as tx:
        before = {pack.pack: pack for pack in scores.load(tx, file_id)}
    renew(db, with_new_head(here))
    with db.read() as tx:
        after = {pack.pack: pack for pack in scores.load(tx, file_id)}
    assert after.keys() == before.keys() == {PACK, BACKBONE}
    assert np.array_equal(after[BACKBONE].values, before[BACKBONE].values)


@pytest.mark.parametrize("lost", ["embeddings", "patches.patch_embeddings"])
def test_files_without_embeddings_are_left_to_be_heard_again(
    db: Database, here: Ground, library: Library, lost: str
) -> None:
    left, *others = all_files(db, library)
    with db.write() as tx:
        tx.run(f"DELETE FROM {lost} WHERE file_id = :id", id=left)
    renew(db, with_new_head(here))
    assert NEW_HEAD not in of_heads(db, left).heads
    assert all(NEW_HEAD in of_heads(db, file_id).heads for file_id in others)
    assert waiting(db) == 3


def test_embeddings_of_another_backbone_are_of_no_use(db: Database, here: Ground, library: Library) -> None:
    with db.write() as tx:
        tx.run("UPDATE embeddings SET fingerprint = 'other'")
        tx.run("UPDATE patches.patch_embeddings SET fingerprint = 'other'")
    renew(db, with_new_head(here))
    assert all(NEW_HEAD not in of_heads(db, file_id).heads for file_id in all_files(db, library))


def test_where_all_heads_are_known_there_is_nothing_to_do(db: Database, here: Ground, library: Library) -> None:
    done: list[int] = []
    renew(db, read_suite(here.models), progress=done.append)
    suite = with_new_head(here)
    renew(db, suite, progress=done.append)
    renew(db, suite, progress=done.append)
    assert done == [3]


def test_who_is_cut_off_between_two_batches_goes_on_with_the_rest(
    db: Database, here: Ground, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rescoring, "BATCH", 2)
    suite = with_new_head(here)

    def cut_off(_done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        renew(db, suite, progress=cut_off)
    new = [file_id for file_id in all_files(db, library) if NEW_HEAD in of_heads(db, file_id).heads]
    assert len(new) == waiting(db) == 2, "scores and the wish to listen again come together"
    done: list[int] = []
    renew(db, suite, progress=done.append)
    assert done == [1]
    assert all(NEW_HEAD in of_heads(db, file_id).heads for file_id in all_files(db, library))


def test_what_was_analysed_meanwhile_keeps_its_exact_scores(
    db: Database, here: Ground, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = with_new_head(here)
    score = rescoring._scored

    def slowly(*given: object) -> object:
        made = score(*given)  # type: ignore[arg-type]
        with db.write() as tx:
            queue.request_analysis(tx, all_files(db, library)[:1], force=True, now=tx.now_ms())
        listen(db, here)
        return made

    monkeypatch.setattr(rescoring, "_scored", slowly)
    first, *_ = all_files(db, library)
    assert renew(db, suite) == 1
    exact = of_heads(db, first)
    monkeypatch.undo()
    with db.write() as tx:
        queue.request_analysis(tx, [first], force=True, now=tx.now_ms())
    listen(db, here)
    assert np.array_equal(exact.values, of_heads(db, first).values)


def test_a_file_in_a_workers_hands_is_renewed_when_it_is_free(
    db: Database, here: Ground, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rescoring, "ROUND_S", 0.05)
    suite = with_new_head(here)
    with db.write() as tx:
        file = claims.claim_next(tx, worker="w", now=tx.now_ms(), lease_ms=60_000)
        assert file is not None, "its tags are to be written"
    renewing = Renewing(db, suite)
    renewing.start()
    try:
        wait_for(lambda: waiting(db) == 2)
        with db.write() as tx:
            claims.release(tx, file)
        wait_for(lambda: waiting(db) == 3)
        wait_for(lambda: not renewing._rounds.is_running)
    finally:
        renewing.stop()
    assert NEW_HEAD in of_heads(db, file.file_id).heads


def test_one_server_of_several_does_it_and_another_takes_over(
    db: Database, here: Ground, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rescoring, "ROUND_S", 0.05)
    suite = with_new_head(here)
    with db.write() as tx:
        assert leases.take(tx, rescoring.LEASE, owner="another", now=tx.now_ms(), lease_ms=2000)
    renewing = Renewing(db, suite)
    renewing.start()
    try:
        time.sleep(0.5)
        assert waiting(db) == 0
        wait_for(lambda: waiting(db) == 3)
    finally:
        renewing.stop()
