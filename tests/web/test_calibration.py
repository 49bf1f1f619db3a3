from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from heard import HEADS, fill
from nomarr.store import files, libraries
from nomarr.store.database import Database
from nomarr.store.libraries import Library

from .conftest import Home

STATUS = "/api/web/calibration/status"
GENERATE = "/api/web/calibration/generate-histogram"
APPLY = "/api/web/calibration/apply"
HISTORY = "/api/web/calibration/history"


@pytest.fixture
def music_library(db: Database) -> Library:
    with db.write() as tx:
        return libraries.create(tx, name="Main Library", root_path="/music", now=1)


@pytest.fixture
def allowed(home: Home) -> Home:
    """Calibrations are switched on."""
    home.settings = home.settings.model_copy(update={"calibrate_heads": True})
    home.start()
    return home


@pytest.fixture
def calibrator(allowed: Home) -> httpx.Client:
    return allowed.connect(token=allowed.token)


def detail(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"detail"}
    return str(answer.json()["detail"])


def test_strangers_learn_nothing(stranger: httpx.Client) -> None:
    for path in (STATUS, HISTORY):
        assert stranger.get(path).status_code == 401
    for path in (GENERATE, APPLY):
        assert stranger.post(path, json={}).status_code == 401


def test_without_the_setting_no_calibration_is_made(client: httpx.Client, db: Database, music_library: Library) -> None:
    fill(db, music_library.id, 3)
    assert "calibrate_heads" in detail(client.post(GENERATE, json={}), 403)


def test_before_the_first_calibration_all_files_are_current(
    client: httpx.Client, db: Database, music_library: Library
) -> None:
    fill(db, music_library.id, 3)
    assert client.get(STATUS).json() == {
        "global_version": None,
        "last_run": None,
        "libraries": [
            {
                "library_id": str(music_library.id),
                "library_name": "Main Library",
                "total_files": 3,
                "current_count": 3,
                "outdated_count": 0,
                "percentage": 100.0,
                "calibration": "reference",
            }
        ],
        "applying": None,
    }


def test_a_calibration_is_made_saved_and_shown(
    calibrator: httpx.Client, allowed: Home, db: Database, music_library: Library
) -> None:
    fill(db, music_library.id, 4)
    for pack in HEADS:
        (allowed.settings.models / "packs" / pack).mkdir(parents=True)
    made = calibrator.post(GENERATE, json={}).json()
    assert (made["version"], made["library_size"]) == (1, 4)
    assert made["summary"] == {"total_heads": 57, "completed_heads": 57}
    head = made["heads"]["vibenet:energy"]
    assert (head["model_name"], head["head_name"], head["n"]) == ("vibenet", "energy", 4)
    assert 0 <= head["p5"] < head["p95"] <= 1
    assert made["saved_files"].keys() == made["heads"].keys()
    saved = Path(made["saved_files"]["vibenet:energy"])
    assert saved == allowed.settings.models / "packs" / "vibenet" / "energy-calibration-v1.json"
    assert json.loads(saved.read_text())["p95"] == head["p95"]
    status = calibrator.get(STATUS).json()
    assert status["global_version"] == made["global_version"]
    assert status["last_run"] > 1_700_000_000_000
    assert status["libraries"][0] | {"library_id": ""} == {
        "library_id": "",
        "library_name": "Main Library",
        "total_files": 4,
        "current_count": 0,
        "outdated_count": 4,
        "percentage": 0.0,
        "calibration": "v1",
    }
    (entry,) = calibrator.get(HISTORY).json()["calibrations"]
    assert (entry["label"], entry["heads"]) == ("v1", made["heads"])
    assert entry["created_at"].endswith("Z")


def test_a_body_is_not_needed(calibrator: httpx.Client, db: Database, music_library: Library) -> None:
    fill(db, music_library.id, 2)
    assert calibrator.post(GENERATE).status_code == 200
    assert calibrator.post(APPLY).json() == {"queued": 2, "unchanged": 0, "message": "Queued 2 files for writing"}


def test_too_few_files_are_refused(calibrator: httpx.Client, music_library: Library) -> None:
    assert "at least 1" in detail(calibrator.post(GENERATE, json={}), 400)


def test_the_least_number_of_files_can_be_set(allowed: Home, db: Database, music_library: Library) -> None:
    fill(db, music_library.id, 3)
    allowed.settings = allowed.settings.model_copy(update={"calibration_min_files": 4})
    allowed.start()
    answer = allowed.connect(token=allowed.token).post(GENERATE, json={})
    assert detail(answer, 400) == "3 analysed files: a calibration needs at least 4"


def test_files_that_change_are_queued_for_writing(
    calibrator: httpx.Client, db: Database, music_library: Library
) -> None:
    ids = fill(db, music_library.id, 5)
    calibrator.post(GENERATE, json={})
    assert calibrator.post(APPLY, json={"library_id": music_library.id}).json()["queued"] == 5
    with db.read() as tx:
        assert all(files.get(tx, file_id).needs_write for file_id in ids)
    assert calibrator.post(APPLY, json={}).json()["queued"] == 0


def test_a_calibration_of_one_library_leaves_the_others_alone(
    calibrator: httpx.Client, db: Database, music_library: Library
) -> None:
    with db.write() as tx:
        other = libraries.create(tx, name="Other", root_path="/other", now=1)
    fill(db, music_library.id, 2)
    fill(db, other.id, 3, seed=2)
    made = calibrator.post(GENERATE, json={"library_id": other.id}).json()
    assert made["library_size"] == 3
    outdated = {one["library_name"]: one["outdated_count"] for one in calibrator.get(STATUS).json()["libraries"]}
    assert outdated == {"Main Library": 0, "Other": 3}
    of_main = calibrator.get(HISTORY, params={"library_id": music_library.id}).json()
    assert of_main == {"calibrations": []}


def test_unknown_libraries_and_odd_numbers_are_explained(calibrator: httpx.Client) -> None:
    assert detail(calibrator.post(GENERATE, json={"library_id": 99}), 404) == "Library not found: 99"
    assert detail(calibrator.post(APPLY, json={"library_id": 99}), 404) == "Library not found: 99"
    assert detail(calibrator.get(HISTORY, params={"library_id": 99}), 404) == "Library not found: 99"
    assert "library_id" in detail(calibrator.post(GENERATE, json={"library_id": 0}), 400)
    assert "limit" in detail(calibrator.get(HISTORY, params={"limit": 0}), 400)


def test_the_history_is_paged(calibrator: httpx.Client, db: Database, music_library: Library) -> None:
    fill(db, music_library.id, 2)
    for _ in range(3):
        calibrator.post(GENERATE, json={})
    newest = calibrator.get(HISTORY, params={"limit": 2}).json()["calibrations"]
    assert [one["version"] for one in newest] == [3, 2]
    rest = calibrator.get(HISTORY, params={"before_version": 2}).json()["calibrations"]
    assert [one["version"] for one in rest] == [1]
