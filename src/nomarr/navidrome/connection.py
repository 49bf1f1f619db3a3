"""HTTP to Navidrome: who we are to it, its two ways to log in, and one sentence for each way to fail.

Redirects are never followed: they could lead somewhere else with the password.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import secrets
import ssl
import threading
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
from pydantic import SecretStr

from nomarr.errors import Conflict, NavidromeProblem
from nomarr.navidrome.facts import Facts, read_json, sentence
from nomarr.navidrome.patience import Patience, transport
from nomarr.settings import Settings

CLIENT = "nomarr"
PROTOCOL = "1.16.1"  # of Subsonic's API
TOKEN_HEADER = "X-ND-Authorization"  # noqa: S105 (a header's name)
LARGEST = 16 * 2**20  # bytes of one answer, which may be thirty times that once read; a page of songs has one or two
CONNECT_S, SILENCE_S, LONGEST_S = 5.0, 30.0, 120.0
JSON = "application/json"  # and nothing more: else Navidrome takes a playlist for an M3U file
TOKEN = re.compile(r"[\x21-\x7e]{1,8000}")  # what can stand in a header
WRONG_LOGIN, NOT_ALLOWED, NOT_FOUND = 40, 50, 70  # of Subsonic's errors

Params = Mapping[str, str | list[str]]

for _name in ("httpx", "httpcore"):  # they would tell of every request, and of tokens in the answers' headers
    logging.getLogger(_name).setLevel(logging.WARNING)


@dataclass(frozen=True)
class Account:
    """Where Navidrome is, and who Nomarr is there."""

    url: str
    user: str
    password: SecretStr

    @property
    def key(self) -> str:
        """What tells one account from another, and may be stored and shown."""
        return f"{self.user}@{self.url}"


@dataclass(frozen=True)
class User:
    id: str
    name: str
    is_admin: bool


class SubsonicError(NavidromeProblem):
    """Navidrome's answer to a request of Subsonic's API is an error; `code` is Subsonic's."""

    def __init__(self, message: str, *, kind: str, code: int) -> None:
        super().__init__(message, kind=kind)
        self.code = code


def account_of(settings: Settings) -> Account:
    """Conflict where the settings do not say enough."""
    url, user, password = settings.navidrome_url, settings.navidrome_user, settings.navidrome_password
    if not url or not user or not password:
        given = {"navidrome_url": url, "navidrome_user": user, "navidrome_password": password}
        missing = ", ".join(name for name, value in given.items() if not value)
        raise Conflict(f"Navidrome is not set up; what is missing: {missing}")
    return Account(url, user, password)


