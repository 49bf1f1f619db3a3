"""Everything that can go wrong, as one tree. Each class carries the HTTP status of its answer."""

from __future__ import annotations

import os
from typing import ClassVar


def printable(path: str | bytes | os.PathLike[str]) -> str:
    """A path as text that any terminal, log or JSON document can carry: odd characters become escapes."""
    text = os.fsdecode(path)
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


class NomarrError(Exception):
    """Something Nomarr can explain in one sentence."""

    status: ClassVar[int] = 500


class InvalidInput(NomarrError):
    """The request or argument itself is wrong."""

    status = 400


class SettingsError(InvalidInput):
    """A setting has a value that cannot be used."""


class Unauthorized(NomarrError):
    """No credentials, or credentials that are not valid."""

    status = 401


class Forbidden(NomarrError):
    """The credentials are good, but not enough for this."""

    status = 403


class NotFound(NomarrError):
    """What was asked for does not exist."""

    status = 404


class Conflict(NomarrError):
    """What was asked for does not fit what is there now."""

    status = 409


class ScanCancelled(Conflict):
    """Somebody cancelled the scan."""


class TooManyRequests(NomarrError):
    """Too many attempts; the caller should wait."""

    status = 429

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ClaimLost(NomarrError):
    """Another worker has taken the file over; nothing was recorded."""

    status = 409


class DatabaseProblem(NomarrError):
    """The database cannot be used as it is."""

    status = 503


class DatabaseTooNew(DatabaseProblem):
    """A newer Nomarr has changed the tables; this one must leave them alone."""


class FileProblem(NomarrError):
    """Something about one file; the text says which file and why."""

    status = 400

    def __init__(self, path: str | bytes | os.PathLike[str], why: str) -> None:
        super().__init__(f"{printable(path)}: {why}")
        self.path = path
        self.why = why


class UnreadableAudio(FileProblem):
    """The file's sound cannot be analysed, now or later, until the file itself changes."""


class TooShort(UnreadableAudio):
    """There is less than one second of sound."""


class SilentAudio(UnreadableAudio):
    """There is nothing to hear."""


class VanishedFile(FileProblem):
    """The file was there a moment ago and is gone, or cannot be opened at this moment."""

    status = 404


class TagsNotSupported(FileProblem):
    """Nomarr cannot write tags into this kind of file; its results stay in the database."""


class WriteFailed(FileProblem):
    """The tags could not be written; the original file is as it was."""

    status = 500


class FileChanged(WriteFailed):
    """Another program changed the file while Nomarr was writing its copy."""

    status = 409


class ModelProblem(NomarrError):
    """A model cannot be used; the text says which and why."""

    status = 503


class PackUnavailable(ModelProblem):
    """A model pack is not installed and could not be fetched."""


class NavidromeProblem(NomarrError):
    """Navidrome cannot be used as things are; `kind` says which way, in one word."""

    status = 502

    def __init__(self, message: str, *, kind: str) -> None:
        super().__init__(message)
        self.kind = kind
