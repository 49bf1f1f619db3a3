"""Insights: every number leads to just the tracks that it counts, and can be taken along."""

from __future__ import annotations

import csv
import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from ground import Ground

from .conftest import PASSWORD, Enter, Site, Visitor, serving

LATE = 30_000  # where the machine has much else to do


@pytest.fixture
def insights(heard_site: Site, enter: Enter) -> Page:
    return opened(enter(heard_site, logged_in=True))


def opened(visitor: Visitor, path: str = "/insights") -> Page:
    page = visitor.open(path)
    expect(page.locator("#insights")).to_be_visible(timeout=LATE)
    return page


def follow(page: Page, site: Site, link: Locator, count: int) -> None:
    """Where the link leads there are so many tracks, by the page and by the API."""
    link.click()
    page.wait_for_url("**/library?**")
    with site.client() as client:
        answer = client.get(f"/api/web/files?{urlsplit(page.url).query}")
    assert answer.json()["total"] == count, page.url
    expect(page.locator("#count")).to_have_text(f"{count} {'track' if count == 1 else 'tracks'} found", timeout=LATE)
    page.go_back()
    expect(page.locator("#insights")).to_be_visible(timeout=LATE)


def test_what_is_known_of_the_music_is_shown(heard_site: Site, enter: Enter) -> None:
    visitor = enter(heard_site, logged_in=True)
    page = opened(visitor)
    expect(page.locator("#files")).to_have_text("72")
    expect(page.locator("#analysed")).to_have_text("72")
    expect(page.get_by_role("region", name="How far each library is").get_by_role("row")).to_have_count(4)
    visitor.check()


def test_numbers_lead_to_as_many_tracks_as_they_say(insights: Page, heard_site: Site) -> None:
    follow(insights, heard_site, insights.locator("#files a"), 72)
    for place in ("#coverage tr:nth-child(1) td:nth-child(5) a", "nom-tiers td a >> nth=3", "#tags a >> nth=-1"):
        link = insights.locator(place)
        follow(insights, heard_site, link, int(link.inner_text()))
    follow(insights, heard_site, insights.locator("#formats").get_by_role("link", name="flac"), 24)
    silent = insights.locator("#years p a")
    follow(insights, heard_site, silent, int(silent.inner_text().split()[0]))


def test_bars_and_cells_lead_to_as_many_tracks_as_they_say(insights: Page, heard_site: Site) -> None:
    bar = insights.locator("#durations .plot a").first
    label = bar.get_attribute("aria-label") or ""
    follow(insights, heard_site, bar, int(label.rpartition(" ")[2]))
    cell = insights.locator("#together a.cell").nth(1)
    follow(insights, heard_site, cell, int(cell.inner_text()))
    between = insights.locator("#correlations a.cell").first
    pair = (between.get_attribute("title") or "").partition(":")[0].split(", ")
    with heard_site.client() as client:
        both = client.get("/api/web/analytics/mood-cooccurrence").json()["counts"][pair[0]][pair[1]]
    follow(insights, heard_site, between, both)


def test_arrows_walk_over_the_cells_of_a_square(insights: Page) -> None:
    rows = insights.locator("#correlations tbody tr")
    rows.nth(0).locator("a").first.focus()
    insights.keyboard.press("ArrowDown")
    expect(rows.nth(2).locator("td").nth(1).locator("a")).to_be_focused()  # over the mood with itself
    insights.keyboard.press("ArrowLeft")
    expect(rows.nth(2).locator("td").nth(0).locator("a")).to_be_focused()


def test_every_part_can_be_taken_along_as_csv(insights: Page) -> None:
    links = insights.get_by_role("link", name=re.compile("^CSV"))
    expect(links).to_have_count(10)
    for link in links.all():
        with insights.expect_download() as download:
            link.click()
        assert download.value.suggested_filename.endswith(".csv")
        with download.value.path().open(newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
        assert len(header) > 1
        assert all(len(row) == len(header) for row in rows)
        assert rows or "agreement" in download.value.suggested_filename


def test_another_library_has_its_own_numbers(heard_site: Site, enter: Enter) -> None:
    visitor = enter(heard_site, logged_in=True)
    page = opened(visitor)
    chooser = page.get_by_label("Library", exact=True)
    chooser.select_option("Other")
    expect(page.locator("#files")).to_have_text("12", timeout=LATE)
    expect(page.locator("#insights")).to_be_visible(timeout=LATE)
    follow(page, heard_site, page.locator("#files a"), 12)
    assert "library_id=2" in (page.locator("a[data-csv]").first.get_attribute("href") or "")
    chooser.select_option("Empty")
    expect(page.locator("#nothing")).to_contain_text("No music here yet", timeout=LATE)
    assert page.url.endswith("/insights?library_id=3")
    page.go_back()
    expect(page.locator("#files")).to_have_text("12", timeout=LATE)


def test_agreement_shows_once_a_mood_was_corrected(heard_site: Site, enter: Enter) -> None:
    visitor = enter(heard_site, logged_in=True)
    with heard_site.client() as client:
        file_id = client.get("/api/web/files", params={"limit": 1}).json()["files"][0]["id"]
        client.put(f"/api/web/files/{file_id}/moods/party", json={"tier": "strict"}).raise_for_status()
        try:
            page = opened(visitor)
            expect(page.get_by_role("region", name="Agreement by mood")).to_contain_text("party", timeout=LATE)
        finally:
            client.delete(f"/api/web/files/{file_id}/moods/party").raise_for_status()


def test_before_anything_was_heard_the_next_step_is_shown(ground: Ground, enter: Enter) -> None:
    with serving(ground, NOMARR_ADMIN_PASSWORD=PASSWORD) as site:
        visitor = enter(site, logged_in=True)
        for path in ("/insights", "/calibration"):
            page = visitor.open(path)
            expect(page.get_by_role("link", name="Set it up")).to_be_visible(timeout=LATE)
        visitor.check()
