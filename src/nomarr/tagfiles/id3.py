"""Our fields in ID3v2: one TXXX frame a field, in MP3, WAV, AIFF, DSF, DFF and TTA files.

Frames of other programs are read without mutagen's upgrade to ID3v2.4 and written back as the bytes they were:
converting them back and forth would lose some and change others (dates, compressed and damaged frames).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, BinaryIO

from mutagen import MutagenError
from mutagen.aiff import AIFF
from mutagen.apev2 import APENoHeaderError, APEv2
from mutagen.dsdiff import DSDIFF
from mutagen.dsf import DSF
from mutagen.id3 import COMM, ID3, TXXX, Frames, ID3NoHeaderError
from mutagen.mp3 import MP3
from mutagen.trueaudio import TrueAudio
from mutagen.wave import WAVE

from nomarr.tagfiles import apev2, riffinfo
from nomarr.tagfiles.family import Audio, Fields, Tags
from nomarr.tagfiles.standard import FRAMES, MOOD, NAMES, frame_name, gathered, in_apev2, in_id3v1
from nomarr.tagfiles.trailers import id3v1, id3v1_set_aside

_CLASSES: dict[str, Callable[..., Audio]] = {
    "mp3": MP3,
    "tta": TrueAudio,
    "wav": WAVE,
    "aiff": AIFF,
    "dff": DSDIFF,
    "dsf": DSF,
}
AT_FRONT = ("mp3", "tta")
_UTF8 = 3
_text_frame: Any = TXXX
_comment_frame: Any = COMM
_frames: dict[str, Any] = Frames
_any_id3: Callable[..., Any] = ID3
_any_apev2: Callable[..., Any] = APEv2

_NAMES = {
    "TIT2": "title",
    "TPE1": "artist",
    "TALB": "album",
    "TPE2": "albumartist",
    "TCON": "genre",
    "TDRC": "date",
    "TYER": "date",
    "TRCK": "tracknumber",
    "TPOS": "discnumber",
    "TCOM": "composer",
    "TMOO": "mood",
    "TBPM": "bpm",
    "TKEY": "key",
    "TSRC": "isrc",
    "TPUB": "label",
    "TEXT": "lyricist",
    "TPE3": "conductor",
    "TPE4": "remixer",
    "TIT1": "grouping",
    "GRP1": "grouping",
    "TIT3": "subtitle",
    "TSST": "discsubtitle",
    "TLAN": "language",
    "TCOP": "copyright",
    "TENC": "encodedby",
    "TDOR": "originaldate",
    "TORY": "originaldate",
    "TDRL": "releasedate",
    "TSOP": "artistsort",
    "TSOA": "albumsort",
    "TSOT": "titlesort",
    "TSO2": "albumartistsort",
    "TSOC": "composersort",
    "TMED": "media",
    "TCMP": "compilation",
    "TOPE": "originalartist",
    "TOAL": "originalalbum",
    "MVNM": "movementname",
    "MVIN": "movement",
}


def load(file: BinaryIO, kind: str) -> Audio:
    return _CLASSES[kind](file, translate=False, load_v1=False)


def fields(audio: Audio, prefix: str) -> Fields:
    found: Fields = {}
    for key in _our_keys(audio, prefix):
        frame = audio.tags[key]
        name = frame.desc.lower().removeprefix(prefix)
        found[name] = found.get(name, ()) + tuple(map(str, frame.text))
    return found


def standard(audio: Audio) -> Fields:
    """What stands in the standard fields, in whichever frames."""
    return gathered(audio.tags.values()) if audio.tags else {}


def elsewhere(audio: Audio, file: BinaryIO, kind: str) -> Fields:
    """Standard fields that stand where we do not write, but players may look; and, empty, those in damaged frames."""
    found = in_apev2(file) | in_id3v1(file) if kind in AT_FRONT else {}
    if kind == "wav":
        found = riffinfo.read(file)
    if audio.tags is not None and not _is_reencoded(audio.tags):
        frames = {frame[:4].decode("latin-1") for frame in _as_bytes(file, kind).unknown_frames}
        damaged = {name: () for frame, name in FRAMES.items() if frame in frames and not audio.tags.getall(frame)}
        found |= damaged
    return {name: values for name, values in found.items() if name in NAMES}


def hidden_by_ours(file: BinaryIO, kind: str) -> str | None:
    """The richer tag that a file would lose from sight if its first ID3v2 tag were ours."""
    return "APEv2" if kind in AT_FRONT and in_apev2(file) else None


def has_others(audio: Audio, prefix: str, standard: Collection[str]) -> bool:
    """Whether the tag holds anything but our own fields and these standard ones."""
    ours = _our_keys(audio, prefix)
    frames = audio.tags.items() if audio.tags else ()
    is_other = (key not in ours and frame_name(frame) not in standard for key, frame in frames)
    return audio.tags is not None and (any(is_other) or bool(audio.tags.unknown_frames))


def rewrite(audio: Audio, prefix: str, wanted: Tags, standard: Tags, file: BinaryIO, kind: str) -> None:
    tags = _to_rewrite(audio, prefix, standard, file, kind)
    # A 2.2 tag cannot be written by mutagen; 2.3 is what its readers most likely know.
    version = 3 if tags.version[:2] in ((2, 2), (2, 3)) else 4
    for name, values in wanted.items():
        tags.add(_text_frame(encoding=_UTF8, desc=prefix + name, text=list(values)))
    for name, values in standard.items():
        if values:
            tags.add(_standard_frame(name, values, version))
    with id3v1_set_aside(file):
        file.seek(0)
        if not tags and not tags.unknown_frames and kind != "dsf":  # mutagen leaves a wrong size in a DSF
            tags.delete(file, **({"delete_v1": False} if kind in AT_FRONT else {}))
            return
        tags.save(file, v2_version=version, v23_sep=None)


def foreign(audio: Audio, prefix: str, file: BinaryIO, standard: Collection[str]) -> object:
    """Everything in the tag but ours and these standard fields, comparable; the encoding of text does not count."""
    if audio.tags is None:
        return [], [], id3v1(file)
    ours = set(_our_keys(audio, prefix))
    frames = [
        (key, sorted((name, _comparable(value)) for name, value in vars(frame).items() if name != "encoding"))
        for key, frame in sorted(audio.tags.items())
        if key not in ours and not _is_empty_text(frame) and frame_name(frame) not in standard
    ]
    return frames, sorted(map(bytes, audio.tags.unknown_frames)), id3v1(file)


def texts(audio: Audio) -> Iterator[tuple[str, list[str]]]:
    for frame in audio.tags.values() if audio.tags else ():
        kind = frame.FrameID
        if kind == "TXXX":
            yield frame.desc, [str(text) for text in frame.text]
        elif kind == "TCON":
            yield "genre", frame.genres
        elif kind == "UFID" and frame.owner == "http://musicbrainz.org":
            yield "musicbrainz_trackid", [frame.data.decode("ascii", "replace")]
        elif kind in _NAMES:
            yield _NAMES[kind], [str(text) for text in frame.text]


def older_texts(file: BinaryIO) -> Iterator[tuple[str, list[str]]]:
    """The fields of a file without ID3v2: from APEv2, else from ID3v1, as players do."""
    file.seek(0)
    try:
        yield from apev2.items(_any_apev2(file))
        return
    except APENoHeaderError:
        file.seek(0)
    try:
        tags = _any_id3(file)
    except ID3NoHeaderError:
        return
    for frame in tags.values():
        if frame.FrameID in _NAMES:
            yield (
                _NAMES[frame.FrameID],
                frame.genres if frame.FrameID == "TCON" else list(map(str, frame.text)),
            )


def _to_rewrite(audio: Audio, prefix: str, standard: Collection[str], file: BinaryIO, kind: str) -> Any:
    """The tag without our frames and these fields, and with all others as the bytes they are, where possible."""
    if audio.tags is None:
        audio.add_tags()
        return audio.tags
    if _is_reencoded(audio.tags):
        for key in [*_our_keys(audio, prefix), *(k for k, f in audio.tags.items() if frame_name(f) in standard)]:
            del audio.tags[key]
        return audio.tags
    tags = _as_bytes(file, kind)
    kept = [frame for frame in tags.unknown_frames if not _is_ours(frame, tags, prefix, standard)]
    tags.unknown_frames = [_with_size(frame) for frame in kept] if tags.version[:2] == (2, 4) else kept
    return tags


def _is_reencoded(tags: Any) -> bool:
    """Whether the frames cannot be written back as the bytes they are."""
    return tags.version[:2] == (2, 2) or (tags.version[:2] == (2, 4) and tags.f_unsynch)


def _as_bytes(file: BinaryIO, kind: str) -> Any:
    file.seek(0)
    return _CLASSES[kind](file, translate=False, load_v1=False, known_frames=_NoKnownFrames()).tags


class _NoKnownFrames(dict[str, Any]):
    """Makes mutagen keep every frame as bytes, and still recognise sizes in iTunes' wrong form."""

    def __contains__(self, name: object) -> bool:
        return name in Frames


