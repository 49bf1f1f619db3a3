"""Statements about more files or values than a list of parameters may hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from nomarr.store.database import Transaction

CHUNK = 500  # in one statement: far below every limit on parameters
T = TypeVar("T")


def among(tx: Transaction, ids: Sequence[int]) -> tuple[str, str]:
    """SQL to stand behind a column, for any of these ids, and the value of its parameter `ids`."""
    listed = ",".join(map(str, ids))
    if tx.is_postgresql:
        return "= ANY (CAST(:ids AS INTEGER[]))", f"{{{listed}}}"
    return "IN (SELECT value FROM json_each(:ids))", f"[{listed}]"


def chunks(values: Sequence[T], size: int = CHUNK) -> Iterator[list[T]]:
    return (list(values[at : at + size]) for at in range(0, len(values), size))


def run_in_chunks(tx: Transaction, sql: str, ids: Sequence[int], **params: object) -> int:
    """Runs a statement about `id IN :ids` as often as it takes; says how many rows it changed in all."""
    return sum(tx.run(sql, ids=some, **params) for some in chunks(ids))
