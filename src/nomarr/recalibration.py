"""Stored scores -> new percentiles -> which files' tags change, without touching audio."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nomarr import sidecars
from nomarr.errors import Conflict, DatabaseProblem, InvalidInput
from nomarr.inference.catalog import digest, preference, slug
from nomarr.library_moods import block_tiers, written_scores
from nomarr.moods.calibration import Histogram, drift, odd_library
from nomarr.moods.reference import reference_calibrations
from nomarr.moods.tags import hash_text, hashes_of, suite_term
from nomarr.scores import LibraryCalibration
from nomarr.store import calibrations, leases, libraries
from nomarr.store.calibrations import CalibrationRun, HeadCalibration, TaggedFiles
from nomarr.store.database import Database, Transaction
from nomarr.store.libraries import Library
from nomarr.store.matrix import Block, ScorePack, read_blocks

log = logging.getLogger(__name__)

LEASE, LEASE_MS = "calibration", 600_000  # a million files take a minute or two
BATCH = 10_000  # files in one transaction: the database is not held for long

ReadBlocks = Callable[[Transaction], Iterable[Block]]


@dataclass(frozen=True)
class Generated:
    """A new calibration, the sidecars that were saved (head key -> file), and why some were not."""

    run: CalibrationRun
    saved_files: dict[str, str]
    unsaved: str | None


@dataclass(frozen=True)
class Applied:
    """What a calibration changed: files to be written again, and files whose tags stay the very same."""

    to_write: int
    unchanged: int


@dataclass(frozen=True)
class Changes:
    """Outdated files of one block: those whose tags another calibration changes, and those it does not."""

    label: str
    changed: NDArray[np.int64]
    same: NDArray[np.int64]


def generate(
    db: Database,
    models_dir: Path,
    *,
    library_id: int | None = None,
    min_files: int = 1,
    blocks: ReadBlocks = read_blocks,
) -> Generated:
    """Percentiles of every head over one library, or over all that are enabled; they hold from now on.

    InvalidInput with fewer analysed files than `min_files`, Conflict while another process generates one. Bounded
    memory, whatever the number of files.
    """
    with _alone(db):
        return _generate(db, models_dir, library_id=library_id, min_files=min_files, blocks=blocks)


@contextmanager
def _alone(db: Database) -> Iterator[None]:
    """While no other process that shares the database does the same."""
    owner = uuid.uuid4().hex
    with db.write() as tx:
        if not leases.take(tx, LEASE, owner=owner, now=tx.now_ms(), lease_ms=LEASE_MS):
            raise Conflict("A calibration is being generated already")
    try:
        yield
    finally:
        with suppress(DatabaseProblem), db.write() as tx:
            leases.give_up(tx, LEASE, owner=owner)


def _generate(
    db: Database, models_dir: Path, *, library_id: int | None, min_files: int, blocks: ReadBlocks
) -> Generated:
    with db.read() as tx:
        chosen = _chosen(tx, library_id)
        count = _count(block for block in blocks(tx) if block.library_id in chosen)
        old = calibrations.before(tx, library_id)
    if count.files < min_files:
        files = "file" if count.files == 1 else "files"
        raise InvalidInput(f"{count.files} analysed {files}: a calibration needs at least {min_files}")
    heads = _head_calibrations(count, old)
    found = {(head.pack, head.head_name): head.percentiles for head in heads}
    drifts = [head.drift for head in heads if head.drift is not None]
    with db.write() as tx:
        run = calibrations.save(
            tx,
            heads,
            library_id=library_id,
            library_size=count.files,
            global_version=_global_version(heads),
            drift=max(drifts, default=None),
            note=odd_library(count.files, found, reference_calibrations()),
            now=tx.now_ms(),
        )
        in_force = {run.version for run in calibrations.current(tx).runs.values()}
    saved, unsaved = sidecars.save(run, models_dir)
    sidecars.prune(models_dir, run.heads, in_force)
    log.info("calibration %s from %d files, %d heads", run.label, run.library_size, len(run.heads))
    return Generated(run, saved, unsaved)


def apply(
    db: Database, default_mode: str, *, library_id: int | None = None, blocks: ReadBlocks = read_blocks
) -> Applied:
    """Brings outdated files up to date: those whose tags change are queued for writing, the others relabelled.

    Safe to stop at any time and to run again. What libraries keep in the database alone is never outdated.
    """
    changes = find_changes(db, default_mode, library_id=library_id, blocks=blocks)
    to_write = unchanged = 0
    for change in changes:
        for ids in _batches(change.changed):
            with db.write() as tx:
                to_write += calibrations.request_writes(tx, ids, change.label, now=tx.now_ms())
        for ids in _batches(change.same):
            with db.write() as tx:
                unchanged += calibrations.relabel(tx, ids, change.label)
    return Applied(to_write, unchanged)


def find_changes(
    db: Database, default_mode: str, *, library_id: int | None = None, blocks: ReadBlocks = read_blocks
) -> list[Changes]:
    """What the calibrations in force make of all outdated files that do not wait to be written anyway."""
    with db.read() as tx:
        chosen = libraries.list_all(tx) if library_id is None else [libraries.get(tx, library_id)]
        current, tagged = calibrations.current(tx), calibrations.tagged_by_label(tx)
        lagging = {
            library.id: (current.of(library.id), library.file_write_mode or default_mode)
            for library in chosen
            if outdated_count(library, tagged.get(library.id, {}), current.of(library.id).label, default_mode)
        }
        found = []
        for block in blocks(tx) if lagging else ():
            if block.library_id in lagging:
                calibration, mode = lagging[block.library_id]
                page = calibrations.outdated(
                    tx, block.library_id, calibration.label, first=int(block.ids[0]), last=int(block.ids[-1])
                )
                found.append(_compare(block, page, calibration, mode))
    return [changes for changes in found if len(changes.changed) or len(changes.same)]


def outdated_count(library: Library, tagged: Mapping[str | None, int], label: str, default_mode: str) -> int:
    """How many files of a library carry tags of another calibration than its current one."""
    if (library.file_write_mode or default_mode) == "none":
        return 0
    return sum(files for other, files in tagged.items() if other != label)


@dataclass
class _Counted:
    """A version of a pack: how many files have it, and how its scores are spread."""

    pack: ScorePack
    histogram: Histogram
    files: int = 0


@dataclass
class _Count:
    files: int
    packs: list[_Counted]  # of each pack the version that most files were heard with, preferred packs first


def _chosen(tx: Transaction, library_id: int | None) -> set[int]:
    if library_id is not None:
        return {libraries.get(tx, library_id).id}
    return {library.id for library in libraries.list_all(tx, enabled_only=True)}


def _count(blocks: Iterable[Block]) -> _Count:
    files = 0
    counted: dict[int, _Counted] = {}
    for block in blocks:
        files += len(block.ids)
        row = 0
        for pack in block.packs:
            one = counted.setdefault(pack.id, _Counted(pack, Histogram(len(pack.heads))))
            one.files += len(block.ids)
            one.histogram.add(block.values[row : row + len(pack.heads)])
            row += len(pack.heads)
    chosen: dict[str, _Counted] = {}
    for one in sorted(counted.values(), key=lambda one: (one.files, one.pack.id)):
        chosen[one.pack.pack] = one
    return _Count(files, sorted(chosen.values(), key=lambda one: preference(one.pack.pack)))


def _head_calibrations(count: _Count, old: CalibrationRun | None) -> list[HeadCalibration]:
    earlier = {} if old is None else {(head.pack, head.head_name): head.percentiles for head in old.heads}
    heads: dict[str, HeadCalibration] = {}
    for one in count.packs:
        pack, histogram = one.pack, one.histogram
        model = pack.backbone or pack.pack
        for i, (name, new) in enumerate(zip(pack.heads, histogram.calibrations(), strict=True)):
            key = f"{model}:{name}"
            key = f"{key}_{slug(pack.pack)}" if key in heads else key  # as Suite.head_keys tells them apart
            before = earlier.get((pack.pack, name))
            heads[key] = HeadCalibration(
                head_key=key,
                pack=pack.pack,
                fingerprint=pack.fingerprint,
                model_name=model,
                head_name=name,
                p5=new.p5,
                p95=new.p95,
                n=int(histogram.n[i]),
                underflow=int(histogram.underflow[i]),
                overflow=int(histogram.overflow[i]),
                drift=None if before is None else round(drift(before, new), 6),
            )
    return sorted(heads.values(), key=lambda head: head.head_key)


def _global_version(heads: Iterable[HeadCalibration]) -> str:
    return digest(f"{head.head_key}={head.p5:.4f}:{head.p95:.4f}" for head in heads)[:12]


def _compare(block: Block, page: TaggedFiles, calibration: LibraryCalibration, mode: str) -> Changes:
    place = np.minimum(np.searchsorted(block.ids, page.ids), len(block.ids) - 1)
    ours = np.flatnonzero(block.ids[place] == page.ids)
    some = block.at(place[ours])
    scores = written_scores(some, calibration) if mode == "native" else {}
    hashes = hashes_of(scores, block_tiers(some, calibration), tracks=len(ours), mode=mode)
    terms = {suite: suite_term(suite, mode=mode) for suite in set(page.suites)}
    hashes += np.array([terms[page.suites[i]] for i in ours], np.uint64)
    wanted = map(hash_text, hashes.tolist())
    is_same = np.array([page.hashes[i] == text for i, text in zip(ours, wanted, strict=True)], np.bool_)
    return Changes(calibration.label, page.ids[ours[~is_same]], page.ids[ours[is_same]])


def _batches(ids: NDArray[np.int64]) -> Iterable[list[int]]:
    return (ids[first : first + BATCH].tolist() for first in range(0, len(ids), BATCH))
