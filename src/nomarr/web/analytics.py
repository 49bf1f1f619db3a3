"""The libraries as a whole: which tags there are, which moods, and what goes together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import numpy as np
from fastapi import APIRouter, Depends, Query, Request

from nomarr.library_moods import LibraryMoods, MoodSums
from nomarr.moods.tags import TIERS
from nomarr.moods.tiers import IN_LOOSE, IN_REGULAR, IN_STRICT, WORDS
from nomarr.scores import LibraryCalibration
from nomarr.store import analytics, calibrations, libraries
from nomarr.store.analytics import Overview
from nomarr.store.database import Transaction
from nomarr.store.libraries import Library
from nomarr.store.matrix import Block, ScoreMatrix
from nomarr.web.answers import example, problems
from nomarr.web.auth import require_login
from nomarr.web.context import UseDatabase, UseMatrix, UseSettings

router = APIRouter(prefix="/api/web/analytics", tags=["analytics"], dependencies=[Depends(require_login)])

REMEMBERED = 64  # answers; each is small
T = TypeVar("T")

LibraryId = Annotated[
    int | None, Query(ge=1, le=2**31 - 1, description="only this library; by default all that are enabled")
]
TopMoods = Annotated[int, Query(ge=2, le=100, description="how many of the most frequent moods")]


@dataclass(frozen=True)
class TagFrequency:
    """`total_count` files carry the tag, with `unique_values` different values among them."""

    tag_key: str
    total_count: int
    unique_values: int


@dataclass(frozen=True)
class TagFrequencies:
    tag_frequencies: list[TagFrequency]


@dataclass(frozen=True)
class MoodShare:
    """Tracks that carry the mood in any tier, and in per cent of all analysed tracks; then by their highest tier."""

    mood: str
    count: int
    percentage: float
    strict: int
    regular: int
    loose: int


@dataclass(frozen=True)
class MoodDistribution:
    mood_distribution: list[MoodShare]
    analysed_tracks: int


@dataclass(frozen=True)
class TagCorrelations:
    """Pearson's r between moods, and the share of each tier among the tracks that carry a mood."""

    mood_correlations: dict[str, dict[str, float]]
    mood_tier_correlations: dict[str, dict[str, float]]


@dataclass(frozen=True)
class CoOccurrence:
    """`counts[a][b]` tracks carry both moods; `counts[a][a]` carry a."""

    counts: dict[str, dict[str, int]]
    analysed_tracks: int


@dataclass(frozen=True)
class LibraryCoverage:
    """How far a library is, in files and as a share of them in per cent."""

    library_id: int
    library_name: str
    files: int
    analysed: int
    tagged: int
    failed: int
    percentage: float


@dataclass(frozen=True)
class CoverageAnswer:
    libraries: list[LibraryCoverage]


class Memory:
    """Answers of slow queries, for as long as nothing changed that they depend on. Threads may share it."""

    def __init__(self) -> None:
        self.moods = LibraryMoods()
        self._lock = threading.Lock()
        self._answers: dict[Hashable, tuple[Hashable, Any]] = {}

    def recall(self, question: Hashable, state: Hashable, answer: Callable[[], T]) -> T:
        with self._lock:
            known = self._answers.get(question)
        if known is not None and known[0] == state:
            found: T = known[1]
            return found
        found = answer()
        with self._lock:
            self._answers.pop(question, None)
            while len(self._answers) >= REMEMBERED:
                self._answers.pop(next(iter(self._answers)))
            self._answers[question] = (state, found)
        return found


async def _memory(request: Request) -> Memory:
    memory: Memory = request.app.state.analytics
    return memory


UseMemory = Annotated[Memory, Depends(_memory)]


