"""The page of a track: playing it, its moods and who is right about them, and what was written into its file."""

from __future__ import annotations

import httpx
from playwright.sync_api import expect

from nomarr.tagfiles.audiofile import read_tags

from .conftest import Site, Visitor

SLOW = 60_000
PLAYS = """(audio) => new Promise((resolve) => {
  audio.muted = true;
  audio.currentTime = 2;
  audio.addEventListener("timeupdate", () => { if (audio.currentTime > 2.1) { audio.pause(); resolve(true); } });
  audio.play();
})"""


def track(client: httpx.Client, ending: str) -> dict[str, object]:
    (found,) = client.get("/api/web/files", params={"q": ending, "status": "done", "format": ending}).json()["files"]
    return found


def test_a_track_is_found_opened_and_played(visitor: Visitor) -> None:
    page = visitor.open("/library?q=flac.flac")
    page.locator("#list td a").first.click()
    page.wait_for_url("**/tracks/*")
    expect(page.locator("audio")).to_be_visible()
    page.wait_for_function("() => document.querySelector('audio').duration > 3.5")
    assert page.locator("audio").evaluate(PLAYS)
    expect(page.locator("#rest")).to_be_visible()
    visitor.check()
    page.get_by_role("link", name="‹ Library").click()
    page.wait_for_url("**/library?q=flac.flac")


def test_what_the_browser_cannot_play_can_be_downloaded(visitor: Visitor, site: Site) -> None:
    with site.client() as client:
        wma = track(client, "wma")
    page = visitor.open(f"/tracks/{wma['id']}")
    expect(page.locator("nom-player")).to_contain_text("This browser cannot play wma files")
    expect(page.get_by_role("link", name="Download it")).to_have_attribute("download", "wma.wma")
    expect(page.locator("#rest")).to_be_visible()


def test_a_mood_is_corrected_and_stays_so(visitor: Visitor, site: Site) -> None:
    with site.client() as client:
        ogg = track(client, "ogg")
        page = visitor.open(f"/tracks/{ogg['id']}")
        page.get_by_text("Moods that it has not").click()
        page.get_by_label("party, by hand").select_option("clearly")
        expect(page.locator("#words")).to_contain_text("party")
        expect(page.locator(".mood", has_text="party")).to_contain_text("clearly · set by you")
        page.get_by_label("Lock the words").check()
        expect(page.get_by_role("button", name="Leave all to the models again")).to_be_visible()
        visitor.check()
        page.reload()
        expect(page.locator("#words")).to_contain_text("party")
        expect(page.get_by_label("party, by hand")).to_have_value("strict")
        expect(page.get_by_label("Lock the words")).to_be_checked()
        page.get_by_label("party, by hand").select_option("not at all")
        expect(page.locator("#words")).not_to_contain_text("party")
        page.get_by_role("button", name="Leave all to the models again").click()
        dialog = page.get_by_role("dialog", name="Leave it to the models?")
        expect(dialog).to_contain_text("1 of your corrections is forgotten and the lock is taken off")
        dialog.get_by_role("button", name="Leave it to them").click()
        expect(page.get_by_role("button", name="Leave all to the models again")).to_have_count(0)
        assert client.get(f"/api/web/files/{ogg['id']}/correction").json()["moods"] == {}


def test_the_reasons_of_a_mood_and_the_scores_can_be_read(visitor: Visitor, site: Site) -> None:
    with site.client() as client:
        mp3 = track(client, "mp3")
    page = visitor.open(f"/tracks/{mp3['id']}")
    page.get_by_text("Moods that it has not").click()
    page.locator("#why-danceable summary").click()
    expect(page.locator("#why-danceable")).to_contain_text("said")
    expect(page.get_by_role("table", name="Sound").get_by_role("row", name="danceability")).to_contain_text(
        "higher than"
    )
    visitor.check()


def test_a_write_is_undone_and_written_again(visitor: Visitor, site: Site) -> None:
    with site.client() as client:
        mp3 = track(client, "mp3")
    path = str(mp3["path"])
    page = visitor.open(f"/tracks/{mp3['id']}")
    expect(page.locator("#file")).to_contain_text("The file holds exactly what it should.", timeout=SLOW)
    assert read_tags(path)
    page.locator("#history").get_by_role("button", name="Undo").first.click()
    expect(page.get_by_text("The file holds again what it held before")).to_be_visible()
    expect(page.locator("#history")).to_contain_text("undone")
    expect(page.locator("#file")).to_contain_text("The last write was undone")
    assert not read_tags(path)
    visitor.check()
    page.get_by_role("button", name="Write it now").click()
    expect(page.locator("#file")).to_contain_text("The file holds exactly what it should.", timeout=SLOW)
    assert read_tags(path)


def test_a_track_is_heard_again(visitor: Visitor, site: Site) -> None:
    with site.client() as client:
        opus = track(client, "ogg")
    page = visitor.open(f"/tracks/{opus['id']}")
    page.get_by_role("button", name="Hear it again").click()
    expect(page.get_by_text("Queued 1 file for processing")).to_be_visible()
    expect(page.get_by_role("button", name="Hear it again")).to_be_enabled(timeout=SLOW)
    expect(page.locator("#status")).to_be_hidden()


def test_a_track_that_is_not_there_is_said(visitor: Visitor) -> None:
    visitor.expected.add("404 (Not Found)")
    page = visitor.open("/tracks/4711")
    expect(page.get_by_role("heading", level=1)).to_have_text("No such track")
    expect(page.locator("main")).to_contain_text("File not found: 4711")
    visitor.check()
