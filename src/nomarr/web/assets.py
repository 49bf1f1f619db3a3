"""Styles, scripts and icons of the pages: open to everybody, kept by browsers for good by the version in the path."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request, Response

from nomarr.errors import NotFound, printable

router = APIRouter()

FOLDER = Path(__file__).parent / "static"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".sh": "text/x-shellscript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
FOR_GOOD = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
# An image opened by itself is a document; ours need no more than their own style.
DOCUMENT = {"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"}


@dataclass(frozen=True)
class Asset:
    """A file as it is sent."""

    content: bytes
    compressed: bytes
    type: str


@cache
def assets() -> dict[str, Asset]:
    """Every file by its path below the folder; all of them together are smaller than a photograph."""
    found = {}
    for path in sorted(FOLDER.rglob("*")):
        if path.suffix in TYPES:
            content = path.read_bytes()
            name = path.relative_to(FOLDER).as_posix()
            found[name] = Asset(content, gzip.compress(content, mtime=0), TYPES[path.suffix])
    return found


@cache
def version() -> str:
    """Changes with any of the files: modules name one another by relative paths, so one version must do for all."""
    digest = hashlib.sha256()
    for name, asset in assets().items():
        digest.update(name.encode() + b"\0" + asset.content + b"\0")
    return digest.hexdigest()[:12]


@router.get("/static/{of_version}/{name:path}", include_in_schema=False)
def static(of_version: str, name: str, request: Request) -> Response:
    asset = assets().get(name)
    if asset is None:
        raise NotFound(f"There is nothing at {printable(request.url.path)}")
    headers = FOR_GOOD | DOCUMENT if of_version == version() else DOCUMENT  # an open page after an update
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(asset.compressed, headers=headers | {"Content-Encoding": "gzip"}, media_type=asset.type)
    return Response(asset.content, headers=headers, media_type=asset.type)
