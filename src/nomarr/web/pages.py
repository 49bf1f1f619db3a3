"""The pages for people. They hold no data: each is a frame that its scripts fill through the same API as any program's.

A page is three things: a line in PAGES, a template that extends base.html, and its own module `static/pages/<name>.js`.

- Templates write links as `{{ base }}/library` and files as `{{ static("app.css") }}`. Scripts get both right through
  `href()` in `static/dom.js`. No inline script, style or handler: the policy below forbids them. What a script
  computes for the eye goes through CSSOM, `element.style.setProperty("--share", "40%")`.
- One custom element a file, in `static/elements/`, named `nom-...`. Build nodes with `h()` of `static/dom.js`: text is
  never parsed as HTML.
- `static/api.js` talks to the API; a failure rejects with its sentence, and whatever nobody catches becomes a toast.
  `static/events.js` tells what happens. Lists are paged by the server (`nom-pager`), and the page's address holds
  what is shown, so that it can be linked to and gone back to.
- Colours and sizes come from the custom properties on top of `static/app.css`. What arrives late has its place kept.
- What destroys asks first: `ask()` of `nom-confirm`, which says what and how many. What is empty says the next step:
  `nom-empty`. What is drawn can also be read and followed: `nom-chart`.

tests/ui opens every page of PAGES, light and dark, wide and narrow, and fails on a word in the console or a violation
of accessibility rules. Addresses: /library, /tracks/{id}, /insights, /calibration, /playlists, /settings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from nomarr import __version__
from nomarr.errors import Unauthorized
from nomarr.web import assets
from nomarr.web.auth import Caller, UseAdmit
from nomarr.web.context import UseSettings
from nomarr.web.origin import base

router = APIRouter(include_in_schema=False)

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self'; "
    "manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True)
class Page:
    """A page at a path; `icon` of static/icons.svg for those in the navigation, `under` is one of them."""

    path: str
    name: str  # of its template and its module
    title: str
    icon: str | None = None
    under: str = ""
    is_open: bool = False  # to those who are not logged in


PAGES = (
    Page("/", "dashboard", "Dashboard", "dashboard"),
    Page("/library", "library", "Library", "library"),
    Page("/tracks/{id}", "track", "Track", under="library"),
    Page("/insights", "insights", "Insights", "insights"),
    Page("/calibration", "calibration", "Calibration", "calibration"),
    Page("/playlists", "playlists", "Playlists", "playlists"),
    Page("/settings", "settings", "Settings", "settings"),
    Page("/welcome", "welcome", "Welcome"),
    Page("/login", "login", "Log in", is_open=True),
)

_templates = Environment(
    loader=PackageLoader("nomarr.web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)


def _visitor(admit: UseAdmit) -> Caller | None:
    """Who looks at a page, None for somebody who has to log in."""
    try:
        return admit()
    except Unauthorized:
        return None


UseVisitor = Annotated[Caller | None, Depends(_visitor)]


def _route(page: Page) -> Callable[..., Response | str]:
    def show(request: Request, response: Response, settings: UseSettings, visitor: UseVisitor) -> Response | str:
        if visitor is None and not page.is_open:
            wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(f"{base(request)}/login?{urlencode({'next': wanted})}", status_code=303)
        response.headers["Content-Security-Policy"] = CSP
        return _templates.get_template(f"{page.name}.html").render(
            page=page,
            navigation=[one for one in PAGES if one.icon],
            base=base(request),
            static=lambda name: f"{base(request)}/static/{assets.version()}/{name}",
            version=__version__,
            settings=settings,
        )

    return show


for _page in PAGES:
    router.add_api_route(_page.path, _route(_page), name=_page.name, response_class=HTMLResponse, response_model=None)
