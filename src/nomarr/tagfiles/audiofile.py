"""Our fields in any audio file: read, plan, write, remove; and the facts that a scan stores."""

from __future__ import annotations

import errno
import io
import os
import re
import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

from mutagen import MutagenError
from mutagen.aac import AAC
from mutagen.mp3 import MPEGInfo

from nomarr.errors import FileChanged, FileProblem, InvalidInput, TagsNotSupported, UnreadableAudio, WriteFailed
from nomarr.tagfiles import apev2, asf, id3, mp4, safewrite, vorbis
from nomarr.tagfiles.attributes import MtimePolicy
from nomarr.tagfiles.containers import AnyPath, reading, sniff
from nomarr.tagfiles.facts import FileFacts, make_facts
from nomarr.tagfiles.payload import top_level_boxes
from nomarr.tagfiles.safewrite import DiskProblem, HardLinkPolicy
from nomarr.tagfiles.surroundings import surroundings

Tags = Mapping[str, Sequence[str]]
Fields = dict[str, tuple[str, ...]]
Audio = Any  # mutagen's objects carry no useful types


class Family(Protocol):
    """How one family of formats stores fields; `prefix` is the namespace with its colon."""

    def load(self, file: BinaryIO, kind: str, /) -> Audio: ...
    def fields(self, audio: Audio, prefix: str, /) -> Fields: ...
    def rewrite(self, audio: Audio, prefix: str, wanted: Tags, file: BinaryIO, kind: str, /) -> None: ...
    def foreign(self, audio: Audio, prefix: str, file: BinaryIO, /) -> object: ...
    def texts(self, audio: Audio, /) -> Iterator[tuple[str, list[str]]]: ...


