"""Looking for files, all that is known of one, and those with which something went wrong."""

from __future__ import annotations

import httpx
import numpy as np
import pytest

from nomarr.moods.reference import reference_calibrations
from nomarr.scores import PackScores
from nomarr.store import claims, journal, scores, tags
from nomarr.store.database import Database
from nomarr.store.files import LibraryFile

from .conftest import NOW_MS, Analyse
from .test_libraries import detail

FILES = "/api/web/files"


def found(client: httpx.Client, **params: object) -> list[str]:
    answer = client.get(FILES, params={"sort": "title", **params})
    assert answer.status_code == 200, answer.text
    assert answer.json()["total"] == len(answer.json()["files"])
    return [file["title"] for file in answer.json()["files"]]


def vibenet(**values: float) -> PackScores:
    """Every score in its middle, but for those given: 0 and 1 are the ends that calibration knows."""
    ends = {head: one for (pack, head), one in reference_calibrations().items() if pack == "vibenet"}
    raw = [ends[head].p5 + values.get(head, 0.5) * (ends[head].p95 - ends[head].p5) for head in ends]
    spreads = np.full(len(raw), 0.1, np.float32)
    return PackScores("vibenet", "f", tuple(ends), np.array(raw, np.float32), spreads)


@pytest.fixture
def heard(db: Database, scanned: dict[str, object], analyse: Analyse) -> list[LibraryFile]:
    """One is happy, Two is sad, Three is neither."""
    files = analyse()
    with db.write() as tx:
        by_title = {file.title: file.id for file in files}
        scores.save(tx, by_title["One"], vibenet(valence=1.0, energy=0.9))
        scores.save(tx, by_title["Two"], vibenet(valence=0.0, energy=0.1))
        scores.save(tx, by_title["Three"], vibenet(valence=0.4))
    return files


@pytest.mark.usefixtures("scanned")
def test_all_files_are_listed_with_what_is_known(client: httpx.Client) -> None:
    answer = client.get(FILES, params={"sort": "-title", "limit": 2})
    assert answer.json()["total"] == 3
    assert answer.json()["limit"] == 2
    first = answer.json()["files"][0]
    assert first["path"].endswith("/Nina/Blue/02 Two.flac")
    assert (first["title"], first["artist"], first["album"], first["status"]) == ("Two", "Nina", "Blue", "pending")
    assert first["analyzed_at"] is None
    assert [file["title"] for file in client.get(FILES, params={"sort": "-title", "offset": 2}).json()["files"]] == [
        "One"
    ]


@pytest.mark.usefixtures("scanned")
def test_words_and_facts_narrow_the_list(client: httpx.Client) -> None:
    assert found(client, q="NINA two") == ["Two"]
    assert found(client, q="flac") == ["One", "Three", "Two"]
    assert found(client, artist="nina", album="blue") == ["One", "Two"]
    assert found(client, status="pending", artist="Otis") == ["Three"]
    assert found(client, status="done") == []
    assert found(client, library_id=99) == []


def test_moods_and_scores_narrow_the_list(client: httpx.Client, heard: list[LibraryFile]) -> None:
    assert found(client, tag="mood:happy") == ["One"]
    assert found(client, tag="nom:mood-strict:happy") == ["One"]
    assert found(client, tag="mood-strict:SAD") == ["Two"]
    assert found(client, tag=["mood:happy", "mood:sad"]) == []
    assert found(client, tag="nom:energy") == ["One", "Three", "Two"]
    assert found(client, tag="nom:energy>0.6") == ["One"]
    assert found(client, tag=["nom:energy<=0.6", "nom:valence > 0.2"]) == ["Three"]
    assert found(client, tag="nom:energy<0.6", q="two") == ["Two"]
    assert found(client, tag="nom:nothing>0.1") == []
    assert found(client, tag="mood:happy", library_id=heard[0].library_id) == ["One"]
    assert found(client, tag="mood:happy", library_id=99) == []
    assert found(client, tag="mood:happy", status="pending") == []


