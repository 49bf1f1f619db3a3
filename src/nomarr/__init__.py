"""Nomarr listens to music files, scores what it hears, and writes it into them as tags.

The public names are loaded on first use, so that `import nomarr` stays quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nomarr.analysis import Analysis, Models, analyze
    from nomarr.errors import NomarrError
    from nomarr.tagfiles.audiofile import read_tags, remove_tags, write_tags

__version__ = "0.1.0"

__all__ = ["Analysis", "Models", "NomarrError", "__version__", "analyze", "read_tags", "remove_tags", "write_tags"]

_HOMES = {
    "Analysis": "nomarr.analysis",
    "Models": "nomarr.analysis",
    "analyze": "nomarr.analysis",
    "NomarrError": "nomarr.errors",
    "read_tags": "nomarr.tagfiles.audiofile",
    "write_tags": "nomarr.tagfiles.audiofile",
    "remove_tags": "nomarr.tagfiles.audiofile",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'nomarr' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
