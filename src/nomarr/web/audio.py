"""The sound of a file, for listening to it."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends
from fastapi.responses import FileResponse
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from nomarr.errors import Forbidden, InvalidInput, NotFound, printable
from nomarr.store import files, libraries
from nomarr.web.answers import problem, problems
from nomarr.web.auth import require_login
from nomarr.web.context import UseDatabase, UseSettings
from nomarr.web.ids import FileId

router = APIRouter(prefix="/api/web/files", tags=["files"], dependencies=[Depends(require_login)])

# By the ending; what is not named here no browser plays.
TYPES = {
    "aac": "audio/aac",
    "ac3": "audio/ac3",
    "aif": "audio/aiff",
    "aifc": "audio/aiff",
    "aiff": "audio/aiff",
    "alac": "audio/mp4",
    "caf": "audio/x-caf",
    "flac": "audio/flac",
    "m4a": "audio/mp4",
    "m4b": "audio/mp4",
    "mka": "audio/x-matroska",
    "mp2": "audio/mpeg",
    "mp3": "audio/mpeg",
    "mp4": "audio/mp4",
    "oga": "audio/ogg",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
    "spx": "audio/ogg",
    "wav": "audio/wav",
    "webm": "audio/webm",
    "wma": "audio/x-ms-wma",
    "wv": "audio/x-wavpack",
}
UNKNOWN = "application/octet-stream"
SOUND: dict[int | str, dict[str, Any]] = {
    200: {"content": {"audio/*": {"schema": {"type": "string", "format": "binary"}, "example": "the file's bytes"}}}
}


class Sound(FileResponse):
    """A file or a part of it; a range that the file does not have is refused in the shape of all errors."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wanted = Headers(scope=scope).get("range", "")
        assert self.stat_result is not None  # noqa: S101 (looked at by who made this)
        size = self.stat_result.st_size
        if _is_beyond(wanted, size):
            refusal = problem(416, f"Range: the file has {size} bytes, and it lies behind them")
            refusal.headers["Content-Range"] = f"bytes */{size}"
            await refusal(scope, receive, send)
            return
        if not _is_one_range(wanted):  # as RFC 9110 has it: a range that makes no sense is as none
            scope = {**scope, "headers": [(name, value) for name, value in scope["headers"] if name != b"range"]}
        await super().__call__(scope, receive, send)


@router.get(
    "/{file_id}/audio",
    summary="The sound of a file",
    response_class=Sound,
    responses=SOUND | problems(400, 401, 403, 404, 416, 503),
)
def audio(file_id: FileId, db: UseDatabase, settings: UseSettings) -> Sound:
    """The file as it is, or the part that `Range` asks for (206). Not every browser plays every format."""
    with db.read() as tx:
        file = files.get(tx, file_id)
        root = libraries.get(tx, file.library_id).root_path
    real = Path(os.path.realpath(settings.here(file.path)))
    if not real.is_relative_to(os.path.realpath(settings.here(root))):
        raise Forbidden(f"{printable(file.path)} leads out of its library")
    try:
        found = real.stat()
    except OSError as error:
        raise NotFound(f"File not found: {printable(file.path)}") from error
    if not stat.S_ISREG(found.st_mode) or not os.access(real, os.R_OK):
        raise InvalidInput(f"{printable(file.path)}: cannot be read")
    kept = {"Cache-Control": "private, no-cache"}  # or winding back would fetch it again
    return Sound(real, headers=kept, media_type=TYPES.get(real.suffix[1:].lower(), UNKNOWN), stat_result=found)


def _is_one_range(text: str) -> bool:
    unit, _, ends = text.partition("=")
    first, dash, last = ends.strip().partition("-")
    are_numbers = all(end == "" or (end.isascii() and end.isdigit() and len(end) < 20) for end in (first, last))
    if unit.strip().lower() != "bytes" or not dash or not are_numbers:
        return False
    return int(first) <= int(last) if first and last else bool(first or last)


def _is_beyond(text: str, size: int) -> bool:
    """Whether a sensible range begins after the end, or is of nothing."""
    if not _is_one_range(text):
        return False
    first, _, last = text.partition("=")[2].strip().partition("-")
    return int(first) >= size if first else int(last) == 0 or size == 0