@router.get(
    "/tag-frequencies",
    summary="Which tags the files carry",
    responses=example({"tag_frequencies": [{"tag_key": "nom:mood_happy", "total_count": 3421, "unique_values": 3421}]})
    | problems(400, 401, 403, 404, 503),
)
def tag_frequencies(
    db: UseDatabase,
    settings: UseSettings,
    matrix: UseMatrix,
    memory: UseMemory,
    limit: Annotated[int, Query(ge=1, le=1000, description="how many tags")] = 50,
    library_id: LibraryId = None,
) -> TagFrequencies:
    """Most frequent first. What counts: Nomarr's scores and mood words as an analysed file's library has them
    written, whether or not the file was reached yet, and the files' own tags as the last scan found them. Missing
    files do not count, nor do Nomarr's notes of version, models and calibration.
    """
    found: list[TagFrequency] = []
    with db.read() as tx:
        chosen = _libraries(tx, library_id)
        modes = {library.id: library.file_write_mode or settings.file_write_mode for library in chosen}
        blocks = _blocks(tx, chosen, matrix)
        ids = sorted(modes)
        own = memory.recall(("own", *ids), analytics.scan_state(tx), lambda: analytics.own_tags(tx, ids))
    prefix = settings.namespace
    scores = memory.moods.scores([one for one in blocks if modes[one[0].library_id] == "native"])
    found += [TagFrequency(f"{prefix}:{name}", use.files, use.unique_values) for name, use in scores.items()]
    sums = memory.moods.moods([one for one in blocks if modes[one[0].library_id] != "none"])
    for name, tier, files in zip(TIERS, TIERS.values(), sums.carrying.tolist(), strict=True):
        words = int(np.count_nonzero(sums.tiers[:, tier:].sum(axis=1)))
        found.append(TagFrequency(f"{prefix}:{name}", files, words))
    found += [TagFrequency(tag.name, tag.files, tag.values) for tag in own]
    ranked = sorted((tag for tag in found if tag.total_count), key=lambda tag: (-tag.total_count, tag.tag_key))
    return TagFrequencies(ranked[:limit])


@router.get(
    "/mood-distribution",
    summary="How often each mood is said",
    responses=example(
        {
            "mood_distribution": [
                {"mood": "happy", "count": 3421, "percentage": 18.5, "strict": 1024, "regular": 1197, "loose": 1200}
            ],
            "analysed_tracks": 18432,
        }
    )
    | problems(400, 401, 403, 404, 503),
)
def mood_distribution(
    db: UseDatabase, matrix: UseMatrix, memory: UseMemory, library_id: LibraryId = None
) -> MoodDistribution:
    """Most frequent first; moods that no track carries are left out."""
    with db.read() as tx:
        blocks = _blocks(tx, _libraries(tx, library_id), matrix)
    sums = memory.moods.moods(blocks)
    shares = []
    for mood in _most_frequent(sums):
        tiers = sums.tiers[mood].tolist()
        count = sum(tiers[1:])
        percentage = round(100 * count / sums.files, 1)
        shares.append(MoodShare(WORDS[mood], count, percentage, tiers[IN_STRICT], tiers[IN_REGULAR], tiers[IN_LOOSE]))
    return MoodDistribution(shares, sums.files)


@router.get(
    "/tag-correlations",
    summary="Which moods go together",
    responses=example(
        {
            "mood_correlations": {
                "happy": {"party": 0.85, "energetic": 0.72},
                "party": {"happy": 0.85, "energetic": 0.64},
                "energetic": {"happy": 0.72, "party": 0.64},
            },
            "mood_tier_correlations": {"happy": {"tier_s": 0.45, "tier_a": 0.35, "tier_b": 0.2}},
        }
    )
    | problems(400, 401, 403, 404, 503),
)
def tag_correlations(
    db: UseDatabase, matrix: UseMatrix, memory: UseMemory, top_n: TopMoods = 20, library_id: LibraryId = None
) -> TagCorrelations:
    """Between the calibrated strengths of the most frequent moods, over all analysed tracks. 0 where one of the two
    never varies. The shares of a mood's tiers (S strict, A regular, B loose) sum to 1.
    """
    with db.read() as tx:
        blocks = _blocks(tx, _libraries(tx, library_id), matrix)
    sums = memory.moods.moods(blocks)
    chosen = _most_frequent(sums)[:top_n]
    r = sums.correlations()
    return TagCorrelations(
        {WORDS[a]: {WORDS[b]: round(float(r[a, b]), 3) + 0.0 for b in chosen if b != a} for a in chosen},
        {WORDS[a]: _tier_shares(sums, a) for a in chosen},
    )


