"""The API key that every installation has, derived from a secret file: a copy of the database opens nothing."""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import os
import secrets
import stat
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

from nomarr.errors import NomarrError

log = logging.getLogger(__name__)

FILE = "api-secret"
PURPOSE = b"nomarr api key"
SHORTEST = 32  # characters; anything less was not written by us
KEY_PREFIX = "nom_"


class SecretProblem(NomarrError):
    """The file of the secret cannot be used."""

    status = 503


def show(data_dir: Path) -> str:
    """The key of this installation; made where there is none yet."""
    file = data_dir / FILE
    with suppress(FileNotFoundError):
        return _derive(_read(file))
    _write(file, replace=False)
    return _derive(_read(file))


def generate(data_dir: Path) -> str:
    """Another key; the one before it opens nothing any more, in running servers too."""
    _write(data_dir / FILE, replace=True)
    return _derive(_read(data_dir / FILE))


class SecretKey:
    """Recognises the key of a data directory; reads the file again when it was replaced. Threads may share it."""

    def __init__(self, data_dir: Path) -> None:
        self._file = data_dir / FILE
        self._lock = threading.Lock()
        self._version: tuple[int, int] | None = None
        self._key = ""

    def matches(self, key: str) -> bool:
        known = self._current()
        return bool(known) and hmac.compare_digest(known.encode(), key.encode("utf-8", "surrogatepass"))

    def _current(self) -> str:
        """The key, or nothing where there is none."""
        with self._lock:
            try:
                found = self._file.stat()
            except OSError:
                self._version, self._key = None, ""
                return ""
            version = (found.st_ino, found.st_mtime_ns)
            if version != self._version:
                self._version, self._key = version, ""
                try:
                    self._key = _derive(_read(self._file))
                except (SecretProblem, FileNotFoundError) as error:
                    log.warning("the API key of this installation cannot be used: %s", error)
            return self._key


def _derive(secret: str) -> str:
    digest = hmac.digest(secret.encode(), PURPOSE, hashlib.sha256)
    return KEY_PREFIX + base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _read(file: Path) -> str:
    """The secret; FileNotFoundError where there is none yet."""
    try:
        secret = file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise SecretProblem(f"{file}: cannot be read: {error}") from error
    if len(secret) < SHORTEST:
        raise SecretProblem(f"{file}: is damaged; make a new key with: nomarr key generate")
    return secret


def _write(file: Path, *, replace: bool) -> None:
    """A new secret, put in place whole; without `replace` the one that is there meanwhile stays."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{FILE}-", dir=file.parent)  # mode 0600
        try:
            with os.fdopen(handle, "w") as new:
                new.write(secrets.token_hex(32) + "\n")
                _give_to_owner_of(file.parent, new.fileno())
                new.flush()
                os.fsync(new.fileno())
            if replace:
                os.replace(name, file)
                return
            with suppress(FileExistsError):
                os.link(name, file)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(name)
    except OSError as error:
        raise SecretProblem(f"{file}: cannot be written: {error.strerror}") from error


def _give_to_owner_of(folder: Path, fd: int) -> None:
    """The server may run as somebody else than who types the command, as in a container."""
    found = folder.stat()
    if os.geteuid() == 0 and stat.S_ISDIR(found.st_mode):
        os.fchown(fd, found.st_uid, found.st_gid)
