"""Our fields in any audio file: read, plan, write, remove; and the facts that a scan stores."""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

from mutagen.aac import AAC
from mutagen.mp3 import MPEGInfo

from nomarr.errors import FileChanged, FileProblem, InvalidInput, TagsNotSupported, WriteFailed
from nomarr.tagfiles import id3, safewrite, standard
from nomarr.tagfiles.attributes import MtimePolicy
from nomarr.tagfiles.containers import AnyPath, reading, sniff
from nomarr.tagfiles.facts import FileFacts, make_facts
from nomarr.tagfiles.families import DAMAGE, FAMILIES, damage_explained, load
from nomarr.tagfiles.family import Audio, Family, Fields, Tags
from nomarr.tagfiles.safewrite import DiskProblem, HardLinkPolicy
from nomarr.tagfiles.surroundings import surroundings

_NAME = re.compile(r"[a-z0-9_-]+")
_ATTEMPTS = 3
_PAUSE_S = 0.05
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
    """Nomarr's fields in the file, by lower-case name without the namespace; MOOD and GENRE where they are ours."""
    return _state(path, _prefix(namespace)).ours


def plan_write(path: AnyPath, tags: Tags, *, namespace: str = "nom") -> Change:
    """What `write_tags` would change. Afterwards our fields are exactly `tags`; empty values do not count."""
    prefix, wanted = _prefix(namespace), _wanted(tags)
    state = _state(path, prefix, wanted)
    return Change(path, state.ours, state.after)


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

    MOOD and GENRE, in capitals, are the standard fields: they are written only where the file has none, or has what
    we put there. A file that holds everything already is not touched. The audio, every field of other programs,
    pictures, mode, owner and extended attributes stay; the copy is checked for all of that before it replaces the file.
    `about_to_write` is told our fields as they were, once nothing but the replacing is left to do.
    """
    prefix, wanted = _prefix(namespace), _wanted(tags)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            state = _state(path, prefix, wanted)
            if state.ours == state.after:
                return Written(path, False, state.ours, state.after, state.size, state.mtime_ns, None)
            done = _rewrite(
                path,
                prefix,
                wanted,
                mtime_policy=mtime_policy,
                hardlink_policy=hardlink_policy,
                about_to_write=about_to_write,
            )
        except FileProblem as error:
            if attempt == _ATTEMPTS or not _may_pass(error):
                raise
            time.sleep(_PAUSE_S * attempt)
        else:
            return Written(path, True, done.before, done.after, done.size, done.mtime_ns, done.audio_hash, done.notes)
    raise AssertionError("unreachable")


def remove_tags(
    path: AnyPath,
    *,
    namespace: str = "nom",
    mtime_policy: MtimePolicy = "now",
    hardlink_policy: HardLinkPolicy = "break",
    about_to_write: Callable[[Fields], None] = lambda _: None,
) -> Written:
    """Takes every field of ours out of the file, also of the standard ones, and leaves all others."""
    return write_tags(
        path,
        {},
        namespace=namespace,
        mtime_policy=mtime_policy,
        hardlink_policy=hardlink_policy,
        about_to_write=about_to_write,
    )


def describe(path: AnyPath, *, namespace: str = "nom") -> FileFacts:
    """What one quick look tells a scan. Damaged tags give what could be read; only VanishedFile is raised."""
    prefix = _prefix(namespace)
    with reading(path) as file:
        kind = sniff(file).kind
        if kind == "aac":
            return _facts_without_tags(file, "aac", _aac)
        if kind not in FAMILIES:
            return FileFacts("")
        family = FAMILIES[kind]
        container = "ogg" if kind == "oggflac" else kind
        try:
            file.seek(0)
            audio = family.load(file, kind)
            texts = list(family.texts(audio))
            if not texts and kind in id3.AT_FRONT:
                texts = list(id3.older_texts(file))
            elif not texts:
                texts = [(name.lower(), list(v)) for name, v in family.elsewhere(audio, file, kind).items()]
            return make_facts(container, _duration(audio.info), texts, family.fields(audio, prefix), prefix=prefix)
        except DAMAGE:
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
    except DAMAGE:
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
        if not _NAME.fullmatch(name) and name not in standard.NAMES:
            raise InvalidInput(f"tag name {name!r}: only a-z, 0-9, _ and - are allowed")
        if isinstance(values, str):
            raise InvalidInput(f"tag {name}: a list of values is needed, not one text")
        for value in values:
            if "\0" in value or any("\ud800" <= c <= "\udfff" for c in value):
                raise InvalidInput(f"tag {name}: {value!r} holds characters that no file can store")
    cleaned = {name: tuple(value for value in values if value) for name, values in tags.items()}
    return standard.with_notes({name: values for name, values in cleaned.items() if values})


class Opened(NamedTuple):
    """A file with what was made of it."""

    file: BinaryIO
    kind: str
    family: Family
    audio: Audio


@dataclass(frozen=True)
class _State:
    """Our fields in the file as it is now, what they would be after a write, and its size and time."""

    ours: Fields
    after: Fields
    size: int
    mtime_ns: int


def _state(path: AnyPath, prefix: str, wanted: Fields | None = None) -> _State:
    with reading(path) as file, damage_explained(path):
        opened = Opened(file, *load(path, file))
        ours = _ours(opened, prefix)
        after = _after(opened, prefix, wanted or {}, ours, path)
        state = os.fstat(file.fileno())
        return _State(ours, after, state.st_size, state.st_mtime_ns)


def _ours(opened: Opened, prefix: str) -> Fields:
    """Our own fields, and of the standard ones those that hold what we put there."""
    file, kind, family, audio = opened
    there, own = family.standard(audio), family.fields(audio, prefix)
    ours = {**own, **standard.still_ours(own, there)}
    if standard.CARRIED in own:
        old = family.elsewhere(audio, file, kind)
        same = {name: there[name] for name in own[standard.CARRIED] if name in there and there[name] == old.get(name)}
        if not family.has_others(audio, prefix, {*ours, *same}):  # else the tag is somebody's by now, and they as well
            ours.update(same)
    return ours


def _after(opened: Opened, prefix: str, wanted: Fields, ours: Fields, path: AnyPath) -> Fields:
    """What our fields can be, by what is wanted and what belongs to the user."""
    file, kind, family, audio = opened
    has_others = family.has_others(audio, prefix, ours)
    if not wanted or (has_others and not any(name in wanted for name in standard.FILLED)):
        return wanted
    old = family.elsewhere(audio, file, kind)
    after = standard.writable(wanted, ours, {*family.standard(audio), *old})
    if has_others:
        return after
    hidden = family.hidden_by_ours(file, kind)
    if hidden is not None:
        raise TagsNotSupported(path, f"its only tags are {hidden}, and a tag beside them would hide them from players")
    return standard.with_carried(after, {name: values for name, values in old.items() if values})


@dataclass(frozen=True)
class _Plan:
    """One edit: our fields before and after, the standard ones it sets or clears, and all that must stay."""

    before: Fields
    after: Fields
    touched: Fields
    rest: object


@dataclass(frozen=True)
class _Rewritten(safewrite.Replaced):
    before: Fields
    after: Fields


def _rewrite(
    path: AnyPath,
    prefix: str,
    wanted: Fields,
    *,
    mtime_policy: MtimePolicy,
    hardlink_policy: HardLinkPolicy,
    about_to_write: Callable[[Fields], None],
) -> _Rewritten:
    plan: list[_Plan] = []

    def edit(copy: BinaryIO) -> None:
        with damage_explained(path):
            opened = Opened(copy, *load(path, copy))
            before = _ours(opened, prefix)
            after = _after(opened, prefix, wanted, before, path)
            touched = {name: after.get(name, ()) for name in standard.NAMES if name in before or name in after}
            plan.append(_Plan(before, after, touched, _rest(opened, prefix, touched)))
            own = {name: values for name, values in after.items() if name not in touched}
            opened.family.rewrite(opened.audio, prefix, own, touched, copy, opened.kind)

    def check(copy: BinaryIO) -> None:
        with damage_explained(path):
            opened = Opened(copy, *load(path, copy))
            if _ours(opened, prefix) != plan[0].after:
                raise WriteFailed(path, "the tags read back are not those that were written")
            if _rest(opened, prefix, plan[0].touched) != plan[0].rest:
                raise WriteFailed(path, "fields of other programs would be lost or changed")

    done = safewrite.replace(
        path,
        edit,
        check,
        mtime_policy=mtime_policy,
        hardlink_policy=hardlink_policy,
        about_to_replace=lambda: about_to_write(plan[0].before),
    )
    return _Rewritten(done.size, done.mtime_ns, done.audio_hash, done.notes, plan[0].before, plan[0].after)


def _may_pass(error: FileProblem) -> bool:
    """Whether another attempt a moment later may go well: network folders have such moments."""
    cause = error if isinstance(error, DiskProblem) else error.__cause__
    return isinstance(error, FileChanged) or getattr(cause, "errno", None) in (errno.EBUSY, errno.ESTALE)


def _rest(opened: Opened, prefix: str, touched: Collection[str]) -> object:
    """All that must stay, comparable: fields of others, the stream, what stands around the tags."""
    file, kind, family, audio = opened
    return kind, family.foreign(audio, prefix, file, touched), _stream(audio.info), surroundings(file, kind)


def _stream(info: Any) -> tuple[Any, ...]:
    """What must not change about the sound."""
    return tuple(getattr(info, name, None) for name in ("length", "sample_rate", "channels", "bits_per_sample"))
