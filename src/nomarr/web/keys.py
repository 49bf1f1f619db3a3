"""API keys for programs: who has one, making and revoking them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, Field

from nomarr.store import keys
from nomarr.store.keys import ApiKey, Scope
from nomarr.web.answers import Done, example, problems, utc
from nomarr.web.auth import needs, new_key, require_login
from nomarr.web.context import UseClock, UseDatabase
from nomarr.web.ids import LARGEST_ID
from nomarr.web.libraries import Name

router = APIRouter(prefix="/api/web/keys", tags=["auth"], dependencies=[Depends(require_login)])

KeyId = Annotated[int, Path(ge=1, le=LARGEST_ID)]
EXAMPLE = {
    "id": 3,
    "name": "Lidarr",
    "scope": "enqueue",
    "created_at": "2027-01-15T08:00:00Z",
    "last_used_at": "2027-01-16T19:30:12Z",
}


class KeyRequest(BaseModel):
    name: Name
    scope: Scope = Field(description="read: only look; enqueue: also have files analysed; admin: everything")


@dataclass(frozen=True)
class KeyAnswer:
    """A key by its name; `last_used_at` is right to a minute, null if it was never used."""

    id: int
    name: str
    scope: Scope
    created_at: str
    last_used_at: str | None


@dataclass(frozen=True)
class NewKeyAnswer(KeyAnswer):
    """A new key. `key` is what proves it; it is shown this once."""

    key: str


@router.get("", summary="List the API keys", responses=example([EXAMPLE]) | problems(401, 403, 503))
@needs("admin")
def list_keys(db: UseDatabase) -> list[KeyAnswer]:
    """Without the one of `nomarr key show`, which is not in the database."""
    with db.read() as tx:
        return [KeyAnswer(**_facts(key)) for key in keys.list_all(tx)]


@router.post(
    "",
    status_code=201,
    summary="Make an API key",
    responses=example(EXAMPLE | {"last_used_at": None, "key": "nom_6w7c..."}, status=201)
    | problems(400, 401, 403, 409, 413, 503),
)
def create_key(body: KeyRequest, db: UseDatabase, clock: UseClock) -> NewKeyAnswer:
    """The answer holds the key itself, once; only its hash is kept."""
    with db.write() as tx:
        made, key = new_key(tx, name=body.name, scope=body.scope, now=clock(tx))
    return NewKeyAnswer(**_facts(made), key=key)


@router.delete(
    "/{key_id}",
    summary="Revoke an API key",
    responses=example({"message": "Revoked", "status": "success"}) | problems(400, 401, 403, 404, 503),
)
def revoke_key(key_id: KeyId, db: UseDatabase) -> Done:
    """It opens nothing from now on."""
    with db.write() as tx:
        keys.revoke(tx, key_id)
    return Done("Revoked")


def _facts(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "scope": key.scope,
        "created_at": utc(key.created_at),
        "last_used_at": None if key.last_used_at is None else utc(key.last_used_at),
    }
