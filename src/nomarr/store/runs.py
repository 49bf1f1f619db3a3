"""One run over a part of the files: what is left, what was done since it began, and what it should take up again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nomarr.store.claims import READY, Scope, within
from nomarr.store.database import Transaction
from nomarr.store.files import FROM, join_path

LOW_PRIORITY = -10  # behind everything new
RESULT = """
               f.id AS file_id, l.root_path, f.folder, f.name, f.artist, f.title, f.analyzed_at, f.written_at,
               COALESCE(f.error, f.write_error) AS error, f.updated_at
"""


@dataclass(frozen=True)
class Remaining:
    """`ready` files wait for a worker, `running` ones are in somebody's hands."""

    ready: int
    running: int

    @property
    def total(self) -> int:
        return self.ready + self.running


@dataclass(frozen=True)
class Result:
    """What became of one file in a run."""

    file_id: int
    path: str
    artist: str | None
    title: str | None
    analyzed_at: int | None
    written_at: int | None
    error: str | None
    updated_at: int


def remaining(tx: Transaction, scopes: Sequence[Scope], *, now: int, listen_only: bool = False) -> Remaining:
    condition, params = any_of(scopes)
    ready = f"{READY} AND f.needs_tagging" if listen_only else READY
    row = tx.one(
        f"""
        SELECT COUNT(*) FILTER (WHERE {ready})                AS ready,
               COUNT(*) FILTER (WHERE f.lease_until >= :now)  AS running
          {FROM}
         WHERE {condition}
        """,
        now=now,
        **params,
    )
    assert row is not None  # noqa: S101 (an aggregate always has a row)
    return Remaining(**row)


def results(tx: Transaction, scopes: Sequence[Scope], *, since: int, limit: int = 100_000) -> list[Result]:
    """Files that were finished, written or set aside at or after `since`, in that order."""
    condition, params = any_of(scopes)
    rows = tx.all(
        f"""
        SELECT {RESULT}
          {FROM}
         WHERE {condition}
           AND f.updated_at >= :since
           AND f.lease_until IS NULL
           AND f.missing_since IS NULL
           AND (f.analyzed_at >= :since OR f.written_at >= :since OR f.error IS NOT NULL OR f.write_error IS NOT NULL)
         ORDER BY f.updated_at, f.id
         LIMIT :limit
        """,
        since=since,
        limit=limit,
        **params,
    )
    return [_result(row) for row in rows]


def tally(tx: Transaction, scopes: Sequence[Scope], *, since: int) -> tuple[int, int]:
    """How many files were analysed, and how many written, at or after `since`."""
    condition, params = any_of(scopes)
    row = tx.one(
        f"""
        SELECT COUNT(*) FILTER (WHERE f.analyzed_at >= :since)  AS heard,
               COUNT(*) FILTER (WHERE f.written_at  >= :since)  AS written
          {FROM}
         WHERE {condition}
           AND f.updated_at >= :since
        """,
        since=since,
        **params,
    )
    assert row is not None  # noqa: S101 (an aggregate always has a row)
    return row["heard"], row["written"]


def troubled(tx: Transaction, scopes: Sequence[Scope], *, limit: int) -> tuple[int, list[Result]]:
    """How many files in scope have a problem, and the first of them."""
    condition, params = any_of(scopes)
    where = f"""
         WHERE {condition}
           AND f.missing_since IS NULL
           AND (f.error IS NOT NULL OR (f.needs_write AND f.write_error IS NOT NULL))
    """
    count = tx.scalar(f"SELECT COUNT(*) {FROM} {where}", **params)
    rows = tx.all(
        f"""
        SELECT {RESULT}
          {FROM} {where}
         ORDER BY f.folder, f.name
         LIMIT :limit
        """,
        limit=limit,
        **params,
    )
    return int(count), [_result(row) for row in rows]


def analysed(tx: Transaction, scopes: Sequence[Scope], *, after: int = 0, limit: int = 500) -> list[Result]:
    """Files in scope with a current analysis, by id, a page after `after`."""
    condition, params = any_of(scopes)
    rows = tx.all(
        f"""
        SELECT {RESULT}
          {FROM}
         WHERE {condition}
           AND f.id > :after
           AND f.analyzed_at IS NOT NULL AND NOT f.needs_tagging AND f.missing_since IS NULL
         ORDER BY f.id
         LIMIT :limit
        """,
        after=after,
        limit=limit,
        **params,
    )
    return [_result(row) for row in rows]


def take_up_again(tx: Transaction, scopes: Sequence[Scope], *, now: int) -> int:
    """Has results written that are not in their files: failed, put off, or taken out on request."""
    _change(tx, scopes, "hands_off = FALSE", "hands_off", now=now)
    return _change(
        tx,
        scopes,
        "needs_write = TRUE, not_before = NULL, write_error = NULL, write_failures = 0",
        "analyzed_at IS NOT NULL AND (needs_write OR written_hash IS NULL)",
        now=now,
    ) + _change(tx, scopes, "not_before = NULL", "needs_tagging AND not_before IS NOT NULL AND NOT set_aside", now=now)


