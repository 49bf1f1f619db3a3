"""Paths as clients send them."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field


def _absolute(path: str) -> str:
    if "\0" in path:
        raise ValueError("a path cannot hold a NUL character")
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise ValueError("a path must be valid Unicode text") from error
    if not path.startswith("/"):
        raise ValueError("it must be an absolute path, one that starts with /")
    return path


AbsolutePath = Annotated[str, AfterValidator(_absolute), Field(examples=["/music/Artist/Album"])]
