"""A file is replaced by an edited copy, or left as it was: no crash can leave anything in between."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Literal

from nomarr.errors import FileChanged, VanishedFile, WriteFailed
from nomarr.tagfiles import turns
from nomarr.tagfiles.attributes import MtimePolicy, carry_over, set_time
from nomarr.tagfiles.containers import AnyPath, reading, reason
from nomarr.tagfiles.exchange import exchange
from nomarr.tagfiles.payload import audio_hash, is_same_audio

HardLinkPolicy = Literal["break", "skip", "in_place"]

_GROWTH = 1 << 20  # room for our fields and the padding around them
_FICLONE = 0x40049409
_BLOCK = 1 << 20
_NO_KERNEL_COPY = frozenset({errno.ENOSYS, errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.EBADF, errno.EPERM})


class DiskProblem(WriteFailed):
    """The operating system refused; `errno` is its number for the reason."""

    def __init__(self, path: AnyPath, error: OSError) -> None:
        super().__init__(path, reason(error))
        self.errno = error.errno


class HardLinked(WriteFailed):
    """The file has other hard links, and the policy says to leave such files alone."""


@dataclass(frozen=True)
class Replaced:
    """The file after the change. The audio hash is the proof that only tags changed; `notes` says what was lost."""

    size: int
    mtime_ns: int
    audio_hash: str
    notes: tuple[str, ...]


@dataclass
class _Copy:
    """The copy beside the file, ours to throw away unless something else lies under its name."""

    fd: int
    path: Path
    is_ours: bool = True


@dataclass(frozen=True)
class _Job:
    """One replacement: what it is about, and what happens to the copy before it takes its place."""

    target: Path
    is_our_turn: Callable[[], bool]
    original: BinaryIO
    before: os.stat_result
    edit: Callable[[BinaryIO], None]
    check: Callable[[BinaryIO], None]
    about_to_replace: Callable[[], None]
    mtime_policy: MtimePolicy

    def insist(self) -> None:
        """Raises FileChanged unless the file is still the one that was copied, and it is still our turn."""
        if not _is_same(self.target, self.before):
            raise FileChanged(self.target, "another program changed the file while its tags were being written")
        if not self.is_our_turn():
            raise FileChanged(self.target, "another Nomarr process took this one for dead and writes to the file")


def replace(
    path: AnyPath,
    edit: Callable[[BinaryIO], None],
    check: Callable[[BinaryIO], None],
    *,
    mtime_policy: MtimePolicy = "now",
    hardlink_policy: HardLinkPolicy = "break",
    about_to_replace: Callable[[], None] = lambda: None,
) -> Replaced:
    """Edits a copy beside the file, checks it, and puts it in the file's place in one step.

    Mode, owner, access lists and extended attributes stay. With "break" another hard link keeps the old content;
    "skip" raises HardLinked for such a file; "in_place" overwrites its bytes, so that all links change. A symbolic
    link stays one, its target changes. `about_to_replace` is called when the copy is proven good.
    Raises FileChanged when somebody else wrote to the file meanwhile, WriteFailed when anything else goes wrong;
    the original is untouched then and the copy gone.
    """
    try:
        target = Path(os.path.realpath(os.fsdecode(path), strict=True))
    except OSError as error:
        raise VanishedFile(path, reason(error)) from error
    try:
        _check_access(target)
        with turns.turn(target) as is_our_turn, reading(target) as original, _named(target):
            before = os.fstat(original.fileno())
            _check_room(target, before.st_size)
            job = _Job(target, is_our_turn, original, before, edit, check, about_to_replace, mtime_policy)
            if before.st_nlink == 1 or hardlink_policy == "break":
                return _replace(job)
            if hardlink_policy == "in_place":
                return _overwrite(job)
            raise HardLinked(path, f"it has {before.st_nlink} hard links, and such files are to be left alone")
    except OSError as error:
        raise DiskProblem(path, error) from error


def fill(target: Path, copy: int) -> None:
    """Makes the file's bytes those of the copy, without replacing the file. Must be done again if interrupted."""
    size = os.fstat(copy).st_size
    fd = os.open(target, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        old_size = os.fstat(fd).st_size
        try:
            os.posix_fallocate(fd, 0, size)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                os.ftruncate(fd, old_size)
                raise
        position = 0
        while block := os.pread(copy, _BLOCK, position):
            position += os.pwrite(fd, block, position)
        os.ftruncate(fd, size)
        os.fsync(fd)
    finally:
        os.close(fd)


def _replace(job: _Job) -> Replaced:
    with _hashing(job.target) as hashed, _copy_of(job) as copy:
        _edit(job, copy)
        notes = carry_over(job.original.fileno(), copy.fd, job.before, job.mtime_policy)
        _check(job, copy)
        os.fsync(copy.fd)
        after, proof = os.fstat(copy.fd), hashed()
        job.about_to_replace()
        job.insist()
        _put_in_place(job, copy)
    _sync_folder(job.target.parent)
    return Replaced(after.st_size, after.st_mtime_ns, proof, notes)


def _overwrite(job: _Job) -> Replaced:
    """All links change together. The copy stays until that is done: the next start finishes what a crash left."""
    with _hashing(job.target) as hashed, _copy_of(job) as copy:
        if turns.meant_for(copy.path) is None:
            raise WriteFailed(job.target, "its name is too long for a change in place")
        _edit(job, copy)
        _check(job, copy)
        os.fsync(copy.fd)
        proof = hashed()
        job.about_to_replace()
        job.insist()
        redo = copy.path.with_suffix(turns.REDO)
        copy.path.replace(redo)
        _sync_folder(job.target.parent)
        fill(job.target, copy.fd)
        with job.target.open("rb") as file:
            with suppress(PermissionError):  # only its owner may set a time
                set_time(file.fileno(), job.before, job.mtime_policy)
            after = os.fstat(file.fileno())
        with suppress(OSError):
            redo.unlink()
    return Replaced(after.st_size, after.st_mtime_ns, proof, ())


@contextmanager
def _named(target: Path) -> Iterator[None]:
    """The operating system's complaints are about writing, whichever file they came from."""
    try:
        yield
    except OSError as error:
        raise DiskProblem(target, error) from error


@contextmanager
def _copy_of(job: _Job) -> Iterator[_Copy]:
    copy = _Copy(*turns.create_copy(job.target))
    try:
        _copy_bytes(job.original.fileno(), copy.fd)
        yield copy
    except BaseException:
        if copy.is_ours:
            with suppress(OSError):
                copy.path.unlink()
        raise
    finally:
        with suppress(OSError):  # all is said with fsync
            os.close(copy.fd)


@contextmanager
def _hashing(target: Path) -> Iterator[Callable[[], str]]:
    """Gives a function that waits for the hash of the audio: it is computed while the block works on the copy."""
    with ThreadPoolExecutor(1, "hash") as pool:
        try:
            future = pool.submit(audio_hash, target)
        except RuntimeError:  # no more threads to be had
            yield partial(audio_hash, target)
        else:
            yield future.result


def _edit(job: _Job, copy: _Copy) -> None:
    with open(copy.fd, "r+b", closefd=False) as file:
        job.edit(file)
    with suppress(OSError):  # has the disk begin while the copy is checked
        os.posix_fadvise(copy.fd, 0, 0, os.POSIX_FADV_DONTNEED)


def _check(job: _Job, copy: _Copy) -> None:
    """Raises unless the copy has what is wanted, and all else as it was."""
    with open(copy.fd, "rb", closefd=False) as file:
        job.check(file)
    if not is_same_audio(job.target, copy.path):
        job.insist()
        raise WriteFailed(job.target, "writing its tags would change its audio; the file's structure is unusual")


def _put_in_place(job: _Job, copy: _Copy) -> None:
    if not exchange(copy.path, job.target):
        copy.path.replace(job.target)
        return
    # Under the copy's name lies now what was replaced. Somebody may have written to it in the very last moment.
    copy.is_ours = False
    if not _is_same(copy.path, job.before, by_change=False):
        copy.path.replace(job.target)
        raise FileChanged(job.target, "another program changed the file while its tags were being written")
    with suppress(OSError):
        copy.path.unlink()


def _is_same(path: Path, before: os.stat_result, *, by_change: bool = True) -> bool:
    """Whether this is still the file that was looked at. The time of change betrays a program that resets the other."""
    try:
        now = path.lstat()
    except FileNotFoundError:
        return False
    except OSError:
        if by_change:
            raise
        return True  # the very last look, when there is no way back: it was the same a moment ago
    names = ("st_dev", "st_ino", "st_size", "st_mtime_ns", *(("st_ctime_ns",) if by_change else ()))
    return all(getattr(now, name) == getattr(before, name) for name in names)


def _check_access(target: Path) -> None:
    if not os.access(target.parent, os.W_OK | os.X_OK):
        is_read_only = os.statvfs(target.parent).f_flag & os.ST_RDONLY
        raise OSError(errno.EROFS if is_read_only else errno.EACCES, "the folder cannot be written")
    if not os.access(target, os.W_OK):
        # Renaming would work, but whoever protects a file means it.
        raise WriteFailed(target, "the file is write-protected")


def _check_room(target: Path, size: int) -> None:
    room = os.statvfs(target.parent)
    # Some network file systems report no blocks at all.
    if room.f_blocks and room.f_bavail * room.f_frsize < size + _GROWTH:
        raise OSError(errno.ENOSPC, "no room for a copy")


def _copy_bytes(source: int, copy: int) -> None:
    try:
        fcntl.ioctl(copy, _FICLONE, source)
        return
    except OSError:
        pass  # the file system cannot share blocks
    os.lseek(source, 0, os.SEEK_SET)
    try:
        while os.copy_file_range(source, copy, 1 << 30):
            pass
    except OSError as error:
        if error.errno not in _NO_KERNEL_COPY:
            raise
    with open(source, "rb", closefd=False) as reader, open(copy, "wb", closefd=False) as writer:
        shutil.copyfileobj(reader, writer, _BLOCK)


def _sync_folder(folder: Path) -> None:
    # The new file is in place: a file system that cannot sync folders is no reason to say otherwise.
    with suppress(OSError):
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
