"""The event stream: what happens, told to everybody who listens as it happens.

One task per process looks at the database, and only while somebody listens; every listener has a queue of its own
that ends, should he not keep up. Alone in being asynchronous: hundreds of open streams hold no thread.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from nomarr import config
from nomarr.errors import DatabaseProblem, TooManyRequests, Unauthorized
from nomarr.secretkey import SecretKey
from nomarr.store import access, keys
from nomarr.web.answers import example, problems
from nomarr.web.auth import Caller, UseAdmit, needs, require_login
from nomarr.web.credentials import Credentials, UseCredentials
from nomarr.web.watch import Look, Topic, Watch, changes, snapshot

log = logging.getLogger(__name__)
router = APIRouter(prefix="/api/web/events", tags=["events"])

POLL_S = 1.0
KEEP_ALIVE_S = 15.0  # proxies close what is silent, most of them after a minute
CHECK_S = 10.0  # how long a stream may outlive its session
REMEMBERED = 1000  # events, for those who come back
RESUMED_WITHIN_S = 60.0  # after nobody listened for longer, everybody starts anew
QUEUE = 256  # events that a listener may be behind
MOST_LISTENERS = 1000
TOKEN_S = 60
MOST_TOKENS = 1000
HEADERS = {"X-Accel-Buffering": "no", "Cache-Control": "no-store"}
EXAMPLE = """id: 5c1e-7
event: queue:status
data: {"pending": 10, "running": 1, "completed": 245, "avg_time": 12.5, "eta": 125.0}

"""

STREAM: dict[str, Any] = {
    "description": "Server-sent events, without end",
    "content": {"text/event-stream": {"schema": {"type": "string"}, "example": EXAMPLE}},
}


@dataclass(frozen=True)
class Listening:
    """By what somebody listens; the stream ends when it is valid no longer."""

    caller: Caller
    secret: str | None = None  # the key that is not in the database


@dataclass(frozen=True)
class StreamToken:
    """For one connection to the event stream, within `expires_in` seconds."""

    token: str
    expires_in: int


class Tokens:
    """Tokens that open the stream once, for those who cannot send headers. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, tuple[Listening, float]] = {}

    def issue(self, listening: Listening, *, now: float) -> str:
        token = secrets.token_urlsafe(32)
        with self._lock:
            while len(self._known) >= MOST_TOKENS:
                del self._known[next(iter(self._known))]
            self._known[token] = (listening, now + TOKEN_S)
        return token

    def redeem(self, token: str, *, now: float) -> Listening:
        """Whose token it is; it opens nothing again. Unauthorized if it is unknown, used or too old."""
        with self._lock:
            listening, until = self._known.pop(token, (None, 0.0))
        if listening is None or now > until:
            raise Unauthorized("The token is not valid; each opens the stream once, within a minute")
        return listening


@dataclass(eq=False)
class Listener:
    """One open stream."""

    listening: Listening
    queue: asyncio.Queue[bytes] = field(default_factory=lambda: asyncio.Queue(QUEUE))
    is_ready: bool = False  # it has been told how things are, and now hears what changes
    farewell: str | None = None

    def tell(self, event: bytes) -> None:
        """Never waits: who does not keep up is dropped."""
        if self.farewell is None:
            try:
                self.queue.put_nowait(event)
            except asyncio.QueueFull:
                self.end("you read too slowly; connect again")

    def end(self, why: str) -> None:
        """Let the stream close after a comment; what it has not read yet is given up."""
        self.farewell = self.farewell or why
        while not self.queue.empty():
            self.queue.get_nowait()
        self.queue.put_nowait(b"")


