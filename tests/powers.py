"""Root may read and write everything; inside `without_powers` it may not, as anybody else."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

VERSION_3 = 0x20080522  # of the kernel's structures: two words of 32 capabilities each
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2
PR_GET_SECUREBITS, PR_SET_SECUREBITS, NO_SETUID_FIXUP = 27, 28, 1 << 2
_libc = ctypes.CDLL(None, use_errno=True)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Word(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


@contextmanager
def without_powers() -> Iterator[None]:
    """File permissions hold in this thread, and in those it starts meanwhile, whoever runs the tests."""
    words = (_Word * 2)()
    _call("capget", words)
    # access(2) asks what root could do, not what it does, unless this bit is set.
    bits = _libc.prctl(PR_GET_SECUREBITS)
    if os.geteuid() == 0:
        _checked("prctl", _libc.prctl(PR_SET_SECUREBITS, bits | NO_SETUID_FIXUP))
    before = words[0].effective
    words[0].effective = before & ~(1 << CAP_DAC_OVERRIDE | 1 << CAP_DAC_READ_SEARCH)
    _call("capset", words)
    try:
        yield
    finally:
        words[0].effective = before
        _call("capset", words)
        if os.geteuid() == 0:
            _checked("prctl", _libc.prctl(PR_SET_SECUREBITS, bits))


def _call(name: str, words: ctypes.Array[_Word]) -> None:
    header = _Header(VERSION_3, 0)
    _checked(name, getattr(_libc, name)(ctypes.byref(header), words))


def _checked(name: str, result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")
