"""Results as JSON Lines: all that was heard and corrected, out of one installation and into another.

A line says what calibrations hold, then there is one for each file. Files find each other by their sound; nothing is
listened to.
"""

from __future__ import annotations

import base64
import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO

import numpy as np

from nomarr import __version__
from nomarr.errors import FileProblem, InvalidInput, ModelProblem
from nomarr.inference.catalog import read_suite
from nomarr.resultlines import FileLine, Header, PackLine, parsed
from nomarr.scores import Correction, Embedding, PackScores
from nomarr.settings import Settings
from nomarr.store import calibrations, corrections, files, libraries, results, scores
from nomarr.store.calibrations import CalibrationRun, HeadCalibration
from nomarr.store.database import Database, Transaction
from nomarr.store.results import Candidate, FileFound
from nomarr.store.scores import FLOAT16, FLOAT32
from nomarr.tagfiles.payload import audio_hash

FORMAT = "nomarr-results"
VERSION = 1
BATCH = 200  # files in memory, and in one transaction
BATCH_BYTES = 64_000_000  # of lines in memory
LONGEST_LINE = 16_000_000  # bytes; one with embeddings takes some hundred thousand
SAME_LENGTH_S = 0.5

Progress = Callable[[int, int | None], None]  # files done, and in all where that is known
Heads = Mapping[tuple[str, str], Sequence[str]]  # (pack, fingerprint) -> its scores


@dataclass(frozen=True)
class Imported:
    """What became of the lines: files that took results over, that had their own already, that are not here."""

    taken: int = 0
    known: int = 0
    absent: int = 0
    corrected: int = 0
    calibrations: int = 0


# out


def export_results(db: Database, out: BinaryIO, *, with_embeddings: bool, progress: Progress) -> int:
    """Write all results as they are at one moment; -> how many files."""
    done, last = 0, 0
    with db.read() as tx:
        total = results.count(tx)
        out.write(_line(_header(tx, total)))
        while some := results.page(tx, after=last, limit=BATCH):
            ids = [file.id for file in some]
            heard, corrected = results.scores_of(tx, ids), corrections.of_many(tx, ids)
            for file in some:
                line = _file_line(file, heard.get(file.id, []), corrected.get(file.id))
                if with_embeddings:
                    line["embeddings"] = _embeddings(tx, file.id)
                out.write(_line(line))
            last, done = some[-1].id, done + len(some)
            progress(done, total)
    return done


def _header(tx: Transaction, total: int) -> dict[str, Any]:
    runs = []
    for library, run in results.in_force(tx):
        facts = {name: value for name, value in asdict(run).items() if name != "library_id"}
        runs.append({**facts, "library": library, "heads": [asdict(head) for head in run.heads]})
    levels = {mood: [one.strict, one.regular, one.loose] for mood, one in calibrations.mood_levels(tx).items()}
    return {
        "format": FORMAT,
        "version": VERSION,
        "nomarr": __version__,
        "files": total,
        "calibrations": runs,
        "mood_levels": levels,
    }


def _file_line(file: FileFound, packs: Sequence[PackScores], correction: Correction | None) -> dict[str, Any]:
    line = {name: value for name, value in asdict(file).items() if name != "id" and value is not None}
    line["packs"] = [_pack(pack) for pack in packs]
    if correction is not None:
        kept = None if correction.kept is None else dict(correction.kept)
        line["corrections"] = {"moods": dict(correction.moods), "kept": kept}
    return line


def _pack(pack: PackScores) -> dict[str, Any]:
    triples = zip(pack.heads, pack.values.tolist(), pack.spreads.tolist(), strict=True)
    return {
        "pack": pack.pack,
        "fingerprint": pack.fingerprint,
        "backbone": pack.backbone,
        "scores": {head: [_short(value), _short(spread)] for head, value, spread in triples},
    }


