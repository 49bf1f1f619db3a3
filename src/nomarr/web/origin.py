"""Where a request comes from and what it was meant for: through which proxy, by https or not, from whose page.

`base` is how pages learn where Nomarr lives below its host: a template writes `<html data-base="{{ base }}">` and
`href="{{ base }}/docs"`, a script asks `document.documentElement.dataset.base` and puts it before every path.
"""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import urlsplit

from fastapi import Request
from starlette.datastructures import Headers
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from nomarr.errors import Forbidden


def base(request: Request) -> str:
    """What comes before all our paths, as somebody outside sees them: nothing, or say `/nomarr`."""
    found: str = request.app.state.settings.url_base
    return found


def cookie_path(request: Request) -> str:
    """Other programs on the same host are not sent our cookies."""
    return base(request) or "/"


def came_by_https(request: Request) -> bool:
    return request.url.scheme == "https"


def refuse_other_sites(request: Request) -> None:
    """A browser adds the cookie by itself; what it says of the page behind the request must be our own."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        is_ours = site == "same-origin"
    else:  # browsers say that only over https; Origin they always send
        is_ours = _is_same_host(request.headers.get("origin", ""), request.headers.get("host", ""))
    if not is_ours:
        raise Forbidden("This needs a request from Nomarr's own pages, or a token in the Authorization header")


class Proxies:
    """Believes a trusted proxy, and nobody else, who asked it, how, and for which host."""

    def __init__(self, app: ASGIApp, trusted: tuple[str, ...]) -> None:
        # uvicorn's own: the client is the last address that no trusted proxy has.
        self._headers = ProxyHeadersMiddleware(cast(Any, app), "*" if "*" in trusted else list(trusted))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan" and scope.get("client"):
            host, port = scope["client"]
            scope["client"] = (host.removeprefix("::ffff:"), port)  # IPv4, as a socket for both sees it
            if scope["client"][0] in self._headers.trusted_hosts:
                _take_host(scope)
        await self._headers(cast(Any, scope), cast(Any, receive), cast(Any, send))


def _take_host(scope: Scope) -> None:
    host = Headers(scope=scope).get("x-forwarded-host", "").partition(",")[0].strip()
    if host:
        others = [(name, value) for name, value in scope["headers"] if name != b"host"]
        scope["headers"] = [*others, (b"host", host.encode("latin-1"))]


class Base:
    """What a proxy cut off the front of a path is put back, so that it makes no difference whether it does."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self.app = app
        self.prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or not self.prefix:
            await self.app(scope, receive, send)
            return
        if scope["path"] == self.prefix:
            await RedirectResponse(f"{self.prefix}/")(scope, receive, send)  # so that relative links lead somewhere
            return
        path = scope["path"] if scope["path"].startswith(f"{self.prefix}/") else self.prefix + scope["path"]
        await self.app({**scope, "root_path": self.prefix, "path": path}, receive, send)


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
