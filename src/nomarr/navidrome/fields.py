"""What a rule can ask about: Navidrome's own fields, and ours as its tag configuration names them.

The names, types and sources are those of Navidrome's fields.go, mappings.yaml and map_mediafile.go.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from nomarr.errors import InvalidInput
from nomarr.moods.tiers import MOODS

# text, number, date, flag: columns with one value. tag, role, words: texts, any number of them.
# score: one number with four decimals. playlist: the identifier of another playlist.
Kind = Literal["text", "number", "date", "flag", "tag", "role", "words", "score", "playlist", "random"]
Source = Literal["column", "tag", "bpm", "dates", "flag", "artist", "albumartist", "words", "score", ""]

TIERS = ("strict", "regular", "loose")
ANY_TIER = "loose"  # each tier holds those before it
TEXTS = ("text", "tag", "role", "words")
MANY_VALUED = ("tag", "role", "words")


@dataclass(frozen=True)
class Field:
    """One field. `name` is how a query says it, `navidrome` how an .nsp file does.

    `source` says where the preview finds its values; "" means that only Navidrome knows them.
    """

    name: str
    kind: Kind
    navidrome: str
    source: Source = ""
    nullable: bool = False  # Navidrome may have no value at all, and NULL satisfies no comparison
    can_miss: bool = False  # isMissing and isPresent work on it
    tags: tuple[str, ...] = ()  # the files' own tags that it comes from
    split: tuple[str, ...] = ()  # what separates several values in one text
    tier: str = ""
    mood: str = ""  # the word that `is true` asks for

    @property
    def has_order(self) -> bool:
        """Whether a playlist can be sorted by it."""
        is_word = self.kind == "words" or (self.kind == "score" and self.source == "words")
        return self.kind != "playlist" and not is_word


def _columns(
    names: str, kind: Kind, source: Source = "", *, nullable: bool = False, can_miss: bool = False
) -> list[Field]:
    return [Field(name, kind, name, source, nullable=nullable, can_miss=can_miss) for name in names.split()]


def _tags(names: str, *, tags: tuple[str, ...] = (), split: tuple[str, ...] = ()) -> list[Field]:
    return [Field(name, "tag", name, "tag", can_miss=True, tags=tags or (name,), split=split) for name in names.split()]


_LISTS, _ROLES = (";", "/", ","), ("/", ";")
_FIELDS = [
    *_columns("title filepath filetype", "text", "column"),
    *_columns("album discsubtitle catalognumber", "text", "column", can_miss=True),
    *_columns(
        "mbz_album_id mbz_recording_id mbz_release_track_id mbz_release_group_id", "text", "column", can_miss=True
    ),
    *_columns("comment lyrics sorttitle sortalbum sortartist sortalbumartist", "text", can_miss=True),
    *_columns("explicitstatus albumcomment mbz_artist_id mbz_album_artist_id", "text", can_miss=True),
    *_columns("codec", "text"),
    *_columns("tracknumber discnumber year size duration", "number", "column"),
    *_columns("bitrate samplerate channels library_id averagerating", "number"),
    *_columns("bitdepth rgalbumgain rgalbumpeak rgtrackgain rgtrackpeak", "number", nullable=True, can_miss=True),
    *_columns("playcount rating albumplaycount albumrating artistplaycount artistrating", "number"),
    Field("bpm", "number", "bpm", "bpm", nullable=True, can_miss=True, tags=("bpm",)),
    *_columns("originalyear releaseyear", "number", "dates"),
    *_columns("date originaldate releasedate", "date", "dates"),
    *_columns("dateadded datemodified", "date"),
    *_columns("lastplayed dateloved daterated albumlastplayed albumdateloved albumdaterated", "date", nullable=True),
    *_columns("artistlastplayed artistdateloved artistdaterated", "date", nullable=True),
    Field("compilation", "flag", "compilation", "flag", tags=("compilation",)),
    *_columns("hascoverart missing loved albumloved artistloved", "flag"),
    *_tags("genre", split=_LISTS),
    *_tags("releasetype", split=(",",)),
    *_tags("recordlabel", tags=("label",)),
    *_tags("encodersettings", tags=("encodersettings", "encodingsettings")),
    *_tags("asin barcode copyright encodedby grouping key isrc language license media movementname"),
    *_tags("movementtotal movement musicbrainz_discid musicbrainz_workid releasecountry releasestatus script subtitle"),
    *_tags("website work tracktotal disctotal albumversion"),
    Field("artist", "role", "artist", "artist", can_miss=True, tags=("artists",)),
    Field("albumartist", "role", "albumartist", "albumartist", can_miss=True, tags=("albumartists",)),
    *(
        Field(name, "role", name, "tag", can_miss=True, tags=(name,), split=_ROLES)
        for name in [
            "composer",
            "conductor",
            "lyricist",
            "arranger",
            "producer",
            "director",
            "engineer",
            "mixer",
            "remixer",
            "djmixer",
        ]
    ),
    Field("performer", "role", "performer", can_miss=True),
    Field("id", "playlist", "id"),
    Field("random", "random", "random"),
]
_ALIASES = {
    "albumtype": "releasetype",
    "recordingdate": "date",
    "replaygain_album_gain": "rgalbumgain",
    "replaygain_album_peak": "rgalbumpeak",
    "replaygain_track_gain": "rgtrackgain",
    "replaygain_track_peak": "rgtrackpeak",
}


class Fields:
    """All fields that there are in one library: `scores` are the names of its scores, without the namespace."""

    def __init__(self, namespace: str, scores: Iterable[str] = ()) -> None:
        self.namespace = namespace
        self._by_name = {field.name: field for field in _FIELDS}
        self._by_name["mood"] = Field(
            "mood", "words", "mood", "words", can_miss=True, tags=("mood",), split=_LISTS, tier=ANY_TIER
        )
        for tier in TIERS:
            self._add(f"mood-{tier}", "words", "words", tier=tier)
        words = {mood.word for mood in MOODS}
        known = set(scores) - {f"mood_{tier}" for tier in TIERS}
        for name in known | {f"mood_{word}" for word in words}:
            word = name.removeprefix("mood_") if name.startswith("mood_") else ""
            self._add(name, "score", "score" if name in known else "words", mood=word if word in words else "")

    def find(self, name: str) -> Field:
        """The field of that name, in whatever case; InvalidInput with a hint if there is none."""
        wanted = name.lower()
        if wanted.startswith(f"{self.namespace}_"):
            wanted = self._from_navidrome(wanted)
        field = self._by_name.get(_ALIASES.get(wanted, wanted))
        if field is None:
            raise InvalidInput(f'there is no field "{_short(name)}"{self._hint(wanted)}')
        return field

    def every(self) -> list[Field]:
        """All of them, Navidrome's own first."""
        return list(self._by_name.values())

    def words(self, tier: str = ANY_TIER) -> Field:
        """The field with the mood words of a tier."""
        return self._by_name[f"{self.namespace}:mood-{tier}"]

    def _add(self, key: str, kind: Kind, source: Source, *, tier: str = "", mood: str = "") -> None:
        name = f"{self.namespace}:{key}"
        in_navidrome = f"{self.namespace}_{key.replace('-', '_')}"
        can_miss = kind == source  # a mood without a score of its own is no field of Navidrome's
        self._by_name[name] = Field(name, kind, in_navidrome, source, can_miss=can_miss, tier=tier, mood=mood)

    def _from_navidrome(self, name: str) -> str:
        rest = name.removeprefix(f"{self.namespace}_")
        tier = rest.removeprefix("mood_")
        return f"{self.namespace}:mood-{tier}" if rest != tier and tier in TIERS else f"{self.namespace}:{rest}"

    def _hint(self, name: str) -> str:
        close = difflib.get_close_matches(name[:60], self._by_name, n=1, cutoff=0.75)
        return f"; did you mean {close[0]}?" if close else ""


def _short(name: str) -> str:
    return name if len(name) <= 60 else f"{name[:60]}..."
