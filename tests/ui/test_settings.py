"""The settings: changed and kept, refused with a reason, locked; keys, the password, Lidarr, and the workers."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from ground import Ground

from .conftest import Enter, Site, Visitor, serving

SECTIONS = ("general", "keys", "password", "lidarr", "navidrome", "workers", "backups", "log", "about")


@pytest.fixture
def own(ground: Ground) -> Iterator[Site]:
    """A server whose password was made up, and where the environment decides the namespace."""
    made_up = ground.run("password", "reset").stdout.strip()
    with serving(ground, NOMARR_NAMESPACE="ours") as site:
        site.password = made_up
        yield site


def setting(page: Page, title: str) -> Locator:
    return page.locator("nom-setting").filter(has=page.get_by_text(title, exact=True))


def test_every_section_is_sound_and_reached_by_keyboard(visitor: Visitor) -> None:
    page = visitor.open("/settings")
    for name in SECTIONS:
        link = page.locator(f'.sections a[href="#{name}"]')
        link.focus()
        page.keyboard.press("Enter")
        expect(link).to_have_attribute("aria-current", "true")
        expect(page.locator(f"#{name} h2")).to_be_visible()
        expect(page.locator(".section:visible")).to_have_count(1)
        expect(page.locator(f"#{name}").locator(":scope > *").nth(1)).not_to_be_empty()
        visitor.check()
    page.go_back()
    expect(page.locator("#log h2")).to_be_focused()


def test_a_setting_is_changed_kept_and_taken_back(visitor: Visitor, site: Site) -> None:
    page = visitor.open("/settings#general")
    hours = page.get_by_label("Time between scans", exact=True)
    expect(hours).to_have_value("24")
    expect(setting(page, "Time between scans")).to_contain_text("Every library is scanned again after so many hours")
    hours.fill("12")
    page.get_by_role("button", name="Save: Time between scans").click()
    expect(page.get_by_text("Time between scans: saved")).to_be_visible()
    with site.client() as client:
        assert client.get("/api/web/config").json()["scan_interval_h"] == 12
    page.reload()
    expect(hours).to_have_value("12")
    page.get_by_role("button", name="Time between scans: Back to 24").click()
    expect(hours).to_have_value("24")


def test_what_waits_for_a_restart_says_so(visitor: Visitor) -> None:
    page = visitor.open("/settings#general")
    waiting = page.locator("nom-setting").filter(has_text="Holds after a restart")
    expect(waiting).to_have_count(1)
    expect(waiting).to_contain_text("Worker processes")


def test_a_wrong_value_is_refused_beside_its_field_and_not_lost(visitor: Visitor, site: Site) -> None:
    visitor.expected.add("400 (Bad Request)")
    page = visitor.open("/settings#general")
    share = page.get_by_label("Share of a core", exact=True)
    share.fill("700")
    share.press("Enter")
    row = setting(page, "Share of a core")
    expect(row.get_by_role("alert")).to_have_text("cpu_share: must be a number from 1 to 100")
    expect(share).to_have_value("700")
    expect(share).to_be_focused()
    visitor.check()
    share.fill("100")
    expect(page.get_by_role("button", name="Save: Share of a core")).to_be_hidden()
    with site.client() as client:
        assert client.get("/api/web/config").json()["cpu_share"] == 100


def test_what_the_environment_decides_cannot_be_edited_and_the_password_can(own: Site, enter: Enter) -> None:
    visitor = enter(own, logged_in=True)
    page = visitor.open("/settings")
    namespace = page.get_by_label("First part of our fields' names")
    expect(namespace).to_have_value("ours")
    expect(namespace).not_to_be_editable()
    expect(setting(page, "First part of our fields' names")).to_contain_text("Decided by NOMARR_NAMESPACE")

    visitor.expected.add("400 (Bad Request)")
    page.get_by_role("link", name="Password").click()
    for name, text in (("holds now", "a guess"), ("New password", "a better one"), ("again", "a better one")):
        page.get_by_label(name).first.fill(text)
    page.get_by_role("button", name="Change the password").click()
    expect(page.locator("#password-current_password-problem")).to_contain_text("not the password that holds now")
    page.get_by_label("holds now").fill(own.password)
    page.get_by_role("button", name="Change the password").click()
    expect(page.get_by_text("The password was changed")).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/login")
    page.get_by_label("Password", exact=True).fill("a better one")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", level=1)).not_to_have_text("Log in")
    visitor.expected.add("401 (Unauthorized)")
    assert httpx.post(f"{own.address}/api/web/auth/login", json={"password": own.password}).status_code == 401


def test_a_key_is_made_used_and_revoked(visitor: Visitor, site: Site) -> None:
    page = visitor.open("/settings#keys")
    page.get_by_label("For which program").fill("A robot")
    page.get_by_label("It may").select_option("read")
    page.get_by_role("button", name="Make a key").click()
    made = page.get_by_role("group", name="The key for A robot", exact=True)
    expect(made).to_be_focused()
    key = made.locator("code").inner_text()
    visitor.check()

    def look() -> int:
        return httpx.get(f"{site.address}/api/v1/info", headers={"X-Api-Key": key}, timeout=30).status_code

    assert look() == 200
    page.reload()
    expect(page.get_by_role("row", name="A robot")).to_be_visible()
    expect(page.get_by_text(key)).to_have_count(0)
    page.get_by_role("button", name="Revoke A robot").click()
    dialog = page.get_by_role("dialog", name="Revoke the key of A robot?")
    dialog.get_by_role("button", name="Revoke it").click()
    expect(page.get_by_role("row", name="A robot")).to_have_count(0)
    assert look() == 401


def test_a_key_for_lidarr_is_made_tried_and_heard_of(visitor: Visitor, site: Site) -> None:
    visitor.expected.add("401 (Unauthorized)")
    page = visitor.open("/settings#lidarr")
    expect(page.get_by_role("group", name="To copy: the webhook’s URL")).to_contain_text(
        f"{site.address}/api/v1/hooks/lidarr"
    )
    page.get_by_label("API key for Lidarr").fill("nom_wrong")
    page.get_by_role("button", name="Test it").click()
    expect(page.get_by_text("The API key is not valid")).to_be_visible()
    page.get_by_role("button", name="Make one").click()
    expect(page.get_by_role("group", name="The key for Lidarr", exact=True)).to_be_visible()
    page.get_by_role("button", name="Test it").click()
    expect(page.get_by_text("Nomarr is ready: the key is right")).to_be_visible()
    expect(page.locator(".events li").first).to_contain_text("Test – Nomarr is ready")
    page.get_by_label("Nomarr’s address, as Lidarr reaches it").fill("http://nomarr:8356/")
    expect(page.get_by_role("group", name="To copy: the webhook’s URL")).to_contain_text(
        "http://nomarr:8356/api/v1/hooks/lidarr"
    )
    page.get_by_text("By script instead").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="nomarr-lidarr.sh").click()
    assert download.value.path().read_text().startswith("#!/bin/sh")


def test_a_path_mapping_is_suggested_added_tried_and_removed(visitor: Visitor, site: Site) -> None:
    there = next(path for path in sorted(site.music.rglob("*.flac"))).relative_to(site.music)
    page = visitor.open("/settings#lidarr")
    page.get_by_label("A path, as it is there").fill(f"/data/elsewhere/{there}")
    page.get_by_role("button", name="Test", exact=True).click()
    expect(page.get_by_text("Nothing is known by this path")).to_be_visible()
    page.get_by_role("button", name="Take this").click()
    expect(page.get_by_label("Begins there with")).to_have_value("/data/elsewhere")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("table", name="Path mappings")).to_contain_text(str(site.music))
    expect(page.get_by_text("It is there, and would be heard")).to_be_visible()
    visitor.check()
    page.get_by_role("button", name="Remove /data/elsewhere").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove it").click()
    expect(page.get_by_text("None: paths are taken as they are said.")).to_be_visible()


def test_workers_are_listed_paused_and_go_on(visitor: Visitor, site: Site) -> None:
    page = visitor.open("/settings#workers")
    expect(page.get_by_role("table", name="Workers").locator("tbody tr")).to_have_count(1)
    with site.client() as client:
        page.get_by_role("button", name="Pause").click()
        expect(page.locator("#workers-state")).to_contain_text("Paused")
        assert client.get("/api/web/info").json()["workers"]["paused"] is True
        page.get_by_role("button", name="Go on").click()
        expect(page.locator("#workers-state")).not_to_contain_text("Paused")
        assert client.get("/api/web/info").json()["workers"]["paused"] is False
    page.get_by_role("button", name="Restart the server").click()
    dialog = page.get_by_role("dialog", name="Restart the server?")
    expect(dialog).to_contain_text("1 worker ends after the file in hand")
    dialog.get_by_role("button", name="Cancel").click()


def test_navidromes_answer_is_said_in_its_words(visitor: Visitor, site: Site) -> None:
    page = visitor.open("/settings#navidrome")
    page.get_by_role("button", name="Test the connection").click()
    expect(page.get_by_text("Still needed: url, user, password")).to_be_visible()
    page.get_by_label("Address", exact=True).fill("http://127.0.0.1:9")
    page.get_by_label("User", exact=True).fill("admin")
    page.locator("#setting-navidrome_password").fill("secret")
    page.get_by_role("button", name="Test the connection").click()
    expect(page.locator("nom-navidrome > .problem")).to_contain_text("http://127.0.0.1:9")
    with site.client() as client:
        assert client.get("/api/web/config").json()["navidrome_url"] is None, "nothing was saved"
    page.get_by_text("Navidrome’s configuration", exact=True).click()
    expect(page.get_by_role("group", name="To copy: Navidrome’s configuration")).to_contain_text("[Tags.")
    visitor.check()


def test_a_backup_is_made_and_listed(visitor: Visitor) -> None:
    page = visitor.open("/settings#backups")
    page.get_by_role("button", name="Back up now").click()
    expect(page.get_by_role("table", name="Backups").locator("tbody tr").first).to_be_visible(timeout=30_000)
    expect(page.get_by_role("button", name="Back up now")).to_be_enabled(timeout=30_000)
    with page.expect_download() as download:
        page.get_by_role("link", name="database").first.click()
    assert download.value.path().read_bytes().startswith(b"SQLite format 3")


def test_the_log_is_shown_from_a_level_on(visitor: Visitor) -> None:
    page = visitor.open("/settings#log")
    lines = page.get_by_role("list", name="Lines of the log")
    expect(lines).to_contain_text("login from")
    page.get_by_role("combobox", name="Show").select_option("error")
    expect(lines).not_to_contain_text("login from")


def test_the_models_are_named_with_licence_and_fingerprint(visitor: Visitor, site: Site) -> None:
    with site.client() as client:
        models = client.get("/api/web/info").json()["models"]
    page = visitor.open("/settings#about")
    expect(page.locator("nom-about")).to_contain_text(models["suite"])
    for pack in models["packs"]:
        expect(page.locator(".packs")).to_contain_text(pack["fingerprint"])
        expect(page.locator(".packs")).to_contain_text(pack["licence"])
