"""What analytics answers with: numbers, and for each the address of the tracks it counts."""

from __future__ import annotations

from dataclasses import dataclass

from nomarr.store.analytics import Share
from nomarr.web.links import Links


@dataclass(frozen=True)
class TagFrequency:
    """`total_count` files carry the tag, with `unique_values` different values among them."""

    tag_key: str
    total_count: int
    unique_values: int
    links: Links


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
    links: Links


@dataclass(frozen=True)
class MoodDistribution:
    mood_distribution: list[MoodShare]
    analysed_tracks: int
    links: Links


@dataclass(frozen=True)
class TagCorrelations:
    """Pearson's r between moods, and the share of each tier among the tracks that carry a mood. Links lead to the
    tracks that carry both moods, and to those of a tier.
    """

    mood_correlations: dict[str, dict[str, float]]
    mood_tier_correlations: dict[str, dict[str, float]]
    mood_links: dict[str, Links]
    tier_links: dict[str, Links]


@dataclass(frozen=True)
class CoOccurrence:
    """`counts[a][b]` tracks carry both moods; `counts[a][a]` carry a."""

    counts: dict[str, dict[str, int]]
    analysed_tracks: int
    count_links: dict[str, Links]
    links: Links


@dataclass(frozen=True)
class LinkedShare(Share):
    """How many files have a value; null: those that say nothing."""

    links: Links


@dataclass(frozen=True)
class Overview:
    """What the files say of themselves. `durations` are whole minutes, from an hour on as one."""

    files: int
    total_duration_seconds: float
    years: list[LinkedShare]
    genres: list[LinkedShare]
    formats: list[LinkedShare]
    durations: list[LinkedShare]
    links: Links


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
    links: Links


@dataclass(frozen=True)
class CoverageAnswer:
    libraries: list[LibraryCoverage]
