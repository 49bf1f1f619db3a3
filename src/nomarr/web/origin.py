"""Where a request comes from: over https or not, from our own pages or from another site's."""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import Request

from nomarr.errors import Forbidden


def came_by_https(request: Request) -> bool:
    # A proxy says so in a header. Who forges it only keeps the cookie from himself.
    return "https" in (request.url.scheme, request.headers.get("x-forwarded-proto", "").lower())


def refuse_other_sites(request: Request) -> None:
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