class Events:
    """What is told to the listeners of one process. Only for its event loop."""

    def __init__(self, watch: Watch, secret_key: SecretKey) -> None:
        self._watch = watch
        self._secret_key = secret_key
        self._listeners: set[Listener] = set()
        self._recent: deque[tuple[int, bytes]] = deque(maxlen=REMEMBERED)
        self._last = 0
        self._series = ""  # ids of another one mean nothing any more
        self._look: Look | None = None
        self._poller: asyncio.Task[None] | None = None
        self._looked = asyncio.Event()
        self._idle_since = -float("inf")
        self._is_closed = False

    def close(self) -> None:
        """End all streams; those who connect from now on are told so."""
        self._is_closed = True
        for listener in self._listeners:
            listener.end("the server is shutting down")

    def admit(self, listening: Listening) -> Listener:
        if len(self._listeners) >= MOST_LISTENERS:
            raise TooManyRequests("Too many listen already; try again later", retry_after_s=30)
        return Listener(listening)

    async def stream(self, listener: Listener, last_event_id: str | None) -> AsyncIterator[bytes]:
        """All that a listener is sent, until somebody ends it."""
        self._listeners.add(listener)
        try:
            if self._is_closed:
                listener.end("the server is shutting down")
            else:
                await self._freshly_looked()
                beginning, listener.is_ready = self._beginning(last_event_id), True
                yield b"retry: 3000\n\n" + b"".join(beginning)
            while listener.farewell is None:
                try:
                    parts = [await asyncio.wait_for(listener.queue.get(), KEEP_ALIVE_S)]
                except TimeoutError:
                    parts = [b": nothing new\n\n"]
                while not listener.queue.empty():
                    parts.append(listener.queue.get_nowait())
                yield b"".join(parts)
            yield f": {listener.farewell}\n\n".encode()
        finally:
            self._listeners.discard(listener)

    async def _freshly_looked(self) -> None:
        if self._poller is None:
            now = asyncio.get_running_loop().time()
            if now - self._idle_since > RESUMED_WITHIN_S:
                self._look, self._series = None, secrets.token_hex(4)
                self._recent.clear()
            self._looked.clear()
            self._poller = asyncio.create_task(self._poll())
        await self._looked.wait()

    def _beginning(self, last_event_id: str | None) -> list[bytes]:
        """What a listener missed, or else how things are."""
        series, _, number = (last_event_id or "").rpartition("-")
        if series == self._series and number.isascii() and number.isdigit() and len(number) < 16:
            after = int(number)
            if self._last - len(self._recent) <= after <= self._last:
                return [event for n, event in self._recent if n > after]
        now = self._look or Look(at=0)
        return [self._event(topic, self._last) for topic in snapshot(now)]

    def _event(self, topic: Topic, number: int) -> bytes:
        name, data = topic
        return f"id: {self._series}-{number}\nevent: {name}\ndata: {json.dumps(data)}\n\n".encode()

    async def _poll(self) -> None:
        loop = asyncio.get_running_loop()
        checked = loop.time()
        try:
            while self._listeners and not self._is_closed:
                started = loop.time()
                await self._look_once()
                if loop.time() - checked >= CHECK_S:
                    checked = loop.time()
                    await self._end_unwelcome()
                await asyncio.sleep(max(0.05, POLL_S - (loop.time() - started)))
        finally:
            self._idle_since = loop.time()
            self._poller = None
            self._looked.set()

    async def _look_once(self) -> None:
        before = self._look
        try:
            after = await run_in_threadpool(self._watch.look, before)
        except Exception:  # a fault here must not silence everybody for good
            log.exception("looking for events")
        else:
            self._look = after
            self._broadcast(changes(before, after) if before is not None else [])
        self._looked.set()

    def _broadcast(self, topics: list[Topic]) -> None:
        for topic in topics:
            self._last += 1
            event = self._event(topic, self._last)
            self._recent.append((self._last, event))
            for listener in self._listeners:
                if listener.is_ready:
                    listener.tell(event)

    async def _end_unwelcome(self) -> None:
        with suppress(DatabaseProblem):
            some = {listener.listening for listener in self._listeners}
            ended = await run_in_threadpool(_ended, some, self._watch, self._secret_key)
            for listener in self._listeners:
                if listener.listening in ended:
                    listener.end("the session has ended")


def _logged_in(caller: Annotated[Caller, Depends(require_login)], credentials: UseCredentials) -> Listening:
    return _by(caller, credentials)


def _listening(
    request: Request,
    admit: UseAdmit,
    credentials: UseCredentials,
    token: Annotated[str | None, Query(description="From POST /api/web/events/token", max_length=100)] = None,
) -> Listening:
    """By a token of the stream, or else as everywhere."""
    if token is not None:
        tokens: Tokens = request.app.state.stream_tokens
        return tokens.redeem(token, now=request.app.state.monotonic())
    return _by(admit(), credentials)


def _by(caller: Caller, credentials: Credentials | None) -> Listening:
    is_in_database = caller.session is not None or caller.key is not None
    return Listening(caller, None if is_in_database or credentials is None else credentials.token)


@router.get(
    "/status",
    summary="What happens, as it happens",
    response_class=StreamingResponse,
    responses=problems(400, 401, 403, 429, 503) | {200: STREAM},
)
async def status(
    request: Request,
    by: Annotated[Listening, Depends(_listening)],
    last_event_id: Annotated[
        str | None, Header(description="The last `id` that was received: what came after it follows", max_length=100)
    ] = None,
) -> StreamingResponse:
    """Events `queue:status`, `queue:jobs`, `worker:tag:<n>:status` and `system:health`: first how things are, then
    what changes. A comment comes every 15 seconds in which nothing else does.
    """
    events: Events = request.app.state.events
    listener = events.admit(by)
    return StreamingResponse(events.stream(listener, last_event_id), media_type="text/event-stream", headers=HEADERS)


@router.post(
    "/token",
    summary="A token that opens the event stream once",
    responses=example({"token": "nZb0Yd1kX0y5", "expires_in": TOKEN_S}) | problems(401, 403, 503),
)
@needs("read")
def issue_token(request: Request, by: Annotated[Listening, Depends(_logged_in)]) -> StreamToken:
    """For clients that cannot send headers, as browsers with `EventSource`: connect with `?token=` within a minute."""
    tokens: Tokens = request.app.state.stream_tokens
    return StreamToken(tokens.issue(by, now=request.app.state.monotonic()), TOKEN_S)


def _ended(some: Iterable[Listening], watch: Watch, secret_key: SecretKey) -> set[Listening]:
    """Those whose session or key is valid no longer. Listening does not count as using a session."""
    timeout_ms = config.current(watch.db, watch.settings).session_timeout_s * 1000
    with watch.db.read() as tx:
        now = watch.clock(tx)

        def is_valid(by: Listening) -> bool:
            if by.caller.session is not None:
                return access.is_alive(tx, by.caller.session, now, timeout_ms)
            if by.caller.key is not None:
                return keys.find(tx, by.caller.key) is not None
            return by.secret is not None and secret_key.matches(by.secret)

        return {by for by in some if not is_valid(by)}
