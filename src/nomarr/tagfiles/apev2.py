"""Our fields in APEv2: one item a field, values joined by NUL, in WavPack, Monkey's Audio and Musepack."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, BinaryIO

from mutagen import MutagenError
from mutagen.apev2 import TEXT
from mutagen.monkeysaudio import MonkeysAudio
from mutagen.musepack import Musepack
from mutagen.wavpack import WavPack

from nomarr.tagfiles.containers import sniff
from nomarr.tagfiles.family import Audio, Fields, Tags
from nomarr.tagfiles.family import hidden_by_ours as hidden_by_ours
from nomarr.tagfiles.standard import NAMES, in_id3v1
from nomarr.tagfiles.trailers import id3v1, id3v1_set_aside

_CLASSES: dict[str, Callable[..., Audio]] = {"wv": WavPack, "ape": MonkeysAudio, "mpc": Musepack}
_KEYS = {"DATE": "Year", "TRACKNUMBER": "Track"}


def load(file: BinaryIO, kind: str) -> Audio:
    if kind == "mpc":
        _refuse_endless_packets(file)
        file.seek(0)
    return _CLASSES[kind](file)


def fields(audio: Audio, prefix: str) -> Fields:
    found = {}
    for key in _our_keys(audio, prefix):
        item = audio.tags[key]
        values = tuple(item) if item.kind == TEXT else (str(item),)
        found[key.lower().removeprefix(prefix)] = values
    return found


def standard(audio: Audio) -> Fields:
    """What stands in the standard fields."""
    tags = audio.tags or {}
    items = {name: item for key, item in tags.items() if (name := _standard_name(key)) is not None}
    found = {name: tuple(filter(None, item)) if item.kind == TEXT else (str(item),) for name, item in items.items()}
    return {name: values for name, values in found.items() if values}


def elsewhere(_audio: Audio, file: BinaryIO, _kind: str) -> Fields:
    """Standard fields that stand where we do not write, but players may look."""
    return in_id3v1(file)


def has_others(audio: Audio, prefix: str, standard: Collection[str]) -> bool:
    """Whether the tag holds anything but our own fields and these standard ones."""
    return any(not k.lower().startswith(prefix) and _standard_name(k) not in standard for k in audio.tags or ())


def rewrite(audio: Audio, prefix: str, wanted: Tags, standard: Tags, file: BinaryIO, _kind: str) -> None:
    if audio.tags is None:
        audio.add_tags()
    for key in [key for key in audio.tags if key.lower().startswith(prefix) or _standard_name(key) in standard]:
        del audio.tags[key]
    for name, values in wanted.items():
        audio.tags[prefix + name] = list(values)
    for name, values in standard.items():
        if values:
            audio.tags[_KEYS.get(name, name.capitalize())] = list(values)
    with id3v1_set_aside(file):
        file.seek(0)
        if audio.tags:
            audio.tags.save(file)
        else:
            audio.tags.delete(file)


def foreign(audio: Audio, prefix: str, file: BinaryIO, standard: Collection[str]) -> object:
    """Every item but ours and these standard fields, comparable, and the ID3v1 tag behind them."""
    ours = set(_our_keys(audio, prefix))
    tags = audio.tags or {}
    others = {key: item for key, item in tags.items() if key not in ours and _standard_name(key) not in standard}
    return sorted((key, item.kind, item.value) for key, item in others.items()), id3v1(file)


def texts(audio: Audio) -> Iterator[tuple[str, list[str]]]:
    yield from items(audio.tags or {})


def items(tags: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """The textual items of one APEv2 tag."""
    for key, item in tags.items():
        if item.kind == TEXT:
            yield key, list(item)


def _refuse_endless_packets(file: BinaryIO) -> None:
    """Raises for a Musepack header that mutagen would read again and again, because a packet has no length."""
    position = sniff(file).start
    file.seek(position)
    if file.read(4) != b"MPCK":
        return
    position += 4
    while True:
        file.seek(position)
        header = file.read(11)
        if len(header) < 3 or header[:2] in (b"AP", b"SE"):
            return
        length, used = 0, 2
        for byte in header[2:]:
            length, used = length << 7 | byte & 0x7F, used + 1
            if byte < 0x80:
                break
        if length < used:
            raise MutagenError("a packet without length")
        position += length


def _standard_name(key: str) -> str | None:
    name = next((name for name, own in _KEYS.items() if own.upper() == key.upper()), key.upper())
    return name if name in NAMES else None


def _our_keys(audio: Audio, prefix: str) -> list[str]:
    return [key for key in audio.tags or () if key.lower().startswith(prefix)]
