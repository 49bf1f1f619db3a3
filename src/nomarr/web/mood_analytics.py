"""Moods of whole libraries: how often each is said, and which go together."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from nomarr.library_moods import MoodSums
from nomarr.moods.tiers import IN_LOOSE, IN_REGULAR, IN_STRICT, WORDS
from nomarr.web import memory as remembered
from nomarr.web.analytics_answers import CoOccurrence, MoodDistribution, MoodShare, TagCorrelations
from nomarr.web.answers import problems
from nomarr.web.auth import require_login
from nomarr.web.context import UseDatabase, UseMatrix
from nomarr.web.ids import LibraryId
from nomarr.web.links import Links, Tracks, UseTracks
from nomarr.web.memory import UseMemory
from nomarr.web.tables import WantsCsv, csv_example, csv_of, csv_of_rows

router = APIRouter(prefix="/api/web/analytics", tags=["analytics"], dependencies=[Depends(require_login)])


def _moods(
    db: UseDatabase, matrix: UseMatrix, memory: UseMemory, library_id: LibraryId = None
) -> tuple[list[int], MoodSums]:
    return remembered.mood_sums(db, matrix, memory, library_id)


UseMoods = Annotated[tuple[list[int], MoodSums], Depends(_moods)]  # of which libraries, and their moods in numbers
TopMoods = Annotated[int, Query(ge=2, le=100, description="how many of the most frequent moods")]
TIER_SHARES = {"tier_s": "strict", "tier_a": "regular", "tier_b": "loose"}
FILES = "/api/web/files?"  # in the examples


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
    moods: UseMoods,
    tracks: UseTracks,
    wants_csv: WantsCsv,
) -> MoodDistribution | Response:
    """Most frequent first; moods that no track carries are left out."""
    ids, sums = moods
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
    moods: UseMoods,
    tracks: UseTracks,
    wants_csv: WantsCsv,
    top_n: TopMoods = 20,
) -> TagCorrelations | Response:
    """Between the calibrated strengths of the most frequent moods, over all analysed tracks. 0 where one of the two
    never varies. The shares of a mood's tiers (S strict, A regular, B loose) sum to 1.
    """
    ids, sums = moods
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
    moods: UseMoods,
    tracks: UseTracks,
    wants_csv: WantsCsv,
    top_n: TopMoods = 20,
) -> CoOccurrence | Response:
    """Of the most frequent moods."""
    ids, sums = moods
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
