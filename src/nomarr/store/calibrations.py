"""Calibrations: the percentiles that hold for each library, their history, and the files that lag behind."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field

import numpy as np
from numpy.typing import NDArray

from nomarr.scores import Calibration, Levels, LibraryCalibration
from nomarr.store import preferences
from nomarr.store.database import Row, Transaction
from nomarr.store.manyids import among

# The newest run that covers a library holds for it, be it a run over all libraries or over this one.
IN_FORCE = """
    SELECT l.id AS library_id,
           (SELECT MAX(c.version) FROM calibrations AS c WHERE c.library_id = l.id OR c.library_id IS NULL) AS version
      FROM libraries AS l
"""
TAGGED = "written_hash IS NOT NULL AND missing_since IS NULL"
OUTDATED = f"{TAGGED} AND (calibration IS NULL OR calibration <> :label)"
LEVELS = "mood_levels"  # the preference: mood -> [strict, regular, loose]
HEAD_COLUMNS = "head_key, pack, fingerprint, model_name, head_name, p5, p95, n, underflow, overflow, drift"


@dataclass(frozen=True)
class HeadCalibration:
    """One head's percentiles in one calibration, and what they were counted from."""

    head_key: str
    pack: str
    fingerprint: str
    model_name: str
    head_name: str
    p5: float
    p95: float
    n: int
    underflow: int
    overflow: int
    drift: float | None  # how far a calibrated score moved at most since the calibration before

    @property
    def percentiles(self) -> Calibration:
        return Calibration(self.p5, self.p95)


@dataclass(frozen=True)
class CalibrationRun:
    """One calibration; `library_id` is null for one over all libraries."""

    version: int
    library_id: int | None
    library_size: int
    global_version: str
    drift: float | None
    note: str | None
    created_at: int
    heads: tuple[HeadCalibration, ...] = field(default=())

    @property
    def label(self) -> str:
        return label(self.version)


@dataclass(frozen=True)
class Current:
    """Which calibration holds for which library, and the levels that somebody set."""

    runs: Mapping[int, CalibrationRun]  # library -> its calibration, where there is one
    levels: Mapping[str, Levels] = field(default_factory=dict)

    def of(self, library_id: int) -> LibraryCalibration:
        """The percentiles of a library; none, under the reference's label, before its first calibration."""
        run = self.runs.get(library_id)
        return LibraryCalibration(
            label(None if run is None else run.version, self.levels),
            {} if run is None else {(head.pack, head.head_name): head.percentiles for head in run.heads},
            self.levels,
        )


@dataclass(frozen=True)
class TaggedFiles:
    """Some tagged files whose tags come from another calibration: ids ascending, suites, and hashes of their tags."""

    ids: NDArray[np.int64]
    suites: tuple[str, ...]
    hashes: tuple[str, ...]


def label(version: int | None, levels: Mapping[str, Levels] | None = None) -> str:
    """How files and sidecars call a calibration: v5, or v5+3fa2c1 where levels were set as well."""
    name = LibraryCalibration().label if version is None else f"v{version}"
    return f"{name}+{hashlib.blake2b(_levels_text(levels).encode(), digest_size=3).hexdigest()}" if levels else name


def mood_levels(tx: Transaction) -> dict[str, Levels]:
    """Mood -> the levels that somebody set for it."""
    return {mood: Levels(*levels) for mood, levels in preferences.get(tx, LEVELS, {}).items()}


def set_mood_levels(tx: Transaction, levels: Mapping[str, Levels]) -> None:
    """Have these hold, and for all other moods what Nomarr comes with. Files lag behind until they are applied."""
    if levels:
        preferences.put(tx, LEVELS, json.loads(_levels_text(levels)))
    else:
        preferences.remove(tx, LEVELS)


def save(
    tx: Transaction,
    heads: Sequence[HeadCalibration],
    *,
    library_id: int | None,
    library_size: int,
    global_version: str,
    drift: float | None,
    note: str | None,
    now: int,
) -> CalibrationRun:
    """Keep a calibration; it holds from now on. Versions count up over all libraries."""
    version = tx.scalar(
        """
        INSERT INTO calibrations (library_id, library_size, global_version, drift, note, created_at)
        VALUES (:library, :size, :global_version, :drift, :note, :now)
        RETURNING version
        """,
        library=library_id,
        size=library_size,
        global_version=global_version,
        drift=drift,
        note=note,
        now=now,
    )
    tx.many(
        f"""
        INSERT INTO calibration_heads (version, {HEAD_COLUMNS})
        VALUES (:version, {", ".join(f":{name}" for name in HEAD_COLUMNS.split(", "))})
        """,
        [{"version": version, **vars(head)} for head in heads],
    )
    return CalibrationRun(version, library_id, library_size, global_version, drift, note, now, tuple(heads))


def current(tx: Transaction) -> Current:
    """What holds for every library."""
    newest = {row["library_id"]: row["version"] for row in tx.all(IN_FORCE) if row["version"] is not None}
    runs = {run.version: run for run in _runs(tx, sorted(set(newest.values())))}
    return Current({library: runs[version] for library, version in newest.items()}, mood_levels(tx))


def current_label(tx: Transaction, library_id: int) -> str:
    """The label of what holds for the library."""
    return label(_version_of(tx, library_id), mood_levels(tx))


def labels(tx: Transaction) -> dict[int, str]:
    """Library -> the label of what holds for it."""
    levels = mood_levels(tx)
    return {row["library_id"]: label(row["version"], levels) for row in tx.all(IN_FORCE)}


