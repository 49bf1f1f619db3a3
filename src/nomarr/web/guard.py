"""What holds for every request, whatever its route: a limit on bodies, safe headers, an answer to any failure,
a line in the log.
"""

from __future__ import annotations

import logging
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nomarr.errors import printable
from nomarr.web.answers import UNEXPECTED, problem

log = logging.getLogger(__name__)
access = logging.getLogger("nomarr.access")

LARGEST_BODY = 1_000_000  # bytes; some ten thousand paths
TOO_LARGE = "The body is larger than 1 MB"
SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}


class Guard:
    """The outermost layer of the app. A route that sets one of the headers itself keeps its own."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        has_started, status, began = False, 500, time.monotonic()

        async def send_safely(message: Message) -> None:
            nonlocal has_started, status
            if message["type"] == "http.response.start":
                has_started, status = True, message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in SAFE_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            if _announced(scope) > LARGEST_BODY:
                await problem(413, TOO_LARGE)(scope, receive, send_safely)
                return
            await self.app(scope, _limited(receive), send_safely)
        except Exception:  # the edge of a request: whoever sent it gets an answer all the same
            log.exception("%s %s", scope["method"], printable(scope["path"]))
            if has_started:
                raise
            await problem(500, UNEXPECTED)(scope, receive, send_safely)
        finally:
            _note(scope, status, time.monotonic() - began)


def _note(scope: Scope, status: int, seconds: float) -> None:
    """What merely looks and gets its answer is for those who debug. Without the query, which may hold a key."""
    level = logging.DEBUG if scope["method"] in ("GET", "HEAD") and status < 400 else logging.INFO
    whose = scope["client"][0] if scope.get("client") else "a local socket"
    what = (scope["method"], scope["path"], whose)
    access.log(level, "%s %s for %s: %d in %.0f ms", *map(printable, what), status, seconds * 1000)


def _announced(scope: Scope) -> int:
    length = Headers(scope=scope).get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else 0


def _limited(receive: Receive) -> Receive:
    """The same, but it ends a body that grows too large: one sent in chunks does not announce its size."""
    received = 0

    async def receive_limited() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > LARGEST_BODY:
            raise HTTPException(413, TOO_LARGE)
        return message

    return receive_limited
