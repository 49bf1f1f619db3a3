"""What belongs to a file stays with it, and what cannot is said."""

from __future__ import annotations

import errno
import os
import struct
from pathlib import Path

import pytest

from nomarr.tagfiles.audiofile import write_tags

TAGS = {"mood_happy": ["0.8712"]}
ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"


def access_list(*, user: int, mask: int) -> bytes:
    """rw for the owner, r for one more user and for the group, up to a mask."""
    undefined = 0xFFFFFFFF
    entries = [(1, 6, undefined), (2, 4, user), (4, 4, undefined), (16, mask, undefined), (32, 0, undefined)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def set_or_skip(path: Path, name: str, value: bytes) -> None:
    try:
        os.setxattr(path, name, value)
    except OSError:
        pytest.skip("no access lists here")


def test_an_access_list_stays(copy_of):
    path = copy_of("flac")
    set_or_skip(path, ACCESS, access_list(user=1234, mask=6))
    before, mode = os.getxattr(path, ACCESS), path.stat().st_mode
    assert write_tags(path, TAGS).notes == ()
    assert os.getxattr(path, ACCESS) == before
    assert path.stat().st_mode == mode


def test_the_folders_default_access_list_gives_nobody_more_than_before(copy_of):
    path = copy_of("flac")
    path.chmod(0o600)
    set_or_skip(path.parent, DEFAULT, access_list(user=1234, mask=6))
    write_tags(path, TAGS)
    assert ACCESS not in os.listxattr(path)
    assert path.stat().st_mode & 0o777 == 0o600


def refused(*_arguments, **_options):
    raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_an_owner_that_cannot_be_kept_is_named(copy_of, monkeypatch):
    path = copy_of("flac")
    os.chown(path, 1234, 4321)
    path.chmod(0o2670)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fchown", refused)
        written = write_tags(path, TAGS)
    assert written.notes == (
        "its owner 1234 could not be kept, it is 0 now",
        "its group 4321 could not be kept, it is 0 now",
    )
    # What group 4321 was allowed is not for group 0.
    assert path.stat().st_mode & 0o7777 == 0o600


def test_an_attribute_that_cannot_be_kept_is_named(copy_of, monkeypatch):
    path = copy_of("flac")
    set_or_skip(path, "user.rating", b"5")
    with monkeypatch.context() as patched:
        patched.setattr(os, "setxattr", refused)
        assert write_tags(path, TAGS).notes == ("its attribute user.rating could not be kept",)