def test_files_are_listed_with_the_moods_that_they_carry(client: httpx.Client, heard: list[LibraryFile]) -> None:
    one = next(file for file in heard if file.title == "One")
    client.put(f"{FILES}/{one.id}/moods/party", json={"tier": "loose"})
    said = {file["title"]: file["moods"] for file in client.get(FILES).json()["files"]}
    assert {"mood": "happy", "tier": "strict"} in said["One"]
    assert {"mood": "party", "tier": "loose"} in said["One"]
    assert {"mood": "sad", "tier": "strict"} in said["Two"]
    for title, words in said.items():
        assert {word["mood"] for word in words} == {
            mood["mood"]
            for mood in client.get(f"{FILES}/{next(f.id for f in heard if f.title == title)}").json()["moods"]
            if mood["tier"]
        }


@pytest.mark.usefixtures("scanned")
def test_files_that_were_not_heard_are_listed_without_moods(client: httpx.Client) -> None:
    assert all(file["moods"] == [] for file in client.get(FILES).json()["files"])


def test_a_score_is_shown_among_those_of_its_library(client: httpx.Client, heard: list[LibraryFile]) -> None:
    ids = {file.title: file.id for file in heard}

    def valence(title: str) -> dict[str, float]:
        scores = client.get(f"{FILES}/{ids[title]}").json()["scores"]
        return next(score for score in scores if score["name"] == "valence")

    assert [valence(title)["percentile"] for title in ("Two", "Three", "One")] == [0.0, 33.3, 66.7]
    ends = reference_calibrations()["vibenet", "valence"]
    assert (valence("One")["p5"], valence("One")["p95"]) == (ends.p5, ends.p95)


def test_tags_of_the_files_narrow_the_list(client: httpx.Client, db: Database, heard: list[LibraryFile]) -> None:
    one = next(file for file in heard if file.title == "One")
    with db.write() as tx:
        tags.add_file_tags(tx, {one.id: {"genre": ["Drum & Bass"], "bpm": ["120"]}})
    assert found(client, tag="genre:drum & bass") == ["One"]
    assert found(client, tag=["BPM", "mood:happy"]) == ["One"]
    assert found(client, tag="genre:drum") == []


@pytest.mark.parametrize(
    ("tag", "says"),
    [
        ("mood:heppy", "tag: there is no mood 'heppy'; there are happy,"),
        ("nom:energy>", "tag: cannot read 'energy>'"),
        ("nom:energy=0.5", "tag: cannot read"),
        ("nom:", "tag: cannot read"),
        (":x", "tag: expected a name"),
        ("", "tag: expected a name"),
    ],
)
def test_a_filter_that_cannot_be_read_is_explained(client: httpx.Client, tag: str, says: str) -> None:
    assert detail(client.get(FILES, params={"tag": tag}), 400).startswith(says)


@pytest.mark.parametrize(
    "params", [{"limit": 0}, {"limit": 501}, {"offset": -1}, {"sort": "size"}, {"status": "odd"}, {"library_id": 0}]
)
def test_a_parameter_out_of_range_is_named(client: httpx.Client, params: dict[str, object]) -> None:
    assert detail(client.get(FILES, params=params), 400).startswith(next(iter(params)))