@router.get(
    "/mood-cooccurrence",
    summary="How many tracks carry two moods at once",
    responses=example({"counts": {"happy": {"happy": 3421, "party": 1210}}, "analysed_tracks": 18432})
    | problems(400, 401, 403, 404, 503),
)
def mood_cooccurrence(
    db: UseDatabase, matrix: UseMatrix, memory: UseMemory, top_n: TopMoods = 20, library_id: LibraryId = None
) -> CoOccurrence:
    with db.read() as tx:
        blocks = _blocks(tx, _libraries(tx, library_id), matrix)
    sums = memory.moods.moods(blocks)
    chosen = _most_frequent(sums)[:top_n]
    counts = {WORDS[a]: {WORDS[b]: int(sums.together[a, b]) for b in chosen} for a in chosen}
    return CoOccurrence(counts, sums.files)


@router.get(
    "/overview",
    summary="Years, genres, formats and durations",
    responses=example(
        {
            "files": 18432,
            "total_duration_seconds": 5443200.5,
            "years": [{"value": "1999", "count": 320}],
            "genres": [{"value": "House", "count": 1210}],
            "formats": [{"value": "flac", "count": 12000}],
            "durations": [{"value": "3", "count": 4100}],
        }
    )
    | problems(400, 401, 403, 404, 503),
)
def overview(
    db: UseDatabase,
    memory: UseMemory,
    limit: Annotated[int, Query(ge=1, le=1000, description="how many genres")] = 50,
    library_id: LibraryId = None,
) -> Overview:
    """As the files say it, analysed or not. A null value counts those that say nothing."""
    with db.read() as tx:
        ids = sorted(library.id for library in _libraries(tx, library_id))
        question = ("overview", limit, *ids)
        return memory.recall(question, analytics.scan_state(tx), lambda: analytics.overview(tx, ids, genres=limit))


@router.get(
    "/coverage",
    summary="How far each library is",
    responses=example(
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
                }
            ]
        }
    )
    | problems(400, 401, 403, 404, 503),
)
def coverage(db: UseDatabase, memory: UseMemory, library_id: LibraryId = None) -> CoverageAnswer:
    with db.read() as tx:
        names = {library.id: library.name for library in _libraries(tx, library_id, enabled_only=False)}
        rows = memory.recall("coverage", analytics.work_state(tx), lambda: analytics.coverage(tx))
    return CoverageAnswer(
        [
            LibraryCoverage(
                library_name=names[row.library_id],
                percentage=round(100 * row.analysed / row.files, 1) if row.files else 100.0,
                **vars(row),
            )
            for row in rows
            if row.library_id in names
        ]
    )


def _libraries(tx: Transaction, library_id: int | None, *, enabled_only: bool = True) -> list[Library]:
    """The one that was asked for, enabled or not, or all."""
    if library_id is not None:
        return [libraries.get(tx, library_id)]
    return libraries.list_all(tx, enabled_only=enabled_only)


def _blocks(tx: Transaction, chosen: list[Library], matrix: ScoreMatrix) -> list[tuple[Block, LibraryCalibration]]:
    """The scores of the libraries, each with what calibrates it."""
    current = calibrations.current(tx)
    by_library = {library.id: current.of(library.id) for library in chosen}
    blocks = matrix.refresh(tx).blocks
    return [(block, by_library[block.library_id]) for block in blocks if block.library_id in by_library]


def _most_frequent(sums: MoodSums) -> list[int]:
    """Moods that some track carries, the most frequent first."""
    counts = sums.counts.tolist()
    return sorted((mood for mood, count in enumerate(counts) if count), key=lambda mood: (-counts[mood], WORDS[mood]))


def _tier_shares(sums: MoodSums, mood: int) -> dict[str, float]:
    """Thousandths that sum to 1: what rounding takes from one tier goes to those that lost most."""
    tiers = {"tier_s": IN_STRICT, "tier_a": IN_REGULAR, "tier_b": IN_LOOSE}
    count = int(sums.counts[mood])
    exact = {name: 1000 * int(sums.tiers[mood, tier]) for name, tier in tiers.items()}
    shares = {name: value // count for name, value in exact.items()}
    for name in sorted(exact, key=lambda name: -(exact[name] % count))[: 1000 - sum(shares.values())]:
        shares[name] += 1
    return {name: share / 1000 for name, share in shares.items()}
