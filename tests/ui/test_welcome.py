"""The first minutes with Nomarr: from a made-up password to music that is heard before one's eyes."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

from ground import Ground
from nomarr.tagfiles.audiofile import read_tags

from .conftest import Enter, serving


def test_the_first_start_leads_to_music_being_heard(ground: Ground, enter: Enter, tracks: dict[str, Path]) -> None:
    files = [ground.add(path, f"Somebody/Something/{ending}.{ending}") for ending, path in tracks.items()]
    made_up = ground.run("password", "reset").stdout.strip()
    with serving(ground) as site:
        visitor = enter(site)
        page = visitor.open("/")
        page.get_by_label("Password", exact=True).fill(made_up)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url("**/welcome")
        visitor.check()

        page.get_by_label("Password that holds now").fill(made_up)
        page.get_by_label("New password").fill("a better one")
        page.get_by_role("button", name="Change it").click()
        expect(page.get_by_text("The password was changed")).to_be_visible()

        page.get_by_role("button", name=str(ground.folder)).click()
        page.get_by_role("button", name="music", exact=True).click()
        expect(page.locator("nom-folder-picker output")).to_have_text(str(ground.music))
        page.locator("#folder").get_by_role("button", name="Continue").click()

        page.get_by_label("Mood words only").check()
        page.get_by_role("button", name="Try it on five of my files").click()
        expect(page.locator(".previewed")).to_have_count(5, timeout=60_000)
        visitor.check()
        assert not any(map(read_tags, files)), "it only looks"

        page.get_by_role("button", name="Start listening").click()
        page.wait_for_url(f"{site.address}/")
        expect(page.locator("#done")).to_have_text("9", timeout=60_000)
        expect(page.locator("#recent li")).to_have_count(8)
        expect(page.locator("#total-files")).to_have_text("9", timeout=15_000)
        visitor.check()
        assert {name for path in files for name in read_tags(path)} <= {"mood-strict", "mood-regular", "mood-loose"}
