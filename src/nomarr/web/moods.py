"""Why a track has its moods, correcting them by hand, and how often the models agree with that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, Field

from nomarr import correcting
from nomarr.correcting import Change
from nomarr.errors import Conflict, InvalidInput, NotFound
from nomarr.library_moods import Judged, agreement
from nomarr.moods.explain import TIER_NAMES, MoodReason
from nomarr.moods.tiers import WORDS
from nomarr.scores import Correction
from nomarr.store import calibrations, corrections, files, libraries
from nomarr.store.corrections import Corrected
from nomarr.store.database import Database
from nomarr.wanted import explained
from nomarr.web.answers import example, problems, utc
from nomarr.web.auth import require_login
from nomarr.web.context import UseDatabase, UseMatrix, UseSettings
from nomarr.web.tables import WantsCsv, csv_example, csv_of_rows

router = APIRouter(prefix="/api/web", tags=["moods"], dependencies=[Depends(require_login)])

LARGEST_ID = 2**31 - 1
FileId = Annotated[int, Path(ge=1, le=LARGEST_ID)]
LibraryId = Annotated[int | None, Query(ge=1, le=LARGEST_ID, description="only this library; left out: all enabled")]
Word = Annotated[str, Path(max_length=50, examples=["party"])]
Tier = Literal["strict", "regular", "loose", "none"]
MOST_FILES = 1000  # in one request; those that are locked while they lag behind are read

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
CORRECTION = {"file_id": 42, "moods": {"party": "regular", "sad": "none"}, "locked": False, "kept": None}
LISTED = CORRECTION | {"library_id": 1, "path": "/music/Artist/Album/Track.mp3", "updated_at": "2027-01-15T08:00:00Z"}


class FileCorrection(BaseModel):
    moods: dict[str, Tier] = Field(
        default_factory=dict,
        max_length=100,
        description="none: this mood does not fit",
        examples=[{"party": "regular"}],
    )
    locked: bool = Field(default=False, description="whether the words stay as they are now, whatever the models say")


class OneMood(BaseModel):
    tier: Tier = Field(default="regular", description="none: this mood does not fit")


class BulkCorrection(BaseModel):
    file_ids: list[Annotated[int, Field(ge=1, le=LARGEST_ID)]] = Field(
        min_length=1, max_length=MOST_FILES, examples=[[42, 43]]
    )
    moods: dict[str, Tier | Literal["forget"]] = Field(
        default_factory=dict,
        max_length=100,
        description="forget: as the models say; moods that are not named stay as they are",
        examples=[{"party": "regular", "sad": "forget"}],
    )
    locked: bool | None = Field(default=None, description="null: as it is")


@dataclass(frozen=True)
class TrackMoods:
    """Every mood of a track with its reasons, the highest tier first, then the strongest."""

    file_id: int
    path: str
    calibration: str
    locked: bool
    moods: list[MoodReason]


@dataclass(frozen=True)
class CorrectionAnswer:
    """What is settled by hand for a file: moods with their tier, and the words that it keeps while it is locked."""

    file_id: int
    moods: dict[str, Tier]
    locked: bool
    kept: dict[str, Tier] | None


@dataclass(frozen=True)
class ListedCorrection(CorrectionAnswer):
    library_id: int
    path: str
    updated_at: str


@dataclass(frozen=True)
class CorrectionList:
    """One page by the files' ids; `next` is the `after` of the page that follows, null for the last."""

    total: int
    next: int | None
    corrections: list[ListedCorrection]


@dataclass(frozen=True)
class BulkAnswer:
    """What is settled now, file by file."""

    corrections: list[CorrectionAnswer]


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
    responses=example({"file_id": 42, "path": LISTED["path"], "calibration": "v3", "locked": False, "moods": [REASON]})
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
    _check(mood)
    return next(one for one in track_moods(file_id, db, matrix).moods if one.mood == mood)


@router.get(
    "/files/{file_id}/correction",
    summary="What was settled by hand for a file",
    responses=example(CORRECTION) | problems(400, 401, 403, 404, 503),
)
def get_correction(file_id: FileId, db: UseDatabase) -> CorrectionAnswer:
    with db.read() as tx:
        return _answer(files.get(tx, file_id).id, corrections.of(tx, file_id))


@router.put(
    "/files/{file_id}/correction",
    summary="Correct the moods of a file, or lock it",
    responses=example(CORRECTION) | problems(400, 401, 403, 404, 409, 413, 503),
)
def put_correction(file_id: FileId, body: FileCorrection, db: UseDatabase, settings: UseSettings) -> CorrectionAnswer:
    """In place of all that was settled for the file before. The file is queued for writing, as its library says."""
    return _correct(db, settings, file_id, Change(_numbers(body.moods), body.locked, is_whole=True))


