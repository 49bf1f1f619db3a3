"""Playlists: rules by choosing and by typing, what they find, and the ways out of the page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Locator, Page, expect

from navidrome.standin import Navidrome, running

from .conftest import Enter, Site, Visitor

REFUSED = "400 (Bad Request)"
ALL = "duration >= 0"
NESTED = '(title contains "a" OR nom:danceability >= 0.25) AND NOT (year > 2030 OR genre is "polka")'


def text(page: Page) -> Locator:
    return page.get_by_label("The same as text")


def count(page: Page) -> Locator:
    return page.locator("#count")


def found(page: Page) -> Locator:
    return page.locator("#sample li")


def ready(page: Page) -> None:
    expect(page.locator("nom-rules select").first).to_be_visible()
    expect(page.locator("#presets button").first).to_be_visible()
    expect(page.locator("#config")).to_contain_text("[Tags.")


def opened(visitor: Visitor, query: str = "") -> Page:
    page = visitor.open("/playlists" + (f"?q={quote(query)}" if query else ""))
    ready(page)
    return page


def test_what_a_query_finds_is_shown_while_one_types(visitor: Visitor) -> None:
    page = opened(visitor)
    text(page).press_sequentially(ALL)
    expect(count(page)).to_have_text("10 tracks")
    expect(found(page)).to_have_count(10)
    page.get_by_label("At most").fill("3")
    expect(count(page)).to_have_text("3 tracks")
    expect(page.locator("#count-notes")).to_contain_text("the first of 10 tracks that match")
    expect(found(page)).to_have_count(3)
    text(page).fill(f"{ALL} AND rating > 3")
    expect(page.locator("#count-notes")).to_contain_text("without the rules on rating, which Navidrome alone knows")
    visitor.check()


def test_a_wrong_query_shows_its_place(visitor: Visitor) -> None:
    visitor.expected.add(REFUSED)
    page = opened(visitor, ALL)
    expect(count(page)).to_have_text("10 tracks")
    text(page).fill("title is '🎵' AND yeer > 1990")
    problem = page.locator("#problem")
    expect(problem).to_contain_text('At character 18: there is no field "yeer"; did you mean year?')
    expect(problem.locator("mark")).to_have_text("yeer")
    expect(text(page)).to_have_attribute("aria-invalid", "true")
    visitor.check()
    text(page).fill("year >")
    expect(problem).to_contain_text('At character 7: expected a value after ">"')
    text(page).fill("year > 1")
    expect(problem).to_be_empty()
    expect(text(page)).to_have_attribute("aria-invalid", "false")


def test_the_answer_to_what_was_typed_before_is_dropped(visitor: Visitor) -> None:
    page = opened(visitor)
    held = []

    def hold(route):  # type: ignore[no-untyped-def]
        if "year" in (route.request.post_data or ""):
            held.append(route)
        else:
            route.continue_()

    page.route("**/playlists/preview", hold)
    with page.expect_request("**/playlists/preview"):
        text(page).fill("year > 2999")
    text(page).fill(ALL)
    expect(count(page)).to_have_text("10 tracks")
    with page.expect_response("**/playlists/preview"):
        held[0].continue_()
    expect(count(page)).to_have_text("10 tracks")
    assert len(held) == 1


def test_rules_are_built_by_choosing(visitor: Visitor) -> None:
    page = opened(visitor)
    expect(text(page)).to_have_value("")
    page.get_by_label("Field of rule 1").select_option("year")
    page.get_by_label("Comparison of rule 1").select_option("is at least")
    page.get_by_label("Value of rule 1").fill("0")
    expect(text(page)).to_have_value("year >= 0")
    expect(count(page)).to_have_text("10 tracks")
    page.get_by_role("button", name="Add a group", exact=True).click()
    expect(page.get_by_label("Field of rule 2.1")).to_be_focused()
    page.get_by_label("How many rules of group 2 must hold").select_option("none")
    page.get_by_label("Field of rule 2.1").select_option("nom:danceability")
    page.get_by_label("Value of rule 2.1, as a slider").fill("0.9")
    expect(page.get_by_label("Value of rule 2.1", exact=True)).to_have_value("0.9")
    page.get_by_role("button", name="Add a rule to group 2").click()
    page.get_by_label("Value of rule 2.2").select_option("party")
    expected = 'year >= 0 AND NOT (nom:danceability >= 0.9 OR nom:mood-regular is "party")'
    expect(text(page)).to_have_value(expected)
    visitor.check()
    page.get_by_role("button", name="Remove rule 2.2").click()
    expect(page.get_by_role("button", name="Add a rule to group 2")).to_be_focused()
    expect(text(page)).to_have_value("year >= 0 AND NOT nom:danceability >= 0.9")
    page.get_by_label("Comparison of rule 2.1").select_option("lies between")
    expect(text(page)).to_have_value("year >= 0 AND NOT nom:danceability inTheRange [0.9, 1]")


def shape(page: Page) -> list[str]:
    """What every control of the builder holds, in order."""
    return page.locator("nom-rules").evaluate(
        "(it) => [...it.querySelectorAll('select, input')].map((one) => `${one.ariaLabel}=${one.value}`)"
    )


@pytest.mark.parametrize(
    "query",
    [
        NESTED,
        'nom:mood_happy is true AND (compilation is false OR comment isMissing) AND title contains "say \\"hi\\" \\\\"',
        'NOT nom:mood-loose is "sad" OR lastplayed inTheLast 30 OR date inTheRange ["1990", "1999-12"]',
    ],
)
def test_text_becomes_rules_and_rules_the_same_text(visitor: Visitor, query: str) -> None:
    page = opened(visitor, query)
    expect(page.locator("nom-rules > div > ul > li").nth(1)).to_be_visible()
    expect(count(page)).not_to_have_text("–")
    before = shape(page)
    assert page.locator("nom-rules").evaluate("(it) => it.text") == query
    text(page).fill(query.replace(" AND ", "  and ").replace(" OR ", " or "))
    expect(page.locator("#found")).not_to_have_attribute("aria-busy", "true")
    assert shape(page) == before
    assert page.locator("nom-rules").evaluate("(it) => it.text") == query


def test_a_preset_fills_the_page_and_its_address(visitor: Visitor) -> None:
    page = opened(visitor)
    preset = page.locator("#presets button", has_text="Chill")
    expect(preset).to_contain_text("track")
    wanted = (preset.locator("small").text_content() or "").strip()
    preset.click()
    expect(count(page)).to_have_text(wanted)
    expect(page.get_by_label("How many rules of group 1 must hold")).to_have_value("any")
    expect(page.get_by_label("Value of rule 1.2")).to_have_value("relaxed")
    expect(page.get_by_label("Name", exact=True)).to_have_value("Chill")
    page.get_by_label("Sorted by", exact=True).last.select_option("year")
    page.get_by_label("Direction 1").select_option("high to low")
    page.wait_for_url("**sort=-year**")
    page.reload()
    ready(page)
    expect(page.get_by_label("Value of rule 1.2")).to_have_value("relaxed")
    expect(page.get_by_label("Direction 1")).to_have_value("-")
    page.get_by_role("button", name="Start anew").click()
    expect(text(page)).to_have_value("")
    page.wait_for_url("**/playlists")


def test_a_download_is_an_nsp_file(visitor: Visitor) -> None:
    page = opened(visitor, ALL)
    page.get_by_label("Name", exact=True).fill("Every: one")
    page.get_by_label("At most").fill("5")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "Every_ one.nsp"
    made = json.loads(Path(download.value.path()).read_text())
    assert (made["name"], made["limit"]) == ("Every: one", 5)
    assert made["any"] == [{"gt": {"duration": 0}}, {"is": {"duration": 0}}]
    expect(page.locator("#sent")).to_contain_text("Navidrome 0.58.0 or newer")


def test_an_nsp_file_is_opened_and_what_the_page_has_no_place_for_is_said(visitor: Visitor) -> None:
    page = opened(visitor, "year > 2999")
    page.get_by_label("Comment, if you like").fill("of another one")
    rules = {"all": [{"gt": {"duration": 0}}], "name": "Opened", "sort": "-year", "limit": 4, "limitPercent": 50}

    def choose(name: str, content: str) -> None:
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="Open an .nsp file").click()
        chooser.value.set_files({"name": name, "mimeType": "application/json", "buffer": content.encode()})

    choose("opened.nsp", json.dumps(rules))
    expect(page.get_by_text("Opened: opened.nsp, without limitPercent, which this page does not know")).to_be_visible()
    expect(count(page)).to_have_text("4 tracks")
    expect(text(page)).to_have_value("duration > 0")
    expect(page.get_by_label("Direction 1")).to_have_value("-")
    expect(page.get_by_label("Name", exact=True)).to_have_value("Opened")
    expect(page.get_by_label("Comment, if you like")).to_be_empty()
    choose("picture.nsp", "\x89PNG")
    expect(page.get_by_text("picture.nsp is no smart playlist")).to_be_visible()
    visitor.expected.add(REFUSED)
    choose("other.nsp", '{"all": [{"near": {"year": 1}}]}')
    expect(page.locator(".toast.is-error").last).to_contain_text("near")
    expect(text(page)).to_have_value("duration > 0")
    found(page).get_by_role("link").first.click()
    page.wait_for_url("**/tracks/*")


def test_a_playlist_is_written_beside_the_music_and_replaced_only_when_asked(visitor: Visitor, site: Site) -> None:
    visitor.expected.add("409 (Conflict)")
    page = opened(visitor, ALL)
    page.get_by_label("Name", exact=True).fill("Mine")
    page.get_by_role("button", name="Write the file").click()
    target = site.music / "Playlists" / "Mine.nsp"
    expect(page.locator("#sent")).to_contain_text(str(target))
    assert json.loads(target.read_text())["name"] == "Mine"
    target.write_text("{}")
    page.get_by_role("button", name="Write the file").click()
    dialog = page.get_by_role("dialog", name="Replace it?")
    dialog.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Write the file")).to_be_enabled()
    assert target.read_text() == "{}"
    page.get_by_role("button", name="Write the file").click()
    dialog.get_by_role("button", name="Replace it").click()
    expect(page.locator("#sent")).to_contain_text("Changed:")
    assert json.loads(target.read_text())["name"] == "Mine"


def test_the_configuration_is_copied(visitor: Visitor) -> None:
    visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = opened(visitor)
    page.get_by_role("button", name="Copy Navidrome’s configuration").click()
    expect(page.get_by_text("Copied: Navidrome’s configuration")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert "[Tags.nom_mood_strict]" in copied
    assert copied == page.locator("#config code").text_content()


def test_without_navidrome_the_page_leads_to_the_settings_and_the_doctor_says_what_is_missing(visitor: Visitor) -> None:
    page = opened(visitor)
    link = page.get_by_role("link", name="Set up Navidrome")
    expect(link).to_have_attribute("href", "/nomarr/settings#navidrome")
    page.get_by_role("button", name="Examine it").click()
    steps = page.locator(".findings li")
    expect(steps).to_have_count(8)
    expect(steps.first).to_contain_text("Navidrome is not set up; what is missing: navidrome_url")
    expect(steps.first).to_contain_text("To do: Give navidrome_url")
    expect(steps.nth(1)).to_contain_text("9 files hold Nomarr's tags")
    expect(steps.last).to_contain_text("Not looked at: an earlier step comes first")
    visitor.check()


@contextmanager
def linked(site: Site, navidrome: Navidrome) -> Iterator[None]:
    """The server's account in Navidrome, as long as it is needed."""
    account = {"url": navidrome.url, "user": navidrome.users[0].name, "password": navidrome.users[0].password}
    with site.client() as client:

        def say(name: str, value: str | None) -> None:
            answer = client.post("/api/web/config", json={"key": f"navidrome_{name}", "value": value})
            assert answer.is_success, answer.text

        for name, value in account.items():
            say(name, value)
        try:
            yield
        finally:
            for name in reversed(account):
                say(name, None)


