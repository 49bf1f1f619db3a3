"""The ids of things, as requests name them."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query
from pydantic import Field

LARGEST_ID = 2**31 - 1  # what a column of ids holds in PostgreSQL

Id = Annotated[int, Field(ge=1, le=LARGEST_ID)]
FileId = Annotated[int, Path(ge=1, le=LARGEST_ID)]
LibraryId = Annotated[
    int | None, Query(ge=1, le=LARGEST_ID, description="only this library; by default all that are enabled")
]
