"""API keys: who may do what from programs, known only by the hash of the key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nomarr.errors import Conflict, NotFound
from nomarr.store.database import Transaction

Scope = Literal["read", "enqueue", "admin"]  # each may do what the one before it may

COLUMNS = "id, name, scope, created_at, last_used_at"
USE_NOTED_EVERY_MS = 60_000


@dataclass(frozen=True)
class ApiKey:
    """A key, but not what proves it."""

    id: int
    name: str
    scope: Scope
    created_at: int
    last_used_at: int | None

    def is_use_noted(self, *, now: int) -> bool:
        """Whether its use was written down within the last minute."""
        return self.last_used_at is not None and now - self.last_used_at < USE_NOTED_EVERY_MS


def add(tx: Transaction, *, name: str, scope: Scope, key_hash: str, now: int) -> ApiKey:
    """A new key. Conflict if its name is taken."""
    row = tx.one(
        f"""
        INSERT INTO api_keys (name, scope, key_hash, created_at)
        VALUES (:name, :scope, :key_hash, :now)
        ON CONFLICT (name) DO NOTHING
        RETURNING {COLUMNS}
        """,
        name=name,
        scope=scope,
        key_hash=key_hash,
        now=now,
    )
    if row is None:
        raise Conflict(f"There is already an API key named {name}")
    return ApiKey(**row)


def list_all(tx: Transaction) -> list[ApiKey]:
    return [ApiKey(**row) for row in tx.all(f"SELECT {COLUMNS} FROM api_keys ORDER BY id")]


def find(tx: Transaction, key_hash: str) -> ApiKey | None:
    row = tx.one(f"SELECT {COLUMNS} FROM api_keys WHERE key_hash = :key_hash", key_hash=key_hash)
    return None if row is None else ApiKey(**row)


def note_use(tx: Transaction, key_id: int, *, now: int) -> bool:
    """Write down that the key was used; False if it was revoked."""
    used = tx.run("UPDATE api_keys SET last_used_at = :now WHERE id = :id", id=key_id, now=now)
    return used == 1


def revoke(tx: Transaction, key_id: int) -> None:
    """Remove the key: it opens nothing from now on."""
    if tx.run("DELETE FROM api_keys WHERE id = :id", id=key_id) != 1:
        raise NotFound(f"API key not found: {key_id}")
