"""The dashboard, and the parts that other pages use as well."""

from __future__ import annotations

import time

from playwright.sync_api import Page, expect

from .conftest import Site, Visitor

MOUNT = """async ([name, data]) => {
  const { default: _, ...module } = await import(document.querySelector('link[rel=stylesheet]').href.replace(
    'app.css', `elements/nom-${name}.js`));
  const element = document.createElement(`nom-${name}`);
  if (data.attributes) for (const [key, value] of Object.entries(data.attributes)) element.setAttribute(key, value);
  else element.data = data;
  document.querySelector('main').replaceChildren(Object.assign(document.createElement('h1'), { textContent: 'Part' }),
    element);
}"""


def mount(page: Page, name: str, data: object) -> None:
    """In place of what the first start shows, once that is at rest."""
    expect(page.locator(".folder").first).to_be_attached()
    page.evaluate(MOUNT, [name, data])


def test_what_was_heard_is_shown_with_its_mood_words(visitor: Visitor, site: Site) -> None:
    page = visitor.open("/")
    expect(page.locator("#done")).to_have_text("9")
    expect(page.locator("#total-files")).to_have_text("10")
    expect(page.locator("#recent li")).to_have_count(8)
    link = page.locator("#recent a").first
    assert link.get_attribute("href").startswith("/nomarr/tracks/")
    visitor.check()


def test_what_needs_attention_says_what_to_do(visitor: Visitor) -> None:
    page = visitor.open("/")
    warnings = page.get_by_role("region", name="What needs attention")
    expect(warnings).to_contain_text("1 file could not be handled")
    expect(warnings.get_by_role("link", name="Show them")).to_have_attribute("href", "/nomarr/library?status=errors")


def test_work_is_paused_and_goes_on_before_ones_eyes(visitor: Visitor, site: Site) -> None:
    page = visitor.open("/")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#state")).to_have_text("Paused")
    with site.client() as client:
        queued = client.post("/api/web/processing/process-files", json={"paths": [str(site.music)], "force": True})
        assert queued.json()["enqueued"] >= 9
    expect(page.locator("#done")).not_to_have_text("9")
    page.get_by_role("button", name="Go on").click()
    expect(page.locator("#done")).to_have_text("9", timeout=30_000)
    expect(page.locator("#state")).to_have_text("All is heard")
    with site.client() as client:
        deadline = time.monotonic() + 30
        while client.get("/api/web/queue/queue-depth").json()["depth"]:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_bars_can_be_read_and_followed(visitor: Visitor) -> None:
    page = visitor.open("/welcome")
    items = [{"label": "calm", "value": 30, "href": "#calm", "hue": "teal"}, {"label": "dark", "value": 0}]
    mount(page, "chart", {"kind": "bars", "caption": "Moods", "items": items})
    expect(page.get_by_role("table", name="Moods").get_by_role("row")).to_have_count(2)
    page.get_by_role("link", name="calm").click()
    assert page.url.endswith("#calm")
    visitor.check()


def test_columns_are_one_stop_for_tab_and_arrows_go_on(visitor: Visitor) -> None:
    page = visitor.open("/welcome")
    items = [{"label": f"0.{n}", "value": n * n, "href": f"#{n}"} for n in range(10)]
    marks = [{"at": 0.05, "label": "5 %"}, {"at": 0.95, "label": "95 %"}]
    mount(page, "chart", {"kind": "columns", "caption": "Scores", "items": items, "marks": marks, "from": 0, "to": 1})
    links = page.get_by_role("group", name="Scores").get_by_role("link")
    links.first.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    expect(links.nth(3)).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_text("As a table")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("table", name="Scores")).to_be_visible()
    visitor.check()


def test_a_grid_is_a_table_of_links(visitor: Visitor) -> None:
    page = visitor.open("/welcome")
    names = ["calm", "dark", "happy"]
    cells = [[{"value": (a - b) / 2, "text": str(a - b), "href": f"#{a}{b}"} for b in range(3)] for a in range(3)]
    mount(page, "chart", {"kind": "grid", "caption": "Together", "rows": names, "columns": names, "cells": cells})
    page.get_by_role("link", name="0").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert page.url.endswith("#11")
    visitor.check()


def test_a_pager_says_where_one_is_and_leads_on(visitor: Visitor) -> None:
    page = visitor.open("/welcome?q=blue&offset=50")
    mount(page, "pager", {"attributes": {"total": "18432", "limit": "50", "offset": "50"}})
    expect(page.get_by_role("navigation", name="Pages of the list")).to_contain_text("51–100 of 18,432")
    assert page.get_by_role("link", name="Last").get_attribute("href").endswith("?q=blue&offset=18400")
    visitor.check()
    page.get_by_role("link", name="Next").click()
    page.wait_for_url("**/welcome?q=blue&offset=100")


def test_what_destroys_asks_first(visitor: Visitor) -> None:
    page = visitor.open("/")
    question = {
        "title": "Forget this library?",
        "text": "9 tracks; the files stay.",
        "action": "Forget it",
    }
    asking = "(question) => { window.answer = document.querySelector('nom-confirm').ask(question); }"
    for press, wanted in (("Forget it", True), ("Cancel", False)):
        page.evaluate(asking, question)
        dialog = page.get_by_role("dialog", name="Forget this library?")
        expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
        visitor.check()
        dialog.get_by_role("button", name=press).click()
        assert page.evaluate("window.answer") is wanted