def _embeddings(tx: Transaction, file_id: int) -> list[dict[str, Any]]:
    found = (scores.load_embedding(tx, file_id, backbone) for backbone in results.backbones(tx, file_id))
    return [_embedding(embedding) for embedding in found if embedding is not None]


def _embedding(embedding: Embedding) -> dict[str, Any]:
    return {
        "backbone": embedding.backbone,
        "fingerprint": embedding.fingerprint,
        "size": len(embedding.mean),
        "mean": base64.b64encode(embedding.mean.astype(FLOAT32).tobytes()).decode(),
        "patches": base64.b64encode(embedding.patches.astype(FLOAT16).tobytes()).decode(),
    }


def _short(value: float) -> float:
    """With no more digits than it takes to get the very same float32 back."""
    return float(f"{value:.9g}")


def _line(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"


# in


def import_results(db: Database, settings: Settings, lines: BinaryIO, *, progress: Progress) -> Imported:
    """Give files of this database the results that lines tell of them, where they have none that are current.

    A file is found by its sound: the same key at the same path, or anywhere the same audio, read in full to prove it;
    where either side knows no key, by library, path and length. What the file or the library has of its own, scores,
    corrections, calibrations and levels, stays. InvalidInput with the number of a line that is not understood; lines
    before it may have been imported, and importing them again changes nothing.
    """
    counts: Counter[str] = Counter()
    heads = _installed_heads(settings)
    number = 1
    header = parsed(Header, _read(lines, 1), 1)
    if header.version != VERSION:
        raise InvalidInput(f"line 1: is of version {header.version}, and this Nomarr knows version {VERSION}")
    with db.write() as tx:
        counts["calibrations"] += _take_calibrations(tx, header)
    batch: list[tuple[int, FileLine]] = []
    size = 0
    failure: InvalidInput | None = None
    while failure is None:
        try:
            if not (text := _read(lines, number := number + 1)):
                break
            batch.append((number, _file_of(text, number, heads)))
            size += len(text)
        except InvalidInput as error:
            failure = error
        if len(batch) == BATCH or size > BATCH_BYTES:
            _take_all(db, settings, batch, counts)
            batch, size = [], 0
            progress(number - 1, header.files)
    _take_all(db, settings, batch, counts)
    progress(number - 2, header.files)
    if failure is None and number - 2 < header.files:
        failure = InvalidInput(
            f"line {number}: is missing: the first one tells of {header.files} files, and there are {number - 2}"
        )
    if failure is not None:
        raise failure
    return Imported(**counts)


def _installed_heads(settings: Settings) -> Heads:
    """What the packs in the models folder say, as far as there are some."""
    try:
        return {(pack.name, pack.fingerprint): pack.scores for pack in read_suite(settings.models).packs}
    except ModelProblem:
        return {}


def _read(lines: BinaryIO, number: int) -> bytes:
    try:
        text = lines.readline(LONGEST_LINE + 1)
    except OSError as error:
        raise InvalidInput(f"line {number}: cannot be read: {error.strerror}") from error
    if len(text) > LONGEST_LINE:
        raise InvalidInput(f"line {number}: is longer than {LONGEST_LINE // 1_000_000} MB")
    if text and not text.endswith(b"\n"):
        raise InvalidInput(f"line {number}: ends in the middle; the file is not complete")
    return text


def _file_of(text: bytes, number: int, heads: Heads) -> FileLine:
    line = parsed(FileLine, text, number)
    for pack in line.packs:
        known = heads.get((pack.pack, pack.fingerprint))
        if known is not None and tuple(pack.scores) != tuple(known):
            # Kept all the same, it would stand in the way of what the pack itself says of every other file.
            raise InvalidInput(f"line {number}: {pack.pack} has other heads than its fingerprint stands for")
    return line


def _take_calibrations(tx: Transaction, header: Header) -> int:
    """Calibrations and levels, each only where there are none at all; -> how many calibrations."""
    if header.mood_levels and not calibrations.mood_levels(tx):
        calibrations.set_mood_levels(tx, header.levels)
    if results.has_calibrations(tx):
        return 0
    ids: dict[str | None, int | None] = {library.name: library.id for library in libraries.list_all(tx)}
    known = [line for line in header.calibrations if line.library is None or line.library in ids]
    for line in sorted(known, key=lambda line: line.version):
        heads = tuple(HeadCalibration(**head.model_dump()) for head in line.heads)
        facts = {name: value for name, value in line.model_dump().items() if name not in ("library", "heads")}
        library_id = ids.get(line.library)
        results.take_calibration(tx, CalibrationRun(**facts, library_id=library_id, heads=heads), library_id)
    return len(known)


def _take_all(db: Database, settings: Settings, batch: Sequence[tuple[int, FileLine]], counts: Counter[str]) -> None:
    """All of the lines in one transaction; audio is read before it."""
    lines = [line for _, line in batch]
    with db.read() as tx:
        keys = sorted({line.audio_key for line in lines if line.audio_key is not None})
        by_key: dict[str | None, list[Candidate]] = {}
        for candidate in results.with_keys(tx, keys):
            by_key.setdefault(candidate.audio_key, []).append(candidate)
        matches = [by_key.get(line.audio_key, []) if line.audio_key else [] for line in lines]
        by_path = [None if some else _at_path(tx, line) for line, some in zip(lines, matches, strict=True)]
    found = [
        [one for one in some if _is_same(one, line, settings)] + [one for one in (other,) if one is not None]
        for line, some, other in zip(lines, matches, by_path, strict=True)
    ]
    with db.write() as tx:
        for (number, line), targets in zip(batch, found, strict=True):
            counts["absent"] += not targets
            for target in targets:
                try:
                    _take(tx, target, line, counts)
                except ValueError as error:
                    raise InvalidInput(f"line {number}: {error}") from error


def _at_path(tx: Transaction, line: FileLine) -> Candidate | None:
    """The file of that name, where sounds cannot be compared."""
    folder, name = os.path.split(line.path)
    one = results.at_path(tx, line.library, folder, name)
    if one is None or (line.audio_key is not None and one.audio_key is not None):
        return None
    if line.duration_s is None or one.duration_s is None or abs(line.duration_s - one.duration_s) <= SAME_LENGTH_S:
        return one
    return None


def _is_same(one: Candidate, line: FileLine, settings: Settings) -> bool:
    """Whether it is the same audio; its key is the same already."""
    if one.audio_hash is not None and line.audio_hash is not None:
        return one.audio_hash == line.audio_hash
    if one.relative_path == line.path or line.audio_hash is None:
        return one.relative_path == line.path
    try:
        return audio_hash(settings.here(one.path)) == line.audio_hash
    except FileProblem:
        return False


def _take(tx: Transaction, target: Candidate, line: FileLine, counts: Counter[str]) -> None:
    now = tx.now_ms()
    is_current = target.analyzed_at is not None and (not target.needs_tagging or target.suite == line.suite)
    if line.analyzed_at is not None and line.packs and not is_current:
        files.forget_analysis(tx, [target.id])
        results.take(
            tx,
            target.id,
            packs=[_scores(pack) for pack in line.packs],
            embeddings=[embedding.vectors() for embedding in line.embeddings],
            facts={
                name: getattr(line, name)
                for name in ("suite", "analyzed_at", "patches", "analysis_s", "audio_hash", "duration_s")
            },
            hands_off=line.hands_off,
            now=now,
        )
        counts["taken"] += 1
    else:
        counts["known"] += 1
    if line.corrections is not None:
        correction = Correction(line.corrections.moods, line.corrections.kept)
        counts["corrected"] += bool(correction) and results.correct(tx, target.id, correction, now=now)


def _scores(line: PackLine) -> PackScores:
    pairs = np.array(list(line.scores.values()), dtype=np.float32)
    return PackScores(line.pack, line.fingerprint, tuple(line.scores), pairs[:, 0], pairs[:, 1], line.backbone)