def test_one_answer_tells_all_of_a_file(client: httpx.Client, db: Database, heard: list[LibraryFile]) -> None:
    one = next(file for file in heard if file.title == "One")
    with db.write() as tx:
        journal.add(
            tx, file_id=one.id, path=one.path, batch="b", action="write", before={"energy": ["0.1"]}, after_hash="h",
            at=NOW_MS,
        )  # fmt: skip
        tags.add_file_tags(tx, {one.id: {"genre": ["House", "Jazz"]}})
    answer = client.get(f"{FILES}/{one.id}")
    assert answer.status_code == 200
    facts = answer.json()
    assert (facts["title"], facts["status"], facts["suite"]) == ("One", "done", "suite")
    assert sorted(facts["tags"]["genre"]) == ["House", "Jazz"]
    energy = next(score for score in facts["scores"] if score["name"] == "energy")
    assert energy["pack"] == "vibenet"
    assert energy["calibrated"] is None, "the library has no calibration of its own"
    assert 0.7 < energy["raw"] < 0.9
    assert energy["spread"] == 0.1
    assert facts["moods"][0]["strength"] >= facts["moods"][-1]["strength"]
    happy = next(mood for mood in facts["moods"] if mood["mood"] == "happy")
    assert (happy["strength"], happy["tier"]) == (1.0, "strict")
    assert next(mood for mood in facts["moods"] if mood["mood"] == "sad")["tier"] is None
    assert facts["written"] == {"hash": None, "at": None, "calibration": None, "is_due": False}
    (change,) = facts["journal"]
    assert (change["action"], change["at"], change["before"]) == ("write", "2027-01-15T08:00:00Z", {"energy": ["0.1"]})
    assert facts["problem"]["error"] is None


def test_a_file_that_is_unknown_is_not_found(client: httpx.Client) -> None:
    assert detail(client.get(f"{FILES}/4711"), 404) == "File not found: 4711"


# problems


@pytest.fixture
def broken(db: Database, scanned: dict[str, object]) -> list[int]:
    """Two files that were set aside, and one that could not be written."""
    ids = []
    with db.write() as tx:
        while file := claims.claim_next(tx, worker="w", now=NOW_MS, lease_ms=60_000):
            if len(ids) < 2:
                claims.fail(tx, file, now=NOW_MS, error="not an audio file", kind="unreadable", permanent=True)
            else:
                claims.record_write_failure(tx, file, now=NOW_MS, error="read-only", retry_in_ms=60_000)
            ids.append(file.file_id)
    return ids


def test_files_with_problems_are_listed_with_reasons(client: httpx.Client, broken: list[int]) -> None:
    answer = client.get(f"{FILES}/errors").json()
    assert answer["total"] == 3
    assert [problem["file_id"] for problem in answer["errors"]] == broken
    assert [problem["reason"] for problem in answer["errors"]] == ["not an audio file"] * 2 + ["read-only"]
    assert [problem["kind"] for problem in answer["errors"]] == ["unreadable", "unreadable", "write"]
    page = client.get(f"{FILES}/errors", params={"limit": 1, "offset": 2}).json()
    assert (page["total"], [problem["file_id"] for problem in page["errors"]]) == (3, broken[2:])
    assert len(client.get(FILES, params={"status": "errors"}).json()["files"]) == 3


def test_some_get_another_chance(client: httpx.Client, broken: list[int]) -> None:
    answer = client.post(f"{FILES}/retry", json={"ids": [broken[1], broken[1], 4711]})
    assert answer.json() == {"retried": 1, "message": "Queued 1 file for processing"}
    assert client.get(f"{FILES}/errors").json()["total"] == 2
    assert client.get("/api/web/queue/queue-depth").json()["errors"] == 1


@pytest.mark.parametrize("body", [None, {}, {"ids": None}])
def test_all_get_another_chance(client: httpx.Client, broken: list[int], body: object) -> None:
    answer = client.post(f"{FILES}/retry") if body is None else client.post(f"{FILES}/retry", json=body)
    assert answer.json() == {"retried": 3, "message": "Queued 3 files for processing"}
    assert client.get(f"{FILES}/errors").json() == {"total": 0, "limit": 50, "offset": 0, "errors": []}


def test_an_empty_list_is_nobody(client: httpx.Client, broken: list[int]) -> None:
    assert client.post(f"{FILES}/retry", json={"ids": []}).json()["retried"] == 0
    assert client.get(f"{FILES}/errors").json()["total"] == len(broken)


@pytest.mark.parametrize("path", [FILES, f"{FILES}/1", f"{FILES}/errors", "/api/web/work-status"])
def test_strangers_see_no_files(stranger: httpx.Client, path: str) -> None:
    assert detail(stranger.get(path), 401) == "Log in first"
