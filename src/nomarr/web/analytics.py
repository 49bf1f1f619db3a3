"""The libraries as a whole: which tags there are, what the files say of themselves, how far the analysis is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Depends, Query, Response

from nomarr.moods.tags import TIERS
from nomarr.scores import LibraryCalibration
from nomarr.settings import Settings
from nomarr.store import analytics
from nomarr.store.database import Database
from nomarr.store.libraries import Library
from nomarr.store.matrix import Block
from nomarr.web import memory as remembered
from nomarr.web.analytics_answers import (
    CoverageAnswer,
    LibraryCoverage,
    LinkedShare,
    Overview,
    TagFrequencies,
    TagFrequency,
)
from nomarr.web.answers import problems
from nomarr.web.auth import require_login
from nomarr.web.context import UseDatabase, UseMatrix, UseSettings
from nomarr.web.ids import LibraryId
from nomarr.web.links import Tracks, UseTracks
from nomarr.web.memory import Memory, UseMemory
from nomarr.web.tables import WantsCsv, csv_example, csv_of, csv_of_rows

router = APIRouter(prefix="/api/web/analytics", tags=["analytics"], dependencies=[Depends(require_login)])

FILES = "/api/web/files?"  # in the examples


@router.get(
    "/tag-frequencies",
    summary="Which tags the files carry",
    response_model=TagFrequencies,
    responses=csv_example(
        {
            "tag_frequencies": [
                {
                    "tag_key": "nom:mood_happy",
                    "total_count": 3421,
                    "unique_values": 3302,
                    "links": {"total_count": f"{FILES}tag=nom%3Amood_happy&library_id=1"},
                }
            ]
        },
        "tag_key,total_count,unique_values\r\nnom:mood_happy,3421,3302\r\n",
    )
    | problems(400, 401, 403, 404, 503),
)
def tag_frequencies(
    db: UseDatabase,
    settings: UseSettings,
    matrix: UseMatrix,
    memory: UseMemory,
    tracks: UseTracks,
    wants_csv: WantsCsv,
    limit: Annotated[int, Query(ge=1, le=1000, description="how many tags")] = 50,
    library_id: LibraryId = None,
) -> TagFrequencies | Response:
    """Most frequent first. What counts: Nomarr's scores and mood words as an analysed file's library has them
    written, whether or not the file was reached yet, and the files' own tags as the last scan found them. Missing
    files do not count, nor do Nomarr's notes of version, models and calibration.
    """
    with db.read() as tx:
        chosen = remembered.chosen_libraries(tx, library_id)
        ids = sorted(library.id for library in chosen)
        with ThreadPoolExecutor(max_workers=1) as beside:  # neither needs the other, and both are the database's work
            own = beside.submit(_own_tags, db, ids, memory, settings)
            blocks = remembered.blocks_of(tx, chosen, matrix)
            found = _written_tags(blocks, chosen, memory, tracks, settings)
    for tag in own.result():
        links = {"total_count": tracks.of(ids, own_tag=tag.name)}
        found.append(TagFrequency(tag.name, tag.files, tag.values, links))
    ranked = sorted((tag for tag in found if tag.total_count), key=lambda tag: (-tag.total_count, tag.tag_key))
    if wants_csv:
        return csv_of_rows("tag-frequencies", TagFrequency, ranked[:limit])
    return TagFrequencies(ranked[:limit])


@router.get(
    "/overview",
    summary="Years, genres, formats and durations",
    response_model=Overview,
    responses=csv_example(
        {
            "files": 18432,
            "total_duration_seconds": 5443200.5,
            "years": [{"value": "1999", "count": 320, "links": {"count": f"{FILES}year=1999&library_id=1"}}],
            "genres": [{"value": "House", "count": 1210, "links": {"count": f"{FILES}genre=House&library_id=1"}}],
            "formats": [{"value": "flac", "count": 12000, "links": {"count": f"{FILES}format=flac&library_id=1"}}],
            "durations": [{"value": "3", "count": 4100, "links": {"count": f"{FILES}minutes=3&library_id=1"}}],
            "links": {"files": f"{FILES}library_id=1"},
        },
        "of,value,count\r\nfiles,,18432\r\nyears,1999,320\r\n",
    )
    | problems(400, 401, 403, 404, 503),
)
def overview(
    db: UseDatabase,
    settings: UseSettings,
    memory: UseMemory,
    tracks: UseTracks,
    wants_csv: WantsCsv,
    limit: Annotated[int, Query(ge=1, le=1000, description="how many genres")] = remembered.GENRES,
    library_id: LibraryId = None,
) -> Overview | Response:
    """As the files say it, analysed or not. A null value counts those that say nothing."""
    with db.read() as tx:
        ids = sorted(library.id for library in remembered.chosen_libraries(tx, library_id))
        found = remembered.overview(tx, ids, memory, settings, genres=limit)

    def shares(counted: list[analytics.Share], fact: str) -> list[LinkedShare]:
        return [LinkedShare(one.value, one.count, {"count": tracks.of(ids, **{fact: one.value})}) for one in counted]

    parts = {
        "years": shares(found.years, "year"),
        "genres": shares(found.genres, "genre"),
        "formats": shares(found.formats, "format"),
        "durations": shares(found.durations, "minutes"),
    }
    if wants_csv:
        whole = [("files", None, found.files), ("total_duration_seconds", None, found.total_duration_seconds)]
        rows = [(of, share.value, share.count) for of, some in parts.items() for share in some]
        return csv_of("overview", ("of", "value", "count"), [*whole, *rows])
    links = {"files": tracks.of(ids)} if ids else {}
    return Overview(found.files, found.total_duration_seconds, **parts, links=links)


@router.get(
    "/coverage",
    summary="How far each library is",
    response_model=CoverageAnswer,
    responses=csv_example(
        {
            "libraries": [
                {
                    "library_id": 1,
                    "library_name": "Main Library",
                    "files": 18432,
                    "analysed": 18000,
                    "tagged": 17990,
                    "failed": 12,
                    "percentage": 97.7,
                    "links": {"files": f"{FILES}library_id=1", "failed": f"{FILES}status=failed&library_id=1"},
                }
            ]
        },
        "library_id,library_name,files,analysed,tagged,failed,percentage\r\n1,Main,18432,18000,17990,12,97.7\r\n",
    )
    | problems(400, 401, 403, 404, 503),
)
def coverage(
    db: UseDatabase, memory: UseMemory, tracks: UseTracks, wants_csv: WantsCsv, library_id: LibraryId = None
) -> CoverageAnswer | Response:
    """All libraries, the disabled ones too."""
    with db.read() as tx:
        names = {
            library.id: library.name for library in remembered.chosen_libraries(tx, library_id, enabled_only=False)
        }
        rows = remembered.coverage(tx, memory)
    found = [
        LibraryCoverage(
            library_name=names[row.library_id],
            percentage=round(100 * row.analysed / row.files, 1) if row.files else 100.0,
            links={"files": tracks.of([row.library_id])}
            | {status: tracks.of([row.library_id], status=status) for status in ("analysed", "tagged", "failed")},
            **vars(row),
        )
        for row in rows
        if row.library_id in names
    ]
    return csv_of_rows("coverage", LibraryCoverage, found) if wants_csv else CoverageAnswer(found)


def _own_tags(db: Database, ids: list[int], memory: Memory, settings: Settings) -> list[analytics.TagUse]:
    with db.read() as tx:
        return remembered.own_tags(tx, ids, memory, settings)


def _written_tags(
    blocks: list[tuple[Block, LibraryCalibration]],
    chosen: list[Library],
    memory: Memory,
    tracks: Tracks,
    settings: Settings,
) -> list[TagFrequency]:
    """Scores and mood words that the libraries' files hold, or will once they are reached."""
    found = []
    modes = {library.id: library.file_write_mode or settings.file_write_mode for library in chosen}
    scored = sorted(library for library, mode in modes.items() if mode == "native")
    worded = sorted(library for library, mode in modes.items() if mode != "none")
    prefix = settings.namespace
    for name, use in memory.moods.scores([one for one in blocks if one[0].library_id in scored]).items():
        links = {"total_count": tracks.written(scored, name)}
        found.append(TagFrequency(f"{prefix}:{name}", use.files, use.unique_values, links))
    sums = memory.moods.moods([one for one in blocks if one[0].library_id in worded])
    for name, tier, files in zip(TIERS, TIERS.values(), sums.carrying.tolist(), strict=True):
        words = int(np.count_nonzero(sums.tiers[:, tier:].sum(axis=1)))
        found.append(TagFrequency(f"{prefix}:{name}", files, words, {"total_count": tracks.written(worded, name)}))
    return found
