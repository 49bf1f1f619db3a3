"""Files that were analysed, as far as the database knows: scores without any sound."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from nomarr.inference.vocabulary import MSD, VIBENET
from nomarr.moods.tiers import Heard, heard_by
from nomarr.scores import PackScores
from nomarr.store import files, scores
from nomarr.store.database import Database, Transaction
from nomarr.store.facts import Facts
from nomarr.store.files import NewFile

NOW = 1_800_000_000_000
HEADS = {"musicnn": tuple(output.head for output in MSD), "vibenet": tuple(output.head for output in VIBENET)}
_numbers = itertools.count()


def some_scores(
    rng: np.random.Generator, names: Sequence[str] = tuple(HEADS), *, fingerprint: str = "f1"
) -> list[PackScores]:
    """What default packs could say of a track; every mood in every tier occurs in a few hundred."""
    packs = []
    for name in names:
        heads = HEADS.get(name, ("mood_happy", "mood_sad"))
        values = (rng.beta(0.8, 0.8, len(heads)) * (0.2 if name == "musicnn" else 1.0)).astype(np.float32)
        packs.append(PackScores(name, fingerprint, heads, values, values / 4, backbone=name.removeprefix("essentia-")))
    return packs


def together(tracks: Sequence[Sequence[PackScores]]) -> Heard:
    """The scores of several tracks in one."""
    alone = [heard_by(track) for track in tracks]
    return Heard(
        {column: np.concatenate([one.scores[column] for one in alone]) for column in alone[0].scores},
        {column: np.concatenate([one.spreads[column] for one in alone]) for column in alone[0].spreads},
    )


def add_heard(
    tx: Transaction, library_id: int, packs: Sequence[PackScores], *, facts: Facts | None = None, **columns: Any
) -> int:
    """A file with a current analysis, its tags written with the reference, unless the columns say otherwise."""
    name = f"{next(_numbers)}.mp3"
    file_id = files.insert(tx, library_id, NewFile("", name, 1000, 5, facts or Facts()), now=NOW, needs_tagging=False)
    assert file_id is not None
    for pack in packs:
        scores.save(tx, file_id, pack)
    values = {"analyzed_at": NOW, "suite": "suite", "written_hash": "old", "calibration": "reference"} | columns
    tx.run(
        f"UPDATE library_files SET {', '.join(f'{column} = :{column}' for column in values)} WHERE id = :id",
        id=file_id,
        **values,
    )
    return file_id


def fill(db: Database, library_id: int, count: int, *, seed: int = 1, **more: Any) -> dict[int, list[PackScores]]:
    """So many files of a library -> what was heard in each."""
    rng = np.random.default_rng(seed)
    with db.write() as tx:
        made = [some_scores(rng) for _ in range(count)]
        return {add_heard(tx, library_id, packs, **more): packs for packs in made}