def _is_ours(frame: bytes, tags: Any, prefix: str, standard: Collection[str]) -> bool:
    if FRAMES.get(frame[:4].decode("latin-1")) in standard:
        return True
    if frame[:4] != b"TXXX":
        return False
    try:
        parsed = _text_frame._fromData(tags._header, int.from_bytes(frame[8:10], "big"), frame[10:])
    except (MutagenError, NotImplementedError, ValueError):
        return False
    return bool(parsed.desc.lower().startswith(prefix)) or frame_name(parsed) in standard


def _standard_frame(name: str, values: Sequence[str], version: int) -> Any:
    if name == MOOD and version == 3:  # which knows no frame for moods
        return _text_frame(encoding=_UTF8, desc=MOOD, text=list(values))
    if name == "COMMENT":
        return _comment_frame(encoding=_UTF8, lang="XXX", desc="", text=list(values))
    frame = next(f for f, n in FRAMES.items() if n == name and (f, version) not in (("TDRC", 3), ("TYER", 4)))
    return _frames[frame](encoding=_UTF8, text=list(values))


def _with_size(frame: bytes) -> bytes:
    """The frame with its size in the form that ID3v2.4 asks for."""
    size = len(frame) - 10
    return frame[:4] + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0)) + frame[8:]


def _our_keys(audio: Audio, prefix: str) -> list[str]:
    if audio.tags is None:
        return []
    return [key for key in audio.tags if key[:5] == "TXXX:" and key[5:].lower().startswith(prefix)]


def _is_empty_text(frame: Any) -> bool:
    """mutagen does not write a text frame without text."""
    return frame.FrameID[0] == "T" and not "".join(map(str, getattr(frame, "text", "x")))


def _comparable(value: object) -> bytes | str:
    return value if isinstance(value, bytes) else repr(value)
