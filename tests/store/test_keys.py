"""API keys in the database."""

from __future__ import annotations

import pytest

from nomarr.errors import Conflict, NotFound
from nomarr.store import keys
from nomarr.store.database import Database


def test_a_key_is_found_by_its_hash_until_it_is_revoked(db: Database) -> None:
    with db.write() as tx:
        made = keys.add(tx, name="Lidarr", scope="enqueue", key_hash="h", now=5)
        assert keys.find(tx, "h") == made == keys.ApiKey(made.id, "Lidarr", "enqueue", 5, None)
        assert keys.find(tx, "other") is None
        keys.revoke(tx, made.id)
        assert keys.find(tx, "h") is None
        with pytest.raises(NotFound, match="API key not found"):
            keys.revoke(tx, made.id)


def test_two_keys_cannot_have_one_name(db: Database) -> None:
    with db.write() as tx:
        keys.add(tx, name="Lidarr", scope="enqueue", key_hash="a", now=5)
    with pytest.raises(Conflict, match="Lidarr"), db.write() as tx:
        keys.add(tx, name="Lidarr", scope="read", key_hash="b", now=6)
    with db.read() as tx:
        assert [key.scope for key in keys.list_all(tx)] == ["enqueue"]


def test_a_use_is_noted_once_a_minute(db: Database) -> None:
    with db.write() as tx:
        made = keys.add(tx, name="a", scope="read", key_hash="a", now=5)
        assert not made.is_use_noted(now=5)
        assert keys.note_use(tx, made.id, now=1000)
        used = keys.list_all(tx)[0]
        assert used.last_used_at == 1000
        assert used.is_use_noted(now=60_999)
        assert not used.is_use_noted(now=61_000)
        keys.revoke(tx, made.id)
        assert not keys.note_use(tx, made.id, now=2000)
