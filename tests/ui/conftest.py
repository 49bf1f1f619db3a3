"""A real server and a real browser, started once; every page that is looked at must be sound in every way."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Request, sync_playwright

from ground import Ground
from heard import add_heard, some_scores
from nomarr.config import PAUSED
from nomarr.store import libraries, preferences
from nomarr.store.database import Database
from nomarr.store.facts import Facts

PASSWORD = "correct horse battery staple"
SIZES = ((1280, 860), (360, 740))
# What axe looks at: a scheme changes nothing but colours.
SCHEMES = {"light": {"resultTypes": ["violations"]}, "dark": {"runOnly": ["color-contrast"]}}
MOST_SHIFTED = 0.1  # what is called a good value of Cumulative Layout Shift
SHIFTED = """() => new Promise((resolve) => {
  let sum = 0;
  new PerformanceObserver((list) => list.getEntries().forEach((one) => { if (!one.hadRecentInput) sum += one.value; }))
    .observe({ type: "layout-shift", buffered: true });
  setTimeout(() => resolve(sum), 50);
})"""
TOO_WIDE = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


@dataclass
class Site:
    """A running server, as a browser sees it."""

    address: str  # with the base
    music: Path
    password: str = PASSWORD

    def client(self) -> httpx.Client:
        answer = httpx.post(f"{self.address}/api/web/auth/login", json={"password": self.password}, timeout=30)
        headers = {"Authorization": f"Bearer {answer.json()['session_token']}"}
        return httpx.Client(base_url=self.address, headers=headers, timeout=30)


@contextmanager
def serving(ground: Ground, *, base: str = "", **environment: str) -> Iterator[Site]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {"NOMARR_BROWSE_ROOTS": str(ground.folder), "NOMARR_URL_BASE": base, **environment}
    site = Site(f"http://127.0.0.1:{port}{base}", ground.music)
    with ground.start("serve", "--port", port, "--workers", 1, **environment) as process:
        try:
            _wait_until_up(site, process)
            yield site
        finally:
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=60)
            assert "Traceback" not in out + err, out + err


def _wait_until_up(site: Site, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            httpx.get(f"{site.address}/ping", timeout=5)
            return
        except httpx.TransportError:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.1)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, small_models: Path, tracks: dict[str, Path]) -> Iterator[Site]:
    """A server below /nomarr that has heard a small library."""
    ground = Ground(tmp_path_factory.mktemp("site"), small_models)
    for ending, path in tracks.items():
        ground.add(path, f"Somebody/Something/{ending}.{ending}")
    (ground.music / "broken.mp3").write_bytes(b"not music at all" * 100)
    with serving(ground, base="/nomarr", NOMARR_ADMIN_PASSWORD=PASSWORD) as site, site.client() as client:
        library = client.post("/api/web/libraries", json={"name": "Music", "root_path": str(ground.music)}).json()
        client.post(f"/api/web/libraries/{library['id']}/scan", json={}).raise_for_status()
        deadline = time.monotonic() + 60
        while client.get("/api/web/queue/queue-depth").json()["depth"]:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield site


@pytest.fixture(scope="session")
def heard_site(tmp_path_factory: pytest.TempPathFactory, small_models: Path) -> Iterator[Site]:
    """A server whose libraries were heard by the default packs, as far as its database knows; workers are paused."""
    ground = Ground(tmp_path_factory.mktemp("heard"), small_models)
    rng = np.random.default_rng(7)
    with Database(ground.settings().database) as db:
        db.migrate()
        with db.write() as tx:
            preferences.put(tx, PAUSED, True)
            for name, tracks in (("Music", 60), ("Other", 12), ("Empty", 0)):
                folder = ground.folder / name.lower()
                folder.mkdir()
                library = libraries.create(tx, name=name, root_path=str(folder), now=1)
                for n in range(tracks):
                    facts = Facts(
                        container=("mp3", "flac", None)[n % 3],
                        duration_s=60.0 + 11 * n if n % 8 else None,
                        genre=("House", "Jazz", None)[n % 3],
                        year=1990 + n % 9 if n % 5 else None,
                    )
                    add_heard(tx, library.id, some_scores(rng), facts=facts, set_aside=n % 20 == 7)
    with serving(ground, base="/nomarr", NOMARR_ADMIN_PASSWORD=PASSWORD) as site:
        yield site


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # As root there is no sandbox; the pages are our own.
        found = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield found
        found.close()


@dataclass
class Visitor:
    """Somebody with a browser, who notices what is wrong with a page."""

    context: BrowserContext
    page: Page
    address: str
    expected: set[str] = field(default_factory=set)  # parts of console messages that a test brings about
    _messages: list[str] = field(default_factory=list)
    _asked: set[Request] = field(default_factory=set)  # and not answered yet

    def __post_init__(self) -> None:
        self.page.on("console", lambda message: self._messages.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self._messages.append(f"error: {error}"))
        self.page.on("request", lambda request: self._asked.add(request))
        self.page.on("requestfinished", lambda request: self._asked.discard(request))
        self.page.on("requestfailed", lambda request: self._asked.discard(request))

    def open(self, path: str) -> Page:
        self.page.goto(self.address + path)
        self.page.wait_for_load_state("load")
        return self.page

    def settle(self) -> None:
        """Until the page has all that it asked for; events never end."""
        deadline = time.monotonic() + 30
        while any(request.resource_type not in ("eventsource", "media") for request in self._asked):
            assert time.monotonic() < deadline, [request.url for request in self._asked]
            self.page.wait_for_timeout(20)

    def check(self) -> None:
        """The page as it is: at every width, light and dark."""
        assert self.page.evaluate(SHIFTED) <= MOST_SHIFTED, "what is on the page moves while it loads"
        for width, height in SIZES:
            self.page.set_viewport_size({"width": width, "height": height})
            assert self.page.evaluate(TOO_WIDE) <= 0, f"{self.page.url} is wider than {width} pixels"
            for scheme, rules in SCHEMES.items():
                self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                found = Axe().run(self.page, options=rules).response["violations"]
                assert not found, (self.page.url, width, scheme, found)
        self.check_console()

    def check_console(self) -> None:
        wrong = [m for m in self._messages if not any(part in m for part in self.expected)]
        assert not wrong, (self.page.url, wrong)


Enter = Callable[..., Visitor]


@pytest.fixture
def enter(browser: Browser) -> Iterator[Enter]:
    """Come to a server with a fresh browser: `enter(site)`, or `enter(site, logged_in=True)`."""
    visitors: list[Visitor] = []

    def come(site: Site, *, logged_in: bool = False) -> Visitor:
        context = browser.new_context(viewport={"width": 1280, "height": 860})
        context.set_default_timeout(15_000)
        visitor = Visitor(context, context.new_page(), site.address)
        visitors.append(visitor)
        if logged_in:
            answer = context.request.post(f"{site.address}/api/web/auth/login", data={"password": site.password})
            assert answer.ok, answer.text()
        return visitor

    yield come
    for visitor in visitors:
        visitor.check_console()
        visitor.context.close()


@pytest.fixture
def visitor(enter: Enter, site: Site) -> Visitor:
    """Somebody who is logged in where a small library was heard."""
    return enter(site, logged_in=True)
