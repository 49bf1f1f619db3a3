"""What a request brings to say who it is from: a session's cookie, its token, or an API key in one of four places."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from fastapi.security import APIKeyCookie, APIKeyHeader, APIKeyQuery, HTTPAuthorizationCredentials, HTTPBearer
from fastapi.security.http import HTTPBase

COOKIE = "nomarr_session"

_bearer = HTTPBearer(auto_error=False, description="The session_token that a login answered with, or an API key")
_basic = HTTPBase(
    scheme="basic", scheme_name="HTTPBasic", auto_error=False, description="An API key as the password, any user"
)
_header = APIKeyHeader(name="X-Api-Key", auto_error=False, description="An API key")
_query = APIKeyQuery(name="apikey", auto_error=False, description="An API key, where headers cannot be sent")
_cookie = APIKeyCookie(name=COOKIE, auto_error=False, description="Set by a login, for browsers")


@dataclass(frozen=True)
class Credentials:
    """What a request brought, other than a cookie: a session's token or an API key."""

    token: str
    is_basic: bool = False  # which may be meant for a proxy in front


# async: FastAPI would run a plain function in a thread, only to look at headers.
async def _credentials(
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    basic: Annotated[HTTPAuthorizationCredentials | None, Depends(_basic)],
    header: Annotated[str | None, Depends(_header)],
    query: Annotated[str | None, Depends(_query)],
) -> Credentials | None:
    if header:
        return Credentials(header)
    if bearer is not None:
        return Credentials(bearer.credentials)
    if query:
        return Credentials(query)
    if basic is not None and basic.scheme.lower() == "basic":
        return Credentials(_password(basic.credentials), is_basic=True)
    return None


UseCredentials = Annotated[Credentials | None, Depends(_credentials)]
UseCookie = Annotated[str | None, Depends(_cookie)]


def _password(basic: str) -> str:
    try:
        return base64.b64decode(basic, validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
        return ""
