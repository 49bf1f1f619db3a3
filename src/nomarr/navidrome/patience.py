"""Requests that end: after so many seconds in all, and not only after a silence.

A server that sends a byte now and then, in its headers say, would else hold a thread for as long as it likes.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpcore
import httpx

KEPT_S = 5.0  # an idle connection; longer than between two requests of one job


class Patience(threading.local):
    """Until when the request of this thread may take."""

    until = float("inf")

    @contextmanager
    def of(self, seconds: float) -> Iterator[None]:
        self.until = time.monotonic() + seconds
        try:
            yield
        finally:
            self.until = float("inf")

    def left(self, timeout: float | None) -> float | None:
        """How long to wait now; httpcore.ReadTimeout where there is no time left."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("it took too long in all")
        return timeout if left == float("inf") else min(left, left if timeout is None else timeout)


def transport(certificates: ssl.SSLContext, patience: Patience) -> httpx.HTTPTransport:
    """httpx's own, whose connections look at the time."""
    made = httpx.HTTPTransport(verify=certificates, trust_env=False)
    # httpx has no word for this; its pool of connections has.
    made._pool = httpcore.ConnectionPool(
        ssl_context=certificates, keepalive_expiry=KEPT_S, network_backend=_Backend(patience)
    )
    return made


class _Backend(httpcore.SyncBackend):
    def __init__(self, patience: Patience) -> None:
        self._patience = patience

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.NetworkStream:
        made = super().connect_tcp(host, port, self._patience.left(timeout), local_address, socket_options)
        return _Stream(made, self._patience)


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, patience: Patience) -> None:
        self._stream, self._patience = stream, patience

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._patience.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._patience.left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        made = self._stream.start_tls(ssl_context, server_hostname, self._patience.left(timeout))
        return _Stream(made, self._patience)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
