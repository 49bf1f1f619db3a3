"""Fields that belong to the user, and what of them is ours.

MOOD and GENRE are filled where somebody wants it and the file has none. What we put there also stands in a field of
ours, `standard-mood` or `standard-genre`. So the file itself says what a later write may replace and a removal must
take out, whichever machine or database it comes to; and where another program joins several values to one, it does so
in both. Ours is only what nobody changed since.

Some files say what they are in an old tag that has no room for us: ID3v1, or RIFF INFO in WAV. A new tag beside it
would hide it, as most players show the fields of the better tag alone. So these fields are carried over into the new
one; `carried` notes which, and they go with it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, BinaryIO

from mutagen import MutagenError
from mutagen.apev2 import APEv2
from mutagen.id3 import ID3, ParseID3v1

from nomarr.tagfiles.family import Fields
from nomarr.tagfiles.trailers import id3v1

MOOD, GENRE = "MOOD", "GENRE"
FILLED = (MOOD, GENRE)
NAMES = (*FILLED, "TITLE", "ARTIST", "ALBUM", "DATE", "TRACKNUMBER", "COMMENT")
NOTES = {MOOD: "standard-mood", GENRE: "standard-genre"}  # fields of ours: what we put into the standard ones
CARRIED = "carried"
FRAMES = {  # of ID3v2
    "TMOO": MOOD,
    "TCON": GENRE,
    "TIT2": "TITLE",
    "TPE1": "ARTIST",
    "TALB": "ALBUM",
    "TDRC": "DATE",
    "TYER": "DATE",
    "TRCK": "TRACKNUMBER",
    "COMM": "COMMENT",
}
_LOUDNESS = ("REPLAYGAIN", "MP3GAIN")  # what APEv2 tags in MP3 files mostly hold, and nobody shows
_open_id3: Callable[..., Any] = ID3
_open_apev2: Callable[..., Any] = APEv2
_parse_id3v1: Callable[..., Any] = ParseID3v1


def shown(namespace: str, field: str) -> str:
    """A field's name for people: `nom:mood_happy`, but plain `MOOD`."""
    return field if field in NAMES else f"{namespace}:{field}"


def with_notes(wanted: Mapping[str, tuple[str, ...]]) -> Fields:
    """The fields with the notes that belong to their standard ones, and without anything that was carried."""
    dropped = {CARRIED, *NOTES.values(), *NAMES} - set(FILLED)
    notes = {NOTES[name]: wanted[name] for name in FILLED if name in wanted}
    return {**{name: values for name, values in wanted.items() if name not in dropped}, **notes}


def with_carried(wanted: Fields, carried: Mapping[str, tuple[str, ...]]) -> Fields:
    """The fields with those of the old tag, which also win over what would be filled."""
    fields = {name: values for name, values in wanted.items() if name not in carried}
    return {**with_notes(fields), **carried, CARRIED: tuple(carried)} if carried else wanted


def still_ours(fields: Mapping[str, tuple[str, ...]], there: Mapping[str, Sequence[str]]) -> Fields:
    """The standard fields that hold what we put there, and nothing else; the order does not count (WMA has none)."""
    noted = {name: fields[note] for name, note in NOTES.items() if note in fields}
    return {name: values for name, values in noted.items() if sorted(there.get(name, ())) == sorted(values)}


def writable(wanted: Fields, ours: Collection[str], there: Collection[str]) -> Fields:
    """What of `wanted` may be written: standard fields only where they are ours or not there."""
    return with_notes({name: v for name, v in wanted.items() if name not in NAMES or name in ours or name not in there})


def in_id3v1(file: BinaryIO) -> Fields:
    """What an ID3v1 tag at the file's end says."""
    return gathered((_parse_id3v1(id3v1(file)) or {}).values())


def in_id3v2(file: BinaryIO) -> Fields:
    """What an ID3v2 tag in front of a FLAC says."""
    file.seek(0)
    try:
        return gathered(_open_id3(file, load_v1=False).values())
    except MutagenError:  # there is none, or it is damaged
        return {}


def in_apev2(file: BinaryIO) -> Fields:
    """Every item of an APEv2 tag that is not the one we write, but for loudness."""
    file.seek(0)
    try:
        tags = _open_apev2(file)
    except MutagenError:
        return {}
    return {key.upper(): (str(tags[key]),) for key in tags if not key.upper().startswith(_LOUDNESS)}


def gathered(frames: Iterable[Any]) -> Fields:
    """Name -> values of those ID3 frames that hold standard fields."""
    found: Fields = {}
    for frame in frames:
        name = frame_name(frame)
        if name is not None:
            values = frame.genres if frame.FrameID == "TCON" else map(str, frame.text)
            found[name] = found.get(name, ()) + tuple(filter(None, values))
    return {name: values for name, values in found.items() if values}


def frame_name(frame: Any) -> str | None:
    """Which standard field an ID3 frame holds."""
    if frame.FrameID == "TXXX":
        return frame.desc.upper() if frame.desc.upper() in FILLED else None
    return FRAMES.get(frame.FrameID)
