#!/usr/bin/env python3
"""Pictures of every page of a running server, wide and narrow, light and dark.

    NOMARR_PASSWORD=... python scripts/screenshots.py http://localhost:8356 pictures/ [/library?q=blue ...]

Needs `pip install -e '.[test]'` and Chromium.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from nomarr.web.pages import PAGES

SIZES = {"wide": (1280, 860), "narrow": (375, 812)}
SETTLED_MS = 1500  # an open event stream never lets the network fall silent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("server")
    parser.add_argument("folder", type=Path)
    parser.add_argument("paths", nargs="*", help="pages with what they show; default: all, with one track")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for size in SIZES:
            for scheme in ("light", "dark"):
                _take(browser, asked.server, asked.folder, asked.paths, size=size, scheme=scheme)
        browser.close()
    return 0


def _take(browser: Browser, server: str, folder: Path, paths: list[str], *, size: str, scheme: str) -> None:
    width, height = SIZES[size]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    page.on("console", lambda message: print(f"{page.url}: {message.type}: {message.text}", file=sys.stderr))
    page.goto(f"{server}/login")
    page.wait_for_timeout(SETTLED_MS)
    _shoot(page, folder / f"login-{size}-{scheme}.png")
    answer = page.request.post(f"{server}/api/web/auth/login", data={"password": os.environ["NOMARR_PASSWORD"]})
    assert answer.ok, answer.text()
    for path in paths or _every_path(page, server):
        page.set_viewport_size({"width": width, "height": height})
        page.goto(server + path)
        page.wait_for_timeout(SETTLED_MS)
        name = re.sub("[/?#]", "-", path.strip("/")) or "dashboard"
        _shoot(page, folder / f"{name}-{size}-{scheme}.png")
    context.close()


def _shoot(page: Page, target: Path) -> None:
    """All of a page: what sticks to the window's edges then stands at the page's."""
    height = page.evaluate("Math.max(document.documentElement.scrollHeight, innerHeight)")
    page.set_viewport_size({"width": page.evaluate("innerWidth"), "height": height})
    page.screenshot(path=target)
    print(target)


def _every_path(page: Page, server: str) -> list[str]:
    """Every page, the track that was heard last and each section of the settings among them."""
    page.goto(f"{server}/settings")
    sections = page.locator(".sections a").evaluate_all("(links) => links.map((link) => link.hash)")
    files = page.request.get(f"{server}/api/web/files?sort=-analyzed&limit=1").json()["files"]
    plain = [one.path for one in PAGES if "{" not in one.path and one.name not in ("login", "settings")]
    return [*plain, *(f"/tracks/{file['id']}" for file in files), *(f"/settings{section}" for section in sections)]


if __name__ == "__main__":
    sys.exit(main())
