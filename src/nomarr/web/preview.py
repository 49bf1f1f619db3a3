"""What tagging would do to a few of one's own files, before anything is set up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from nomarr import __version__
from nomarr.errors import Conflict, FileProblem, Forbidden, printable
from nomarr.folders import Scope, Walk, readable_root, rule
from nomarr.moods.tags import tags_for
from nomarr.scores import Moods
from nomarr.settings import Settings
from nomarr.tagfiles.audiofile import plan_write
from nomarr.tagfiles.standard import shown
from nomarr.wanted import standard_values
from nomarr.web.answers import example, problems
from nomarr.web.auth import require_login
from nomarr.web.context import UseDatabase, UseSettings
from nomarr.web.folders import browse_roots, is_within
from nomarr.web.ids import Whole
from nomarr.web.libraries import Mode
from nomarr.web.paths import AbsolutePath
from nomarr.web.writes import FieldChange

router = APIRouter(prefix="/api/web/preview-write", tags=["writes"], dependencies=[Depends(require_login)])

MOST = 5  # files: some ten seconds of listening
LOOKED_AT = 500  # files among which those are chosen, so that not all come from one folder
MOST_FOLDERS = 2000  # where a folder of folders holds no music at all
LARGEST = 60_000_000  # bytes; larger ones, live sets for instance, are left for later where there are others
PATIENCE_S = 90
EXAMPLE = {
    "files": [
        {
            "path": "/music/Artist/Album/Track.mp3",
            "moods": {"strict": ["calm"], "regular": ["calm"], "loose": ["calm", "acoustic"]},
            "changes": [{"field": "nom:mood-strict", "before": [], "after": ["calm"]}],
            "problem": None,
        }
    ],
}
_one_at_a_time = threading.Lock()


class Folder(BaseModel):
    root_path: AbsolutePath
    file_write_mode: Mode = Field(default="native", description="what would go into the files")
    limit: Whole = Field(default=MOST, ge=1, le=MOST)


@dataclass(frozen=True)
class FilePreview:
    """What was heard in a file, each tier with the one before it, and what would be written.

    `problem` says why nothing could be.
    """

    path: str
    moods: Moods
    changes: list[FieldChange]
    problem: str | None = None


@dataclass(frozen=True)
class Preview:
    """A few files of a folder; none where it holds no music."""

    files: list[FilePreview]


@router.post(
    "",
    summary="Listen to a few files of a folder and show what would be written",
    responses=example(EXAMPLE) | problems(400, 401, 403, 404, 409, 413, 503),
)
def preview(body: Folder, db: UseDatabase, settings: UseSettings) -> Preview:
    """At most five, in some ten seconds; no file is touched and nothing is kept. One request at a time."""
    root = os.path.realpath(body.root_path)
    if not is_within(root, browse_roots(db, settings)):
        raise Forbidden(f"{printable(body.root_path)} lies outside the folders that may be looked into")
    readable_root(root)
    if not _one_at_a_time.acquire(blocking=False):
        raise Conflict("Nomarr listens to a few files already; try again in some seconds")
    try:
        chosen = _choose(root, settings, body.limit)
        heard = _listen(chosen, settings)
    finally:
        _one_at_a_time.release()
    return Preview([_preview(path, heard.get(printable(path)), body.file_write_mode, settings) for path in chosen])


def _choose(root: str, settings: Settings, count: int) -> list[str]:
    """Files from all over the first folders, as a scan would find them."""
    walk = Walk(root, tuple(rule("", pattern) for pattern in settings.library_ignore_patterns))
    listings = islice(walk.listings(Scope("", recursive=True)), MOST_FOLDERS)
    found = list(islice((seen for listing in listings for seen in listing.audio), LOOKED_AT))
    handy = [seen for seen in found if 0 < seen.size <= LARGEST] or found
    step = max(1, len(handy) // count)
    return [seen.path for seen in handy[::step][:count]]


def _listen(paths: Sequence[str], settings: Settings) -> dict[str, dict[str, Any]]:
    """What `nomarr analyze` says of each, in a process of its own: a file that crashes a decoder ends no server."""
    if not paths:
        return {}
    command = [sys.executable, "-m", "nomarr", "analyze", "--json", *paths]
    with subprocess.Popen(
        command,
        env={**os.environ, **settings.as_environment()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            out, _ = process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            out, _ = process.communicate()
    whole = out[: out.rfind("\n") + 1]  # the last line may have been cut short
    return {found["path"]: found for found in map(json.loads, whole.splitlines())}


def _preview(path: str, heard: dict[str, Any] | None, mode: str, settings: Settings) -> FilePreview:
    if heard is None:
        return FilePreview(printable(path), Moods(), [], "nothing could be heard in it")
    moods = Moods(**{tier: tuple(words) for tier, words in heard["moods"].items()})
    wanted = tags_for(heard["scores"], moods, mode=mode, version=__version__, suite=heard["suite"])
    if wanted:
        wanted |= standard_values(heard["scores"], moods, settings.standard_fields)
    try:
        change = plan_write(path, wanted, namespace=settings.namespace)
    except FileProblem as error:
        return FilePreview(printable(path), moods, [], error.why)
    fields = [FieldChange(shown(settings.namespace, name), list(old), list(new)) for name, old, new in change]
    return FilePreview(printable(path), moods, fields if wanted else [])
