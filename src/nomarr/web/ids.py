"""Numbers and the ids of things, as requests name them."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query
from pydantic import BeforeValidator, Field

LARGEST_ID = 2**31 - 1  # what a column of ids holds in PostgreSQL


def _no_truth(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("should be a number, not true or false")  # noqa: TRY004 (pydantic reports these)
    return value


Whole = Annotated[int, BeforeValidator(_no_truth)]  # in a body; pydantic would read true as 1
Id = Annotated[Whole, Field(ge=1, le=LARGEST_ID)]
FileId = Annotated[int, Path(ge=1, le=LARGEST_ID)]
LibraryId = Annotated[
    int | None, Query(ge=1, le=LARGEST_ID, description="only this library; by default all that are enabled")
]
