"""Smart playlists as files in a library's folder, where Navidrome's scanner finds them.

Each carries a hash of itself, so that one that Nomarr wrote and nobody changed can be told from any other.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nomarr.errors import Conflict, InvalidInput, NotFound, printable

MARK = "writtenBy"  # Navidrome passes over keys that it does not know
ENDING = ".nsp"
LONGEST_NAME = 200  # bytes, of 255 that most file systems allow
LARGEST = 1 << 20
_UNSAFE = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')


@dataclass(frozen=True)
class WrittenFile:
    """Where the playlist is, and what had to be done for it."""

    path: str
    action: Literal["created", "updated", "unchanged"]


def write(root: str, folder: str, name: str, playlist: dict[str, Any], *, replace: bool = False) -> WrittenFile:
    """Put the playlist into a folder of a library. Conflict where a file is in the way that is not ours."""
    place = _place(root, folder)
    target = place / file_name(name)
    content = _content(playlist)
    old = _read(target)
    if old == content:
        return WrittenFile(str(target), "unchanged")
    if old is not None and not replace and not is_ours(old):
        raise Conflict(
            f"{printable(target)} is there already, and was not written by Nomarr or was changed since; "
            "choose another name, or ask to replace it"
        )
    try:
        _put(target, content, is_new=old is None)
    except FileExistsError as error:
        raise Conflict(f"{printable(target)} appeared at this very moment; try again") from error
    except OSError as error:
        raise Conflict(f"{printable(target)} cannot be written: {error.strerror}") from error
    return WrittenFile(str(target), "created" if old is None else "updated")


def file_name(name: str) -> str:
    """A name that every file system takes; InvalidInput if nothing is left of it."""
    clean = _UNSAFE.sub("_", name).strip(" .")
    clean = clean.removesuffix(ENDING).encode("utf-8", "ignore")[:LONGEST_NAME].decode("utf-8", "ignore").strip(" .")
    if not clean.strip("_ "):
        raise InvalidInput("file_name: nothing is left of it as the name of a file")
    return clean + ENDING


def is_ours(content: bytes) -> bool:
    """Whether Nomarr wrote just this."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return False
    if not isinstance(found, dict):
        return False
    mark = found.pop(MARK, None)
    return isinstance(mark, str) and mark == _mark(found)


def _content(playlist: dict[str, Any]) -> bytes:
    marked = {**playlist, MARK: _mark(playlist)}
    return (json.dumps(marked, indent=2, ensure_ascii=False) + "\n").encode()


def _mark(playlist: dict[str, Any]) -> str:
    text = json.dumps(playlist, sort_keys=True, ensure_ascii=True)
    return f"nomarr {hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _place(root: str, folder: str) -> Path:
    """The folder, made if only its last part is missing. It lies in the library even after links are resolved."""
    if "\0" in folder or os.path.isabs(folder) or ".." in Path(folder).parts:
        raise InvalidInput("folder: it must be a folder of the library, relative to its root and without ..")
    if any(part.startswith(".") for part in Path(folder).parts):
        raise InvalidInput("folder: Navidrome does not look into folders that begin with a dot")
    library, place = Path(os.path.realpath(root)), Path(os.path.realpath(os.path.join(root, folder)))
    if not place.is_relative_to(library):
        raise InvalidInput(f"folder: {printable(folder)} leads out of the library")
    try:
        if library.is_dir() and place.parent.is_dir():
            place.mkdir(exist_ok=True)
    except FileExistsError as error:
        raise Conflict(f"{printable(place)} is no folder") from error
    except OSError as error:
        raise Conflict(f"{printable(place)} cannot be made: {error.strerror}") from error
    if not place.is_dir():
        raise NotFound(f"There is no folder {printable(place)}")
    return place


def _read(target: Path) -> bytes | None:
    if target.is_symlink():
        raise Conflict(f"{printable(target)} is a link; choose another name")
    if target.exists() and not target.is_file():  # reading a pipe would wait for ever
        raise Conflict(f"{printable(target)} is no file; choose another name")
    try:
        with target.open("rb") as file:
            return file.read(LARGEST)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Conflict(f"{printable(target)} cannot be read: {error.strerror}") from error


def _put(target: Path, content: bytes, *, is_new: bool) -> None:
    handle, name = tempfile.mkstemp(prefix=".nomarr-", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), 0o644)  # Navidrome may run as somebody else
            os.fsync(file.fileno())
        if is_new and _linked(name, target):
            return
        os.replace(name, target)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name)


def _linked(name: str, target: Path) -> bool:
    """Put in place without ever replacing; False where the file system has no hard links."""
    try:
        os.link(name, target)
    except FileExistsError:
        raise
    except OSError:
        return False
    return True
