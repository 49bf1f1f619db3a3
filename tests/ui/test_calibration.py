"""Calibration: making one, seeing what levels would do before they hold, and bringing files up to date."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from ground import Ground
from nomarr.moods.tiers import WORDS
from nomarr.tagfiles.audiofile import read_tags

from .conftest import PASSWORD, Enter, Site, Visitor, serving
from .test_insights import LATE


@pytest.fixture(scope="module")
def own(
    tmp_path_factory: pytest.TempPathFactory, small_models: Path, tracks: dict[str, Path]
) -> Iterator[tuple[Site, list[Path]]]:
    """A server of its own, and its files: what is calibrated and applied changes words that other tests count."""
    ground = Ground(tmp_path_factory.mktemp("calibrated"), small_models)
    files = [ground.add(tracks[ending], f"{ending}.{ending}") for ending in ("mp3", "flac", "ogg")]
    assert ground.run("tag", ground.music).returncode == 0
    with serving(ground, NOMARR_ADMIN_PASSWORD=PASSWORD) as site:
        yield site, files


@pytest.fixture
def page(heard_site: Site, enter: Enter) -> Page:
    return opened(enter(heard_site, logged_in=True))


def opened(visitor: Visitor) -> Page:
    page = visitor.open("/calibration")
    expect(page.locator("#calibration")).to_be_visible(timeout=LATE)
    return page


def test_a_calibration_is_allowed_made_and_applied_before_ones_eyes(own: tuple[Site, list[Path]], enter: Enter) -> None:
    site, files = own
    before = [read_tags(file) for file in files]
    visitor = enter(site, logged_in=True)
    page = opened(visitor)
    expect(page.get_by_role("button", name="Bring files up to date")).to_be_disabled()
    page.get_by_role("button", name="Allow calibrations").click()
    page.get_by_role("button", name="Make a calibration").click()
    made = page.locator("#made")
    expect(made).to_contain_text("v1 holds now", timeout=LATE)
    expect(made).to_contain_text("3 tracks")
    expect(made.locator(".warning")).to_contain_text("Only 3 analysed files: below 200, percentiles are rough")
    expect(page.locator("#history li")).to_contain_text(["v1"])
    expect(page.locator("#spread")).to_contain_text("from v1")
    visitor.check()

    with site.client() as client:
        client.post("/api/web/worker/pause").raise_for_status()
    page.get_by_role("button", name="Bring files up to date").click()
    dialog = page.get_by_role("dialog", name="Bring 3 files up to date?")
    dialog.get_by_role("button", name="Bring them up to date").click()
    expect(page.locator("#progress-text")).to_contain_text("All work is paused", timeout=LATE)
    visitor.check()
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#progress-text")).to_contain_text("Paused: 0 of 3 files are up to date", timeout=LATE)
    with site.client() as client:
        client.post("/api/web/worker/resume").raise_for_status()
    page.get_by_role("button", name="Go on").click()
    expect(page.locator("#apply-hint")).to_have_text("Every file is up to date.", timeout=LATE)
    expect(page.locator("#applying")).to_be_hidden()
    assert [read_tags(file) for file in files] != before


def test_levels_are_previewed_before_they_hold(page: Page, heard_site: Site) -> None:
    rows = page.locator("nom-level")
    expect(rows).to_have_count(len(WORDS))
    assert sorted(row.locator(".word").inner_text() for row in rows.all()) == sorted(WORDS)
    with heard_site.client() as client:
        moods = client.get("/api/web/analytics/mood-distribution").json()["mood_distribution"]
    mood = next(one for one in moods if one["strict"] < one["count"])["mood"]
    count = next(one for one in moods if one["mood"] == mood)["count"]
    row = rows.filter(has=page.locator(".word", has_text=mood))
    row.locator("summary").click()
    row.get_by_role("slider", name=f"{mood}, loose").focus()
    page.keyboard.press("End")
    assert row.locator("output").all_inner_texts() == ["1.00", "1.00", "1.00"], "one level takes the others along"
    expect(row.locator(".count")).to_contain_text(f"{count} → ", timeout=LATE)
    expect(page.locator("#effect")).to_contain_text("would change")
    with heard_site.client() as client:
        assert client.get("/api/web/moods/levels").json()["levels"] == {}
    page.get_by_role("button", name="Discard changes").click()
    expect(row.locator(".count")).to_have_text(f"{count} {'track' if count == 1 else 'tracks'}", timeout=LATE)
    expect(page.get_by_role("button", name="Save levels")).to_be_disabled()


def test_saved_levels_hold_and_files_lag_behind(heard_site: Site, enter: Enter) -> None:
    visitor = enter(heard_site, logged_in=True)
    page = opened(visitor)
    row = page.locator("nom-level").filter(has=page.locator(".word", has_text="party"))
    row.locator("summary").click()
    row.get_by_role("slider", name="party, strict").focus()
    page.keyboard.press("ArrowRight")
    visitor.check()
    page.get_by_role("button", name="Save levels").click()
    expect(page.get_by_role("button", name="Bring files up to date")).to_be_enabled(timeout=LATE)
    with heard_site.client() as client:
        assert client.get("/api/web/moods/levels").json()["levels"]["party"]["strict"] == pytest.approx(0.81)
    row.get_by_role("button", name="Back to the default").click()
    page.get_by_role("button", name="Save levels").click()
    expect(page.get_by_role("button", name="Bring files up to date")).to_be_disabled(timeout=LATE)


def test_each_score_shows_how_it_is_spread(page: Page, heard_site: Site) -> None:
    with heard_site.client() as client:
        heads = client.get("/api/web/calibration/histogram").json()["heads"]
    page.get_by_label("Score", exact=True).select_option(heads[1]["name"])
    group = page.get_by_role("group", name=f"Raw scores of {heads[1]['name']}")
    expect(group.get_by_role("img")).to_have_count(50)
    assert page.url.endswith(f"?head={heads[1]['name']}")
    page.get_by_text("All scores in numbers").click()
    expect(page.get_by_role("region", name="All scores").get_by_role("row")).to_have_count(len(heads) + 1)
