"""Our fields in ASF (WMA): Unicode attributes, one for each value."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any, BinaryIO

from mutagen.asf import ASF, BYTEARRAY, GUID

from nomarr.tagfiles.family import Audio, Fields, Tags
from nomarr.tagfiles.family import elsewhere as elsewhere  # this and the next two: as for every file with one tag
from nomarr.tagfiles.family import has_others as has_others
from nomarr.tagfiles.family import hidden_by_ours as hidden_by_ours
from nomarr.tagfiles.standard import FILLED

_open: Callable[..., Audio] = ASF

_NAMES = {
    "Author": "artist",
    "WM/AlbumTitle": "album",
    "WM/PartOfSet": "discnumber",
    "WM/BeatsPerMinute": "bpm",
    "WM/Publisher": "label",
    "WM/SubTitle": "subtitle",
    "WM/ContentGroupDescription": "grouping",
    "WM/Writer": "lyricist",
    "WM/ModifiedBy": "remixer",
    "WM/OriginalReleaseYear": "originaldate",
}


def load(file: BinaryIO, _kind: str) -> Audio:
    return _open(file)


def fields(audio: Audio, prefix: str) -> Fields:
    found: Fields = {}
    for key, attribute in _attributes(audio):
        if key.lower().startswith(prefix):
            name = key.lower().removeprefix(prefix)
            found[name] = (*found.get(name, ()), str(attribute.value))
    return found


def standard(audio: Audio) -> Fields:
    """What stands in MOOD and GENRE."""
    found: Fields = {}
    for key, attribute in _attributes(audio):
        name, text = _standard_name(key), str(attribute.value)
        if name is not None and text:
            found[name] = (*found.get(name, ()), text)
    return found


def rewrite(audio: Audio, prefix: str, wanted: Tags, standard: Tags, file: BinaryIO, _kind: str) -> None:
    audio.tags[:] = [
        (key, item)
        for key, item in _attributes(audio)
        if not key.lower().startswith(prefix) and _standard_name(key) not in standard
    ]
    for name, values in wanted.items():
        audio.tags[prefix + name] = list(values)
    for name, values in standard.items():
        if values:
            audio.tags[f"WM/{name.capitalize()}"] = list(values)
    file.seek(0)
    audio.save(file)


def foreign(audio: Audio, prefix: str, _file: BinaryIO, standard: Collection[str]) -> object:
    """Every attribute but ours and these standard fields, comparable.

    Their order among each other may change, and a second value of a field may move into the metadata library,
    which notes language and stream 0 where the first object noted none.
    """
    return sorted(
        (key, item.TYPE, item.language or 0, item.stream or 0, repr(item.value))
        for key, item in _attributes(audio)
        if not key.lower().startswith(prefix) and _standard_name(key) not in standard
    )


def texts(audio: Audio) -> Iterator[tuple[str, list[str]]]:
    for key, item in _attributes(audio):
        if item.TYPE not in (BYTEARRAY, GUID):
            yield _NAMES.get(key, key.removeprefix("WM/")), [str(item.value)]


def _standard_name(key: str) -> str | None:
    name = key.upper().removeprefix("WM/")
    return name if name in FILLED else None


def _attributes(audio: Audio) -> list[tuple[str, Any]]:
    return list.copy(audio.tags)
