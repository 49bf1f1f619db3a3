"""From a number to the tracks it counts: addresses of file lists that hold exactly those."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Depends, Request

from nomarr.web.context import UseSettings

LISTED_AT = "/api/web/files"
Links = dict[str, str]  # a number's field -> where its tracks are listed

# The tiers by which a mood is counted hold each other; a track has the highest.
HIGHEST = {
    "strict": ("mood-strict:{}",),
    "regular": ("mood-regular:{}", "!mood-strict:{}"),
    "loose": ("mood-loose:{}", "!mood-regular:{}"),
}


@dataclass(frozen=True)
class Tracks:
    """Makes the addresses, for one namespace of tags."""

    base: str
    namespace: str

    def of(self, libraries: Iterable[int], *tags: str, **facts: str | int | None) -> str:
        """Files of these libraries, no others; a fact that is None stands for files that do not say."""
        pairs = [("tag", tag) for tag in tags]
        pairs += [(name, "" if value is None else str(value)) for name, value in facts.items()]
        return f"{self.base}?{urlencode([*pairs, *(('library_id', str(library)) for library in libraries)])}"

    def analysed(self, libraries: Iterable[int]) -> str:
        return self.of(libraries, f"{self.namespace}:*")

    def with_moods(self, libraries: Iterable[int], *moods: str) -> str:
        return self.of(libraries, *(f"mood:{mood}" for mood in moods))

    def in_tier(self, libraries: Iterable[int], mood: str, tier: str) -> str:
        """Tracks whose highest tier of the mood it is."""
        return self.of(libraries, *(tag.format(mood) for tag in HIGHEST[tier]))

    def written(self, libraries: Iterable[int], name: str) -> str:
        """Tracks with one of our tags: a score, or any mood word."""
        return self.of(libraries, f"{self.namespace}:{name}")


async def _tracks(request: Request, settings: UseSettings) -> Tracks:
    return Tracks(f"{request.scope.get('root_path', '')}{LISTED_AT}", settings.namespace)


UseTracks = Annotated[Tracks, Depends(_tracks)]
