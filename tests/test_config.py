"""Settings that change while Nomarr runs."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from nomarr import config
from nomarr.config import KEYS, change, current, effective
from nomarr.errors import Conflict, Forbidden, InvalidInput
from nomarr.settings import Settings, load_settings
from nomarr.store import preferences
from nomarr.store.database import Database


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"NOMARR_DATA_DIR": str(tmp_path)})


def set_to(db: Database, settings: Settings, name: str, text: str | None) -> Settings:
    with db.write() as tx:
        change(tx, settings, name, text)
    return current(db, settings)


def test_without_changes_the_very_same_settings_hold(db: Database, settings: Settings) -> None:
    assert current(db, settings) is settings


def test_what_is_set_wins_over_the_file_and_the_environment_over_both(db: Database, tmp_path: Path) -> None:
    (tmp_path / "nomarr.yaml").write_text("namespace: file\ncalibrate_heads: true\nsession_timeout_s: 100\n")
    free = load_settings({"NOMARR_DATA_DIR": str(tmp_path)})
    assert current(db, free).namespace == "file"
    changed = set_to(db, free, "namespace", "mine")
    assert (changed.namespace, changed.calibrate_heads, changed.session_timeout_s) == ("mine", True, 100)
    fixed = load_settings({"NOMARR_DATA_DIR": str(tmp_path), "NOMARR_NAMESPACE": "env"})
    assert current(db, fixed).namespace == "env"
    with pytest.raises(Conflict, match="NOMARR_NAMESPACE"), db.write() as tx:
        change(tx, fixed, "namespace", "other")


def test_a_change_can_be_taken_back(db: Database, settings: Settings) -> None:
    assert set_to(db, settings, "namespace", "mine").namespace == "mine"
    assert set_to(db, settings, "namespace", None) == settings


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("library_auto_tag", "false", False),
        ("library_auto_tag", " True ", True),
        ("library_auto_tag", "0", False),
        ("file_write_mode", "moods", "moods"),
        ("file_write_mode", "full", "native"),
        ("namespace", "n_1", "n_1"),
        ("calibrate_heads", "yes", True),
        ("tagger_worker_count", "4", 4),
        ("tagger_worker_count", "0", 0),
        ("tagger_worker_count", "auto", None),
        ("library_ignore_patterns", "", ()),
        ("library_ignore_patterns", "*.tmp, Podcasts/\n/Spoken", ("*.tmp", "Podcasts/", "/Spoken")),
        ("session_timeout_s", "600", 600),
        ("mtime_policy", "keep", "keep"),
        ("hardlink_policy", "skip", "skip"),
    ],
)
def test_text_becomes_the_type_of_its_key(
    db: Database, settings: Settings, name: str, text: str, value: object
) -> None:
    changed = set_to(db, settings, name, text)
    assert getattr(changed, KEYS[name].setting) == value


@pytest.mark.parametrize(
    ("name", "text", "allowed"),
    [
        ("library_auto_tag", "perhaps", "one of true, false"),
        ("library_auto_tag", "", "one of true, false"),
        ("file_write_mode", "all", "one of native, moods, none"),
        ("namespace", "No m", "1 to 16 of a-z"),
        ("namespace", " ", "1 to 16 of a-z"),
        ("tagger_worker_count", "many", "a number from 0 to 256"),
        ("tagger_worker_count", "257", "a number from 0 to 256"),
        ("tagger_worker_count", "9" * 5000, "a number from 0 to 256"),
        ("session_timeout_s", "1", "a number from 60"),
        ("session_timeout_s", "1e400", "a number from 60"),
        ("session_timeout_s", "99999999999999999999", "a number from 60"),
        ("library_ignore_patterns", "x" * 30_000, "patterns"),
        ("mtime_policy", "later", "one of now, keep, keep_plus_1s"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused_with_what_is(
    db: Database, settings: Settings, name: str, text: str, allowed: str
) -> None:
    with pytest.raises(InvalidInput, match=f"^{name}: must be {allowed}"):
        set_to(db, settings, name, text)
    assert current(db, settings) is settings


@pytest.mark.parametrize("name", ["", "admin_password", "database_url", "data_dir", "fixed", "workers_paused", "port"])
def test_nothing_else_can_be_changed(db: Database, settings: Settings, name: str) -> None:
    with pytest.raises(InvalidInput, match="there is no setting"):
        set_to(db, settings, name, "x")


def test_the_models_folder_cannot_be_changed(db: Database, settings: Settings) -> None:
    with pytest.raises(Forbidden, match="NOMARR_MODELS_DIR"):
        set_to(db, settings, "models_dir", "/tmp")


def test_a_stored_value_that_is_not_understood_is_left_out(
    db: Database, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    with db.write() as tx:
        preferences.put(tx, "config.mtime_policy", "from the future")
        preferences.put(tx, "config.namespace", "mine")
    found = current(db, settings)
    assert (found.mtime_policy, found.namespace) == ("now", "mine")
    assert "mtime_policy" in caplog.text


def test_asking_for_what_holds_costs_next_to_nothing(db: Database, settings: Settings) -> None:
    set_to(db, settings, "library_ignore_patterns", "a, b, c")
    with db.read() as tx:
        effective(tx, settings)
        started = time.perf_counter()
        for _ in range(200):
            effective(tx, settings)
        spent = time.perf_counter() - started
    assert spent / 200 < 0.005


def test_settings_handed_to_a_worker_leave_the_same_keys_free(db: Database, tmp_path: Path) -> None:
    ours = load_settings({"NOMARR_DATA_DIR": str(tmp_path), "NOMARR_NAMESPACE": "env"}, workers=2)
    assert ours.fixed == {"data_dir", "namespace", "workers"}
    theirs = load_settings(ours.as_environment())
    assert theirs == ours
    set_to(db, ours, "file_write_mode", "moods")
    found = current(db, theirs)
    assert (found.namespace, found.file_write_mode) == ("env", "moods")


def test_every_key_says_what_it_is_for() -> None:
    for key in config.KEYS.values():
        assert key.about.endswith(".")
        assert key.setting in Settings.model_fields