def for_library(tx: Transaction, library_id: int) -> LibraryCalibration:
    """What holds for one library."""
    version = _version_of(tx, library_id)
    runs = {} if version is None else {library_id: _runs(tx, [version])[0]}
    return Current(runs, mood_levels(tx)).of(library_id)


def before(tx: Transaction, library_id: int | None) -> CalibrationRun | None:
    """The newest calibration of the same extent, to compare another with; for a library else that of all."""
    version = tx.scalar("SELECT MAX(version) FROM calibrations WHERE library_id IS NULL")
    if library_id is not None:
        own = tx.scalar("SELECT MAX(version) FROM calibrations WHERE library_id = :library", library=library_id)
        version = own if own is not None else version
    return None if version is None else _runs(tx, [version])[0]


def history(
    tx: Transaction, *, limit: int, library_id: int | None = None, before_version: int | None = None
) -> list[CalibrationRun]:
    """Calibrations, the newest first; of one library those that covered it."""
    conditions = ["1 = 1"]
    if library_id is not None:
        conditions.append("(library_id = :library OR library_id IS NULL)")
    if before_version is not None:
        conditions.append("version < :before")
    params = {"library": library_id, "before": before_version}
    rows = tx.all(
        f"SELECT version FROM calibrations WHERE {' AND '.join(conditions)} ORDER BY version DESC LIMIT :limit",
        limit=limit,
        **{name: value for name, value in params.items() if value is not None},
    )
    return _runs(tx, [row["version"] for row in rows])[::-1]


def tagged_by_label(tx: Transaction) -> dict[int, dict[str | None, int]]:
    """Library -> label -> how many files carry tags from that calibration."""
    rows = tx.all(f"SELECT library_id, calibration, COUNT(*) AS files FROM library_files WHERE {TAGGED} GROUP BY 1, 2")
    found: dict[int, dict[str | None, int]] = {}
    for row in rows:
        found.setdefault(row["library_id"], {})[row["calibration"]] = row["files"]
    return found


def outdated(tx: Transaction, library_id: int, label: str, *, first: int, last: int) -> TaggedFiles:
    """Files between two ids whose tags come from another calibration and are not about to be written."""
    ids, suites, hashes = tx.columns(
        f"""
        SELECT id, COALESCE(suite, ''), written_hash
          FROM library_files
         WHERE +library_id = :library AND id BETWEEN :first AND :last AND NOT needs_write AND {OUTDATED}
         ORDER BY id
        """,  # the +, for not one of its indexes is as good as that of the ids
        library=library_id,
        label=label,
        first=first,
        last=last,
    )
    return TaggedFiles(np.array(ids, np.int64), tuple(suites), tuple(hashes))


def request_writes(tx: Transaction, ids: Sequence[int], label: str, *, now: int) -> int:
    """Have those files written again whose tags still come from another calibration; says how many."""
    these, listed = among(tx, ids)
    return tx.run(
        f"""
        UPDATE library_files
           SET needs_write = TRUE, write_error = NULL, write_failures = 0, not_before = NULL, updated_at = :now
         WHERE id {these} AND {OUTDATED}
        """,
        ids=listed,
        label=label,
        now=now,
    )


def relabel(tx: Transaction, ids: Sequence[int], label: str) -> int:
    """Note that another calibration would write the very same tags into the files; says into how many."""
    these, listed = among(tx, ids)
    return tx.run(
        f"UPDATE library_files SET calibration = :label WHERE id {these} AND {OUTDATED}", ids=listed, label=label
    )


def waiting_to_be_written(tx: Transaction, *, limit: int) -> list[int]:
    """Some of the files that hold tags of ours and are to be written again."""
    rows = tx.tuples(
        """
        SELECT id
          FROM library_files
         WHERE (needs_tagging OR needs_write) AND missing_since IS NULL AND NOT set_aside
           AND needs_write AND NOT needs_tagging AND written_hash IS NOT NULL
         LIMIT :limit
        """,
        limit=limit,
    )
    return [row[0] for row in rows]


def about_to_be_written(tx: Transaction, ids: Sequence[int], *, now: int) -> int:
    """How many of these files workers will write as soon as they come to them."""
    these, listed = among(tx, ids)
    return int(
        tx.scalar(
            f"""
            SELECT COUNT(*)
              FROM library_files
             WHERE id {these}
               AND needs_write AND NOT set_aside AND missing_since IS NULL
               AND (not_before IS NULL OR not_before <= :now)
            """,
            ids=listed,
            now=now,
        )
    )


def _version_of(tx: Transaction, library_id: int) -> int | None:
    row = tx.one(f"{IN_FORCE} WHERE l.id = :library", library=library_id)
    return None if row is None else row["version"]


def _levels_text(levels: Mapping[str, Levels]) -> str:
    return json.dumps({mood: astuple(one) for mood, one in sorted(levels.items())})


def _runs(tx: Transaction, versions: Sequence[int]) -> list[CalibrationRun]:
    """These calibrations, by version."""
    if not versions:
        return []
    rows = tx.all(
        """
        SELECT version, library_id, library_size, global_version, drift, note, created_at
          FROM calibrations WHERE version IN :versions ORDER BY version
        """,
        versions=list(versions),
    )
    heads: dict[int, list[Row]] = {}
    for row in tx.all(
        f"SELECT version, {HEAD_COLUMNS} FROM calibration_heads WHERE version IN :versions ORDER BY version, head_key",
        versions=list(versions),
    ):
        heads.setdefault(row["version"], []).append({k: v for k, v in row.items() if k != "version"})
    return [
        CalibrationRun(**row, heads=tuple(HeadCalibration(**head) for head in heads.get(row["version"], ())))
        for row in rows
    ]
