from __future__ import annotations

import httpx
import numpy as np
import pytest

from heard import HEADS, fill
from nomarr.store import libraries
from nomarr.store.database import Database
from nomarr.store.libraries import Library

from .conftest import Home

HISTOGRAM = "/api/web/calibration/histogram"


@pytest.fixture
def music_library(db: Database) -> Library:
    with db.write() as tx:
        return libraries.create(tx, name="Main Library", root_path="/music", now=1)


def test_strangers_see_no_histogram(stranger: httpx.Client) -> None:
    assert stranger.get(HISTOGRAM).status_code == 401


def test_nothing_is_spread_before_anything_was_heard(client: httpx.Client) -> None:
    assert client.get(HISTOGRAM).json() == {"calibration": "reference", "files": 0, "heads": []}


def test_every_score_is_counted_where_it_lies(client: httpx.Client, db: Database, music_library: Library) -> None:
    heard = fill(db, music_library.id, 200)
    answer = client.get(HISTOGRAM).json()
    assert answer["files"] == 200
    assert len(answer["heads"]) == sum(map(len, HEADS.values()))
    for head in answer["heads"]:
        assert len(head["counts"]) == 50
        assert sum(head["counts"]) + head["below"] + head["above"] == head["n"] == 200
        pack = next(pack for pack in heard[min(heard)] if pack.pack == head["pack"])
        column = list(HEADS).index(head["pack"]), pack.heads.index(head["head_name"])
        values = np.array([packs[column[0]].values[column[1]] for packs in heard.values()], np.float64)
        wanted = np.bincount(np.floor(values / head["end"] * 50).astype(int), minlength=51)[:50]
        # Which side of an edge a score is on may differ by rounding.
        assert np.abs(np.array(head["counts"]).cumsum() - wanted.cumsum()).max() <= 1
        assert (head["end"] == 1.0) == (head["pack"] == "vibenet"), "the picture ends where the scores do"


def test_the_percentiles_that_hold_go_with_the_histogram(home: Home, db: Database, music_library: Library) -> None:
    home.settings = home.settings.model_copy(update={"calibrate_heads": True})
    home.start()
    client = home.connect(token=home.token)
    fill(db, music_library.id, 20)
    before = {head["name"]: head for head in client.get(HISTOGRAM).json()["heads"]}
    assert {head["percentiles_from"] for head in before.values()} <= {"reference", None}
    made = client.post("/api/web/calibration/generate-histogram", json={}).json()
    fill(db, music_library.id, 10, seed=2)
    for query in ({}, {"library_id": music_library.id}):
        answer = client.get(HISTOGRAM, params=query).json()
        assert (answer["calibration"], answer["files"]) == ("v1", 30)
        energy = next(head for head in answer["heads"] if head["name"] == "energy")
        assert energy["percentiles_from"] == "v1"
        assert energy["p95"] == made["heads"]["vibenet:energy"]["p95"]
        assert energy["n"] == 30, "scores are those of now"


def test_another_library_has_its_own_scores(client: httpx.Client, db: Database, music_library: Library) -> None:
    fill(db, music_library.id, 3)
    with db.write() as tx:
        other = libraries.create(tx, name="Other", root_path="/other", now=1)
    assert client.get(HISTOGRAM, params={"library_id": other.id}).json()["files"] == 0
    assert client.get(HISTOGRAM, params={"library_id": 99}).status_code == 404
