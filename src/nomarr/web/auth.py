"""Who may come in, and for what: the password, sessions, and the check that closes every other route."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import cache
from typing import Annotated, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from fastapi import APIRouter, Depends, Request, Response
from pydantic import AfterValidator, BaseModel, Field, SecretStr

from nomarr.errors import Forbidden, Unauthorized, printable
from nomarr.secretkey import KEY_PREFIX, SecretKey
from nomarr.settings import Settings
from nomarr.store import access, keys, preferences
from nomarr.store.database import Database, Transaction
from nomarr.store.keys import Scope
from nomarr.web.answers import Done, example, problems
from nomarr.web.context import Clock, UseClock, UseDatabase, UseSettings
from nomarr.web.credentials import COOKIE, UseCookie, UseCredentials
from nomarr.web.limiter import LoginLimiter
from nomarr.web.origin import came_by_https, cookie_path, refuse_other_sites

log = logging.getLogger(__name__)
router = APIRouter(prefix="/api/web/auth", tags=["auth"])

PASSWORD = "admin_password"  # noqa: S105 (the preference that holds its hash)
ENDED = "The session has ended; log in again"
BAD_KEY = "The API key is not valid"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
LONGEST_PASSWORD = 1024
SCOPES: tuple[Scope, ...] = ("read", "enqueue", "admin")
HASHER = PasswordHasher()
VERIFICATIONS = 2  # at once: each takes 64 MiB and a core
# Not each of many requests a second needs to write that the session is in use.
SLIDES_PER_TIMEOUT = 20
LONGEST_UNNOTED_MS = 60_000

Route = TypeVar("Route", bound=Callable[..., object])


@dataclass(frozen=True)
class Caller:
    """Whose request it is: `session` is the hash of a session's token; without one an API key came.

    `key` is the hash of that key, None for the one that is not in the database.
    """

    scope: Scope
    session: str | None = None
    key: str | None = None


def _is_text(secret: SecretStr) -> SecretStr:
    try:
        secret.get_secret_value().encode()
    except UnicodeEncodeError:
        raise ValueError("a password must be valid Unicode text") from None
    return secret


Password = Annotated[SecretStr, AfterValidator(_is_text)]


class LoginRequest(BaseModel):
    password: Password = Field(min_length=1, max_length=LONGEST_PASSWORD)


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
        if stored is None or not is_right(wanted, stored):
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


def change_password(db: Database, password: str) -> str:
    """Set another password and end every session. The hash of the new one is returned."""
    hashed = HASHER.hash(password)
    with db.write() as tx:
        preferences.put(tx, PASSWORD, hashed)
        ended = access.delete_all(tx)
    log.info("the admin password was changed; %d sessions ended", ended)
    return hashed


def needs(scope: Scope) -> Callable[[Route], Route]:
    """Marks a route, below the router's own decorator, as needing this scope of an API key.

    Without a mark it is `read` for GET, and `admin` for all else.
    """

    def mark(route: Route) -> Route:
        route.__dict__["needs_scope"] = scope
        return route

    return mark


# async: FastAPI would run a plain function in a thread, only to make another.
async def _admit(
    request: Request,
    response: Response,
    db: UseDatabase,
    settings: UseSettings,
    clock: UseClock,
    credentials: UseCredentials,
    cookie: UseCookie,
) -> Callable[[], Caller]:
    def admit() -> Caller:
        if cookie and (credentials is None or credentials.is_basic):
            hashed, is_renewed = _session(db, settings, clock, cookie)
            if hashed is not None:
                if request.method not in SAFE_METHODS:
                    refuse_other_sites(request)
                if is_renewed:
                    _set_cookie(request, response, cookie, settings)
                return Caller("admin", hashed)
        if credentials is None:
            raise Unauthorized(ENDED if cookie else "Log in first")
        hashed, _ = _session(db, settings, clock, credentials.token)
        if hashed is not None:
            return Caller("admin", hashed)
        return _key(request, db, clock, credentials.token, otherwise=ENDED)

    return admit


UseAdmit = Annotated[Callable[[], Caller], Depends(_admit)]  # for routes that do not always need a login


def require_login(admit: UseAdmit) -> Caller:
    """A living session, or an API key that is enough for the route.

    Unauthorized without either; Forbidden where the key is not enough, and to other sites' pages.
    """
    return admit()


def require_key(request: Request, db: UseDatabase, clock: UseClock, credentials: UseCredentials) -> Caller:
    """An API key that is enough for the route; sessions open nothing here."""
    if credentials is None:
        raise Unauthorized("Send an API key, for instance in the header X-Api-Key")
    return _key(request, db, clock, credentials.token, otherwise=BAD_KEY)


def _session(db: Database, settings: Settings, clock: Clock, token: str) -> tuple[str | None, bool]:
    """The hash of a living session's token, else None; and whether its timeout started anew."""
    hashed = _hash(token)
    timeout_ms = settings.session_timeout_s * 1000
    unnoted_ms = min(LONGEST_UNNOTED_MS, timeout_ms // SLIDES_PER_TIMEOUT)
    with db.read() as tx:
        now = clock(tx)
        is_alive = access.is_alive(tx, hashed, now, timeout_ms)
        is_noted = access.is_alive(tx, hashed, now, unnoted_ms)
    if not is_alive or is_noted:
        return (hashed if is_alive else None), False
    with db.write() as tx:
        is_alive = access.touch(tx, hashed, now, timeout_ms)
    return (hashed if is_alive else None), is_alive


def _key(request: Request, db: Database, clock: Clock, key: str, *, otherwise: str) -> Caller:
    """Whom an API key belongs to. Unauthorized if to nobody; Forbidden if it is not enough for the route."""
    secret: SecretKey = request.app.state.secret_key
    if secret.matches(key):
        return Caller("admin")
    if not key.startswith(KEY_PREFIX):
        raise Unauthorized(otherwise)
    with db.read() as tx:
        found, now = keys.find(tx, _hash(key)), clock(tx)
    if found is None:
        raise Unauthorized(BAD_KEY)
    needed = _needed(request)
    if SCOPES.index(found.scope) < SCOPES.index(needed):
        raise Forbidden(f"The API key {found.name} is for {found.scope}; this needs one for {needed}")
    if not found.is_use_noted(now=now):
        with db.write() as tx:
            if not keys.note_use(tx, found.id, now=now):
                raise Unauthorized(BAD_KEY)
    return Caller(found.scope, key=_hash(key))


def new_key(tx: Transaction, *, name: str, scope: Scope, now: int) -> tuple[keys.ApiKey, str]:
    """A new API key, and what proves it, which is known only here and now."""
    key = KEY_PREFIX + secrets.token_urlsafe(32)
    return keys.add(tx, name=name, scope=scope, key_hash=_hash(key), now=now), key


def _needed(request: Request) -> Scope:
    marked: Scope | None = getattr(request.scope.get("endpoint"), "needs_scope", None)
    return marked or ("read" if request.method in SAFE_METHODS else "admin")


async def wait_for_turn(request: Request) -> AsyncIterator[None]:
    """Slows guessing down, without holding a thread while somebody waits."""
    pause_s = request.app.state.limiter.admit(_address(request), now=request.app.state.monotonic())
    await asyncio.sleep(pause_s)
    async with request.app.state.verifications:
        yield


@router.post(
    "/login",
    summary="Log in",
    responses=example({"session_token": "xEC1SilYPKLbz8Bkg-QNM7rsEinA8ic27UOcfa0evik", "expires_in": 86400})
    | problems(400, 401, 413, 429, 503),
    dependencies=[Depends(wait_for_turn)],
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
    if not is_right(body.password.get_secret_value(), stored or _unguessable()):
        log.warning("wrong password from %s", _address(request))
        raise Unauthorized("Wrong password")
    return begin_session(request, response, db, settings, clock, password=stored)


def begin_session(
    request: Request, response: Response, db: Database, settings: Settings, clock: Clock, *, password: str | None
) -> Login:
    """For somebody who has just proved the password of this hash. Unauthorized if that holds no longer."""
    limiter: LoginLimiter = request.app.state.limiter
    limiter.succeeded(_address(request))
    token = secrets.token_urlsafe(32)
    with db.write() as tx:
        if preferences.get(tx, PASSWORD) != password:
            raise Unauthorized("Wrong password")  # it was changed a moment ago
        now = clock(tx)
        access.delete_ended(tx, now, settings.session_timeout_s * 1000)
        access.add(tx, _hash(token), now)
    _set_cookie(request, response, token, settings)
    log.info("login from %s", _address(request))
    return Login(token, settings.session_timeout_s)


@router.post(
    "/logout",
    summary="End this session",
    responses=example({"message": "Logged out", "status": "success"}) | problems(401, 403, 503),
)
def logout(
    request: Request, response: Response, db: UseDatabase, caller: Annotated[Caller, Depends(require_login)]
) -> Done:
    if caller.session is None:
        raise Forbidden("This request came with an API key; there is no session to end")
    with db.write() as tx:
        access.delete(tx, caller.session)
    response.delete_cookie(COOKIE, path=cookie_path(request), httponly=True, samesite="strict")
    return Done("Logged out")


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


@cache
def _unguessable() -> str:
    """Compared with while no password is set: as slow, never right."""
    return HASHER.hash(secrets.token_urlsafe())


def is_right(password: str, hashed: str) -> bool:
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
        path=cookie_path(request),
        httponly=True,
        samesite="strict",
        secure=came_by_https(request),
    )
