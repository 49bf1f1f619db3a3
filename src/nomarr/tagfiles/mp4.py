"""Our fields in MP4: iTunes' free-form atoms, as UTF-8."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, BinaryIO

from mutagen.mp4 import MP4, MP4FreeForm

from nomarr.tagfiles.family import Audio, Fields, Tags
from nomarr.tagfiles.family import elsewhere as elsewhere  # this and the next two: as for every file with one tag
from nomarr.tagfiles.family import has_others as has_others
from nomarr.tagfiles.family import hidden_by_ours as hidden_by_ours
from nomarr.tagfiles.standard import GENRE, MOOD

_open: Callable[..., Audio] = MP4
_free_form: Callable[..., Any] = MP4FreeForm
_FREE_FORM = "----:com.apple.iTunes:"
_GENRE = "©gen"

_NAMES = {
    "©nam": "title",
    "©ART": "artist",
    "©alb": "album",
    "aART": "albumartist",
    "©gen": "genre",
    "©day": "date",
    "©wrt": "composer",
    "©grp": "grouping",
    "©wrk": "work",
    "©mvn": "movementname",
    "cprt": "copyright",
    "©too": "encodedby",
    "tmpo": "bpm",
    "sonm": "titlesort",
    "soar": "artistsort",
    "soal": "albumsort",
    "soaa": "albumartistsort",
    "soco": "composersort",
}
_PAIRS = {"trkn": "tracknumber", "disk": "discnumber"}


def load(file: BinaryIO, _kind: str) -> Audio:
    return _open(file)


def fields(audio: Audio, prefix: str) -> Fields:
    found: Fields = {}
    for key in _our_keys(audio, prefix):
        name = key[len(_FREE_FORM) :].lower().removeprefix(prefix)
        found[name] = found.get(name, ()) + tuple(_texts_of(audio.tags[key]))
    return found


def standard(audio: Audio) -> Fields:
    """What stands in MOOD and GENRE; mutagen shows a genre by number as its name."""
    found: Fields = {}
    for key, values in audio.tags.items() if audio.tags else ():
        name = _standard_name(key)
        if name is not None:
            texts = [str(value) for value in values] if key == _GENRE else _texts_of(values)
            found[name] = found.get(name, ()) + tuple(filter(None, texts))
    return {name: values for name, values in found.items() if values}


def rewrite(audio: Audio, prefix: str, wanted: Tags, standard: Tags, file: BinaryIO, _kind: str) -> None:
    if audio.tags is None:
        audio.add_tags()
    for key in [*_our_keys(audio, prefix), *(key for key in audio.tags if _standard_name(key) in standard)]:
        del audio.tags[key]
    for name, values in wanted.items():
        audio.tags[_FREE_FORM + prefix + name] = [_free_form(value.encode()) for value in values]
    if standard.get(GENRE):
        audio.tags[_GENRE] = list(standard[GENRE])
    if standard.get(MOOD):
        audio.tags[_FREE_FORM + MOOD] = [_free_form(value.encode()) for value in standard[MOOD]]
    file.seek(0)
    audio.tags.save(file)


def foreign(audio: Audio, prefix: str, _file: BinaryIO, standard: Collection[str]) -> object:
    """Everything but ours and these standard fields, comparable, with the data types of free-form atoms and covers."""
    if audio.tags is None:
        return [], []
    ours = {*_our_keys(audio, prefix), *(key for key in audio.tags if _standard_name(key) in standard)}
    atoms = [(key, _comparable(value)) for key, value in sorted(audio.tags.items()) if key not in ours]
    # Atoms that mutagen cannot parse are kept as bytes, except where it drops them; hence the look inside.
    return atoms, sorted(getattr(audio.tags, "_failed_atoms", {}).items())


def texts(audio: Audio) -> Iterator[tuple[str, list[str]]]:
    for key, values in audio.tags.items() if audio.tags else ():
        if key.startswith("----:"):
            yield key.split(":", 2)[-1], _texts_of(values)
        elif key in _NAMES:
            yield _NAMES[key], [str(value) for value in values]
        elif key in _PAIRS:
            yield _PAIRS[key], [str(number) for number, _ in values if number]
        elif key == "cpil" and values is True:
            yield "compilation", ["1"]


def _our_keys(audio: Audio, prefix: str) -> list[str]:
    ours = (_FREE_FORM + prefix).lower()
    return [key for key in audio.tags or () if key.lower().startswith(ours)]


def _standard_name(key: str) -> str | None:
    if key == _GENRE:
        return GENRE
    name = key[len(_FREE_FORM) :].upper() if key.lower().startswith(_FREE_FORM.lower()) else ""
    return name if name in (MOOD, GENRE) else None


def _texts_of(values: Sequence[bytes]) -> list[str]:
    return [bytes(value).decode("utf-8", "replace") for value in values]


def _comparable(value: Any) -> object:
    if not isinstance(value, list):
        return value
    return [(item, getattr(item, "dataformat", None), getattr(item, "imageformat", None)) for item in value]
