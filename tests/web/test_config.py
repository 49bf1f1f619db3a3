"""Settings over HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from .conftest import PASSWORD, Home
from .test_libraries import detail

URL = "/api/web/config"
CHANGED = {"success": True, "message": "Configuration updated successfully", "restart_required": False}


def put(client: httpx.Client, key: str, value: object) -> httpx.Response:
    return client.post(URL, json={"key": key, "value": value})


def test_what_can_be_changed_is_shown(home: Home, client: httpx.Client) -> None:
    found = client.get(URL).json()
    details = found.pop("details")
    assert found == {
        "models_dir": str(home.settings.models),
        "library_auto_tag": True,
        "file_write_mode": "native",
        "namespace": "nom",
        "calibrate_heads": False,
        "tagger_worker_count": None,
        "library_ignore_patterns": [],
        "scan_interval_h": 24,
        "session_timeout_s": 86400,
        "mtime_policy": "now",
        "hardlink_policy": "break",
        "standard_fields": [],
        "work_hours": [],
        "cpu_share": 100,
        "backup_interval_h": 24,
        "backup_keep": 7,
        "navidrome_url": None,
        "navidrome_user": None,
        "navidrome_password": False,
    }
    assert set(details) == set(found)
    assert all(one["title"] and one["about"] and one["group"] for one in details.values())
    assert details["file_write_mode"]["allowed"] == ["native", "moods", "none"]
    assert details["models_dir"]["locked_by"] == "read-only"
    assert details["tagger_worker_count"]["restart_required"] is True


def test_a_change_holds_at_once_and_after_a_restart(home: Home, client: httpx.Client) -> None:
    assert put(client, "library_auto_tag", "false").json() == CHANGED
    assert client.get(URL).json()["library_auto_tag"] is False
    home.start()
    assert home.connect(token=home.token).get(URL).json()["library_auto_tag"] is False


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("calibrate_heads", True, True),
        ("session_timeout_s", 600, 600),
        ("library_ignore_patterns", ["a,b", "c"], ["a", "b", "c"]),
        ("namespace", "mine", "mine"),
        ("standard_fields", "mood, GENRE", ["mood", "genre"]),
    ],
)
def test_values_may_come_as_text_or_as_what_they_are(client: httpx.Client, key: str, value: Any, shown: Any) -> None:
    assert put(client, key, value).json() == CHANGED
    assert client.get(URL).json()[key] == shown
    assert put(client, key, None).status_code == 200
    assert client.get(URL).json()[key] != shown


def test_what_would_hold_without_a_change_is_told_and_no_secret_of_it(home: Home) -> None:
    home.settings = home.settings.model_copy(
        update={"scan_interval_h": 6, "navidrome_password": SecretStr("of the file")}
    )
    home.start()
    client = home.connect(token=home.token)
    put(client, "scan_interval_h", "12")
    found = client.get(URL).json()
    hours, password = found["details"]["scan_interval_h"], found["details"]["navidrome_password"]
    assert (found["scan_interval_h"], hours["default"], hours["changed"]) == (12, 6, True)
    assert (found["navidrome_password"], password["default"], password["changed"]) == (True, True, False)
    assert found["details"]["file_write_mode"]["choices"]["moods"] == "mood words only"
    put(client, "scan_interval_h", None)
    assert client.get(URL).json()["details"]["scan_interval_h"]["changed"] is False


def test_a_change_that_waits_for_a_restart_says_so(client: httpx.Client) -> None:
    assert put(client, "tagger_worker_count", "2").json() == CHANGED | {"restart_required": True}


@pytest.mark.parametrize(
    ("key", "value", "status", "says"),
    [
        ("nothing", "1", 400, "there is no setting"),
        ("admin_password", "x", 400, "there is no setting"),
        ("calibrate_heads", "perhaps", 400, "calibrate_heads: must be one of true, false"),
        ("session_timeout_s", True, 400, "session_timeout_s: must be a number from 60"),
        ("file_write_mode", 5, 400, "file_write_mode: must be one of native, moods, none"),
        ("standard_fields", ["mood", "bpm"], 400, "standard_fields: must be mood, genre, both"),
        ("models_dir", "/tmp", 403, "NOMARR_MODELS_DIR"),
    ],
)
def test_what_cannot_be_set_is_refused(client: httpx.Client, key: str, value: object, status: int, says: str) -> None:
    before = client.get(URL).json()
    assert says in detail(put(client, key, value), status)
    assert client.get(URL).json() == before


def test_what_the_environment_decides_is_locked(home: Home) -> None:
    home.settings = home.settings.model_copy(update={"namespace": "env", "fixed": frozenset({"data_dir", "namespace"})})
    home.start()
    client = home.connect(token=home.token)
    assert "NOMARR_NAMESPACE" in detail(put(client, "namespace", "mine"), 409)
    found = client.get(URL).json()
    assert found["namespace"] == "env"
    assert (found["details"]["namespace"]["locked"], found["details"]["namespace"]["locked_by"]) == (
        True,
        "NOMARR_NAMESPACE",
    )


def test_no_secret_is_ever_shown(home: Home, client: httpx.Client) -> None:
    home.settings = home.settings.model_copy(update={"database_url": SecretStr("sqlite:////secret/place.db")})
    home.start()
    shown = home.connect(token=home.token).get(URL).text
    for secret in (PASSWORD, "argon2", "/secret/place", "admin_password"):
        assert secret not in shown


def test_a_shorter_session_ends_earlier_at_once(home: Home, client: httpx.Client) -> None:
    put(client, "session_timeout_s", "60")
    home.time.pass_s(61)
    assert client.get(URL).status_code == 401


def test_a_scan_heeds_what_was_set(client: httpx.Client, library: dict[str, Any]) -> None:
    put(client, "library_ignore_patterns", "Otis/")
    put(client, "library_auto_tag", "false")
    assert client.post(f"/api/web/libraries/{library['id']}/scan").json()["queued"] == 0
    assert client.get(f"/api/web/libraries/{library['id']}").json()["file_count"] == 2
    put(client, "library_ignore_patterns", None)
    put(client, "library_auto_tag", "true")
    assert client.post(f"/api/web/libraries/{library['id']}/scan").json()["queued"] == 1
