"""What people settled about the moods of their files: words added and taken away, and locks.

Kept until somebody takes it back. It stays with the row of a file through every scan, move and analysis, and where the
row goes (a library removed, a disk away for months), it waits for the same sound to come back.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nomarr.scores import Correction
from nomarr.store.database import Row, Transaction
from nomarr.store.files import join_path
from nomarr.store.manyids import chunks

OF_A_FILE = (
    "FROM corrections AS c JOIN library_files AS f ON f.id = c.file_id JOIN libraries AS l ON l.id = f.library_id"
)
OF_NO_FILE = "NOT EXISTS (SELECT 1 FROM library_files AS f WHERE f.id = c.file_id)"


@dataclass(frozen=True)
class Corrected:
    """A file that somebody corrected."""

    file_id: int
    library_id: int
    path: str
    correction: Correction
    updated_at: int


def of(tx: Transaction, file_id: int) -> Correction:
    """What was settled for the file; empty where nothing was."""
    return of_many(tx, [file_id]).get(file_id, Correction())


def of_many(tx: Transaction, file_ids: Sequence[int]) -> dict[int, Correction]:
    """File -> what was settled for it, of those for which something was."""
    found: dict[int, Correction] = {}
    for some in chunks(file_ids):
        rows = tx.all("SELECT file_id, moods, kept FROM corrections WHERE file_id IN :ids", ids=some)
        found.update({row["file_id"]: read(row["moods"], row["kept"]) for row in rows})
    return found


def of_sound(tx: Transaction, file_id: int, audio_hash: str) -> Correction:
    """What holds for the file once it was heard to have this sound: its own, or what waits for the sound."""
    own = of(tx, file_id)
    waiting = None if own else _waiting(tx, audio_hash)
    return own if waiting is None else read(waiting["moods"], waiting["kept"])


def save(tx: Transaction, corrections: Mapping[int, Correction], *, now: int) -> None:
    """Settle this for files that exist, in place of what was settled before; an empty one is forgotten."""
    tx.many(
        """
        INSERT INTO corrections (file_id, audio_hash, moods, kept, updated_at)
        VALUES (:file_id, (SELECT audio_hash FROM library_files WHERE id = :file_id), :moods, :kept, :now)
        ON CONFLICT (file_id) DO UPDATE SET audio_hash = excluded.audio_hash, moods = excluded.moods,
                                            kept = excluded.kept, updated_at = excluded.updated_at
        """,
        [
            {"file_id": file_id, "moods": _text(one.moods), "kept": _kept(one), "now": now}
            for file_id, one in sorted(corrections.items())
            if one
        ],
    )
    _forget(tx, [file_id for file_id, one in corrections.items() if not one])


def adopt(tx: Transaction, file_id: int, audio_hash: str) -> None:
    """Note what sound the file has, and give it what waits for that sound, unless it has corrections of its own."""
    if tx.run("UPDATE corrections SET audio_hash = :hash WHERE file_id = :id", id=file_id, hash=audio_hash):
        return
    waiting = _waiting(tx, audio_hash)
    if waiting is not None:
        tx.run("UPDATE corrections SET file_id = :id WHERE file_id = :old", id=file_id, old=waiting["file_id"])


def copy(tx: Transaction, *, source_id: int, target_id: int) -> None:
    """Let another file with the same sound have the same corrections, unless it has its own."""
    tx.run(
        """
        INSERT INTO corrections (file_id, audio_hash, moods, kept, updated_at)
        SELECT CAST(:target AS INTEGER), audio_hash, moods, kept, updated_at
          FROM corrections WHERE file_id = :source
            ON CONFLICT (file_id) DO NOTHING
        """,
        source=source_id,
        target=target_id,
    )


def verdicts(tx: Transaction) -> dict[int, Correction]:
    """File -> what was settled mood by mood, of files that are not missing."""
    rows = tx.all(
        """
        SELECT c.file_id, c.moods
          FROM corrections   AS c
          JOIN library_files AS f ON f.id = c.file_id
         WHERE c.moods <> '{}' AND f.missing_since IS NULL
        """
    )
    return {row["file_id"]: read(row["moods"], None) for row in rows}


def count(tx: Transaction, *, library_id: int | None = None, mood: str | None = None) -> int:
    """How many files carry corrections."""
    condition, params = _narrowed(library_id, mood)
    return int(tx.scalar(f"SELECT COUNT(*) {OF_A_FILE} WHERE {condition}", **params))


def page(
    tx: Transaction, *, limit: int, after: int = 0, library_id: int | None = None, mood: str | None = None
) -> list[Corrected]:
    """Corrected files, also missing ones, by id; `mood`: only those for which this mood was settled."""
    condition, params = _narrowed(library_id, mood)
    rows = tx.all(
        f"""
        SELECT c.file_id, f.library_id, l.root_path, f.folder, f.name, c.moods, c.kept, c.updated_at
          {OF_A_FILE}
         WHERE c.file_id > :after AND {condition}
         ORDER BY c.file_id LIMIT :limit
        """,
        after=after,
        limit=limit,
        **params,
    )
    return [_corrected(row) for row in rows]


def read(moods: str, kept: str | None) -> Correction:
    """A correction from the two texts of its row."""
    return Correction(json.loads(moods), None if kept is None else json.loads(kept))


def _corrected(row: Row) -> Corrected:
    return Corrected(
        file_id=row["file_id"],
        library_id=row["library_id"],
        path=join_path(row["root_path"], row["folder"], row["name"]),
        correction=read(row["moods"], row["kept"]),
        updated_at=row["updated_at"],
    )


def _narrowed(library_id: int | None, mood: str | None) -> tuple[str, dict[str, Any]]:
    conditions, params = ["1 = 1"], dict[str, Any]()
    if library_id is not None:
        conditions.append("f.library_id = :library")
        params["library"] = library_id
    if mood is not None:
        conditions.append("c.moods LIKE :mood")
        params["mood"] = f'%"{mood}"%'
    return " AND ".join(conditions), params


def _waiting(tx: Transaction, audio_hash: str) -> Row | None:
    return tx.one(
        f"""
        SELECT c.file_id, c.moods, c.kept FROM corrections AS c
         WHERE c.audio_hash = :hash AND {OF_NO_FILE}
         ORDER BY c.updated_at DESC, c.file_id DESC LIMIT 1
        """,
        hash=audio_hash,
    )


def _forget(tx: Transaction, ids: Sequence[int]) -> None:
    """Also what waits for the same sound, lest it come back when the file is listened to again."""
    for some in chunks(ids):
        tx.run(
            f"""
            DELETE FROM corrections AS c
             WHERE {OF_NO_FILE}
               AND c.audio_hash IN (SELECT h.audio_hash FROM library_files AS h WHERE h.id IN :ids)
            """,
            ids=some,
        )
        tx.run("DELETE FROM corrections WHERE file_id IN :ids", ids=some)


def _kept(correction: Correction) -> str | None:
    return None if correction.kept is None else _text(correction.kept)


def _text(tiers: Mapping[str, int]) -> str:
    return json.dumps(dict(_sorted(tiers)))


def _sorted(tiers: Mapping[str, int]) -> Iterable[tuple[str, int]]:
    return sorted(tiers.items())
