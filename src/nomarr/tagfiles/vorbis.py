"""Our fields in Vorbis comments: FLAC, Ogg Vorbis, Opus, Speex and Ogg FLAC files."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import BinaryIO

from mutagen.flac import FLAC
from mutagen.oggflac import OggFLAC
from mutagen.oggopus import OggOpus
from mutagen.oggspeex import OggSpeex
from mutagen.oggvorbis import OggVorbis

from nomarr.tagfiles.containers import sniff
from nomarr.tagfiles.family import Audio, Fields, Tags
from nomarr.tagfiles.oggpages import pages, skip_packets
from nomarr.tagfiles.standard import NAMES, in_id3v1, in_id3v2

_CLASSES: dict[str, Callable[..., Audio]] = {
    "flac": FLAC,
    "ogg": OggVorbis,
    "opus": OggOpus,
    "speex": OggSpeex,
    "oggflac": OggFLAC,
}
_OGG_HEADERS = {  # the first packet's first bytes, and what stands before the comments in the second
    "ogg": (b"\x01vorbis", 7),
    "opus": (b"OpusHead", 8),
    "speex": (b"Speex   ", 0),
    "oggflac": (b"\x7fFLAC", 4),
}
_COMMENT_BLOCK, _PADDING_BLOCK = 4, 1


class _NotUnicode(str):
    """A value that is not valid UTF-8: shown with replacement characters, written back byte for byte."""

    raw: bytes

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:  # noqa: ARG002 (as str has it)
        return self.raw


def load(file: BinaryIO, kind: str) -> Audio:
    audio = _CLASSES[kind](file)
    if any("\ufffd" in value for _, value in _comments(audio)):
        audio.tags[:] = [_decoded(comment) for comment in _raw_comments(file)]
    return audio


def fields(audio: Audio, prefix: str) -> Fields:
    found: Fields = {}
    for key, value in _comments(audio):
        if key.lower().startswith(prefix):
            name = key.lower().removeprefix(prefix)
            found[name] = (*found.get(name, ()), value)
    return found


def standard(audio: Audio) -> Fields:
    """What stands in the standard fields."""
    found: Fields = {}
    for key, value in _comments(audio):
        if key.upper() in NAMES and value:
            found[key.upper()] = (*found.get(key.upper(), ()), value)
    return found


def elsewhere(_audio: Audio, file: BinaryIO, kind: str) -> Fields:
    """Standard fields that stand where we do not write, but players may look."""
    return in_id3v1(file) | in_id3v2(file) if kind == "flac" else {}


def hidden_by_ours(file: BinaryIO, kind: str) -> str | None:
    """The richer tag that a file would lose from sight if its first comments were ours."""
    return "ID3v2" if kind == "flac" and in_id3v2(file) else None


def has_others(audio: Audio, prefix: str, standard: Collection[str]) -> bool:
    """Whether there is any comment but our own fields and these standard ones."""
    return any(not k.lower().startswith(prefix) and k.upper() not in standard for k, _ in _comments(audio))


def rewrite(audio: Audio, prefix: str, wanted: Tags, standard: Tags, file: BinaryIO, _kind: str) -> None:
    if audio.tags is None:
        audio.add_tags()
    kept = [(k, v) for k, v in _comments(audio) if not k.lower().startswith(prefix) and k.upper() not in standard]
    ours = [(prefix + name, value) for name, values in wanted.items() for value in values]
    ours += [(name, value) for name, values in standard.items() for value in values]
    audio.tags[:] = kept + ours
    file.seek(0)
    audio.save(file)


def foreign(audio: Audio, prefix: str, file: BinaryIO, standard: Collection[str]) -> object:
    """Everything but ours and these standard fields, comparable: comments in their order, pictures and other blocks.

    Comments are read without mutagen, which drops those with names it does not like.
    """
    ours = tuple(name.encode() for name in (prefix, *(f"{name.lower()}=" for name in standard)))
    blocks = [
        (block.code, block.write())
        for block in getattr(audio, "metadata_blocks", ())
        if block.code not in (_COMMENT_BLOCK, _PADDING_BLOCK)
    ]
    return [comment for comment in _raw_comments(file) if not comment.lower().startswith(ours)], blocks


def texts(audio: Audio) -> Iterator[tuple[str, list[str]]]:
    for key, value in _comments(audio):
        yield key, [value]


def _comments(audio: Audio) -> list[tuple[str, str]]:
    return [] if audio.tags is None else list.copy(audio.tags)


def _decoded(comment: bytes) -> tuple[str, str]:
    key, _, raw = comment.partition(b"=")
    try:
        return key.decode("ascii", "replace"), raw.decode()
    except UnicodeDecodeError:
        value = _NotUnicode(raw, "utf-8", "replace")
        value.raw = raw
        return key.decode("ascii", "replace"), value


def _raw_comments(file: BinaryIO) -> list[bytes]:
    """The comments as `NAME=value` bytes."""
    kind, start = sniff(file)
    packet = _flac_comment_block(file, start) if kind == "flac" else _ogg_comment_packet(file, kind, start)
    position = 4 + _number(packet, 0)
    comments = []
    for _ in range(_number(packet, position)):
        if position >= len(packet):
            break
        length = _number(packet, position + 4)
        comments.append(packet[position + 8 : position + 8 + length])
        position += 4 + length
    return comments


def _number(packet: bytes, at: int) -> int:
    return int.from_bytes(packet[at : at + 4], "little")


def _flac_comment_block(file: BinaryIO, start: int) -> bytes:
    position, is_last = start + 4, False
    while not is_last:
        file.seek(position)
        header = file.read(4)
        if len(header) < 4:
            break
        is_last = bool(header[0] & 0x80)
        length = int.from_bytes(header[1:], "big")
        if header[0] & 0x7F == _COMMENT_BLOCK:
            return file.read(length)
        position += 4 + length
    return b""


def _ogg_comment_packet(file: BinaryIO, kind: str, start: int) -> bytes:
    magic, prefix_length = _OGG_HEADERS[kind]
    serial, packet = None, b""
    for page in pages(file, start):
        if serial is None:
            serial = page.serial if page.body.startswith(magic) else None
        elif page.serial == serial:
            ended, length = skip_packets(page.lacing, 1)
            packet += page.body[:length]
            if ended:
                break
    return packet[prefix_length:]
