"""The libraries as a whole: which tags there are, which moods, and what goes together."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Depends, Query, Response

from nomarr.library_moods import MoodSums
from nomarr.moods.tags import TIERS
from nomarr.moods.tiers import IN_LOOSE, IN_REGULAR, IN_STRICT, WORDS
from nomarr.store import analytics
from nomarr.web import memory as remembered
from nomarr.web.analytics_answers import (
    CoOccurrence,
    CoverageAnswer,
    LibraryCoverage,
    LinkedShare,
    MoodDistribution,
    MoodShare,
    Overview,
    TagCorrelations,
    TagFrequencies,
    TagFrequency,
)
from nomarr.web.answers import problems
from nomarr.web.auth import require_login
from nomarr.web.context import UseDatabase, UseMatrix, UseSettings
from nomarr.web.links import Links, Tracks, UseTracks
from nomarr.web.memory import UseMemory
from nomarr.web.tables import WantsCsv, csv_example, csv_of, csv_of_rows

router = APIRouter(prefix="/api/web/analytics", tags=["analytics"], dependencies=[Depends(require_login)])

LibraryId = Annotated[
    int | None, Query(ge=1, le=2**31 - 1, description="only this library; by default all that are enabled")
]
TopMoods = Annotated[int, Query(ge=2, le=100, description="how many of the most frequent moods")]
TIER_SHARES = {"tier_s": "strict", "tier_a": "regular", "tier_b": "loose"}
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
    found: list[TagFrequency] = []
    with db.read() as tx:
        chosen = remembered.chosen_libraries(tx, library_id)
        modes = {library.id: library.file_write_mode or settings.file_write_mode for library in chosen}
        ids = sorted(modes)

        def count_own() -> list[analytics.TagUse]:
            with db.read() as other:
                return remembered.own_tags(other, ids, memory, settings)

        with ThreadPoolExecutor(max_workers=1) as beside:  # neither needs the other, and both are the database's work
            counting = beside.submit(count_own)
            blocks = remembered.blocks_of(tx, chosen, matrix)
        own = counting.result()
    prefix = settings.namespace
    scored = [library for library in ids if modes[library] == "native"]
    for name, use in memory.moods.scores([one for one in blocks if one[0].library_id in scored]).items():
        links = {"total_count": tracks.written(scored, name)}
        found.append(TagFrequency(f"{prefix}:{name}", use.files, use.unique_values, links))
    worded = [library for library in ids if modes[library] != "none"]
    sums = memory.moods.moods([one for one in blocks if one[0].library_id in worded])
    for name, tier, files in zip(TIERS, TIERS.values(), sums.carrying.tolist(), strict=True):
        words = int(np.count_nonzero(sums.tiers[:, tier:].sum(axis=1)))
        found.append(TagFrequency(f"{prefix}:{name}", files, words, {"total_count": tracks.written(worded, name)}))
    for tag in own:
        links = {"total_count": tracks.of(ids, own_tag=tag.name)}
        found.append(TagFrequency(tag.name, tag.files, tag.values, links))
    ranked = sorted((tag for tag in found if tag.total_count), key=lambda tag: (-tag.total_count, tag.tag_key))
    if wants_csv:
        return csv_of_rows("tag-frequencies", TagFrequency, ranked[:limit])
    return TagFrequencies(ranked[:limit])


@router.get(
    "/mood-distribution",
    summary="How often each mood is said",
    response_model=MoodDistribution,
    responses=csv_example(
        {
            "mood_distribution": [
                {
                    "mood": "happy",
                    "count": 3421,
                    "percentage": 18.5,
                    "strict": 1024,
                    "regular": 1197,
                    "loose": 1200,
                    "links": {
                        "count": f"{FILES}tag=mood%3Ahappy&library_id=1",
                        "strict": f"{FILES}tag=mood-strict%3Ahappy&library_id=1",
                    },
                }
            ],
            "analysed_tracks": 18432,
            "links": {"analysed_tracks": f"{FILES}tag=nom%3A%2A&library_id=1"},
        },
        "mood,count,percentage,strict,regular,loose\r\nhappy,3421,18.5,1024,1197,1200\r\n",
    )
    | problems(400, 401, 403, 404, 503),
)
def mood_distribution(
    db: UseDatabase,
    matrix: UseMatrix,
    memory: UseMemory,
    tracks: UseTracks,
    wants_csv: WantsCsv,
    library_id: LibraryId = None,
) -> MoodDistribution | Response:
    """Most frequent first; moods that no track carries are left out."""
    ids, sums = remembered.mood_sums(db, matrix, memory, library_id)
    shares = []
    for mood in _most_frequent(sums):
        tiers, word = sums.tiers[mood].tolist(), WORDS[mood]
        count = sum(tiers[1:])
        links = {"count": tracks.with_moods(ids, word), **_tier_links(tracks, ids, word)}
        percentage = round(100 * count / sums.files, 1)
        by_tier = (tiers[IN_STRICT], tiers[IN_REGULAR], tiers[IN_LOOSE])
        shares.append(MoodShare(word, count, percentage, *by_tier, links))
    if wants_csv:
        return csv_of_rows("mood-distribution", MoodShare, shares)
    return MoodDistribution(shares, sums.files, _analysed_link(tracks, ids))


@router.get(
    "/tag-correlations",
    summary="Which moods go together",
    response_model=TagCorrelations,
    responses=csv_example(
        {
            "mood_correlations": {"happy": {"party": 0.85}, "party": {"happy": 0.85}},
            "mood_tier_correlations": {"happy": {"tier_s": 0.45, "tier_a": 0.35, "tier_b": 0.2}},
            "mood_links": {"happy": {"party": f"{FILES}tag=mood%3Ahappy&tag=mood%3Aparty&library_id=1"}},
            "tier_links": {"happy": {"tier_s": f"{FILES}tag=mood-strict%3Ahappy&library_id=1"}},
        },
        "mood,tier_s,tier_a,tier_b,happy,party\r\nhappy,0.45,0.35,0.2,,0.85\r\nparty,0.5,0.3,0.2,0.85,\r\n",
    )
    | problems(400, 401, 403, 404, 503),
)
def tag_correlations(
    db: UseDatabase,
    matrix: UseMatrix,
    memory: UseMemory,
    tracks: UseTracks,
    wants_csv: WantsCsv,
    top_n: TopMoods = 20,
    library_id: LibraryId = None,
) -> TagCorrelations | Response:
    """Between the calibrated strengths of the most frequent moods, over all analysed tracks. 0 where one of the two
    never varies. The shares of a mood's tiers (S strict, A regular, B loose) sum to 1.
    """
    ids, sums = remembered.mood_sums(db, matrix, memory, library_id)
    chosen = _most_frequent(sums)[:top_n]
    words = [WORDS[mood] for mood in chosen]
    r = sums.correlations()
    correlations = {WORDS[a]: {WORDS[b]: round(float(r[a, b]), 3) + 0.0 for b in chosen if b != a} for a in chosen}
    shares = {WORDS[mood]: _tier_shares(sums, mood) for mood in chosen}
    if wants_csv:
        header = ["mood", *TIER_SHARES, *words]
        rows = ([a, *shares[a].values(), *(correlations[a].get(b) for b in words)] for a in words)
        return csv_of("tag-correlations", header, rows)
    tiers = {word: _tier_links(tracks, ids, word) for word in words}
    return TagCorrelations(
        correlations,
        shares,
        {a: {b: tracks.with_moods(ids, a, b) for b in words if b != a} for a in words},
        {word: {share: tiers[word][tier] for share, tier in TIER_SHARES.items()} for word in words},
    )


@router.get(
    "/mood-cooccurrence",
    summary="How many tracks carry two moods at once",
    response_model=CoOccurrence,
    responses=csv_example(
        {
            "counts": {"happy": {"happy": 3421, "party": 1210}},
            "analysed_tracks": 18432,
            "count_links": {"happy": {"party": f"{FILES}tag=mood%3Ahappy&tag=mood%3Aparty&library_id=1"}},
            "links": {"analysed_tracks": f"{FILES}tag=nom%3A%2A&library_id=1"},
        },
        "mood,happy,party\r\nhappy,3421,1210\r\nparty,1210,2804\r\n",
    )
    | problems(400, 401, 403, 404, 503),
)
def mood_cooccurrence(
    db: UseDatabase,
    matrix: UseMatrix,
    memory: UseMemory,
    tracks: UseTracks,
    wants_csv: WantsCsv,
    top_n: TopMoods = 20,
    library_id: LibraryId = None,
) -> CoOccurrence | Response:
    """Of the most frequent moods."""
    ids, sums = remembered.mood_sums(db, matrix, memory, library_id)
    chosen = _most_frequent(sums)[:top_n]
    words = [WORDS[mood] for mood in chosen]
    counts = {WORDS[a]: {WORDS[b]: int(sums.together[a, b]) for b in chosen} for a in chosen}
    if wants_csv:
        return csv_of("mood-cooccurrence", ["mood", *words], ([a, *counts[a].values()] for a in words))
    return CoOccurrence(
        counts,
        sums.files,
        {a: {b: tracks.with_moods(ids, *dict.fromkeys((a, b))) for b in words} for a in words},
        _analysed_link(tracks, ids),
    )


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


def _most_frequent(sums: MoodSums) -> list[int]:
    """Moods that some track carries, the most frequent first."""
    counts = sums.counts.tolist()
    return sorted((mood for mood, count in enumerate(counts) if count), key=lambda mood: (-counts[mood], WORDS[mood]))


def _analysed_link(tracks: Tracks, ids: list[int]) -> Links:
    return {"analysed_tracks": tracks.analysed(ids)} if ids else {}


def _tier_links(tracks: Tracks, ids: list[int], word: str) -> Links:
    return {tier: tracks.in_tier(ids, word, tier) for tier in TIER_SHARES.values()}


def _tier_shares(sums: MoodSums, mood: int) -> dict[str, float]:
    """Thousandths that sum to 1: what rounding takes from one tier goes to those that lost most."""
    tiers = dict(zip(TIER_SHARES, (IN_STRICT, IN_REGULAR, IN_LOOSE), strict=True))
    count = int(sums.counts[mood])
    exact = {name: 1000 * int(sums.tiers[mood, tier]) for name, tier in tiers.items()}
    shares = {name: value // count for name, value in exact.items()}
    for name in sorted(exact, key=lambda name: -(exact[name] % count))[: 1000 - sum(shares.values())]:
        shares[name] += 1
    return {name: share / 1000 for name, share in shares.items()}
