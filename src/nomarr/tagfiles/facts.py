"""The cheap facts about one file that a library scan stores, under the same names for every container."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache

from nomarr.tagfiles.family import Fields

_LONGEST_VALUE = 512
_MOST_VALUES = 16
_MOST_FIELDS = 64
_YEAR = re.compile(r"[12][0-9]{3}")

_ALIASES = {
    "album artist": "albumartist",
    "album_artist": "albumartist",
    "year": "date",
    "track": "tracknumber",
    "trackno": "tracknumber",
    "disc": "discnumber",
    "disk": "discnumber",
    "initialkey": "key",
    "initial key": "key",
    "initial_key": "key",
    "publisher": "label",
    "organization": "label",
    "tempo": "bpm",
    "beatsperminute": "bpm",
    "musicbrainz album id": "musicbrainz_albumid",
    "musicbrainz artist id": "musicbrainz_artistid",
    "musicbrainz album artist id": "musicbrainz_albumartistid",
    "musicbrainz release group id": "musicbrainz_releasegroupid",
    "musicbrainz release track id": "musicbrainz_releasetrackid",
    "musicbrainz track id": "musicbrainz_trackid",
    "musicbrainz work id": "musicbrainz_workid",
    "musicbrainz album type": "releasetype",
    "musicbrainz album status": "releasestatus",
    "musicbrainz album release country": "releasecountry",
    "acoustid id": "acoustid_id",
}
# Long texts and binary data in text's clothing: of no use to a scan.
_LEFT_OUT = re.compile(
    r"(un|un ?)?sync(ed)?.?lyrics.*|lyrics.*|comments?|comment:.*|description|coverart.*|cover art.*"
    r"|metadata_block_picture|itun(norm|smpb|pgap|es_cddb.*)|acoustid.fingerprint|geob.*|replaygain_undo"
)


@dataclass(frozen=True)
class FileFacts:
    """What the file says about itself; `tags` holds the other textual fields, `ours` Nomarr's own.

    `container` is "" for a file that is not understood; nothing else is known then.
    """

    container: str
    duration_s: float | None = None
    title: str | None = None
    artist: str | None = None
    album: str | None = None
    album_artist: str | None = None
    genres: tuple[str, ...] = ()
    year: int | None = None
    track: int | None = None
    disc: int | None = None
    tags: Fields = field(default_factory=dict)
    ours: Fields = field(default_factory=dict)


def make_facts(
    container: str,
    duration_s: float | None,
    texts: Iterable[tuple[str, list[str]]],
    ours: Fields,
    *,
    prefix: str,
) -> FileFacts:
    """Sorts a file's textual fields into columns and the rest; several artists are joined with "; "."""
    found = _gathered(texts, prefix)
    return FileFacts(
        container=container,
        duration_s=duration_s,
        title=_joined(found.pop("title", ())),
        artist=_joined(found.pop("artist", ())),
        album=_joined(found.pop("album", ())),
        album_artist=_joined(found.pop("albumartist", ())),
        genres=found.pop("genre", ()),
        year=_year(found, container),
        track=_number(found.pop("tracknumber", ())),
        disc=_number(found.pop("discnumber", ())),
        tags=dict(list(found.items())[:_MOST_FIELDS]),
        ours=ours,
    )


def _gathered(texts: Iterable[tuple[str, list[str]]], prefix: str) -> Fields:
    found: Fields = {}
    for raw_name, values in texts:
        name = raw_name.strip().lower()
        name = _ALIASES.get(name, name)[:_LONGEST_VALUE]
        if not name or name.startswith(prefix) or _LEFT_OUT.fullmatch(name):
            continue
        kept = list(found.get(name, ()))
        for value in values[:_MOST_VALUES]:
            clipped = value.strip().replace("\0", "")[:_LONGEST_VALUE]
            if clipped and clipped not in kept and len(kept) < _MOST_VALUES:
                kept.append(clipped)
        if kept:
            found[name] = tuple(kept)
    return found


def _joined(values: tuple[str, ...]) -> str | None:
    return "; ".join(values)[:_LONGEST_VALUE] or None


def _year(found: Fields, container: str) -> int | None:
    """The year by which Navidrome knows the track.

    Taggers have long put an album's release into the date, and left the release date empty: where there is an original
    date, no release date, and a date that is not older, the original one counts. The date of an m4a is both.
    """
    date = _first_date(found, "date")
    original = _first_date(found, "originaldate", "originalyear", "origyear")
    release = _first_date(found, "releasedate") or (date if container == "m4a" else "")
    if original and not release and date >= original:
        date = original
    known = date or original or release
    return int(known[:4]) if known else None


def _first_date(found: Fields, *names: str) -> str:
    dates = (date_of(value) for name in names for value in found.get(name, ()))
    return next(filter(None, dates), "")


@lru_cache(maxsize=20_000)
def date_of(text: str) -> str:
    """YYYY-MM-DD, YYYY-MM or YYYY, as much as the text holds; "" if it holds no year."""
    found = _YEAR.search(text)
    if found is None:
        return ""
    start = text[:10]
    for form in (r"[0-9]{4}-[0-9]{2}-[0-9]{2}", r"[0-9]{4}-[0-9]{2}"):
        if re.fullmatch(form, start):
            try:
                date.fromisoformat((start + "-01")[:10])
            except ValueError:
                break
            return start
    return found[0]


def _number(values: tuple[str, ...]) -> int | None:
    """The number of "3", "03/12" or "3 of 12"; vinyl's "A1" has none."""
    for value in values:
        match = re.match(r"[0-9]{1,6}", value)
        if match:
            return int(match[0])
    return None
