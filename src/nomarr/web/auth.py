"""Who may come in: the password, sessions, and the check that closes every other route."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import cache
from typing import Annotated
from urllib.parse import urlsplit

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from fastapi import APIRouter, Depends, Request, Response
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field, SecretStr

from nomarr.errors import Forbidden, Unauthorized, printable
from nomarr.settings import Settings
from nomarr.store import access, preferences
from nomarr.store.database import Database
from nomarr.web.answers import Done, problems
from nomarr.web.context import UseClock, UseDatabase, UseSettings
from nomarr.web.limiter import LoginLimiter

log = logging.getLogger(__name__)
router = APIRouter(prefix="/api/web/auth", tags=["auth"])

PASSWORD = "admin_password"  # noqa: S105 (the preference that holds its hash)
COOKIE = "nomarr_session"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
HASHER = PasswordHasher()
VERIFICATIONS = 2  # at once: each takes 64 MiB and a core
# Not each of many requests a second needs to write that the session is in use.
SLIDES_PER_TIMEOUT = 20
LONGEST_UNNOTED_MS = 60_000

_bearer = HTTPBearer(auto_error=False, description="The session_token that a login answered with")
_cookie = APIKeyCookie(name=COOKIE, auto_error=False, description="Set by a login, for browsers")


class LoginRequest(BaseModel):
    password: SecretStr = Field(min_length=1, max_length=1024)


@dataclass(frozen=True)
class Login:
    """A session; it ends after `expires_in` seconds without use."""

    session_token: str
    expires_in: int


def ensure_password(db: Database, settings: Settings) -> str | None:
    """Have a password to log in with. A generated one is returned this once, for its caller to show."""
    with db.read() as tx:
        stored = preferences.get(tx, PASSWORD)
    if settings.admin_password is not None and settings.admin_password.get_secret_value():
        wanted = settings.admin_password.get_secret_value()
        if stored is None or not _is_right(wanted, stored):
            change_password(db, wanted)
        return None
    if stored is not None:
        return None
    generated = secrets.token_urlsafe(15)
    hashed = HASHER.hash(generated)
    with db.write() as tx:
        if preferences.get(tx, PASSWORD) is not None:
            return None  # another machine was faster
        preferences.put(tx, PASSWORD, hashed)
    return generated


def change_password(db: Database, password: str) -> None:
    """Set another password and end every session."""
    hashed = HASHER.hash(password)
    with db.write() as tx:
        preferences.put(tx, PASSWORD, hashed)
        ended = access.delete_all(tx)
    log.info("the admin password was changed; %d sessions ended", ended)


def require_login(
    request: Request,
    response: Response,
    db: UseDatabase,
    settings: UseSettings,
    clock: UseClock,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    cookie: Annotated[str | None, Depends(_cookie)],
) -> str:
    """The hash of the session's token. Unauthorized without a living session; Forbidden to other sites' pages."""
    token = cookie if bearer is None else bearer.credentials
    if not token:
        raise Unauthorized("Log in first")
    hashed = _hash(token)
    timeout_ms = settings.session_timeout_s * 1000
    unnoted_ms = min(LONGEST_UNNOTED_MS, timeout_ms // SLIDES_PER_TIMEOUT)
    with db.read() as tx:
        now = clock(tx)
        is_alive = access.is_alive(tx, hashed, now, timeout_ms)
        is_noted = access.is_alive(tx, hashed, now, unnoted_ms)
    if not is_alive:
        raise Unauthorized("The session has ended; log in again")
    if bearer is None and request.method not in SAFE_METHODS:
        _refuse_other_sites(request)
    if is_noted:
        return hashed
    with db.write() as tx:
        if not access.touch(tx, hashed, now, timeout_ms):
            raise Unauthorized("The session has ended; log in again")
    if bearer is None:
        _set_cookie(request, response, token, settings)
    return hashed


async def _wait_for_turn(request: Request) -> AsyncIterator[None]:
    """Slows guessing down, without holding a thread while somebody waits."""
    pause_s = request.app.state.limiter.admit(_address(request), now=request.app.state.monotonic())
    await asyncio.sleep(pause_s)
    async with request.app.state.verifications:
        yield


@router.post(
    "/login",
    summary="Log in",
    responses=problems(400, 401, 413, 429, 503),
    dependencies=[Depends(_wait_for_turn)],
)
def login(
    body: LoginRequest,
    request: Request,
    response: Response,
    db: UseDatabase,
    settings: UseSettings,
    clock: UseClock,
) -> Login:
    """Answers with a token for `Authorization: Bearer`, and sets the same one as a cookie for browsers."""
    with db.read() as tx:
        stored = preferences.get(tx, PASSWORD)
    if not _is_right(body.password.get_secret_value(), stored or _unguessable()):
        log.warning("wrong password from %s", _address(request))
        raise Unauthorized("Wrong password")
    limiter: LoginLimiter = request.app.state.limiter
    limiter.succeeded(_address(request))
    token = secrets.token_urlsafe(32)
    with db.write() as tx:
        if preferences.get(tx, PASSWORD) != stored:
            raise Unauthorized("Wrong password")  # it was changed a moment ago
        now = clock(tx)
        access.delete_ended(tx, now, settings.session_timeout_s * 1000)
        access.add(tx, _hash(token), now)
    _set_cookie(request, response, token, settings)
    log.info("login from %s", _address(request))
    return Login(token, settings.session_timeout_s)


@router.post("/logout", summary="End this session", responses=problems(401, 403, 503))
def logout(response: Response, db: UseDatabase, session: Annotated[str, Depends(require_login)]) -> Done:
    with db.write() as tx:
        access.delete(tx, session)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return Done("Logged out")


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


@cache
def _unguessable() -> str:
    """Compared with while no password is set: as slow, never right."""
    return HASHER.hash(secrets.token_urlsafe())


def _is_right(password: str, hashed: str) -> bool:
    try:
        return HASHER.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False


def _address(request: Request) -> str:
    return "a local socket" if request.client is None else printable(request.client.host)


def _set_cookie(request: Request, response: Response, token: str, settings: Settings) -> None:
    response.set_cookie(
        COOKIE,
        token,
        max_age=settings.session_timeout_s,
        httponly=True,
        samesite="strict",
        secure=_came_by_https(request),
    )


def _came_by_https(request: Request) -> bool:
    # A proxy says so in a header. Who forges it only keeps the cookie from himself.
    return "https" in (request.url.scheme, request.headers.get("x-forwarded-proto", "").lower())


def _refuse_other_sites(request: Request) -> None:
    """A browser adds the cookie by itself; what it says of the page behind the request must be our own."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        is_ours = site == "same-origin"
    else:  # browsers say that only over https; Origin they always send
        is_ours = _is_same_host(request.headers.get("origin", ""), request.headers.get("host", ""))
    if not is_ours:
        raise Forbidden("This needs a request from Nomarr's own pages, or a token in the Authorization header")


def _is_same_host(origin: str, host: str) -> bool:
    try:
        page = urlsplit(origin)
        port = page.port
    except ValueError:
        return False
    if page.scheme not in ("http", "https") or not page.hostname:
        return False
    default = 443 if page.scheme == "https" else 80
    name = f"[{page.hostname}]" if ":" in page.hostname else page.hostname
    hosts = {f"{name}:{port or default}"} | ({name} if port in (None, default) else set())
    return host.lower() in hosts
