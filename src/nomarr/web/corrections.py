"""Correcting the moods of files by hand, one or many, and locking them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from nomarr import correcting
from nomarr.correcting import Change
from nomarr.errors import InvalidInput
from nomarr.moods.explain import TIER_NAMES
from nomarr.moods.tiers import WORDS
from nomarr.scores import Correction
from nomarr.settings import Settings
from nomarr.store import corrections, files
from nomarr.store.corrections import Corrected
from nomarr.store.database import Database
from nomarr.web.answers import example, problems, utc
from nomarr.web.auth import require_login
from nomarr.web.context import UseDatabase, UseSettings
from nomarr.web.ids import LARGEST_ID, FileId, Id
from nomarr.web.moods import PATH, Word, check_mood

router = APIRouter(prefix="/api/web", tags=["moods"], dependencies=[Depends(require_login)])

Tier = Literal["strict", "regular", "loose", "none"]
MOST_FILES = 1000  # in one request; those that are locked while they lag behind are read

CORRECTION = {"file_id": 42, "moods": {"party": "regular", "sad": "none"}, "locked": False, "kept": None}
LISTED = CORRECTION | {"library_id": 1, "path": PATH, "updated_at": "2027-01-15T08:00:00Z"}


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
    file_ids: list[Id] = Field(min_length=1, max_length=MOST_FILES, examples=[[42, 43]])
    moods: dict[str, Tier | Literal["forget"]] = Field(
        default_factory=dict,
        max_length=100,
        description="forget: as the models say; moods that are not named stay as they are",
        examples=[{"party": "regular", "sad": "forget"}],
    )
    locked: bool | None = Field(default=None, description="null: as it is")


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
    check_mood(mood)
    return _correct(db, settings, file_id, Change(_numbers({mood: (body or OneMood()).tier})))


@router.delete(
    "/files/{file_id}/moods/{mood}",
    summary="Leave one mood of a track to the models again",
    responses=example(CORRECTION | {"moods": {"sad": "none"}}) | problems(400, 401, 403, 404, 503),
)
def delete_mood(file_id: FileId, mood: Word, db: UseDatabase, settings: UseSettings) -> CorrectionAnswer:
    check_mood(mood)
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


def _numbers(tiers: Mapping[str, str]) -> dict[str, int | None]:
    return {mood: None if tier == "forget" else TIER_NAMES.index(tier) for mood, tier in tiers.items()}


def _correct(db: Database, settings: Settings, file_id: int, change: Change) -> CorrectionAnswer:
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
