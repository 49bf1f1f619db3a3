"""What a file says about itself, and the columns made of that: facts, what it is sorted by, what it is found by."""

from __future__ import annotations

import unicodedata
from dataclasses import asdict, dataclass, fields

from nomarr.store import tags

LONGEST_KEY, LONGEST_WORDS = 100, 600  # characters: an index row of PostgreSQL ends at 2,704 bytes


@dataclass(frozen=True)
class Facts:
    """What a file says about itself."""

    container: str | None = None
    duration_s: float | None = None
    title: str | None = None
    artist: str | None = None
    album: str | None = None
    album_artist: str | None = None
    genre: str | None = None
    year: int | None = None
    track: int | None = None
    disc: int | None = None


FACTS = tuple(field.name for field in fields(Facts))
COLUMNS = (*FACTS, "title_key", "artist_key", "album_key", "words")


def values(facts: Facts, name: str) -> dict[str, object]:
    """The values of COLUMNS for a file of this name."""
    clean: dict[str, object] = {fact: tags.clean(value) for fact, value in asdict(facts).items()}
    title, artist, album, album_artist = (
        fold(str(clean[fact] or "")) for fact in ("title", "artist", "album", "album_artist")
    )
    others = [] if album_artist == artist else [album_artist]
    return clean | {
        "title_key": title[:LONGEST_KEY],
        "artist_key": artist[:LONGEST_KEY],
        "album_key": album[:LONGEST_KEY],
        "words": " ".join([title, artist, album, *others, fold(name)])[:LONGEST_WORDS],
    }


def fold(text: str) -> str:
    """Text as it is compared: without accents, and capitals are like small letters."""
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in apart if not unicodedata.combining(c))
