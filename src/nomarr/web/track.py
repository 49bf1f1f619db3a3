"""One file: all that is known of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Depends

from nomarr.inference.catalog import score_names
from nomarr.library_moods import shares_below
from nomarr.moods.reference import for_words
from nomarr.moods.tiers import strengths
from nomarr.moods.words import tiers_by_word, words_of
from nomarr.scores import Correction, LibraryCalibration, PackScores
from nomarr.store import calibrations, corrections, files, journal, scores, search, tags
from nomarr.web.answers import example, problems, utc
from nomarr.web.auth import require_login
from nomarr.web.context import UseClock, UseDatabase, UseMatrix
from nomarr.web.files import TIERS, TRACK, FileAnswer, Tier, listed
from nomarr.web.ids import FileId

router = APIRouter(prefix="/api/web/files", tags=["files"], dependencies=[Depends(require_login)])

JOURNALED = 50

DETAILS = TRACK | {
    "size": 9_812_332,
    "container": "mp3",
    "suite": "3f2a9c0d1e4b",
    "patches": 81,
    "analysis_s": 1.9,
    "scores": [
        {
            "name": "danceability",
            "pack": "vibenet",
            "head": "danceability",
            "raw": 0.62,
            "calibrated": 0.71,
            "spread": 0.08,
            "p5": 0.21,
            "p95": 0.79,
            "percentile": 66.2,
        }
    ],
    "moods": [{"mood": "happy", "strength": 0.83, "tier": "strict", "by_hand": False}],
    "written": {"hash": "9d0c1f7a2b3e4d5c", "at": "2027-01-15T08:00:01Z", "calibration": "reference", "is_due": False},
    "journal": [{"id": 7, "action": "write", "batch": "nas:120:0:1", "at": "2027-01-15T08:00:01Z", "before": {}}],
    "problem": {
        "set_aside": False,
        "error": None,
        "kind": None,
        "attempts": 0,
        "write_error": None,
        "write_failures": 0,
    },
    "tags": {"genre": ["House"], "label": ["Some Label"]},
}


@dataclass(frozen=True)
class ScoreAnswer:
    """One head's score, 0 to 1. `name` is what it is written under; `calibrated` is null without a calibration.

    `p5` and `p95` are what calibration takes for the ends: the library's own or, before it has any, the reference;
    null where there is neither. `percentile` is the share, in per cent, of the library's tracks with a lower score.
    """

    name: str
    pack: str
    head: str
    raw: float
    calibrated: float | None
    spread: float
    p5: float | None
    p95: float | None
    percentile: float | None


@dataclass(frozen=True)
class MoodAnswer:
    """How strongly a mood is heard, 0 to 1, and its tier: strict, regular, loose, or null where it is not said.

    `by_hand`: somebody settled that tier. `strength` is null where nothing that was heard can tell.
    """

    mood: str
    strength: float | None
    tier: Tier | None
    by_hand: bool


@dataclass(frozen=True)
class WrittenAnswer:
    """What the file holds of ours: a hash of it, since when, by which calibration, and whether writing is due."""

    hash: str | None
    at: str | None
    calibration: str | None
    is_due: bool


@dataclass(frozen=True)
class JournalAnswer:
    """One change of the file; `before` is what our fields held until then."""

    id: int
    action: str
    batch: str
    at: str
    before: dict[str, list[str]]


@dataclass(frozen=True)
class ProblemAnswer:
    """What went wrong with a file; it is not tried again where it is set aside."""

    set_aside: bool
    error: str | None
    kind: str | None
    attempts: int
    write_error: str | None
    write_failures: int


@dataclass(frozen=True)
class FileDetails(FileAnswer):
    """All that is known of a file."""

    size: int
    container: str | None
    suite: str | None
    patches: int | None
    analysis_s: float | None
    scores: list[ScoreAnswer]
    moods: list[MoodAnswer]
    written: WrittenAnswer
    journal: list[JournalAnswer]
    problem: ProblemAnswer
    tags: dict[str, list[str]]


@router.get(
    "/{file_id}", summary="All that is known of a file", responses=example(DETAILS) | problems(400, 401, 403, 404, 503)
)
def get_file(file_id: FileId, db: UseDatabase, clock: UseClock, matrix: UseMatrix) -> FileDetails:
    with db.read() as tx:
        file = files.get(tx, file_id)
        (track,) = search.tracks(tx, [file_id], now=clock(tx))
        packs = scores.load(tx, file_id)
        calibration = calibrations.for_library(tx, file.library_id)
        correction = corrections.of(tx, file_id)
        changes = journal.recent(tx, limit=JOURNALED, file_id=file_id)
        own = tags.file_tags(tx, file_id)
        blocks = [block for block in matrix.refresh(tx).blocks if block.library_id == file.library_id]
    return FileDetails(
        **listed(track),
        size=file.size,
        container=file.container,
        suite=file.suite,
        patches=file.patches,
        analysis_s=file.analysis_s,
        scores=_scores(packs, calibration, shares_below(blocks, packs)),
        moods=_moods(packs, calibration, correction),
        written=WrittenAnswer(
            file.written_hash,
            None if file.written_at is None else utc(file.written_at),
            file.calibration,
            file.needs_write,
        ),
        journal=[JournalAnswer(entry.id, entry.action, entry.batch, utc(entry.at), entry.before) for entry in changes],
        problem=ProblemAnswer(
            file.set_aside, file.error, file.error_kind, file.attempts, file.write_error, file.write_failures
        ),
        tags={name: list(values) for name, values in own.items()},
    )


def _scores(
    packs: Sequence[PackScores], calibration: LibraryCalibration, below: Mapping[tuple[str, str], float]
) -> list[ScoreAnswer]:
    names, known = score_names([(pack.pack, pack.heads) for pack in packs]), for_words(calibration)
    answers = []
    for pack in packs:
        for head, raw, spread in zip(pack.heads, pack.values.tolist(), pack.spreads.tolist(), strict=True):
            column = (pack.pack, head)
            by, ends = calibration.heads.get(column), known.get(column)
            answers.append(
                ScoreAnswer(
                    names[column],
                    pack.pack,
                    head,
                    round(raw, 4),
                    None if by is None else round(by.apply(raw), 4),
                    round(spread, 4),
                    p5=None if ends is None else ends.p5,
                    p95=None if ends is None else ends.p95,
                    percentile=round(100 * below[column], 1) if column in below else None,
                )
            )
    return sorted(answers, key=lambda answer: answer.name)


def _moods(packs: Sequence[PackScores], calibration: LibraryCalibration, correction: Correction) -> list[MoodAnswer]:
    """The strongest first."""
    tiers = tiers_by_word(words_of(packs, calibration, correction))
    found = {word: round(strength, 4) for word, strength in strengths(packs, for_words(calibration)).items()}
    is_settled = {word for word in (*found, *tiers) if correction.kept is not None or word in correction.moods}
    ranked = sorted({*found, *tiers}, key=lambda word: (-found.get(word, -1.0), word))
    return [MoodAnswer(word, found.get(word), TIERS.get(tiers.get(word, 0)), word in is_settled) for word in ranked]