class Connection:
    """Requests of one account. Threads may share it; it logs in when first needed, and again when it must."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self._http = httpx.Client(
            timeout=httpx.Timeout(SILENCE_S, connect=CONNECT_S),
            follow_redirects=False,
            trust_env=False,  # no proxies, and no passwords out of a .netrc
            transport=transport(_certificates(), patience := Patience()),
            headers={"User-Agent": CLIENT, "Accept": "application/json"},
        )
        weakref.finalize(self, self._http.close)  # after a change of the account, when nobody has it in hand any more
        self._patience = patience
        self._lock = threading.Lock()
        self._token = ""
        self._user: User | None = None

    def close(self) -> None:
        self._http.close()

    # as a stranger

    def greet(self) -> str:
        """Navidrome's version, which it tells everybody. NavidromeProblem says what answers instead."""
        path = "/rest/getOpenSubsonicExtensions"
        answer = self._send("GET", path, params={"f": "json", "v": PROTOCOL, "c": CLIENT})
        body = _subsonic(answer)
        if body is None:
            raise self._stranger(answer)
        kind = sentence(body.text("type"))
        if kind != "navidrome":
            raise NavidromeProblem(
                f"{self.account.url} is {kind or 'another Subsonic server'}, not Navidrome", kind="not_navidrome"
            )
        return sentence(body.text("serverVersion"))

    # as the web pages do

    @property
    def user(self) -> User:
        with self._lock:
            if self._user is None:
                self._log_in()
            assert self._user is not None  # noqa: S101 (or logging in has failed)
            return self._user

    def native(self, method: str, path: str, *, params: Params | None = None, body: Any = None) -> httpx.Response:
        """An answer of the API of Navidrome's own pages, whatever its status but 401 and those that lead elsewhere."""
        for is_last in (False, True):
            token = self._current_token()
            answer = self._send(
                method,
                f"/api/{path}",
                params=params,
                headers={TOKEN_HEADER: f"Bearer {token}", **({} if body is None else {"Content-Type": JSON})},
                content=None if body is None else json.dumps(body).encode(),
            )
            if answer.is_redirect:
                raise self._stranger(answer)
            if answer.status_code != httpx.codes.UNAUTHORIZED:
                self._keep(answer.headers.get(TOKEN_HEADER))
                return answer
            self._forget(token)
            if is_last:
                break
        raise NavidromeProblem("Navidrome logged Nomarr in and then refused it", kind="credentials")

    def _current_token(self) -> str:
        with self._lock:
            if not self._token:
                self._log_in()
            return self._token

    def _keep(self, renewed: str | None) -> None:
        if renewed and TOKEN.fullmatch(renewed):
            with self._lock:
                self._token = renewed

    def _forget(self, token: str) -> None:
        with self._lock:
            if self._token == token:
                self._token = ""

    def _log_in(self) -> None:
        account = self.account
        answer = self._send(
            "POST", "/auth/login", json={"username": account.user, "password": account.password.get_secret_value()}
        )
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            raise NavidromeProblem(f"Navidrome does not know {account.user} with this password", kind="credentials")
        if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise NavidromeProblem("Navidrome lets nobody log in for the next seconds: too many tries", kind="busy")
        found = _json(answer)
        if answer.status_code != httpx.codes.OK or not isinstance(found, dict):
            raise self._stranger(answer)
        facts = Facts(found, "a login")
        if not TOKEN.fullmatch(facts.text("token")):
            raise self._stranger(answer)
        self._token = facts.text("token")
        self._user = User(facts.text("id"), sentence(facts.text("username")), facts.all.get("isAdmin") is True)

    # as players do

    def subsonic(self, method: str, params: Params | None = None) -> Facts:
        """What a method of Subsonic's API answers; sent as a form, for lists of songs are long."""
        salt = secrets.token_hex(8)
        password = self.account.password.get_secret_value()
        form: dict[str, str | list[str]] = {
            "u": self.account.user,
            "t": hashlib.md5((password + salt).encode(), usedforsecurity=False).hexdigest(),
            "s": salt,
            "v": PROTOCOL,
            "c": CLIENT,
            "f": "json",
            **(params or {}),
        }
        answer = self._send("POST", f"/rest/{method}", data=form)
        body = _subsonic(answer)
        if body is None:
            raise self._stranger(answer)
        if body.text("status") == "ok":
            return body
        error = body.inner("error")
        code, why = error.whole("code"), sentence(error.text("message")) or "no reason given"
        kinds = {WRONG_LOGIN: "credentials", NOT_ALLOWED: "not_allowed", NOT_FOUND: "not_found"}
        raise SubsonicError(f"Navidrome refused {method}: {why}", kind=kinds.get(code, "refused"), code=code)

    # the wire

    def _send(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            with self._patience.of(LONGEST_S), self._http.stream(method, self.account.url + path, **more) as answer:
                content = _read(answer.iter_bytes())
                # Unpacked already: the headers must not say otherwise.
                headers = [(k, v) for k, v in answer.headers.raw if k.lower() != b"content-encoding"]
                return httpx.Response(answer.status_code, headers=headers, content=content, request=answer.request)
        except httpx.InvalidURL as error:
            raise NavidromeProblem(f"{self.account.url} is no address", kind="unreachable") from error
        except httpx.HTTPError as error:
            raise _unreachable(self.account.url, error) from error

    def _stranger(self, answer: httpx.Response) -> NavidromeProblem:
        """Why an answer is not what Navidrome gives at this place."""
        url, status = self.account.url, answer.status_code
        if b"to an HTTPS server" in answer.content[:200]:
            return NavidromeProblem(f"{url} speaks HTTPS; begin the address with https://", kind="tls")
        if answer.is_redirect:
            return _redirected(url, str(answer.request.url), answer.headers.get("location", ""))
        if status in (401, 403):
            return NavidromeProblem(
                f"{url} answers {status}: something in front of Navidrome asks for a login of its own", kind="proxy"
            )
        if status >= httpx.codes.INTERNAL_SERVER_ERROR:
            return NavidromeProblem(f"{url} answers {status}: {_why(status)}", kind="trouble")
        home = self._home()
        if home is not None and home != url:
            return NavidromeProblem(f"Navidrome is not at {url}; its address is {home}", kind="wrong_path")
        return NavidromeProblem(f"What answers at {url} is not Navidrome (status {status})", kind="not_navidrome")

    def _home(self) -> str | None:
        """Where the host's own pages lead, if those are Navidrome's."""
        parts = urlsplit(self.account.url)
        host = f"{parts.scheme}://{parts.netloc}"
        try:
            # Its content does not matter, however long.
            with self._patience.of(LONGEST_S), self._http.stream("GET", f"{host}/") as answer:
                target = urljoin(f"{host}/", answer.headers.get("location", ""))
        except (httpx.HTTPError, ValueError):  # the latter: where it leads is no address
            return None
        if not answer.is_redirect or not target.startswith(host) or not target.endswith("/app/"):
            return None
        return target.removesuffix("/app/")


def _redirected(url: str, asked: str, location: str) -> NavidromeProblem:
    try:
        target = urljoin(asked, sentence(location))
        old, new = urlsplit(asked), urlsplit(target)
    except ValueError:
        return NavidromeProblem(f"{url} leads to what is no address", kind="redirect")
    if new.path.endswith("/app/") and new.netloc == old.netloc:  # how Navidrome answers beside its base URL
        right = f"{new.scheme}://{new.netloc}{new.path.removesuffix('/app/')}"
        return NavidromeProblem(f"Navidrome is not at {url}; its address is {right}", kind="wrong_path")
    if old.path and new.path.endswith(old.path):
        start = target[: target.index(new.path)] + new.path.removesuffix(old.path[len(urlsplit(url).path) :])
        return NavidromeProblem(f"{url} leads elsewhere; set the address to {start}", kind="redirect")
    return NavidromeProblem(
        f"{url} leads to {new.scheme}://{new.netloc}, which Nomarr does not follow; something asks for a login first",
        kind="redirect",
    )


def _unreachable(url: str, error: httpx.HTTPError) -> NavidromeProblem:
    reasons = list(_causes(error))
    for reason in reasons:
        if isinstance(reason, ssl.SSLCertVerificationError):
            return NavidromeProblem(f"{url}: its certificate is not trusted ({reason.verify_message})", kind="tls")
        if isinstance(reason, ssl.SSLError):
            return NavidromeProblem(f"{url} does not speak HTTPS ({reason.reason or 'no reason given'})", kind="tls")
    if isinstance(error, httpx.TimeoutException):
        return NavidromeProblem(f"{url} does not answer in time", kind="unreachable")
    why = next((str(r.strerror) for r in reversed(reasons) if isinstance(r, OSError) and r.strerror), str(error))
    return NavidromeProblem(f"{url} cannot be reached: {sentence(why) or type(error).__name__}", kind="unreachable")


def _causes(error: BaseException | None) -> Iterable[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _read(blocks: Iterable[bytes]) -> bytes:
    content = bytearray()
    for block in blocks:
        content += block
        if len(content) > LARGEST:
            raise NavidromeProblem(f"An answer is larger than {LARGEST >> 20} MB; it is not read", kind="trouble")
    return bytes(content)


def _subsonic(answer: httpx.Response) -> Facts | None:
    body = _json(answer)
    inner = body.get("subsonic-response") if isinstance(body, dict) else None
    return Facts(inner, "itself") if answer.status_code == httpx.codes.OK and isinstance(inner, dict) else None


def _json(answer: httpx.Response) -> Any:
    try:
        return read_json(answer.content)
    except ValueError:
        return None


def _why(status: int) -> str:
    gateway = status in (502, 503, 504)
    return "what stands in front of Navidrome does not reach it" if gateway else "its log says why"


@cache
def _certificates() -> ssl.SSLContext:
    return ssl.create_default_context()
