"""Numbers that only grow: what all workers together have done, and how long each part of it took."""

from __future__ import annotations

from collections.abc import Mapping

from nomarr.store.database import Transaction


def add(tx: Transaction, amounts: Mapping[str, float]) -> None:
    tx.many(
        """
        INSERT INTO counters (name, value) VALUES (:name, :amount)
        ON CONFLICT (name) DO UPDATE SET value = counters.value + excluded.value
        """,
        # In one order: two workers that add at the same time wait for each other, never crosswise.
        [{"name": name, "amount": amount} for name, amount in sorted(amounts.items())],
    )


def read(tx: Transaction) -> dict[str, float]:
    return {row["name"]: float(row["value"]) for row in tx.all("SELECT name, value FROM counters ORDER BY name")}