def heard_by_others(
    tx: Transaction, suite: str, scopes: Sequence[Scope] = (), *, until: int, after: int, limit: int
) -> list[int]:
    """Files in scope whose analysis was made with other models before `until`, by id, a page after `after`."""
    condition, params = any_of(scopes)
    rows = tx.tuples(
        f"""
        SELECT f.id
          {FROM}
         WHERE {condition}
           AND f.id > :after
           AND f.suite <> :suite AND f.analyzed_at <= :until
           AND NOT f.needs_tagging AND NOT f.set_aside AND f.missing_since IS NULL
         ORDER BY f.id
         LIMIT :limit
        """,
        suite=suite,
        until=until,
        after=after,
        limit=limit,
        **params,
    )
    return [row[0] for row in rows]


def hear_again(tx: Transaction, ids: Sequence[int], suite: str, *, now: int) -> set[int]:
    """Has the files listened to again, behind all new music, that were analysed with other models; says which.

    None that a worker has in hand, and none that has been analysed since.
    """
    rows = tx.tuples(
        """
        UPDATE library_files
           SET needs_tagging = TRUE, priority = :low, attempts = 0, updated_at = :now
         WHERE id IN :ids
           AND suite <> :suite AND NOT needs_tagging AND NOT set_aside AND missing_since IS NULL
           AND (lease_until IS NULL OR lease_until < :now)
        RETURNING id
        """,
        ids=list(ids),
        suite=suite,
        low=LOW_PRIORITY,
        now=now,
    )
    return {row[0] for row in rows}


def keep_hands_off(tx: Transaction, file_id: int, *, now: int) -> bool:
    """Has nobody write our tags into the file until somebody asks for them; False while a worker has it in hand."""
    changed = tx.run(
        """
        UPDATE library_files SET hands_off = TRUE
         WHERE id = :id AND (lease_until IS NULL OR lease_until < :now)
        """,
        id=file_id,
        now=now,
    )
    return changed == 1


def hand_back(tx: Transaction, file_id: int) -> None:
    """Takes `keep_hands_off` back."""
    tx.run("UPDATE library_files SET hands_off = FALSE WHERE id = :id", id=file_id)


def forget_write(tx: Transaction, file_id: int, *, size: int, mtime_ns: int, now: int) -> None:
    """Notes that our tags were taken out of the file, so that a scan does not miss them there."""
    tx.run(
        """
        UPDATE library_files
           SET written_hash = NULL, written_at = NULL, needs_write = FALSE, write_error = NULL,
               write_failures = 0, calibration = NULL, hands_off = TRUE,
               size = :size, mtime_ns = :mtime_ns, updated_at = :now
         WHERE id = :id
        """,
        id=file_id,
        size=size,
        mtime_ns=mtime_ns,
        now=now,
    )


def in_scope(tx: Transaction, scopes: Sequence[Scope], *, after: int, limit: int) -> list[tuple[int, str]]:
    """The files in scope that are not missing, as (id, path), by id, a page after `after`."""
    condition, params = any_of(scopes)
    rows = tx.all(
        f"""
        SELECT f.id, l.root_path, f.folder, f.name
          {FROM}
         WHERE {condition} AND f.id > :after AND f.missing_since IS NULL
         ORDER BY f.id
         LIMIT :limit
        """,
        after=after,
        limit=limit,
        **params,
    )
    return [(row["id"], join_path(row["root_path"], row["folder"], row["name"])) for row in rows]


def _change(
    tx: Transaction, scopes: Sequence[Scope], assignments: str, condition: str, *, now: int, **more: Any
) -> int:
    chosen, params = any_of(scopes)
    return tx.run(
        f"""
        UPDATE library_files
           SET {assignments}, updated_at = :now
         WHERE id IN (SELECT f.id {FROM}
                       WHERE {chosen} AND f.missing_since IS NULL
                         AND (f.lease_until IS NULL OR f.lease_until < :now))
           AND {condition}
        """,
        now=now,
        **more,
        **params,
    )


def any_of(scopes: Sequence[Scope]) -> tuple[str, dict[str, Any]]:
    """SQL for files in any of the scopes; without a scope, in any enabled library."""
    if not scopes:
        return "l.is_enabled", {}
    parts: list[str] = []
    params: dict[str, Any] = {}
    for number, scope in enumerate(scopes):
        condition, own = within(scope)
        parts.append("(" + re.sub(r":(\w+)", rf":s{number}_\1", condition) + ")")
        params.update({f"s{number}_{name}": value for name, value in own.items()})
    return f"({' OR '.join(parts)})", params


def _result(row: Any) -> Result:
    facts = dict(row)
    path = join_path(facts.pop("root_path"), facts.pop("folder"), facts.pop("name"))
    return Result(path=path, **facts)
