"""Another password for those who know the one that holds."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from nomarr.errors import Conflict, InvalidInput
from nomarr.store import preferences
from nomarr.web.answers import example, problems
from nomarr.web.auth import (
    LONGEST_PASSWORD,
    PASSWORD,
    Login,
    Password,
    begin_session,
    change_password,
    is_right,
    require_login,
    wait_for_turn,
)
from nomarr.web.context import UseClock, UseDatabase, UseSettings

router = APIRouter(prefix="/api/web/auth", tags=["auth"], dependencies=[Depends(require_login)])

SHORTEST = 8
EXAMPLE = {"session_token": "xEC1SilYPKLbz8Bkg-QNM7rsEinA8ic27UOcfa0evik", "expires_in": 86400}

Text = Annotated[Password, Field(max_length=LONGEST_PASSWORD)]


class NewPassword(BaseModel):
    current_password: Text = Field(min_length=1)
    new_password: Text = Field(min_length=SHORTEST)


@router.post(
    "/password",
    summary="Change the password",
    responses=example(EXAMPLE) | problems(400, 401, 403, 409, 413, 429, 503),
    dependencies=[Depends(wait_for_turn)],
)
def change(
    body: NewPassword,
    request: Request,
    response: Response,
    db: UseDatabase,
    settings: UseSettings,
    clock: UseClock,
) -> Login:
    """Every session ends; the answer holds a new one. Refused where the settings decide the password."""
    if settings.admin_password is not None and settings.admin_password.get_secret_value():
        raise Conflict("The password is decided by NOMARR_ADMIN_PASSWORD (or nomarr.yaml); change it there")
    with db.read() as tx:
        stored = preferences.get(tx, PASSWORD)
    if stored is None or not is_right(body.current_password.get_secret_value(), stored):
        raise InvalidInput("current_password: it is not the password that holds now")
    hashed = change_password(db, body.new_password.get_secret_value())
    return begin_session(request, response, db, settings, clock, password=hashed)
