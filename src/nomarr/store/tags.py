"""The tags of files, but for those that Nomarr wrote."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeVar

from nomarr.store.database import Transaction

# A row of a PostgreSQL index ends at 2,704 bytes, and a character takes up to four.
NAME_LIMIT, VALUE_LIMIT = 100, 500
LARGEST_INTEGER = 2**31 - 1

Fields = Mapping[str, Sequence[str]]
T = TypeVar("T")


def clean(value: T) -> T | str | None:
    """The value as both databases can hold it: no NUL, lone surrogate, absurd number or empty text."""
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "replace").decode() or None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
        return None
    return value


def replace_file_tags(tx: Transaction, file_id: int, mapping: Mapping[str, Sequence[str]]) -> None:
    """Make these the file's own tags. Long values (lyrics) are kept by their beginning."""
    tx.run("DELETE FROM file_tags WHERE file_id = :id", id=file_id)
    add_file_tags(tx, {file_id: mapping})


def add_file_tags(tx: Transaction, by_file: Mapping[int, Mapping[str, Sequence[str]]]) -> None:
    """Add the own tags of files that have none yet."""
    tx.many(
        "INSERT INTO file_tags (file_id, name, position, value) VALUES (:file_id, :name, :position, :value)",
        [
            {"file_id": file_id, "name": name, "position": position, "value": value}
            for file_id, mapping in by_file.items()
            for name, values in _values(mapping).items()
            for position, value in enumerate(values)
        ],
    )


def note_standard(tx: Transaction, file_id: int, *, before: Fields, after: Fields) -> None:
    """Take over what a write made of MOOD and GENRE; they were not there before, or ours."""
    values = {name: after.get(name.upper(), ()) for name in ("mood", "genre") if name.upper() in {**before, **after}}
    if not values:
        return
    tx.run("DELETE FROM file_tags WHERE file_id = :id AND name IN :names", id=file_id, names=list(values))
    add_file_tags(tx, {file_id: values})
    if "genre" in values:
        genre = next(iter(values["genre"]), None)
        tx.run("UPDATE library_files SET genre = :genre WHERE id = :id", genre=genre, id=file_id)


def file_tags(tx: Transaction, file_id: int) -> dict[str, tuple[str, ...]]:
    """The file's own tags."""
    rows = tx.all("SELECT name, value FROM file_tags WHERE file_id = :id", id=file_id)
    names = sorted({row["name"] for row in rows})
    return {name: tuple(row["value"] for row in rows if row["name"] == name) for name in names}


def _values(mapping: Fields) -> dict[str, list[str]]:
    """Each tag's different values, as the database can hold them."""
    pairs = (
        ((clean(name) or "")[:NAME_LIMIT], (clean(value) or "")[:VALUE_LIMIT])
        for name, values in mapping.items()
        for value in values
    )
    found: dict[str, list[str]] = {}
    for name, value in dict.fromkeys(pair for pair in pairs if all(pair)):
        found.setdefault(name, []).append(value)
    return found
