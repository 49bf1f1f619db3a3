"""What one process does for all that share the database: whoever holds the lease, until it stops renewing it."""

from __future__ import annotations

from nomarr.store.database import Transaction


def take(tx: Transaction, name: str, *, owner: str, now: int, lease_ms: int) -> bool:
    """Take the lease, or renew it; False while another owner's has not run out."""
    taken = tx.run(
        """
        INSERT INTO leases (name, owner, until) VALUES (:name, :owner, :until)
        ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, until = excluded.until
         WHERE leases.owner = :owner OR leases.until < :now
        """,
        name=name,
        owner=owner,
        until=now + lease_ms,
        now=now,
    )
    return taken == 1


def give_up(tx: Transaction, name: str, *, owner: str) -> None:
    """Let another have it at once."""
    tx.run("DELETE FROM leases WHERE name = :name AND owner = :owner", name=name, owner=owner)
