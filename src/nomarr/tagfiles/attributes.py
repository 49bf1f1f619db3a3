"""What belongs to a file besides its content: owner, group, mode, access lists, extended attributes, time."""

from __future__ import annotations

import os
import stat
import time
from contextlib import suppress
from typing import Literal

MtimePolicy = Literal["now", "keep", "keep_plus_1s"]

_ACCESS_LIST = "system.posix_acl_access"
_SECOND_NS = 1_000_000_000


def carry_over(original: int, copy: int, before: os.stat_result, mtime_policy: MtimePolicy) -> tuple[str, ...]:
    """Gives the copy everything that belongs to the original; says, in sentences, what it could not."""
    notes = [*_owner(copy, before), *_extended(original, copy)]
    mode = stat.S_IMODE(before.st_mode)
    if os.fstat(copy).st_gid != before.st_gid:
        # What the old group was allowed is not for another one: it gets what everybody has.
        mode = (mode & ~0o2070) | (mode & 0o007) << 3
    try:
        os.fchmod(copy, mode)
    except PermissionError:
        notes.append("its mode could not be kept")
    set_time(copy, before, mtime_policy)
    return tuple(notes)


def set_time(copy: int, before: os.stat_result, mtime_policy: MtimePolicy) -> None:
    """The time by the policy; "now" is always later than it was."""
    mtime_ns = before.st_mtime_ns
    if mtime_policy == "now" and (now_ns := time.time_ns()) > mtime_ns:
        mtime_ns = now_ns
    elif mtime_policy != "keep":
        mtime_ns += _SECOND_NS
    os.utime(copy, ns=(mtime_ns, mtime_ns))


def _owner(copy: int, before: os.stat_result) -> list[str]:
    fresh = os.fstat(copy)
    if (fresh.st_uid, fresh.st_gid) == (before.st_uid, before.st_gid):
        return []
    for owner in (before.st_uid, -1):
        with suppress(OSError):
            os.fchown(copy, owner, before.st_gid)
            break
    now = os.fstat(copy)
    notes = []
    if now.st_uid != before.st_uid:
        notes.append(f"its owner {before.st_uid} could not be kept, it is {now.st_uid} now")
    if now.st_gid != before.st_gid:
        notes.append(f"its group {before.st_gid} could not be kept, it is {now.st_gid} now")
    return notes


def _extended(original: int, copy: int) -> list[str]:
    try:
        names = os.listxattr(original)
    except OSError:
        return []  # a file system without them
    notes = []
    for name in names:
        try:
            value = os.getxattr(original, name)
            if _value(copy, name) != value:
                os.setxattr(copy, name, value)
        except OSError:
            if not name.startswith(("security.", "trusted.")):  # labels are the system's own business
                notes.append(f"its attribute {name} could not be kept")
    if _ACCESS_LIST not in names:
        with suppress(OSError):  # inherited from the folder: the original has none
            os.removexattr(copy, _ACCESS_LIST)
    return notes


def _value(file: int, name: str) -> bytes | None:
    try:
        return os.getxattr(file, name)
    except OSError:
        return None