def test_a_playlist_is_pushed_listed_and_deleted(site: Site, enter: Enter) -> None:
    navidrome = Navidrome()
    with running(navidrome), linked(site, navidrome):
        visitor = enter(site, logged_in=True)
        page = opened(visitor, ALL)
        expect(page.locator("#pushed")).to_contain_text("None yet")
        page.get_by_label("Name", exact=True).fill("Mine")
        page.get_by_role("button", name="Push", exact=True).click()
        expect(page.locator("#sent")).to_contain_text("Mine is in Navidrome now")
        assert [one["name"] for one in navidrome.playlists.values()] == ["Mine"]
        row = page.get_by_role("row", name="Mine")
        expect(row).to_contain_text("rules")
        visitor.check()
        text(page).fill("year > 1")
        row.get_by_role("button", name="Show the rules of Mine").click()
        expect(text(page)).to_have_value(ALL)
        page.get_by_role("button", name="Have it scan everything now").click()
        expect(page.locator("#scan-state")).to_contain_text("Last asked for a scan")
        assert navidrome.scans[-1][0] is True
        row.get_by_role("button", name="Delete Mine").click()
        dialog = page.get_by_role("dialog", name="Delete Mine in Navidrome?")
        dialog.get_by_role("button", name="Delete it").click()
        expect(page.locator("#pushed")).to_contain_text("None yet")
        assert not navidrome.playlists
