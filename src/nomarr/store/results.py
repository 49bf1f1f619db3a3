"""What was found out about files, as it leaves one database and comes into another."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nomarr.scores import Correction, Embedding, PackScores
from nomarr.store import calibrations, copying, corrections, scores
from nomarr.store.calibrations import HEAD_COLUMNS, CalibrationRun
from nomarr.store.database import Transaction
from nomarr.store.files import FRESH_START, join_path
from nomarr.store.manyids import chunks
from nomarr.store.schema import calibrations as calibrations_table
from nomarr.store.scores import FLOAT32


@dataclass(frozen=True)
class FileFound:
    """One file's name, sound and analysis; the path is relative to its library."""

    id: int
    library: str
    path: str
    audio_key: str | None
    audio_hash: str | None
    duration_s: float | None
    suite: str | None
    analyzed_at: int | None
    patches: int | None
    analysis_s: float | None
    hands_off: bool


@dataclass(frozen=True)
class Candidate:
    """A file of this database that results may belong to."""

    id: int
    library: str
    root_path: str
    folder: str
    name: str
    audio_key: str | None
    audio_hash: str | None
    duration_s: float | None
    needs_tagging: bool
    analyzed_at: int | None
    suite: str | None

    @property
    def relative_path(self) -> str:
        return join_path("", self.folder, self.name)

    @property
    def path(self) -> str:
        return join_path(self.root_path, self.folder, self.name)


CANDIDATE = """
    SELECT f.id, l.name AS library, l.root_path, f.folder, f.name, f.audio_key, f.audio_hash, f.duration_s,
           f.needs_tagging, f.analyzed_at, f.suite
      FROM library_files AS f
      JOIN libraries     AS l ON l.id = f.library_id
"""
WORTH_TELLING = "(f.analyzed_at IS NOT NULL OR EXISTS (SELECT 1 FROM corrections AS c WHERE c.file_id = f.id))"


def page(tx: Transaction, *, after: int, limit: int) -> list[FileFound]:
    """Files that were analysed or corrected, by id."""
    rows = tx.all(
        f"""
        SELECT f.id, l.name AS library, f.folder, f.name, f.audio_key, f.audio_hash, f.duration_s, f.suite,
               f.analyzed_at, f.patches, f.analysis_s, f.hands_off
          FROM library_files AS f
          JOIN libraries     AS l ON l.id = f.library_id
         WHERE f.id > :after AND {WORTH_TELLING}
         ORDER BY f.id LIMIT :limit
        """,
        after=after,
        limit=limit,
    )
    places = ("folder", "name")
    return [
        FileFound(**{k: v for k, v in row.items() if k not in places}, path=join_path("", row["folder"], row["name"]))
        for row in rows
    ]


def count(tx: Transaction) -> int:
    return int(tx.scalar(f"SELECT COUNT(*) FROM library_files AS f WHERE {WORTH_TELLING}"))


def backbones(tx: Transaction, file_id: int) -> list[str]:
    """The networks that embeddings of the file are kept of."""
    rows = tx.all("SELECT backbone FROM embeddings WHERE file_id = :id ORDER BY backbone", id=file_id)
    return [row["backbone"] for row in rows]


def in_force(tx: Transaction) -> list[tuple[str | None, CalibrationRun]]:
    """The calibrations that hold for some library, the oldest first, each with its library's name; None: of all."""
    names = {row["id"]: row["name"] for row in tx.all("SELECT id, name FROM libraries")}
    runs = {run.version: run for run in calibrations.current(tx).runs.values()}
    return [(None if run.library_id is None else names[run.library_id], run) for _, run in sorted(runs.items())]


