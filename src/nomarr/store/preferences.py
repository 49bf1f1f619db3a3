"""What a person set while Nomarr was running, and what Nomarr itself must remember."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from nomarr.store.database import Transaction


def get(tx: Transaction, key: str, default: Any = None) -> Any:
    """The value, or the default if none was set."""
    text = tx.scalar("SELECT value FROM preferences WHERE key = :key", key=key)
    return default if text is None else json.loads(text)


def texts(tx: Transaction, keys: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Those of the keys that are set, each with its value as JSON text."""
    rows = tx.tuples("SELECT key, value FROM preferences WHERE key IN :keys ORDER BY key", keys=keys)
    return tuple((key, value) for key, value in rows)


def put(tx: Transaction, key: str, value: Any) -> None:
    """Set to anything that JSON can say."""
    tx.run(
        """
        INSERT INTO preferences (key, value) VALUES (:key, :value)
        ON CONFLICT (key) DO UPDATE SET value = excluded.value
        """,
        key=key,
        value=json.dumps(value, ensure_ascii=False),
    )


def remove(tx: Transaction, key: str) -> None:
    """Back to the default."""
    tx.run("DELETE FROM preferences WHERE key = :key", key=key)
