"""How the scores behind a calibration are spread, to be looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from nomarr.inference.catalog import score_names
from nomarr.moods.reference import reference_calibrations
from nomarr.spreads import Spread, spreads
from nomarr.store import calibrations, libraries
from nomarr.store.calibrations import CalibrationRun
from nomarr.web.answers import example, problems
from nomarr.web.auth import require_login
from nomarr.web.context import UseDatabase, UseMatrix
from nomarr.web.ids import LARGEST_ID

router = APIRouter(prefix="/api/web/calibration", tags=["calibration"], dependencies=[Depends(require_login)])

HEAD = {
    "name": "mood_happy",
    "pack": "musicnn",
    "head_name": "mood_happy",
    "n": 18432,
    "end": 0.1,
    "counts": [9812, 4210, 2104, 1100, *[0] * 45, 1194],
    "below": 0,
    "above": 12,
    "p5": 0.0021,
    "p95": 0.0612,
    "percentiles_from": "v5",
    "drift": 0.0125,
}


@dataclass(frozen=True)
class HeadSpread:
    """`counts` are raw scores in 50 equal steps from 0 to `end`, `above` those beyond. `p5` and `p95` are the ends that
    hold, `percentiles_from` their calibration or `reference`; null where there are none. `name` is what the score is
    written under.
    """

    name: str
    pack: str
    head_name: str
    n: int
    end: float
    counts: tuple[int, ...]
    below: int
    above: int
    p5: float | None
    p95: float | None
    percentiles_from: str | None
    drift: float | None


@dataclass(frozen=True)
class Spreads:
    """`files` were counted; `calibration` is the newest over all libraries, or the one that holds for a single one."""

    calibration: str
    files: int
    heads: list[HeadSpread]


@router.get(
    "/histogram",
    summary="How the scores of every head are spread",
    responses=example({"calibration": "v5", "files": 18432, "heads": [HEAD]}) | problems(400, 401, 403, 404, 503),
)
def histogram(
    db: UseDatabase,
    matrix: UseMatrix,
    library_id: Annotated[int | None, Query(ge=1, le=LARGEST_ID, description="only this library")] = None,
) -> Spreads:
    """As they are now, over all enabled libraries or one; a calibration is made of the very same scores."""
    with db.read() as tx:
        if library_id is None:
            chosen, run = libraries.list_all(tx, enabled_only=True), calibrations.before(tx, None)
        else:
            chosen = [libraries.get(tx, library_id)]
            run = calibrations.current(tx).runs.get(library_id)
        blocks = matrix.refresh(tx).blocks
    wanted = {library.id for library in chosen}
    some = [block for block in blocks if block.library_id in wanted]
    found = spreads(some)
    return Spreads(
        calibrations.label(None if run is None else run.version),
        sum(len(block.ids) for block in some),
        _heads(found, run),
    )


def _heads(found: list[Spread], run: CalibrationRun | None) -> list[HeadSpread]:
    own = {} if run is None else {(head.pack, head.head_name): head for head in run.heads}
    names = score_names((pack.pack, pack.heads) for pack in dict.fromkeys(one.pack for one in found))
    answers = []
    for one in found:
        key = (one.pack.pack, one.head)
        head = own.get(key)
        ends = reference_calibrations().get(key) if head is None else head.percentiles
        source = None if ends is None else calibrations.label(None) if run is None or head is None else run.label
        answers.append(
            HeadSpread(
                name=names[key],
                pack=one.pack.pack,
                head_name=one.head,
                n=one.n,
                end=one.end,
                counts=one.counts,
                below=one.below,
                above=one.above,
                p5=None if ends is None else ends.p5,
                p95=None if ends is None else ends.p95,
                percentiles_from=source,
                drift=None if head is None else head.drift,
            )
        )
    return answers