def scores_of(tx: Transaction, file_ids: Sequence[int]) -> dict[int, list[PackScores]]:
    """File -> all its scores, one entry per pack."""
    packs = {row["id"]: row for row in tx.all("SELECT id, pack, fingerprint, backbone, heads FROM score_packs")}
    heads = {pack_id: tuple(json.loads(row["heads"])) for pack_id, row in packs.items()}
    rows = tx.all(
        "SELECT file_id, pack_id, scores, spreads FROM file_scores WHERE file_id IN :ids ORDER BY file_id, pack_id",
        ids=list(file_ids),
    )
    found: dict[int, list[PackScores]] = {}
    for row in rows:
        pack = packs[row["pack_id"]]
        found.setdefault(row["file_id"], []).append(
            PackScores(
                pack["pack"],
                pack["fingerprint"],
                heads[row["pack_id"]],
                np.frombuffer(row["scores"], FLOAT32),
                np.frombuffer(row["spreads"], FLOAT32),
                pack["backbone"],
            )
        )
    return {file_id: sorted(some, key=lambda pack: pack.pack) for file_id, some in found.items()}


def with_keys(tx: Transaction, audio_keys: Sequence[str]) -> list[Candidate]:
    """Files whose sound may be one of these."""
    sql = f"{CANDIDATE} WHERE f.audio_key IN :keys ORDER BY f.id"
    return [Candidate(**row) for some in chunks(audio_keys) for row in tx.all(sql, keys=some)]


def at_path(tx: Transaction, library: str, folder: str, name: str) -> Candidate | None:
    row = tx.one(
        f"{CANDIDATE} WHERE l.name = :library AND f.folder = :folder AND f.name = :name",
        library=library,
        folder=folder,
        name=name,
    )
    return None if row is None else Candidate(**row)


def take(
    tx: Transaction,
    file_id: int,
    *,
    packs: Sequence[PackScores],
    embeddings: Sequence[Embedding],
    facts: Mapping[str, object],
    hands_off: bool,
    now: int,
) -> None:
    """Make these the file's analysis, as if it had been listened to; who listens to it now has lost it.

    `facts` are suite, analyzed_at, patches, analysis_s, audio_hash, duration_s. A worker looks what is to be written.
    """
    scores.replace(tx, file_id, packs)
    for embedding in embeddings:
        scores.save_embedding(tx, file_id, embedding)
    tx.run(
        f"""
        UPDATE library_files
           SET suite = :suite, analyzed_at = :analyzed_at, patches = :patches, analysis_s = :analysis_s,
               audio_hash = COALESCE(:audio_hash, audio_hash), duration_s = COALESCE(:duration_s, duration_s),
               needs_tagging = FALSE, hands_off = :hands_off,
               needs_write = :needs_write, written_hash = NULL, written_at = NULL, calibration = NULL,
               write_error = NULL, write_failures = 0, updated_at = :now,
               claim_token = claim_token + 1, claimed_by = NULL, lease_until = NULL, {FRESH_START}
         WHERE id = :id
        """,
        **facts,
        hands_off=hands_off,
        needs_write=not hands_off,
        now=now,
        id=file_id,
    )


def correct(tx: Transaction, file_id: int, correction: Correction, *, now: int) -> bool:
    """Settle this for the file, unless something is settled already; a file that was heard is then written again."""
    if corrections.of(tx, file_id):
        return False
    corrections.save(tx, {file_id: correction}, now=now)
    tx.run(
        """
        UPDATE library_files SET needs_write = TRUE, updated_at = :now
         WHERE id = :id AND analyzed_at IS NOT NULL AND NOT hands_off
        """,
        id=file_id,
        now=now,
    )
    return True


def take_calibration(tx: Transaction, run: CalibrationRun, library_id: int | None) -> None:
    """Keep a calibration under its own number, where there are none yet: the labels in files stay right."""
    tx.run(
        """
        INSERT INTO calibrations (version, library_id, library_size, global_version, drift, note, created_at)
        VALUES (:version, :library, :size, :global_version, :drift, :note, :at)
        """,
        version=run.version,
        library=library_id,
        size=run.library_size,
        global_version=run.global_version,
        drift=run.drift,
        note=run.note,
        at=run.created_at,
    )
    tx.many(
        f"""
        INSERT INTO calibration_heads (version, {HEAD_COLUMNS})
        VALUES (:version, {", ".join(f":{name}" for name in HEAD_COLUMNS.split(", "))})
        """,
        [{"version": run.version, **vars(head)} for head in run.heads],
    )
    copying.set_highest_id(tx, calibrations_table, run.version)


def has_calibrations(tx: Transaction) -> bool:
    return tx.scalar("SELECT 1 FROM calibrations LIMIT 1") is not None