@router.delete(
    "/files/{file_id}/correction",
    summary="Leave the moods of a file to the models again",
    responses=example(CORRECTION | {"moods": {}}) | problems(400, 401, 403, 404, 503),
)
def delete_correction(file_id: FileId, db: UseDatabase, settings: UseSettings) -> CorrectionAnswer:
    """Takes back every correction and the lock."""
    return _correct(db, settings, file_id, Change(locked=False, is_whole=True))


@router.put(
    "/files/{file_id}/moods/{mood}",
    summary="Say whether a mood fits a track",
    responses=example(CORRECTION) | problems(400, 401, 403, 404, 413, 503),
)
def put_mood(
    file_id: FileId, mood: Word, db: UseDatabase, settings: UseSettings, body: OneMood | None = None
) -> CorrectionAnswer:
    """Regular, unless the body says another tier; `none` takes the mood away. Other moods stay as they are."""
    _check(mood)
    return _correct(db, settings, file_id, Change(_numbers({mood: (body or OneMood()).tier})))


@router.delete(
    "/files/{file_id}/moods/{mood}",
    summary="Leave one mood of a track to the models again",
    responses=example(CORRECTION | {"moods": {"sad": "none"}}) | problems(400, 401, 403, 404, 503),
)
def delete_mood(file_id: FileId, mood: Word, db: UseDatabase, settings: UseSettings) -> CorrectionAnswer:
    _check(mood)
    return _correct(db, settings, file_id, Change({mood: None}))


@router.get(
    "/moods/corrections",
    summary="All that was settled by hand",
    responses=example({"total": 1, "next": None, "corrections": [LISTED]}) | problems(400, 401, 403, 503),
)
def list_corrections(
    db: UseDatabase,
    library_id: Annotated[int | None, Query(ge=1, le=LARGEST_ID, description="only files of this library")] = None,
    mood: Annotated[str | None, Query(max_length=50, description="only files for which it was settled")] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_FILES)] = 100,
    after: Annotated[int, Query(ge=0, le=LARGEST_ID, description="the `next` of the page before")] = 0,
) -> CorrectionList:
    if mood is not None and mood not in WORDS:
        raise InvalidInput(f"mood: there is no mood {mood!r}; there are {', '.join(WORDS)}")
    with db.read() as tx:
        total = corrections.count(tx, library_id=library_id, mood=mood)
        page = corrections.page(tx, limit=limit, after=after, library_id=library_id, mood=mood)
    return CorrectionList(total, page[-1].file_id if len(page) == limit else None, [_listed(one) for one in page])


@router.post(
    "/moods/corrections",
    summary="Correct or lock many files",
    responses=example({"corrections": [CORRECTION]}) | problems(400, 401, 403, 404, 409, 413, 503),
)
def correct_many(body: BulkCorrection, db: UseDatabase, settings: UseSettings) -> BulkAnswer:
    """All of them or, where one does not exist or cannot be locked, none."""
    change = Change(_numbers(body.moods), body.locked)
    found = correcting.correct(db, settings, body.file_ids, change)
    return BulkAnswer([_answer(file_id, one) for file_id, one in found.items()])


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


def _check(mood: str) -> None:
    if mood not in WORDS:
        raise NotFound(f"There is no mood {mood!r}; there are {', '.join(WORDS)}")


def _numbers(tiers: Mapping[str, str]) -> dict[str, int | None]:
    return {mood: None if tier == "forget" else TIER_NAMES.index(tier) for mood, tier in tiers.items()}


def _correct(db: Database, settings: UseSettings, file_id: int, change: Change) -> CorrectionAnswer:
    return _answer(file_id, correcting.correct(db, settings, [file_id], change)[file_id])


def _answer(file_id: int, correction: Correction) -> CorrectionAnswer:
    return CorrectionAnswer(file_id, **_settled(correction))


def _listed(one: Corrected) -> ListedCorrection:
    settled = _settled(one.correction)
    return ListedCorrection(
        one.file_id, **settled, library_id=one.library_id, path=one.path, updated_at=utc(one.updated_at)
    )


def _settled(correction: Correction) -> dict[str, Any]:
    kept = correction.kept
    return {
        "moods": {mood: TIER_NAMES[tier] for mood, tier in correction.moods.items()},
        "locked": kept is not None,
        "kept": None if kept is None else {mood: TIER_NAMES[tier] for mood, tier in kept.items()},
    }


def _agreement(mood: str, one: Judged) -> MoodAgreement:
    precision = round(one.both / one.carry, 3) if one.carry else None
    recall = round(one.both / one.should_carry, 3) if one.should_carry else None
    return MoodAgreement(mood, one.judged, one.should_carry, one.carry, one.both, precision, recall)
