"""From which strength on each mood is said: what holds, changing it, and what a change would do before it is made."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from nomarr.errors import InvalidInput
from nomarr.library_moods import Counts, tier_counts
from nomarr.moods.tiers import IN_LOOSE, IN_REGULAR, IN_STRICT, LEVELS, WORDS
from nomarr.scores import Levels
from nomarr.store import calibrations, libraries
from nomarr.web.answers import example, problems
from nomarr.web.auth import needs, require_login
from nomarr.web.context import UseDatabase, UseMatrix
from nomarr.web.ids import LARGEST_ID, Whole
from nomarr.web.memory import UseMemory

router = APIRouter(prefix="/api/web/moods/levels", tags=["moods"], dependencies=[Depends(require_login)])

Level = Annotated[float, Field(gt=0, le=1)]
HELD = {
    "default": {"strict": 0.8, "regular": 0.65, "loose": 0.5},
    "levels": {"party": {"strict": 0.85, "regular": 0.7, "loose": 0.6}},
}


class MoodLevels(BaseModel):
    """0 < loose <= regular <= strict <= 1."""

    strict: Level = LEVELS.strict
    regular: Level = LEVELS.regular
    loose: Level = LEVELS.loose


class LevelsRequest(BaseModel):
    levels: dict[str, MoodLevels] = Field(
        max_length=len(WORDS), description="moods that are not named have the default", examples=[HELD["levels"]]
    )

    def checked(self) -> dict[str, Levels]:
        """InvalidInput for an unknown mood or levels in another order; those that are the default are left out."""
        found = {}
        for mood, given in self.levels.items():
            if mood not in WORDS:
                raise InvalidInput(f"levels: there is no mood {mood!r}; there are {', '.join(WORDS)}")
            if not given.loose <= given.regular <= given.strict:
                raise InvalidInput(f"levels.{mood}: expected loose <= regular <= strict")
            found[mood] = Levels(given.strict, given.regular, given.loose)
        return {mood: one for mood, one in found.items() if one != LEVELS}


class PreviewRequest(LevelsRequest):
    library_id: Whole | None = Field(default=None, ge=1, le=LARGEST_ID, description="null: all enabled libraries")


@dataclass(frozen=True)
class LevelsAnswer:
    """The default, and the moods that have other levels."""

    default: Levels
    levels: dict[str, Levels]


@dataclass(frozen=True)
class Carrying:
    """Tracks that carry a mood in any tier, then by their highest tier."""

    count: int
    strict: int
    regular: int
    loose: int


@dataclass(frozen=True)
class MoodChange:
    """One mood as it is and as it would be. `text`: "party: 412 -> 288 tracks"."""

    mood: str
    text: str
    before: Carrying
    after: Carrying


@dataclass(frozen=True)
class LevelsPreview:
    """Only moods of which a track would change its tier; opposites change with one another."""

    analysed_tracks: int
    changes: list[MoodChange]


@router.get("", summary="From which strength on moods are said", responses=example(HELD) | problems(401, 403, 503))
def get_levels(db: UseDatabase) -> LevelsAnswer:
    with db.read() as tx:
        return LevelsAnswer(LEVELS, calibrations.mood_levels(tx))


@router.put(
    "", summary="Set from which strength on moods are said", responses=example(HELD) | problems(400, 401, 403, 413, 503)
)
def put_levels(body: LevelsRequest, db: UseDatabase) -> LevelsAnswer:
    """They hold at once, in place of all that were set before; no levels go back to the default.

    Files keep their tags until POST /api/web/calibration/apply, which writes those whose words change.
    """
    levels = body.checked()
    with db.write() as tx:
        calibrations.set_mood_levels(tx, levels)
    return LevelsAnswer(LEVELS, levels)


@router.post(
    "/preview",
    summary="What other levels would change",
    responses=example(
        {
            "analysed_tracks": 18432,
            "changes": [
                {
                    "mood": "party",
                    "text": "party: 412 -> 288 tracks",
                    "before": {"count": 412, "strict": 101, "regular": 150, "loose": 161},
                    "after": {"count": 288, "strict": 60, "regular": 112, "loose": 116},
                }
            ],
        }
    )
    | problems(400, 401, 403, 404, 413, 503),
)
@needs("read")
def preview_levels(body: PreviewRequest, db: UseDatabase, matrix: UseMatrix, memory: UseMemory) -> LevelsPreview:
    """Counts tracks as GET /api/web/analytics/mood-distribution does; changes nothing."""
    levels = body.checked()
    with db.read() as tx:
        chosen = (
            libraries.list_all(tx, enabled_only=True)
            if body.library_id is None
            else [libraries.get(tx, body.library_id)]
        )
        current, wanted = calibrations.current(tx), {library.id for library in chosen}
        blocks = [(b, current.of(b.library_id)) for b in matrix.refresh(tx).blocks if b.library_id in wanted]
    sums = memory.moods.moods(blocks)
    counts = [tier_counts(*one, levels) for one in blocks]
    after = reduce(add, counts, np.zeros((len(WORDS), 4), np.int64))
    return LevelsPreview(sums.files, _changes(sums.tiers, after))


def _changes(before: Counts, after: Counts) -> list[MoodChange]:
    found = []
    for mood, old, new in zip(WORDS, before.tolist(), after.tolist(), strict=True):
        if old != new:
            one, other = _carrying(old), _carrying(new)
            found.append(MoodChange(mood, f"{mood}: {one.count} -> {other.count} tracks", one, other))
    return found


def _carrying(tiers: list[int]) -> Carrying:
    return Carrying(sum(tiers[1:]), tiers[IN_STRICT], tiers[IN_REGULAR], tiers[IN_LOOSE])
