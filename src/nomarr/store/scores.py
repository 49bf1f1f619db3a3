"""Head scores as vectors, one row per track and pack, and the embeddings they came from."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nomarr.scores import Embedding, PackScores
from nomarr.store.database import Transaction

FLOAT32, FLOAT16 = np.dtype("<f4"), np.dtype("<f2")  # the bytes are the same on every machine


def save(tx: Transaction, file_id: int, scores: PackScores) -> None:
    """Store the scores in place of those of any other version of the same pack."""
    pack_id = _pack_id(tx, scores)
    tx.run(
        """
        DELETE FROM file_scores
         WHERE file_id = :file_id
           AND pack_id IN (SELECT id FROM score_packs WHERE pack = :pack AND id <> :pack_id)
        """,
        file_id=file_id,
        pack=scores.pack,
        pack_id=pack_id,
    )
    tx.run(
        """
        INSERT INTO file_scores (file_id, pack_id, scores, spreads)
        VALUES (:file_id, :pack_id, :scores, :spreads)
        ON CONFLICT (file_id, pack_id) DO UPDATE SET scores = excluded.scores, spreads = excluded.spreads
        """,
        file_id=file_id,
        pack_id=pack_id,
        scores=_vector(scores.values, len(scores.heads)),
        spreads=_vector(scores.spreads, len(scores.heads)),
    )


def replace(tx: Transaction, file_id: int, packs: Sequence[PackScores]) -> None:
    """Make these all the scores of a file; what packs that are gone said of it goes too."""
    kept = [_pack_id(tx, pack) for pack in packs]
    tx.run("DELETE FROM file_scores WHERE file_id = :id AND pack_id NOT IN :kept", id=file_id, kept=kept or [-1])
    for pack in packs:
        save(tx, file_id, pack)


def load(tx: Transaction, file_id: int) -> list[PackScores]:
    """All scores of a file, one entry per pack."""
    rows = tx.all(
        """
        SELECT p.pack, p.fingerprint, p.backbone, p.heads, s.scores, s.spreads
          FROM file_scores AS s
          JOIN score_packs AS p ON p.id = s.pack_id
         WHERE s.file_id = :file_id
         ORDER BY p.pack
        """,
        file_id=file_id,
    )
    return [
        PackScores(
            pack=row["pack"],
            fingerprint=row["fingerprint"],
            heads=tuple(json.loads(row["heads"])),
            values=_array(row["scores"]),
            spreads=_array(row["spreads"]),
            backbone=row["backbone"],
        )
        for row in rows
    ]


def save_embedding(tx: Transaction, file_id: int, embedding: Embedding) -> None:
    """Store the mean, and the patches in the database beside."""
    tx.run(
        """
        INSERT INTO embeddings (file_id, backbone, fingerprint, mean)
        VALUES (:file_id, :backbone, :fingerprint, :mean)
        ON CONFLICT (file_id, backbone) DO UPDATE SET fingerprint = excluded.fingerprint, mean = excluded.mean
        """,
        file_id=file_id,
        backbone=embedding.backbone,
        fingerprint=embedding.fingerprint,
        mean=np.ascontiguousarray(embedding.mean, dtype=FLOAT32).tobytes(),
    )
    tx.run(
        """
        INSERT INTO patches.patch_embeddings (file_id, backbone, fingerprint, size, patches)
        VALUES (:file_id, :backbone, :fingerprint, :size, :patches)
        ON CONFLICT (file_id, backbone)
        DO UPDATE SET fingerprint = excluded.fingerprint, size = excluded.size, patches = excluded.patches
        """,
        file_id=file_id,
        backbone=embedding.backbone,
        fingerprint=embedding.fingerprint,
        size=embedding.patches.shape[1],
        patches=np.ascontiguousarray(embedding.patches, dtype=FLOAT16).tobytes(),
    )


def with_pack(tx: Transaction, ids: Sequence[int], pack: str, fingerprint: str) -> set[int]:
    """Which of the files have scores of this very pack."""
    rows = tx.tuples(
        """
        SELECT s.file_id
          FROM file_scores AS s
          JOIN score_packs AS p ON p.id = s.pack_id
         WHERE s.file_id IN :ids AND p.pack = :pack AND p.fingerprint = :fingerprint
        """,
        ids=list(ids),
        pack=pack,
        fingerprint=fingerprint,
    )
    return {row[0] for row in rows}


def load_embedding(tx: Transaction, file_id: int, backbone: str) -> Embedding | None:
    """The embedding, or None. Without patches if those were lost: a power cut can part the two databases."""
    return load_embeddings(tx, [file_id], backbone).get(file_id)


def load_embeddings(tx: Transaction, ids: Sequence[int], backbone: str) -> dict[int, Embedding]:
    """The same of some files; those that have none are left out."""
    rows = tx.tuples(
        """
        SELECT e.file_id, e.fingerprint, e.mean, p.patches
          FROM embeddings AS e
          LEFT JOIN patches.patch_embeddings AS p
            ON p.file_id = e.file_id AND p.backbone = e.backbone AND p.fingerprint = e.fingerprint
         WHERE e.file_id IN :ids AND e.backbone = :backbone
        """,
        ids=list(ids),
        backbone=backbone,
    )
    return {
        file_id: Embedding(
            backbone=backbone,
            fingerprint=fingerprint,
            mean=_array(mean),
            patches=np.frombuffer(patches or b"", dtype=FLOAT16).astype(np.float16).reshape(-1, len(mean) // 4),
        )
        for file_id, fingerprint, mean, patches in rows
    }


def _pack_id(tx: Transaction, scores: PackScores) -> int:
    known = tx.one(
        "SELECT id, heads FROM score_packs WHERE pack = :pack AND fingerprint = :fingerprint",
        pack=scores.pack,
        fingerprint=scores.fingerprint,
    )
    if known is None:
        tx.run(
            """
            INSERT INTO score_packs (pack, fingerprint, backbone, heads)
            VALUES (:pack, :fingerprint, :backbone, :heads)
            ON CONFLICT (pack, fingerprint) DO NOTHING
            """,
            pack=scores.pack,
            fingerprint=scores.fingerprint,
            backbone=scores.backbone,
            heads=json.dumps(scores.heads),
        )
        return _pack_id(tx, scores)
    if tuple(json.loads(known["heads"])) != scores.heads:
        raise ValueError(f"pack {scores.pack} has other heads than its fingerprint {scores.fingerprint} stands for")
    return int(known["id"])


def _vector(values: NDArray[np.float32], size: int) -> bytes:
    if values.shape != (size,):
        raise ValueError(f"expected {size} scores, one per head, not an array of shape {values.shape}")
    return np.ascontiguousarray(values, dtype=FLOAT32).tobytes()


def _array(blob: bytes) -> NDArray[np.float32]:
    return np.frombuffer(blob, dtype=FLOAT32).astype(np.float32)
