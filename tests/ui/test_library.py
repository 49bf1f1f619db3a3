"""The library page: finding tracks, what went wrong with some, and the libraries themselves."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from nomarr.tagfiles.audiofile import read_tags

from .conftest import Site, Visitor

SLOW = 60_000  # for what workers do


def rows(page: Page) -> Locator:
    return page.locator("#list tbody tr")


def wait_for_workers(site: Site) -> None:
    with site.client() as client:
        deadline = time.monotonic() + 60
        while client.get("/api/web/queue/queue-depth").json()["depth"]:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_tracks_are_found_by_words_states_and_scores_and_sorted(visitor: Visitor) -> None:
    page = visitor.open("/library")
    expect(rows(page)).to_have_count(10)
    visitor.check()
    page.set_viewport_size({"width": 1280, "height": 860})
    page.get_by_role("searchbox", name="Search").fill("somebody flac")
    expect(rows(page)).to_have_count(1)
    expect(page.locator("#count")).to_have_text("1 track found")
    assert "q=somebody+flac" in page.url
    page.get_by_role("button", name="Take away: “somebody flac”").click()
    expect(rows(page)).to_have_count(10)
    page.get_by_label("State").select_option("With problems")
    expect(rows(page)).to_have_count(1)
    page.get_by_label("State").select_option("Heard")
    expect(rows(page)).to_have_count(9)
    page.get_by_text("More filters").click()
    page.get_by_label("Score", exact=True).select_option("danceability")
    page.get_by_label("Bound").fill("0")
    page.get_by_role("button", name="Add the score").click()
    expect(page.get_by_role("list", name="Filters")).to_contain_text("danceability ≥ 0")
    expect(rows(page)).to_have_count(9)
    visitor.check()


def test_headers_sort_and_going_back_goes_back(visitor: Visitor) -> None:
    page = visitor.open("/library?status=done")
    expect(rows(page)).to_have_count(9)
    page.get_by_role("button", name="Title").click()
    expect(page.get_by_role("columnheader", name="Title")).to_have_attribute("aria-sort", "ascending")
    page.get_by_role("button", name="Title").press("Enter")
    expect(page.get_by_role("columnheader", name="Title")).to_have_attribute("aria-sort", "descending")
    assert page.url.endswith("?status=done&sort=-title")
    page.go_back()
    page.go_back()
    expect(page.get_by_role("columnheader", name="Title")).not_to_have_attribute("aria-sort", "ascending")
    expect(page.get_by_label("Order")).to_have_value("path")


def test_filters_of_the_address_are_chips_that_can_be_taken_away(visitor: Visitor) -> None:
    given = "artist=Somebody&tag=%21mood%3Aparty&tag=nom%3Adanceability%3E%3D0&library_id=1&year=&status=analysed"
    page = visitor.open(f"/library?{given}")
    chips = page.get_by_role("list", name="Filters")
    for text in ("Artist: Somebody", "not party", "danceability ≥ 0", "Library: Music", "Year: not said", "Heard"):
        expect(chips).to_contain_text(text)
    expect(rows(page)).to_have_count(9)
    chips.get_by_role("button", name="Take away: not party").click()
    expect(chips).not_to_contain_text("not party")
    expect(chips.get_by_role("button").first).to_be_focused()
    assert "mood" not in page.url
    visitor.check()
    chips.get_by_role("link", name="Take all away").click()
    expect(rows(page)).to_have_count(10)


def test_a_filter_that_cannot_be_read_is_explained_in_the_words_of_the_api(visitor: Visitor) -> None:
    visitor.expected.add("400 (Bad Request)")
    page = visitor.open("/library?tag=mood:heppy")
    expect(page.locator("#list")).to_contain_text("there is no mood 'heppy'")
    page.get_by_role("link", name="Show all tracks").click()
    expect(rows(page)).to_have_count(10)


def test_a_file_that_failed_shows_its_reason_and_is_tried_again(visitor: Visitor, site: Site) -> None:
    page = visitor.open("/library?status=errors")
    expect(rows(page)).to_have_count(1)
    expect(rows(page)).to_contain_text("not an audio file")
    visitor.check()
    for name in ("Try broken.mp3 again", "Try it again"):
        page.get_by_role("button", name=name).click()
        expect(page.get_by_text("1 file will be tried again")).to_be_visible()
        wait_for_workers(site)
        expect(rows(page)).to_contain_text("not an audio file", timeout=SLOW)


@pytest.fixture
def second(site: Site, tracks: dict[str, Path]) -> Path:
    """A folder beside the library: a track, and more files than fit on a page that are none."""
    folder = site.music.parent / "second"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for number in range(51):
        (folder / f"{number:02}.mp3").write_bytes(b"nothing to hear " * number)
    shutil.copy(tracks["flac"], folder / "zz.flac")
    return folder


def test_a_library_is_added_changed_and_removed_with_its_tags(visitor: Visitor, site: Site, second: Path) -> None:
    page = visitor.open("/library")
    page.get_by_role("button", name="Add a library").click()
    dialog = page.get_by_role("dialog", name="Add a library")
    dialog.get_by_label("Name").fill("Second")
    dialog.get_by_role("button", name="Add and scan it").click()
    expect(dialog.get_by_role("alert")).to_have_text("Choose the folder that holds the music first")
    visitor.check()
    dialog.get_by_role("button", name=str(site.music.parent), exact=True).click()
    dialog.get_by_role("button", name="second", exact=True).click()
    expect(dialog.locator("output")).to_have_text(str(second))
    dialog.get_by_role("button", name="Add and scan it").click()
    card = page.locator("nom-library", has_text="Second")
    expect(card).to_contain_text("Scanned", timeout=SLOW)
    expect(card).to_contain_text("1 of 52 tracks heard", timeout=SLOW)

    card.get_by_role("button", name="Change").click()
    dialog = page.get_by_role("dialog", name="Change Second")
    dialog.get_by_label("Name").fill("The second")
    dialog.get_by_label("By looking").check()
    dialog.get_by_label("Mood words only").check()
    visitor.check()
    dialog.get_by_role("button", name="Save").click()
    card = page.locator("nom-library", has_text="The second")
    expect(card).to_contain_text("Looked through every minute; mood words go into the files.")

    page.locator("select[name=library_id]").select_option("The second")
    expect(rows(page)).to_have_count(50)
    page.get_by_role("link", name="Next").click()
    expect(rows(page)).to_have_count(2)
    assert "offset=50" in page.url
    wait_for_workers(site)
    assert read_tags(second / "zz.flac")

    card.get_by_role("button", name="Remove").click()
    dialog = page.get_by_role("dialog", name="Remove The second?")
    expect(dialog).to_contain_text("52 tracks")
    dialog.get_by_label("First take Nomarr’s tags out of 1 file").check()
    visitor.check()
    dialog.get_by_role("button", name="Remove the library").click()
    expect(card).to_have_count(0, timeout=SLOW)
    assert not read_tags(second / "zz.flac")
    expect(rows(page)).to_have_count(10)


def test_scanning_now_says_what_it_found(visitor: Visitor) -> None:
    page = visitor.open("/library")
    page.get_by_role("button", name="Scan now: Music").click()
    expect(page.get_by_text("Music: nothing new to hear")).to_be_visible(timeout=SLOW)
    expect(page.locator("nom-library", has_text="Music")).to_contain_text("Scanned")