_FAMILIES: dict[str, Family] = {
    **dict.fromkeys(("mp3", "wav", "aiff", "dsf", "dff", "tta"), id3),
    **dict.fromkeys(("flac", "ogg", "opus", "speex", "oggflac"), vorbis),
    **dict.fromkeys(("wv", "ape", "mpc"), apev2),
    "m4a": mp4,
    "wma": asf,
}
_NAME = re.compile(r"[a-z0-9_-]+")
_ATTEMPTS = 3
_PAUSE_S = 0.05
# mutagen's parsers answer damaged bytes with any of these.
_DAMAGE = (
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
_mpeg_info: Callable[..., Any] = MPEGInfo
_aac: Callable[..., Any] = AAC


@dataclass(frozen=True)
class Change:
    """What a write would do to one file's fields of ours; iterates over (field, old values, new values)."""

    path: AnyPath
    before: Fields
    after: Fields

    @property
    def is_empty(self) -> bool:
        return self.before == self.after

    def __iter__(self) -> Iterator[tuple[str, tuple[str, ...], tuple[str, ...]]]:
        for field in sorted(self.before.keys() | self.after.keys()):
            old, new = self.before.get(field, ()), self.after.get(field, ())
            if old != new:
                yield field, old, new


@dataclass(frozen=True)
class Written:
    """What a write did. `audio_hash` is known only where the file was changed."""

    path: AnyPath
    changed: bool
    before: Fields
    after: Fields
    size: int
    mtime_ns: int
    audio_hash: str | None
    notes: tuple[str, ...] = ()  # what of owner, group and attributes could not be kept


def read_tags(path: AnyPath, *, namespace: str = "nom") -> Fields:
    """Nomarr's fields in the file, by lower-case name without the namespace."""
    return _state(path, _prefix(namespace))[0]


def plan_write(path: AnyPath, tags: Tags, *, namespace: str = "nom") -> Change:
    """What `write_tags` would change. Afterwards our fields are exactly `tags`; empty values do not count."""
    prefix, after = _prefix(namespace), _wanted(tags)
    return Change(path, _state(path, prefix)[0], after)


def write_tags(
    path: AnyPath,
    tags: Tags,
    *,
    namespace: str = "nom",
    mtime_policy: MtimePolicy = "now",
    hardlink_policy: HardLinkPolicy = "break",
    about_to_write: Callable[[Fields], None] = lambda _: None,
) -> Written:
    """Makes our fields in the file exactly `tags`, in one step that a crash cannot split.

    A file that holds them already is not touched. The audio, every field of other programs, pictures, mode,
    owner and extended attributes stay; the copy is checked for all of that before it replaces the file.
    `about_to_write` is told our fields as they were, once nothing but the replacing is left to do.
    """
    prefix, after = _prefix(namespace), _wanted(tags)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            before, size, mtime_ns = _state(path, prefix)
            if before == after:
                return Written(path, False, before, after, size, mtime_ns, None)
            done = _rewrite(
                path,
                prefix,
                after,
                mtime_policy=mtime_policy,
                hardlink_policy=hardlink_policy,
                about_to_write=about_to_write,
            )
        except FileProblem as error:
            if attempt == _ATTEMPTS or not _may_pass(error):
                raise
            time.sleep(_PAUSE_S * attempt)
        else:
            return Written(path, True, done.before, after, done.size, done.mtime_ns, done.audio_hash, done.notes)
    raise AssertionError("unreachable")


def remove_tags(
    path: AnyPath,
    *,
    namespace: str = "nom",
    mtime_policy: MtimePolicy = "now",
    hardlink_policy: HardLinkPolicy = "break",
    about_to_write: Callable[[Fields], None] = lambda _: None,
) -> Written:
    """Takes every field of ours out of the file and leaves all others."""
    return write_tags(
        path,
        {},
        namespace=namespace,
        mtime_policy=mtime_policy,
        hardlink_policy=hardlink_policy,
        about_to_write=about_to_write,
    )


def can_write(path: AnyPath) -> bool:
    """Whether the file's content is of a kind that can carry our fields; its name does not matter."""
    with reading(path) as file:
        kind = sniff(file).kind
        return kind in _FAMILIES and not _is_fragmented(file, kind)


def describe(path: AnyPath, *, namespace: str = "nom") -> FileFacts:
    """What one quick look tells a scan. Damaged tags give what could be read; only VanishedFile is raised."""
    prefix = _prefix(namespace)
    with reading(path) as file:
        kind = sniff(file).kind
        if kind == "aac":
            return _facts_without_tags(file, "aac", _aac)
        if kind not in _FAMILIES:
            return FileFacts("")
        family = _FAMILIES[kind]
        container = "ogg" if kind == "oggflac" else kind
        try:
            file.seek(0)
            audio = family.load(file, kind)
            texts = list(family.texts(audio))
            if not texts and kind in id3.AT_FRONT:
                texts = list(id3.older_texts(file))
            return make_facts(container, _duration(audio.info), texts, family.fields(audio, prefix), prefix=prefix)
        except _DAMAGE:
            if kind == "mp3":
                return _facts_without_tags(file, "mp3", lambda file: _Sound(_mpeg_info(file)))
            return FileFacts(container)
        except OSError as error:
            if error.errno not in (None, errno.EINVAL):
                raise
            return FileFacts(container)  # a seek to where damaged bytes point


@dataclass(frozen=True)
class _Sound:
    info: Any


def _facts_without_tags(file: BinaryIO, container: str, load: Callable[..., Any]) -> FileFacts:
    try:
        file.seek(0)
        return FileFacts(container, _duration(load(file).info))
    except _DAMAGE:
        return FileFacts("")


def _duration(info: Any) -> float | None:
    length = float(info.length)
    return length if 0 < length < float("inf") else None


def _prefix(namespace: str) -> str:
    if not _NAME.fullmatch(namespace):
        raise InvalidInput(f"namespace {namespace!r}: only a-z, 0-9, _ and - are allowed")
    return namespace + ":"


def _wanted(tags: Tags) -> Fields:
    for name, values in tags.items():
        if not _NAME.fullmatch(name):
            raise InvalidInput(f"tag name {name!r}: only a-z, 0-9, _ and - are allowed")
        if isinstance(values, str):
            raise InvalidInput(f"tag {name}: a list of values is needed, not one text")
        for value in values:
            if "\0" in value or any("\ud800" <= c <= "\udfff" for c in value):
                raise InvalidInput(f"tag {name}: {value!r} holds characters that no file can store")
    cleaned = {name: tuple(value for value in values if value) for name, values in tags.items()}
    return {name: values for name, values in cleaned.items() if values}


def _state(path: AnyPath, prefix: str) -> tuple[Fields, int, int]:
    """Our fields in the file as it is now, with its size and time."""
    with reading(path) as file, _damage_explained(path):
        _, family, audio = _load(path, file)
        state = os.fstat(file.fileno())
        return family.fields(audio, prefix), state.st_size, state.st_mtime_ns


def _load(path: AnyPath, file: BinaryIO) -> tuple[str, Family, Audio]:
    if not file.seek(0, 2):
        raise UnreadableAudio(path, "the file is empty")
    kind = sniff(file).kind
    if kind not in _FAMILIES:
        raise TagsNotSupported(path, "Nomarr does not write tags into this kind of file")
    if _is_fragmented(file, kind):
        raise TagsNotSupported(path, "Nomarr does not write tags into fragmented MP4 files")
    file.seek(0)
    return kind, _FAMILIES[kind], _FAMILIES[kind].load(file, kind)


@contextmanager
def _damage_explained(path: AnyPath) -> Iterator[None]:
    """Says what is wrong with a file that mutagen cannot work with, and lets a disk's errors through."""
    try:
        yield
    except _DAMAGE as error:
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


@dataclass(frozen=True)
class _Rewritten(safewrite.Replaced):
    before: Fields


def _rewrite(
    path: AnyPath,
    prefix: str,
    wanted: Fields,
    *,
    mtime_policy: MtimePolicy,
    hardlink_policy: HardLinkPolicy,
    about_to_write: Callable[[Fields], None],
) -> _Rewritten:
    earlier: list[tuple[Fields, object]] = []

    def look(copy: BinaryIO) -> tuple[str, Family, Audio, object]:
        kind, family, audio = _load(path, copy)
        rest = (kind, family.foreign(audio, prefix, copy), _stream(audio.info), surroundings(copy, kind))
        return kind, family, audio, rest

    def edit(copy: BinaryIO) -> None:
        with _damage_explained(path):
            kind, family, audio, rest = look(copy)
            earlier.append((family.fields(audio, prefix), rest))
            family.rewrite(audio, prefix, wanted, copy, kind)

    def check(copy: BinaryIO) -> None:
        with _damage_explained(path):
            _, family, audio, rest = look(copy)
            if family.fields(audio, prefix) != wanted:
                raise WriteFailed(path, "the tags read back are not those that were written")
            if rest != earlier[0][1]:
                raise WriteFailed(path, "fields of other programs would be lost or changed")

    done = safewrite.replace(
        path,
        edit,
        check,
        mtime_policy=mtime_policy,
        hardlink_policy=hardlink_policy,
        about_to_replace=lambda: about_to_write(earlier[0][0]),
    )
    return _Rewritten(done.size, done.mtime_ns, done.audio_hash, done.notes, earlier[0][0])


def _may_pass(error: FileProblem) -> bool:
    """Whether another attempt a moment later may go well: network folders have such moments."""
    cause = error if isinstance(error, DiskProblem) else error.__cause__
    return isinstance(error, FileChanged) or getattr(cause, "errno", None) in (errno.EBUSY, errno.ESTALE)


def _stream(info: Any) -> tuple[Any, ...]:
    """What must not change about the sound."""
    return tuple(getattr(info, name, None) for name in ("length", "sample_rate", "channels", "bits_per_sample"))
