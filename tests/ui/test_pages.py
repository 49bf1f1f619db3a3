"""Every page: sound by itself, closed to strangers, quick to load."""

from __future__ import annotations

import httpx
import pytest
from playwright.sync_api import expect

from nomarr.web.pages import CSP, PAGES, Page

from .conftest import Enter, Site, Visitor

WEIGHT = "() => performance.getEntries().reduce((sum, one) => sum + (one.encodedBodySize ?? 0), 0)"


@pytest.mark.parametrize("path", [page.path for page in PAGES if "{" not in page.path])
def test_a_page_is_sound_at_every_width_light_and_dark(visitor: Visitor, path: str) -> None:
    page = visitor.open(path)
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    visitor.settle()
    assert page.evaluate(WEIGHT) < 200_000
    visitor.check()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_forbid_scripts_and_styles_that_are_not_files_of_ours(visitor: Visitor, page: Page) -> None:
    answer = visitor.context.request.get(visitor.address + page.path.replace("{id}", "1"))
    assert answer.status == 200
    assert answer.headers["content-security-policy"] == CSP
    assert "unsafe" not in CSP
    assert " style=" not in answer.text()
    assert "<script>" not in answer.text()


@pytest.mark.parametrize("page", [page for page in PAGES if not page.is_open], ids=lambda page: page.name)
def test_strangers_are_led_to_the_login(site: Site, page: Page) -> None:
    path = page.path.replace("{id}", "1")
    answer = httpx.get(site.address + path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/nomarr/login?next=%2Fnomarr%2F")


def test_a_login_leads_back_to_where_somebody_wanted_to_go(enter: Enter, site: Site) -> None:
    visitor = enter(site)
    page = visitor.open("/welcome?from=a+link")
    page.get_by_label("Password", exact=True).fill(site.password)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{site.address}/welcome?from=a+link")


def test_a_login_leads_to_no_other_site(enter: Enter, site: Site) -> None:
    page = enter(site).open("/login?next=//example.org/nomarr/")
    page.get_by_label("Password", exact=True).fill(site.password)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site.address}/")


def test_a_wrong_password_is_said_in_the_words_of_the_api(enter: Enter, site: Site) -> None:
    visitor = enter(site)
    visitor.expected.add("401 (Unauthorized)")
    page = visitor.open("/login")
    page.get_by_label("Password", exact=True).fill("a guess")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("Wrong password")
    visitor.check()


def test_a_logout_closes_the_pages(visitor: Visitor) -> None:
    page = visitor.open("/")
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/login")
    visitor.open("/")
    assert "/login?next=" in page.url


def test_a_session_that_ended_leads_to_the_login(visitor: Visitor) -> None:
    visitor.expected.add("401 (Unauthorized)")
    page = visitor.open("/")
    expect(page.locator("#state")).to_have_text("All is heard")
    visitor.context.clear_cookies()
    page.get_by_role("button", name="Pause").click()
    page.wait_for_url("**/login?next=%2Fnomarr%2F")


def test_files_of_the_pages_are_open_small_and_kept_for_good(site: Site) -> None:
    page = httpx.get(f"{site.address}/login").text
    address = page.partition('rel="stylesheet" href="')[2].partition('"')[0]
    answer = httpx.get(httpx.URL(site.address).join(address))
    assert answer.headers["content-encoding"] == "gzip"
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-type"].startswith("text/css")
    plain = httpx.get(answer.url, headers={"Accept-Encoding": "identity"})
    assert plain.text == answer.text
    earlier = httpx.get(str(answer.url).replace(address.split("/")[-2], "0123456789ab"))
    assert earlier.status_code == 200, "a page may still be open after an update"
    assert earlier.headers["cache-control"] == "no-store"
    outside = httpx.get(f"{site.address}/static/x/..%2F..%2Fpages.py")
    assert outside.status_code == 404


def test_a_chosen_theme_stays(visitor: Visitor) -> None:
    page = visitor.open("/")
    page.emulate_media(color_scheme="light")
    page.get_by_role("button", name="System’s theme").click()
    page.get_by_role("button", name="Light theme").click()
    visitor.open("/welcome")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"


def test_the_content_can_be_reached_without_the_navigation(visitor: Visitor) -> None:
    page = visitor.open("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
