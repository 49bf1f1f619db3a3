"""Why a track has its moods, and how often the models agree with what people settled by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response

from nomarr.errors import Conflict, NotFound
from nomarr.library_moods import Judged, agreement
from nomarr.moods.explain import MoodReason
from nomarr.moods.tiers import WORDS
from nomarr.store import calibrations, corrections, files, libraries
from nomarr.wanted import explained
from nomarr.web.answers import example, problems
from nomarr.web.auth import require_login
from nomarr.web.context import UseDatabase, UseMatrix
from nomarr.web.ids import LARGEST_ID, FileId
from nomarr.web.tables import WantsCsv, csv_example, csv_of_rows

router = APIRouter(prefix="/api/web", tags=["moods"], dependencies=[Depends(require_login)])

LibraryId = Annotated[int | None, Query(ge=1, le=LARGEST_ID, description="only this library; left out: all enabled")]
Word = Annotated[str, Path(max_length=50, examples=["party"])]

PATH = "/music/Artist/Album/Track.mp3"
REASON: dict[str, Any] = {
    "mood": "happy",
    "tier": "strict",
    "because": "strict: 0.8712 reaches 0.8, more than sad's 0.1204; one standard deviation down, as its scores vary "
    "over the track, it is 0.7011, not below 0.5.",
    "models_tier": "strict",
    "by_hand": None,
    "strength": 0.8712,
    "weakest": 0.7011,
    "levels": {"strict": 0.8, "regular": 0.65, "loose": 0.5},
    "levels_are_set": False,
    "opposites": [{"mood": "sad", "strength": 0.1204, "tier": "none"}],
    "heads": [
        {
            "name": "mood_happy",
            "pack": "musicnn",
            "head": "mood_happy",
            "says": "for",
            "weight": 1.0,
            "raw": 0.0521,
            "spread": 0.0098,
            "percentile": 91.4,
            "p5": 0.0021,
            "p95": 0.0612,
            "percentiles_from": "v3",
            "calibrated": 0.846,
            "written": 0.846,
        }
    ],
}


@dataclass(frozen=True)
class TrackMoods:
    """Every mood of a track with its reasons, the highest tier first, then the strongest."""

    file_id: int
    path: str
    calibration: str
    locked: bool
    moods: list[MoodReason]


@dataclass(frozen=True)
class MoodAgreement:
    """The models against people: of `judged` files `should_carry` the mood by hand, and the models have `carry` carry
    it; `both` do so by both. precision = both / carry, recall = both / should_carry, null where that is 0 / 0.
    """

    mood: str
    judged: int
    should_carry: int
    carry: int
    both: int
    precision: float | None
    recall: float | None


@dataclass(frozen=True)
class AgreementReport:
    """`agreed` is the share of all verdicts with which the models agree; null without any."""

    verdicts: int
    agreed: float | None
    moods: list[MoodAgreement]


@router.get(
    "/files/{file_id}/moods",
    summary="Why a track has its moods",
    responses=example({"file_id": 42, "path": PATH, "calibration": "v3", "locked": False, "moods": [REASON]})
    | problems(400, 401, 403, 404, 409, 503),
)
def track_moods(file_id: FileId, db: UseDatabase, matrix: UseMatrix) -> TrackMoods:
    """All numbers that take part, and the rule in words. 409 before the file was listened to."""
    with db.read() as tx:
        file = files.get(tx, file_id)
        label = calibrations.current_label(tx, file.library_id)
        found = explained(tx, file_id, matrix.refresh(tx).blocks)
        is_locked = corrections.of(tx, file_id).kept is not None
    if not found:
        raise Conflict(f"File {file_id} was not listened to yet; its library's queue says when it is")
    return TrackMoods(file_id, file.path, label, is_locked, found)


@router.get(
    "/files/{file_id}/moods/{mood}",
    summary="Why a track has one mood, or has it not",
    responses=example(REASON) | problems(400, 401, 403, 404, 409, 503),
)
def track_mood(file_id: FileId, mood: Word, db: UseDatabase, matrix: UseMatrix) -> MoodReason:
    check_mood(mood)
    return next(one for one in track_moods(file_id, db, matrix).moods if one.mood == mood)


@router.get(
    "/moods/agreement",
    summary="How often the models agree with people",
    response_model=AgreementReport,
    responses=csv_example(
        {
            "verdicts": 40,
            "agreed": 0.7,
            "moods": [
                {
                    "mood": "party",
                    "judged": 40,
                    "should_carry": 25,
                    "carry": 20,
                    "both": 16,
                    "precision": 0.8,
                    "recall": 0.64,
                }
            ],
        },
        "mood,judged,should_carry,carry,both,precision,recall\r\nparty,40,25,20,16,0.8,0.64\r\n",
    )
    | problems(400, 401, 403, 404, 503),
)
def mood_agreement(
    db: UseDatabase, matrix: UseMatrix, wants_csv: WantsCsv, library_id: LibraryId = None
) -> AgreementReport | Response:
    """Over analysed files: what the models alone say in any tier, against corrections. One that only confirms the
    models counts as well; locks do not. Moods without a verdict are left out.
    """
    with db.read() as tx:
        chosen = libraries.list_all(tx, enabled_only=True) if library_id is None else [libraries.get(tx, library_id)]
        current, wanted = calibrations.current(tx), {library.id for library in chosen}
        blocks = [(b, current.of(b.library_id)) for b in matrix.refresh(tx).blocks if b.library_id in wanted]
        found = agreement(blocks, corrections.verdicts(tx))
    verdicts = sum(one.judged for one in found.values())
    agreed = sum(one.judged - one.should_carry - one.carry + 2 * one.both for one in found.values())
    shares = [_agreement(mood, one) for mood, one in found.items() if one.judged]
    if wants_csv:
        return csv_of_rows("mood-agreement", MoodAgreement, shares)
    return AgreementReport(verdicts, round(agreed / verdicts, 3) if verdicts else None, shares)


def check_mood(mood: str) -> None:
    if mood not in WORDS:
        raise NotFound(f"There is no mood {mood!r}; there are {', '.join(WORDS)}")


def _agreement(mood: str, one: Judged) -> MoodAgreement:
    precision = round(one.both / one.carry, 3) if one.carry else None
    recall = round(one.both / one.should_carry, 3) if one.should_carry else None
    return MoodAgreement(mood, one.judged, one.should_carry, one.carry, one.both, precision, recall)
