"""A file is replaced by an edited copy, or left as it was: no crash can leave anything in between."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from nomarr.errors import FileChanged, VanishedFile, WriteFailed
from nomarr.tagfiles.containers import AnyPath, reading, reason
from nomarr.tagfiles.payload import common_audio_hash

_NAME_MAX = 255
_ENDING = ".nomtmp"
_OUR_COPY = re.compile(r"\..*\.[0-9a-f]{16}\.nomtmp", re.DOTALL)
_GROWTH = 1 << 20  # room for our fields and the padding around them
_FICLONE = 0x40049409
_LOCK_PATIENCE_S = 5.0
_LOCK_RETRY_S = 0.02
_NO_KERNEL_COPY = frozenset({errno.ENOSYS, errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.EBADF, errno.EPERM})


class DiskProblem(WriteFailed):
    """The operating system refused; `errno` is its number for the reason."""

    def __init__(self, path: AnyPath, error: OSError) -> None:
        super().__init__(path, reason(error))
        self.errno = error.errno


@dataclass(frozen=True)
class Replaced:
    """The file after the change; the audio hash is the proof that only tags changed."""

    size: int
    mtime_ns: int
    audio_hash: str


def replace(path: AnyPath, edit: Callable[[BinaryIO], None], check: Callable[[BinaryIO], None]) -> Replaced:
    """Edits a copy beside the file, checks it, and puts it in the file's place in one step.

    Mode, owner, extended attributes stay; the time is new, so that players notice. Another hard link keeps
    the old content. A symbolic link stays one, its target changes.
    Raises FileChanged when somebody else wrote to the file meanwhile, WriteFailed when anything else goes
    wrong; the original is untouched then and the copy gone.
    """
    try:
        target = Path(os.path.realpath(os.fsdecode(path), strict=True))
    except OSError as error:
        raise VanishedFile(path, reason(error)) from error
    try:
        with _locked(target) as (original, before):
            _check_room(target, before.st_size)
            return _replace_locked(target, original, before, edit, check)
    except OSError as error:
        raise DiskProblem(path, error) from error


def remove_stale_copies(root: AnyPath, *, older_than_s: float = 3600.0, now: float) -> list[str]:
    """Removes the copies that killed processes left under a folder; gives their paths."""
    removed = []
    for folder, _, names in os.walk(os.fspath(root)):
        for name in filter(_OUR_COPY.fullmatch, names):
            path = Path(folder, name)
            with suppress(OSError):
                found = path.lstat()
                if stat.S_ISREG(found.st_mode) and now - found.st_mtime > older_than_s:
                    path.unlink()
                    removed.append(str(path))
    return removed


def _replace_locked(
    target: Path,
    original: BinaryIO,
    before: os.stat_result,
    edit: Callable[[BinaryIO], None],
    check: Callable[[BinaryIO], None],
) -> Replaced:
    copy_path = target.with_name(_copy_name(target.name))
    fd = os.open(copy_path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "r+b") as copy:
            _copy_bytes(original.fileno(), fd)
            edit(copy)
            copy.flush()
            check(copy)
            proof = _same_audio(target, copy_path, before)
            _restore_attributes(original.fileno(), fd, before)
            os.fsync(fd)
            after = os.fstat(fd)
        _insist_on(target, before)
        copy_path.replace(target)
    except BaseException:
        with suppress(OSError):
            copy_path.unlink()
        raise
    _sync_folder(target.parent)
    return Replaced(after.st_size, after.st_mtime_ns, proof)


@contextmanager
def _locked(target: Path) -> Iterator[tuple[BinaryIO, os.stat_result]]:
    """The original and its state, with other Nomarr processes kept from writing to it."""
    deadline = time.monotonic() + _LOCK_PATIENCE_S
    while True:
        with reading(target) as original:
            locked = _lock(original)
            state = os.fstat(original.fileno())
            # Whoever held the lock has put another file in place: that one is the original now.
            if locked and _identity(target.stat()) == _identity(state):
                try:
                    yield original, state
                except OSError as error:
                    raise DiskProblem(target, error) from error
                return
        if time.monotonic() > deadline:
            raise FileChanged(target, "another process keeps writing to the file")
        if not locked:
            time.sleep(_LOCK_RETRY_S)


def _lock(original: BinaryIO) -> bool:
    try:
        fcntl.flock(original, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a file system without locks
    return True


def _identity(state: os.stat_result) -> tuple[int, int, int, int]:
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns


def _check_room(target: Path, size: int) -> None:
    room = os.statvfs(target.parent)
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise OSError(errno.EROFS if room.f_flag & os.ST_RDONLY else errno.EACCES, "the folder cannot be written")
    if not os.access(target, os.W_OK):
        # Renaming would work, but whoever protects a file means it.
        raise WriteFailed(target, "the file is write-protected")
    # Some network file systems report no blocks at all.
    if room.f_blocks and room.f_bavail * room.f_frsize < size + _GROWTH:
        raise OSError(errno.ENOSPC, "no room for a copy")


def _copy_name(name: str) -> str:
    """`.<name>.<random>.nomtmp`: hidden from Navidrome, no audio for Lidarr; a long name is cut."""
    ending = f".{secrets.token_hex(8)}{_ENDING}"
    while len(os.fsencode(name)) + 1 + len(ending) > _NAME_MAX:
        name = name[:-1]
    return f".{name}{ending}"


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
        shutil.copyfileobj(reader, writer, 1 << 20)


def _insist_on(target: Path, before: os.stat_result) -> None:
    """Raises FileChanged unless the file is still the one that was copied."""
    try:
        is_same = _identity(target.stat()) == _identity(before)
    except FileNotFoundError:
        is_same = False
    if not is_same:
        raise FileChanged(target, "another program changed the file while its tags were being written")


def _same_audio(target: Path, copy_path: Path, before: os.stat_result) -> str:
    proof = common_audio_hash(target, copy_path)
    if proof is None:
        _insist_on(target, before)
        raise WriteFailed(target, "writing its tags would change its audio; the file's structure is unusual")
    return proof


def _restore_attributes(original: int, copy: int, before: os.stat_result) -> None:
    """Owner, extended attributes, mode as before; the time is now, but later than it was."""
    fresh = os.fstat(copy)
    if (fresh.st_uid, fresh.st_gid) != (before.st_uid, before.st_gid):
        _change_owner(copy, before)
    with suppress(OSError):
        for name in os.listxattr(original):
            with suppress(OSError):
                os.setxattr(copy, name, os.getxattr(original, name))
    with suppress(PermissionError):
        os.fchmod(copy, stat.S_IMODE(before.st_mode))
    mtime_ns = time.time_ns()
    if mtime_ns <= before.st_mtime_ns:
        mtime_ns = before.st_mtime_ns + 1_000_000_000
    os.utime(copy, ns=(mtime_ns, mtime_ns))


def _change_owner(copy: int, before: os.stat_result) -> None:
    for owner, group in ((before.st_uid, before.st_gid), (-1, before.st_gid)):
        with suppress(OSError):
            os.fchown(copy, owner, group)
            return


def _sync_folder(folder: Path) -> None:
    # The new file is in place: a file system that cannot sync folders is no reason to say otherwise.
    with suppress(OSError):
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
