from __future__ import annotations

import numpy as np
import pytest

from nomarr.scores import Embedding, PackScores
from nomarr.store import scores
from nomarr.store.database import Database

from .conftest import AddFile


def some_scores(pack: str = "main", fingerprint: str = "f1", *, start: float = 0.1) -> PackScores:
    values = np.array([start, start + 0.1, 0.9], dtype=np.float32)
    return PackScores(pack, fingerprint, ("happy", "sad", "calm"), values, values / 4, "net")


def some_embedding(backbone: str = "effnet", *, patches: int = 32) -> Embedding:
    rng = np.random.default_rng(1)
    return Embedding(
        backbone,
        "f1",
        rng.standard_normal(8).astype(np.float32),
        rng.standard_normal((patches, 8)).astype(np.float16),
    )


def test_scores_come_back_to_the_bit(db: Database, add_file: AddFile) -> None:
    file_id = add_file()
    with db.write() as tx:
        scores.save(tx, file_id, some_scores())
        scores.save(tx, file_id, some_scores("second"))
        main, second = scores.load(tx, file_id)
    assert (main.pack, main.fingerprint, main.heads) == ("main", "f1", ("happy", "sad", "calm"))
    assert main.values.tobytes() == some_scores().values.tobytes()
    assert main.spreads.tobytes() == some_scores().spreads.tobytes()
    assert (second.pack, second.backbone) == ("second", "net")


def test_a_newer_version_of_a_pack_replaces_the_scores_of_the_older(db: Database, add_file: AddFile) -> None:
    file_id = add_file()
    with db.write() as tx:
        scores.save(tx, file_id, some_scores())
        scores.save(tx, file_id, some_scores(start=0.5))
        scores.save(tx, file_id, some_scores(fingerprint="f2", start=0.3))
        (loaded,) = scores.load(tx, file_id)
    assert loaded.fingerprint == "f2"
    assert loaded.values[0] == np.float32(0.3)


def test_other_heads_under_the_same_fingerprint_are_refused(db: Database, add_file: AddFile) -> None:
    file_id = add_file()
    values = np.zeros(1, dtype=np.float32)
    with db.write() as tx:
        scores.save(tx, file_id, some_scores())
        with pytest.raises(ValueError, match="other heads"):
            scores.save(tx, file_id, PackScores("main", "f1", ("other",), values, values))
        with pytest.raises(ValueError, match="one per head"):
            scores.save(tx, file_id, PackScores("new", "f1", ("a", "b"), values, values))


def test_embeddings_come_back_to_the_bit(db: Database, add_file: AddFile) -> None:
    file_id = add_file()
    with db.write() as tx:
        scores.save_embedding(tx, file_id, some_embedding(patches=3))
        scores.save_embedding(tx, file_id, some_embedding())
        loaded = scores.load_embedding(tx, file_id, "effnet")
        assert scores.load_embedding(tx, file_id, "musicnn") is None
    assert loaded is not None
    assert loaded.mean.tobytes() == some_embedding().mean.tobytes()
    assert loaded.patches.dtype == np.float16
    assert np.array_equal(loaded.patches, some_embedding().patches)


def test_an_embedding_without_its_patches_is_still_of_use(db: Database, add_file: AddFile) -> None:
    file_id = add_file()
    with db.write() as tx:
        scores.save_embedding(tx, file_id, some_embedding())
        tx.run("DELETE FROM patches.patch_embeddings")
        loaded = scores.load_embedding(tx, file_id, "effnet")
    assert loaded is not None
    assert loaded.patches.shape == (0, 8)
