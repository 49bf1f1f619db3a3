from __future__ import annotations

import re

import httpx
import numpy as np
import pytest

from heard import HEADS, fill
from nomarr.moods.reference import reference_calibrations
from nomarr.moods.tags import score_text
from nomarr.moods.tiers import moods_of, strengths
from nomarr.store import files, libraries, tags
from nomarr.store.database import Database
from nomarr.store.facts import Facts
from nomarr.store.libraries import Library

BASE = "/api/web/analytics"
ENDPOINTS = ("tag-frequencies", "mood-distribution", "tag-correlations", "mood-cooccurrence", "overview", "coverage")


@pytest.fixture
def main_library(db: Database) -> Library:
    with db.write() as tx:
        return libraries.create(tx, name="Main Library", root_path="/music", now=1)


def get(client: httpx.Client, name: str, **params: object) -> dict[str, object]:
    answer = client.get(f"{BASE}/{name}", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def without_links(answer: object) -> object:
    if isinstance(answer, dict):
        return {name: without_links(value) for name, value in answer.items() if name != "links"}
    return [without_links(one) for one in answer] if isinstance(answer, list) else answer


@pytest.mark.parametrize("name", ENDPOINTS)
def test_strangers_learn_nothing(stranger: httpx.Client, name: str) -> None:
    assert stranger.get(f"{BASE}/{name}").status_code == 401


@pytest.mark.parametrize("name", ENDPOINTS)
def test_without_any_music_there_is_nothing_to_count(client: httpx.Client, main_library: Library, name: str) -> None:
    answer = get(client, name)
    for name in ("libraries", "links"):
        answer.pop(name, None)
    assert not any(answer.values())


def test_the_distribution_counts_the_words_of_each_track(
    client: httpx.Client, db: Database, main_library: Library
) -> None:
    heard = fill(db, main_library.id, 200)
    words = [moods_of(packs, reference_calibrations()) for packs in heard.values()]
    answer = get(client, "mood-distribution")
    assert answer["analysed_tracks"] == 200
    counts = {}
    for share in answer["mood_distribution"]:
        count = sum(share["mood"] in one.loose for one in words)
        counts[share["mood"]] = count
        assert (share["count"], share["percentage"]) == (count, round(100 * count / 200, 1))
        assert share["strict"] == sum(share["mood"] in one.strict for one in words)
        assert share["strict"] + share["regular"] + share["loose"] == count
    assert set(counts) == {word for one in words for word in one.loose}
    assert list(counts.values()) == sorted(counts.values(), reverse=True)


def test_correlations_are_pearsons_and_tiers_sum_to_one(
    client: httpx.Client, db: Database, main_library: Library
) -> None:
    heard = fill(db, main_library.id, 200)
    known = [strengths(packs, reference_calibrations()) for packs in heard.values()]
    answer = get(client, "tag-correlations", top_n=5)
    r, tiers = answer["mood_correlations"], answer["mood_tier_correlations"]
    frequent = [share["mood"] for share in get(client, "mood-distribution")["mood_distribution"][:5]]
    assert list(r) == list(tiers) == frequent
    for a in frequent:
        assert set(r[a]) == set(frequent) - {a}
        for b in r[a]:
            expected = np.corrcoef([one[a] for one in known], [one[b] for one in known])[0, 1]
            assert r[a][b] == r[b][a] == pytest.approx(expected, abs=5.1e-4)
            assert re.fullmatch(r"-?[01]\.[0-9]{1,3}", str(r[a][b]))
        assert set(tiers[a]) == {"tier_s", "tier_a", "tier_b"}
        assert sum(round(1000 * share) for share in tiers[a].values()) == 1000


def test_one_track_correlates_with_nothing(client: httpx.Client, db: Database, main_library: Library) -> None:
    fill(db, main_library.id, 1)
    answer = get(client, "tag-correlations")
    assert {r for row in answer["mood_correlations"].values() for r in row.values()} <= {0.0}


def test_frequencies_count_our_tags_and_the_files_own(
    client: httpx.Client, db: Database, main_library: Library
) -> None:
    heard = fill(db, main_library.id, 50)
    ids = list(heard)
    with db.write() as tx:
        for number, file_id in enumerate(ids[:40]):
            tags.replace_file_tags(tx, file_id, {"genre": ("Jazz", f"Style {number % 3}"), "bpm": ("120",)})
    answer = get(client, "tag-frequencies", limit=1000)["tag_frequencies"]
    found = {one["tag_key"]: (one["total_count"], one["unique_values"]) for one in answer}
    assert [(-one["total_count"], one["tag_key"]) for one in answer] == sorted(
        (-one["total_count"], one["tag_key"]) for one in answer
    )
    energy = HEADS["vibenet"].index("energy")
    values = {score_text(float(packs[1].values[energy])) for packs in heard.values()}
    assert found["nom:energy"] == (50, len(values))
    assert (found["genre"], found["bpm"]) == ((40, 4), (40, 1))
    words = [moods_of(packs, reference_calibrations()).loose for packs in heard.values()]
    assert found["nom:mood-loose"] == (sum(map(bool, words)), len({word for one in words for word in one}))
    assert found["nom:mood-loose"][0] >= found["nom:mood-regular"][0] >= found["nom:mood-strict"][0]
    assert len(get(client, "tag-frequencies")["tag_frequencies"]) == 50


def test_only_tags_that_a_library_writes_are_counted(client: httpx.Client, db: Database) -> None:
    with db.write() as tx:
        for mode in ("moods", "none"):
            library = libraries.create(tx, name=mode, root_path=f"/{mode}", now=1, file_write_mode=mode)
    fill(db, library.id, 5)
    with db.read() as tx:
        words, silent = libraries.list_all(tx)
    fill(db, words.id, 20, seed=2)
    keys = {one["tag_key"] for one in get(client, "tag-frequencies")["tag_frequencies"]}
    assert keys == {"nom:mood-strict", "nom:mood-regular", "nom:mood-loose"}
    assert get(client, "tag-frequencies", library_id=silent.id) == {"tag_frequencies": []}


def test_answers_follow_what_happens(client: httpx.Client, db: Database, main_library: Library) -> None:
    ids = list(fill(db, main_library.id, 10))
    assert get(client, "mood-distribution")["analysed_tracks"] == 10
    with db.write() as tx:
        files.mark_missing(tx, ids[:3], 5)
    assert get(client, "mood-distribution")["analysed_tracks"] == 7
    fill(db, main_library.id, 2, seed=3)
    assert get(client, "mood-distribution")["analysed_tracks"] == 9
    with db.write() as tx:
        libraries.update(tx, main_library.id, now=9, is_enabled=False)
    assert get(client, "mood-distribution")["analysed_tracks"] == 0
    assert get(client, "mood-distribution", library_id=main_library.id)["analysed_tracks"] == 9


def test_a_mood_occurs_together_with_another_as_often_as_the_other_with_it(
    client: httpx.Client, db: Database, main_library: Library
) -> None:
    heard = fill(db, main_library.id, 100)
    words = [set(moods_of(packs, reference_calibrations()).loose) for packs in heard.values()]
    counts = get(client, "mood-cooccurrence", top_n=4)["counts"]
    assert len(counts) == 4
    for a, row in counts.items():
        assert row == {b: sum({a, b} <= one for one in words) for b in counts}


def test_the_overview_says_what_files_say_of_themselves(
    client: httpx.Client, db: Database, main_library: Library
) -> None:
    fill(db, main_library.id, 3, facts=Facts("flac", 180.0, genre="Jazz", year=1999))
    fill(db, main_library.id, 1, facts=Facts("mp3", 4000.0, genre="Soul", year=1959))
    gone = fill(db, main_library.id, 1, facts=Facts("ogg", 1.0))
    fill(db, main_library.id, 2, facts=Facts("flac", 239.9))
    with db.write() as tx:
        files.mark_missing(tx, list(gone), 5)
    answer = without_links(get(client, "overview"))
    assert (answer["files"], answer["total_duration_seconds"]) == (6, pytest.approx(540 + 4000 + 479.8))
    assert answer["years"] == [
        {"value": 1959, "count": 1},
        {"value": 1999, "count": 3},
        {"value": None, "count": 2},
    ]
    assert answer["genres"][0] == {"value": "Jazz", "count": 3}
    assert answer["formats"] == [{"value": "flac", "count": 5}, {"value": "mp3", "count": 1}]
    assert answer["durations"] == [{"value": 3, "count": 5}, {"value": 60, "count": 1}]


def test_coverage_says_how_far_each_library_is(client: httpx.Client, db: Database, main_library: Library) -> None:
    fill(db, main_library.id, 3)
    fill(db, main_library.id, 1, analyzed_at=None, written_hash=None, set_aside=True)
    assert without_links(get(client, "coverage")) == {
        "libraries": [
            {
                "library_id": main_library.id,
                "library_name": "Main Library",
                "files": 4,
                "analysed": 3,
                "tagged": 3,
                "failed": 1,
                "percentage": 75.0,
            }
        ]
    }


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("tag-frequencies", {"limit": 0}),
        ("tag-frequencies", {"limit": 1001}),
        ("tag-frequencies", {"limit": "many"}),
        ("tag-correlations", {"top_n": 1}),
        ("tag-correlations", {"top_n": 101}),
        ("mood-distribution", {"library_id": 0}),
    ],
)
def test_parameters_that_make_no_sense_are_refused(client: httpx.Client, name: str, params: dict[str, object]) -> None:
    answer = client.get(f"{BASE}/{name}", params=params)
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith(next(iter(params)))


@pytest.mark.parametrize("name", ENDPOINTS)
def test_an_unknown_library_is_not_found(client: httpx.Client, name: str) -> None:
    answer = client.get(f"{BASE}/{name}", params={"library_id": 99})
    assert (answer.status_code, answer.json()) == (404, {"detail": "Library not found: 99"})
