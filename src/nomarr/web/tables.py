"""Answers as tables: CSV for spreadsheets, of any answer that is a list of numbers."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from itertools import chain, islice
from typing import Annotated, Any, Literal

from fastapi import Depends, Query, Request
from fastapi.responses import StreamingResponse

from nomarr.web.answers import example

MEDIA_TYPE = "text/csv"
ROWS = 500  # in one piece of the stream
FORMULAS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # the latter are their full-width forms
UNSHOWN = "links"  # no column


async def _wants_csv(
    request: Request,
    format: Annotated[  # noqa: A002 (as requests name it)
        Literal["json", "csv"] | None,
        Query(description="`csv` for a spreadsheet, as `Accept: text/csv` does; what is said here goes first"),
    ] = None,
) -> bool:
    return format == "csv" if format is not None else _prefers_csv(request.headers.get("accept", ""))


WantsCsv = Annotated[bool, Depends(_wants_csv)]


def csv_example(answer: Any, table: str) -> dict[int | str, dict[str, Any]]:
    """What a route answers, in both shapes, for its documentation."""
    documented = example(answer)
    documented[200]["content"][MEDIA_TYPE] = {"schema": {"type": "string"}, "example": table}
    return documented


def csv_of(name: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> StreamingResponse:
    """A file of that name, in pieces; RFC 4180 in UTF-8, the header first."""
    return StreamingResponse(
        pieces(chain([header], rows)),
        media_type=f"{MEDIA_TYPE}; charset=utf-8; header=present",
        headers={"Content-Disposition": f'attachment; filename="{name}.csv"', "Vary": "Accept"},
    )


def csv_of_rows(name: str, kind: type[Any], items: Iterable[Any]) -> StreamingResponse:
    """The same of dataclasses: a column for each field."""
    columns = [field.name for field in fields(kind) if field.name != UNSHOWN]
    return csv_of(name, columns, ([getattr(item, column) for column in columns] for item in items))


def pieces(rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """The rows as text, some hundred at a time."""
    remaining = iter(rows)
    while piece := list(islice(remaining, ROWS)):
        text = io.StringIO()
        csv.writer(text, lineterminator="\r\n").writerows([[_cell(value) for value in row] for row in piece])
        yield text.getvalue()


def _cell(value: Any) -> Any:
    """Text that a spreadsheet would take for a formula gets an apostrophe before it, which makes it text again."""
    if isinstance(value, str) and (value.lstrip().startswith(FORMULAS) or value[:1] in ("\t", "\r", "\n")):
        return f"'{value}"
    return value


def _prefers_csv(accept: str) -> bool:
    """Whether CSV is asked for by name, and no less than JSON."""
    wishes: dict[str, float] = {}
    for part in accept.lower().split(","):
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        weight = next((one[2:] for one in parameters if one.startswith("q=")), "1")
        wishes[kind] = float(weight) if weight.replace(".", "", 1).isdigit() else 1.0
    return wishes.get(MEDIA_TYPE, 0.0) > wishes.get("application/json", 0.0)
