"""Sessions of people who logged in, by the hash of their token."""

from __future__ import annotations

from nomarr.store.database import Transaction


def add(tx: Transaction, token_hash: str, now: int) -> None:
    tx.run(
        "INSERT INTO sessions (token_hash, created_at, last_used_at) VALUES (:hash, :now, :now)",
        hash=token_hash,
        now=now,
    )


def is_alive(tx: Transaction, token_hash: str, now: int, timeout_ms: int) -> bool:
    """Whether the session was used within the timeout; changes nothing."""
    used = tx.scalar("SELECT last_used_at FROM sessions WHERE token_hash = :hash", hash=token_hash)
    return used is not None and used > now - timeout_ms


def touch(tx: Transaction, token_hash: str, now: int, timeout_ms: int) -> bool:
    """Whether the session is alive; if so, its timeout starts anew. One that is not is removed."""
    if not is_alive(tx, token_hash, now, timeout_ms):
        delete(tx, token_hash)
        return False
    tx.run(
        "UPDATE sessions SET last_used_at = :now WHERE token_hash = :hash AND last_used_at < :now",
        hash=token_hash,
        now=now,
    )
    return True


def delete(tx: Transaction, token_hash: str) -> None:
    tx.run("DELETE FROM sessions WHERE token_hash = :hash", hash=token_hash)


def delete_all(tx: Transaction) -> int:
    """End every session, as when the password changes; says how many."""
    return tx.run("DELETE FROM sessions")


def delete_ended(tx: Transaction, now: int, timeout_ms: int) -> int:
    """Remove sessions nobody used within the timeout; says how many."""
    return tx.run("DELETE FROM sessions WHERE last_used_at <= :ended", ended=now - timeout_ms)
