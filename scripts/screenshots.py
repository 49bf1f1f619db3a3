#!/usr/bin/env python3
"""Pictures of every page of a running server, wide and narrow, light and dark.

    NOMARR_PASSWORD=... python scripts/screenshots.py http://localhost:8356 pictures/ [/library?q=blue ...]

Needs `pip install -e '.[test]'` and Chromium.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from nomarr.web.pages import PAGES

SIZES = {"wide": (1280, 860), "narrow": (375, 812)}
SETTLED_MS = 1500  # an open event stream never lets the network fall silent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("server")
    parser.add_argument("folder", type=Path)
    parser.add_argument("paths", nargs="*", help="pages with what they show; default: all that need nothing")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    paths = asked.paths or [page.path for page in PAGES if "{" not in page.path]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for size in SIZES:
            for scheme in ("light", "dark"):
                _take(browser, asked.server, asked.folder, paths, size=size, scheme=scheme)
        browser.close()
    return 0


def _take(browser: Browser, server: str, folder: Path, paths: list[str], *, size: str, scheme: str) -> None:
    width, height = SIZES[size]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    page.on("console", lambda message: print(f"{page.url}: {message.type}: {message.text}", file=sys.stderr))
    page.goto(f"{server}/login")
    answer = page.request.post(f"{server}/api/web/auth/login", data={"password": os.environ["NOMARR_PASSWORD"]})
    assert answer.ok, answer.text()
    for path in paths:
        page.goto(server + path)
        page.wait_for_timeout(SETTLED_MS)
        name = path.strip("/").replace("/", "-").replace("?", "-") or "dashboard"
        target = folder / f"{name}-{size}-{scheme}.png"
        page.screenshot(path=target, full_page=True)
        print(target)
    context.close()


if __name__ == "__main__":
    sys.exit(main())
