"""The formats that can carry our fields, a module for each family, and what their parsers say of damage."""

from __future__ import annotations

import errno
import io
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from mutagen import MutagenError

from nomarr.errors import TagsNotSupported, UnreadableAudio
from nomarr.tagfiles import apev2, asf, id3, mp4, vorbis
from nomarr.tagfiles.containers import AnyPath, sniff
from nomarr.tagfiles.family import Audio, Family
from nomarr.tagfiles.payload import top_level_boxes

FAMILIES: dict[str, Family] = {
    **dict.fromkeys(("mp3", "wav", "aiff", "dsf", "dff", "tta"), id3),
    **dict.fromkeys(("flac", "ogg", "opus", "speex", "oggflac"), vorbis),
    **dict.fromkeys(("wv", "ape", "mpc"), apev2),
    "m4a": mp4,
    "wma": asf,
}
# mutagen's parsers answer damaged bytes with any of these.
DAMAGE = (
    MutagenError,
    struct.error,
    ValueError,
    LookupError,
    ArithmeticError,
    AttributeError,
    TypeError,
    AssertionError,
    EOFError,
    MemoryError,
    RecursionError,
    NotImplementedError,
)


def load(path: AnyPath, file: BinaryIO) -> tuple[str, Family, Audio]:
    if not file.seek(0, 2):
        raise UnreadableAudio(path, "the file is empty")
    kind = sniff(file).kind
    if kind not in FAMILIES:
        raise TagsNotSupported(path, "Nomarr does not write tags into this kind of file")
    if _is_fragmented(file, kind):
        raise TagsNotSupported(path, "Nomarr does not write tags into fragmented MP4 files")
    file.seek(0)
    return kind, FAMILIES[kind], FAMILIES[kind].load(file, kind)


@contextmanager
def damage_explained(path: AnyPath) -> Iterator[None]:
    """Says what is wrong with a file that mutagen cannot work with, and lets a disk's errors through."""
    try:
        yield
    except DAMAGE as error:
        for cause in _causes(error):
            # EINVAL is a seek to where damaged bytes point, not the disk's fault.
            if isinstance(cause, OSError) and cause.errno not in (None, errno.EINVAL):
                raise cause from error
        if isinstance(error, io.UnsupportedOperation):  # Python's word for a seek that failed
            raise OSError(errno.EIO, os.strerror(errno.EIO)) from error
        raise TagsNotSupported(path, f"its structure is damaged ({error or type(error).__name__})") from error


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Everything that led to an error; mutagen wraps errors in errors, some as arguments."""
    todo: list[object] = [error]
    for _ in range(20):
        if not todo:
            return
        one = todo.pop()
        if isinstance(one, BaseException):
            yield one
            todo += [*one.args, one.__cause__, one.__context__]


def _is_fragmented(file: BinaryIO, kind: str) -> bool:
    """mutagen corrects the offsets of the first fragment only."""
    return kind == "m4a" and any(name == b"moof" for name, _ in top_level_boxes(file))
