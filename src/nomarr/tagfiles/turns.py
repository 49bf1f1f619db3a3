"""One writer at a time for each file, on this machine and on others, and no trace of writers that were killed.

A lock file beside the music file is the one thing that excludes on every file system: made with O_EXCL, it is atomic
on network folders too, where flock may not reach the other machine. flock on the lock file adds what it cannot know:
the kernel lets go of it when its process dies, so a killed writer on this machine holds nobody up. A writer on
another machine that has been silent for a quarter of an hour is taken for dead; should it come back, it finds its
lock gone and gives up before it replaces anything.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache, partial
from pathlib import Path

from nomarr.errors import FileChanged

COPY, REDO, LOCK = ".nomtmp", ".nomredo", ".nomlock"
PATIENCE_S = 5.0
SILENT_S = 900.0

_RETRY_S = 0.01
_NAME_MAX = 255
_COPY_NAME = re.compile(r"\.(.*)\.([0-9a-f]{16})[0-9a-f]{8}(\.nomtmp|\.nomredo)", re.DOTALL)
_LOCK_NAME = re.compile(r"\..*\.[0-9a-f]{16}\.nomlock", re.DOTALL)


@contextmanager
def turn(target: Path) -> Iterator[Callable[[], bool]]:
    """Keeps other Nomarr processes from writing to the file; gives a check that it is still our turn.

    FileChanged where another process does not let go of it for five seconds.
    """
    lock = _lock_path(target)
    deadline = time.monotonic() + PATIENCE_S
    while (fd := _take(lock)) is None:
        if time.monotonic() > deadline:
            raise FileChanged(target, "another Nomarr process is writing to it")
        time.sleep(_RETRY_S)
    try:
        yield partial(is_mine, lock, fd)
    finally:
        if is_mine(lock, fd):
            with suppress(OSError):
                lock.unlink()
        with suppress(OSError):
            os.close(fd)


def is_mine(path: Path, fd: int) -> bool:
    """Whether the file of this name is still the one that was opened."""
    try:
        named, opened = path.lstat(), os.fstat(fd)
    except OSError:
        return False
    return (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)


def create_copy(target: Path) -> tuple[int, Path]:
    """An empty file beside the target that says whose it is: hidden from Navidrome, no audio for Lidarr."""
    while True:
        path = target.with_name(hidden_name(target.name, f".{here()}{secrets.token_hex(4)}{COPY}"))
        fd = _create(path)
        if fd is not None:
            return fd, path


def hidden_name(name: str, ending: str) -> str:
    """`.<name><ending>`; a long name is cut."""
    while len(os.fsencode(name)) + 1 + len(ending) > _NAME_MAX:
        name = name[:-1]
    return f".{name}{ending}"


def clear(path: Path, *, now: float, silent_s: float, first: Callable[[], None] = lambda: None) -> bool:
    """Removes a copy or lock whose process is dead, or on another machine and silent for long; True if it did.

    `first` is done before, while nobody else can clear the same.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except PermissionError:  # another user's: only its age says something
        if now - path.lstat().st_mtime <= silent_s:
            return False
        path.unlink()
        return True
    try:
        # Whoever holds its flock may remove it: of two that find it abandoned, the second finds another.
        if not _is_abandoned(path, fd, now=now, silent_s=silent_s) or not is_mine(path, fd):
            return False
        first()
        path.unlink()
        return True
    finally:
        os.close(fd)


def is_ours(name: str) -> bool:
    """Whether a file of this name is a copy or a lock that Nomarr made."""
    return bool(_COPY_NAME.fullmatch(name) or _LOCK_NAME.fullmatch(name))


def meant_for(path: Path) -> Path | None:
    """The file that a copy was made for; None where its name was too long to be kept."""
    match = _COPY_NAME.fullmatch(path.name)
    if match is None or len(os.fsencode(path.name)) > _NAME_MAX - 4:  # a character takes up to four bytes
        return None
    return path.with_name(match[1])


@lru_cache
def here() -> str:
    """Sixteen digits: eight for this machine, eight for this run of its kernel."""
    machine = _first_line("/etc/machine-id") or socket.gethostname()
    return _digest(machine)[:8] + _digest(_first_line("/proc/sys/kernel/random/boot_id"))[:8]


def _lock_path(target: Path) -> Path:
    return target.with_name(hidden_name(target.name, f".{_digest(target.name)}{LOCK}"))


def _take(lock: Path) -> int | None:
    fd = _create(lock)
    if fd is None:
        with suppress(OSError):
            clear(lock, now=time.time(), silent_s=SILENT_S)
        return None
    try:
        os.write(fd, f"{here()} {os.getpid()} {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}\n".encode())
    except BaseException:
        with suppress(OSError):
            lock.unlink()
        os.close(fd)
        raise
    return fd


def _create(path: Path) -> int | None:
    """A new file with our flock on it; None where there is one, or where somebody took ours for abandoned."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return None
    if _flock(fd) is not False and is_mine(path, fd):
        return fd
    os.close(fd)
    return None


def _is_abandoned(path: Path, fd: int, *, now: float, silent_s: float) -> bool:
    owner = _owner(path, fd)
    if owner in ("", here()):
        held = _flock(fd)
        if held is not None:
            return held
    elif owner[:8] == here()[:8]:
        return True  # this machine has been started anew since
    return now - os.fstat(fd).st_mtime > silent_s


def _owner(path: Path, fd: int) -> str:
    match = _COPY_NAME.fullmatch(path.name)
    return match[2] if match else os.pread(fd, 16, 0).decode("ascii", "replace")


def _flock(fd: int) -> bool | None:
    """True: we hold it; False: another process does; None: the file system knows no locks."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _first_line(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _digest(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:16]
