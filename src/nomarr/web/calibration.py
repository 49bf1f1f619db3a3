"""Calibrations: which one holds, making a new one, and bringing files up to date with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from nomarr import config, recalibration
from nomarr.applying import Applying, Progress, hold, progress
from nomarr.errors import Forbidden
from nomarr.inference.catalog import digest
from nomarr.settings import Settings
from nomarr.store import calibrations, libraries
from nomarr.store.calibrations import CalibrationRun
from nomarr.store.database import Database, Transaction
from nomarr.store.libraries import Library
from nomarr.store.matrix import ScoreMatrix
from nomarr.web.answers import Done, example, problems, utc
from nomarr.web.auth import require_login
from nomarr.web.context import UseDatabase, UseMatrix, UseSettings
from nomarr.web.ids import LARGEST_ID, Whole

router = APIRouter(prefix="/api/web/calibration", tags=["calibration"], dependencies=[Depends(require_login)])

LibraryId = Annotated[int | None, Query(ge=1, le=LARGEST_ID, description="only what concerns this library")]

HEAD = {"model_name": "effnet", "head_name": "mood_happy", "p5": 0.15, "p95": 0.87, "n": 18432}
STATUS = {
    "global_version": "abc123def456",
    "last_run": 1705067200000,
    "libraries": [
        {
            "library_id": "1",
            "library_name": "Main Library",
            "total_files": 18432,
            "current_count": 18432,
            "outdated_count": 0,
            "percentage": 100.0,
            "calibration": "v5",
        }
    ],
    "applying": {"state": "writing", "done": 12000, "total": 18432},
}
GENERATED = {
    "version": 5,
    "library_size": 18432,
    "heads": {"effnet:mood_happy": HEAD | {"underflow_count": 0, "overflow_count": 0, "drift": 0.0125}},
    "saved_files": {"effnet:mood_happy": "/app/models/effnet/heads/mood_happy-calibration-v5.json"},
    "summary": {"total_heads": 17, "completed_heads": 17},
    "global_version": "abc123def456",
    "drift": 0.0125,
    "note": None,
}
HISTORY = {
    "calibrations": [
        {
            "version": 5,
            "label": "v5",
            "library_id": None,
            "library_size": 18432,
            "global_version": "abc123def456",
            "drift": 0.0125,
            "note": None,
            "created_at": "2027-01-15T08:00:00Z",
            "heads": {"effnet:mood_happy": HEAD | {"underflow_count": 0, "overflow_count": 0, "drift": 0.0125}},
        }
    ]
}


async def _applying(request: Request) -> Applying:
    applying: Applying = request.app.state.applying
    return applying


UseApplying = Annotated[Applying, Depends(_applying)]


class GenerateRequest(BaseModel):
    library_id: Whole | None = Field(
        default=None, ge=1, le=LARGEST_ID, description="count this library and let the result hold for it alone"
    )


class ApplyRequest(BaseModel):
    library_id: Whole | None = Field(default=None, ge=1, le=LARGEST_ID, description="only the files of this library")


@dataclass(frozen=True)
class LibraryStatus:
    """`total_files` are analysed; outdated are those whose written tags come from another calibration."""

    library_id: str
    library_name: str
    total_files: int
    current_count: int
    outdated_count: int
    percentage: float
    calibration: str


@dataclass(frozen=True)
class CalibrationStatus:
    """`global_version` changes with any percentile in force; `last_run` is in milliseconds. Null before the first.

    `applying` says how far it is; null where nothing is being applied.
    """

    global_version: str | None
    last_run: int | None
    libraries: list[LibraryStatus]
    applying: Progress | None


@dataclass(frozen=True)
class HeadAnswer:
    """`drift` is how far a calibrated score of this head moved at most since the calibration before."""

    model_name: str
    head_name: str
    p5: float
    p95: float
    n: int
    underflow_count: int
    overflow_count: int
    drift: float | None


@dataclass(frozen=True)
class Summary:
    total_heads: int
    completed_heads: int


@dataclass(frozen=True)
class GenerateAnswer:
    """The new calibration. `note` says what to bear in mind about it, and which sidecars could not be saved."""

    version: int
    library_size: int
    heads: dict[str, HeadAnswer]
    saved_files: dict[str, str]
    summary: Summary
    global_version: str
    drift: float | None
    note: str | None


@dataclass(frozen=True)
class AppliedCalibration:
    """`queued` files are written again by the workers; the tags of `unchanged` ones stay the very same."""

    queued: int
    unchanged: int
    message: str


@dataclass(frozen=True)
class PastCalibration:
    """`library_id` is null for a calibration over all libraries."""

    version: int
    label: str
    library_id: int | None
    library_size: int
    global_version: str
    drift: float | None
    note: str | None
    created_at: str
    heads: dict[str, HeadAnswer]


@dataclass(frozen=True)
class History:
    """The newest first."""

    calibrations: list[PastCalibration]


@router.get("/status", summary="Which calibration holds", responses=example(STATUS) | problems(401, 403, 503))
def status(db: UseDatabase, settings: UseSettings) -> CalibrationStatus:
    with db.read() as tx:
        current, tagged = calibrations.current(tx), calibrations.tagged_by_label(tx)
        counts = libraries.counts(tx)
        newest = calibrations.history(tx, limit=1)
        applying = progress(tx, settings.file_write_mode)
        statuses = []
        for library in libraries.list_all(tx):
            label = current.of(library.id).label
            outdated = recalibration.outdated_count(
                library, tagged.get(library.id, {}), label, settings.file_write_mode
            )
            analysed = counts[library.id].tagged_count if library.id in counts else 0
            statuses.append(_library_status(library, label, max(analysed, outdated), outdated))
    versions = sorted({run.global_version for run in current.runs.values()} or {run.global_version for run in newest})
    return CalibrationStatus(
        global_version=versions[0] if len(versions) == 1 else digest(versions)[:12] if versions else None,
        last_run=newest[0].created_at if newest else None,
        libraries=statuses,
        applying=applying,
    )


@router.post(
    "/generate-histogram",
    summary="Make a calibration from the stored scores",
    responses=example(GENERATED) | problems(400, 401, 403, 404, 409, 413, 503),
)
def generate_histogram(
    db: UseDatabase, settings: UseSettings, matrix: UseMatrix, body: GenerateRequest | None = None
) -> GenerateAnswer:
    """It holds from now on; files keep their tags until POST /api/web/calibration/apply.

    Needs the setting `calibrate_heads` (else 403), and at least as many analysed files as `calibration_min_files`
    says (else 400).
    """
    if not settings.calibrate_heads:
        raise Forbidden("Calibrations are switched off; set calibrate_heads to true to make one")
    made = recalibration.generate(
        db,
        settings.models,
        library_id=None if body is None else body.library_id,
        min_files=settings.calibration_min_files,
        blocks=lambda tx: matrix.refresh(tx).blocks,
    )
    run = made.run
    return GenerateAnswer(
        version=run.version,
        library_size=run.library_size,
        heads=_heads(run),
        saved_files=made.saved_files,
        summary=Summary(len(run.heads), sum(1 for head in run.heads if head.n)),
        global_version=run.global_version,
        drift=run.drift,
        note=". ".join(note for note in (run.note, made.unsaved) if note) or None,
    )


@router.post(
    "/apply",
    summary="Bring files up to date with the calibration that holds",
    responses=example({"queued": 18000, "unchanged": 432, "message": "Queued 18000 files for writing"})
    | problems(400, 401, 403, 404, 413, 503),
)
def apply(applying: UseApplying, body: ApplyRequest | None = None) -> AppliedCalibration:
    """From stored scores: no audio is read. The workers get the files little by little, the first at once; the event
    `queue:status` and the status say how far it is. It goes on after a restart, and may be asked for again at any time.
    """
    applied = applying.begin(None if body is None else body.library_id)
    files = "1 file" if applied.to_write == 1 else f"{applied.to_write} files"
    return AppliedCalibration(applied.to_write, applied.unchanged, f"Queued {files} for writing")


@router.post(
    "/apply/pause",
    summary="Hold back what is being applied",
    responses=example({"message": "Applying is paused", "status": "success"}) | problems(401, 403, 409, 503),
)
def pause_apply(db: UseDatabase) -> Done:
    """For good, until `resume`: workers write the few files that they were given, and go on with everything else."""
    with db.write() as tx:
        hold(tx, is_held=True)
    return Done("Applying is paused")


@router.post(
    "/apply/resume",
    summary="Go on with what is being applied",
    responses=example({"message": "Applying goes on", "status": "success"}) | problems(401, 403, 409, 503),
)
def resume_apply(db: UseDatabase, applying: UseApplying) -> Done:
    with db.write() as tx:
        hold(tx, is_held=False)
    applying.step()
    return Done("Applying goes on")


@router.get("/history", summary="Earlier calibrations", responses=example(HISTORY) | problems(400, 401, 403, 404, 503))
def history(
    db: UseDatabase,
    library_id: LibraryId = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
    before_version: Annotated[int | None, Query(ge=1, le=LARGEST_ID, description="to page on")] = None,
) -> History:
    """Of one library: those that covered it."""
    with db.read() as tx:
        _check(tx, library_id)
        runs = calibrations.history(tx, limit=limit, library_id=library_id, before_version=before_version)
    return History([_past(run) for run in runs])


def make_applying(db: Database, settings: Settings, matrix: ScoreMatrix) -> Applying:
    """What carries out orders to apply; `settings` are those that the server started with."""
    return Applying(
        db,
        lambda: config.current(db, settings).file_write_mode,
        lambda tx: matrix.refresh(tx).blocks,
    )


def _check(tx: Transaction, library_id: int | None) -> None:
    if library_id is not None:
        libraries.get(tx, library_id)


def _library_status(library: Library, label: str, total: int, outdated: int) -> LibraryStatus:
    return LibraryStatus(
        library_id=str(library.id),
        library_name=library.name,
        total_files=total,
        current_count=total - outdated,
        outdated_count=outdated,
        percentage=round(100 * (total - outdated) / total, 1) if total else 100.0,
        calibration=label,
    )


def _past(run: CalibrationRun) -> PastCalibration:
    return PastCalibration(
        version=run.version,
        label=run.label,
        library_id=run.library_id,
        library_size=run.library_size,
        global_version=run.global_version,
        drift=run.drift,
        note=run.note,
        created_at=utc(run.created_at),
        heads=_heads(run),
    )


def _heads(run: CalibrationRun) -> dict[str, HeadAnswer]:
    return {
        head.head_key: HeadAnswer(
            head.model_name, head.head_name, head.p5, head.p95, head.n, head.underflow, head.overflow, head.drift
        )
        for head in run.heads
    }
