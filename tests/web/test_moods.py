"""Moods with their reasons, corrections over HTTP and where they arrive, agreement, and levels."""

from __future__ import annotations

import httpx
import pytest

from heard import fill
from nomarr.store import libraries
from nomarr.store.database import Database
from nomarr.store.libraries import Library

from .conftest import Home
from .test_keys import make, with_key
from .test_libraries import detail

MOODS = "/api/web/moods"


@pytest.fixture
def main_library(db: Database) -> Library:
    with db.write() as tx:
        return libraries.create(tx, name="Main Library", root_path="/music", now=1)


@pytest.fixture
def ids(db: Database, main_library: Library) -> list[int]:
    return list(fill(db, main_library.id, 60))


def ask(client: httpx.Client, path: str, **params: object) -> dict[str, object]:
    answer = client.get(f"/api/web/{path}", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def distribution(client: httpx.Client) -> dict[str, dict[str, int]]:
    shares = ask(client, "analytics/mood-distribution")["mood_distribution"]
    return {one["mood"]: {name: one[name] for name in ("count", "strict", "regular", "loose")} for one in shares}


def test_the_reasons_agree_with_the_distribution_and_with_the_file(client: httpx.Client, ids: list[int]) -> None:
    counts = dict.fromkeys(distribution(client), 0)
    for file_id in ids:
        track = ask(client, f"files/{file_id}/moods")
        tiers = {one["mood"]: one["tier"] for one in track["moods"]}
        for mood in tiers:
            counts[mood] = counts.get(mood, 0) + (tiers[mood] != "none")
        known = {one["mood"]: one for one in ask(client, f"files/{file_id}")["moods"]}
        for one in track["moods"]:
            if one["mood"] in known:
                assert known[one["mood"]]["strength"] == one["strength"]
                assert (known[one["mood"]]["tier"] or "none") == one["tier"]
            assert one["because"].startswith("not said" if one["tier"] == "none" else one["tier"])
    assert {m: n for m, n in counts.items() if n} == {m: one["count"] for m, one in distribution(client).items()}


def test_a_reason_names_each_number_that_took_part(client: httpx.Client, ids: list[int]) -> None:
    one = ask(client, f"files/{ids[7]}/moods/energetic")
    (head,) = one["heads"]
    written = {score["name"]: score for score in ask(client, f"files/{ids[7]}")["scores"]}["energy"]
    assert (head["name"], head["says"], head["percentiles_from"]) == ("energy", "for", "reference")
    assert head["raw"] == written["raw"] == head["written"]  # without a calibration the raw score is written
    assert one["strength"] == head["calibrated"]
    expected = min(1.0, max(0.0, (head["raw"] - head["p5"]) / (head["p95"] - head["p5"])))
    assert head["calibrated"] == pytest.approx(expected, abs=2e-4)
    raws = [ask(client, f"files/{i}/moods/energetic")["heads"][0]["raw"] for i in ids]
    assert head["percentile"] == round(100 * sum(raw < head["raw"] for raw in raws) / 60, 1)
    assert one["levels"] == {"strict": 0.8, "regular": 0.65, "loose": 0.5}
    assert {other["mood"] for other in one["opposites"]} == {"calm", "relaxed", "chill"}


def test_a_mood_or_file_that_does_not_exist_is_said_so(client: httpx.Client, ids: list[int]) -> None:
    assert "no mood 'wild'" in detail(client.get(f"/api/web/files/{ids[0]}/moods/wild"), 404)
    assert "File not found" in detail(client.get("/api/web/files/999999/moods"), 404)
    assert "File not found" in detail(client.put("/api/web/files/999999/moods/party"), 404)
    body = {"file_ids": [ids[0]], "moods": {"wild": "loose"}}
    assert "no mood 'wild'" in detail(client.post(f"{MOODS}/corrections", json=body), 400)
    assert client.post(f"{MOODS}/corrections", json={"file_ids": list(range(1, 1002))}).status_code == 400


@pytest.mark.usefixtures("main_library")
def test_a_correction_arrives_everywhere(client: httpx.Client, ids: list[int]) -> None:
    party = {f["id"] for f in ask(client, "files", tag="mood:party", limit=500)["files"]}
    added = next(i for i in ids if i not in party)
    removed = next(iter(party))
    before = distribution(client)["party"]["count"]
    answer = client.put(f"/api/web/files/{added}/moods/party")
    assert answer.json() == {"file_id": added, "moods": {"party": "regular"}, "locked": False, "kept": None}
    assert client.put(f"/api/web/files/{removed}/moods/party", json={"tier": "none"}).status_code == 200
    assert distribution(client)["party"]["count"] == before
    wanted = (party | {added}) - {removed}
    assert {f["id"] for f in ask(client, "files", tag="mood:party", limit=500)["files"]} == wanted
    query = {"query": "nom:mood_party is true", "preview_limit": 0}
    preview = client.post("/api/web/navidrome/playlists/preview", json=query).json()
    assert preview["matched_tracks"] == len(wanted)
    both = ask(client, "analytics/mood-cooccurrence")["counts"]["party"]
    assert both["party"] == len(wanted)
    one = ask(client, f"files/{removed}/moods/party")
    assert (one["tier"], one["by_hand"]) == ("none", "removed")
    assert one["because"].startswith("Taken away by hand.")
    assert ask(client, f"files/{added}")["written"]["is_due"] is True
    client.delete(f"/api/web/files/{added}/moods/party")
    assert client.delete(f"/api/web/files/{removed}/correction").json()["moods"] == {}
    assert {f["id"] for f in ask(client, "files", tag="mood:party", limit=500)["files"]} == party
    assert ask(client, "moods/corrections") == {"total": 0, "next": None, "corrections": []}


def test_many_files_are_corrected_at_once_and_listed(client: httpx.Client, ids: list[int]) -> None:
    body = {"file_ids": ids[:5], "moods": {"party": "strict", "relaxed": "none"}, "locked": True}
    answer = client.post(f"{MOODS}/corrections", json=body)
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["corrections"]) == 5
    assert all(one["locked"] for one in answer.json()["corrections"])
    body = {"file_ids": ids[:2], "moods": {"relaxed": "forget"}, "locked": False}
    assert client.post(f"{MOODS}/corrections", json=body).json()["corrections"][0]["moods"] == {"party": "strict"}
    page = ask(client, "moods/corrections", limit=3, mood="party")
    assert (page["total"], page["next"], len(page["corrections"])) == (5, ids[2], 3)
    assert page["corrections"][0]["path"].startswith("/music/")
    rest = ask(client, "moods/corrections", limit=3, after=page["next"])
    assert ([one["file_id"] for one in rest["corrections"]], rest["next"]) == (ids[3:5], None)
    put = client.put(f"/api/web/files/{ids[3]}/correction", json={"moods": {"happy": "loose"}})
    assert put.json() == {"file_id": ids[3], "moods": {"happy": "loose"}, "locked": False, "kept": None}
    assert ask(client, f"files/{ids[3]}/correction")["moods"] == {"happy": "loose"}


def test_agreement_is_counted_per_mood_and_undefined_shares_are_null(client: httpx.Client, ids: list[int]) -> None:
    assert ask(client, "moods/agreement") == {"verdicts": 0, "agreed": None, "moods": []}
    party = [f["id"] for f in ask(client, "files", tag="mood:party", limit=500)["files"]]
    other = [i for i in ids if i not in party]
    for some, tier in ((party[:3], "regular"), (party[3:4], "none"), (other[:1], "loose")):
        client.post(f"{MOODS}/corrections", json={"file_ids": some, "moods": {"party": tier}})
    client.put(f"/api/web/files/{other[1]}/moods/sexy", json={"tier": "none"})
    report = ask(client, "moods/agreement")
    shares = {one.pop("mood"): one for one in report["moods"]}
    assert shares["party"] == {
        "judged": 5,
        "should_carry": 4,
        "carry": 4,
        "both": 3,
        "precision": 0.75,
        "recall": 0.75,
    }
    assert shares["sexy"]["recall"] is None
    assert report["verdicts"] == 6


def test_a_preview_of_levels_counts_what_the_distribution_says_afterwards(client: httpx.Client, ids: list[int]) -> None:
    client.put(f"/api/web/files/{ids[0]}/moods/party", json={"tier": "strict"})
    before = distribution(client)
    levels = {"party": {"strict": 0.9, "regular": 0.75, "loose": 0.6}, "calm": {"loose": 0.3}}
    preview = client.post(f"{MOODS}/levels/preview", json={"levels": levels}).json()
    assert preview["analysed_tracks"] == 60
    assert distribution(client) == before
    held = client.put(f"{MOODS}/levels", json={"levels": levels}).json()
    assert held["levels"]["calm"] == {"strict": 0.8, "regular": 0.65, "loose": 0.3}
    after = distribution(client)
    nothing = dict.fromkeys(("count", "strict", "regular", "loose"), 0)
    changes = {one["mood"]: one for one in preview["changes"]}
    assert {mood: one["after"] for mood, one in changes.items()} == {mood: after.get(mood, nothing) for mood in changes}
    assert {mood: one["before"] for mood, one in changes.items()} == {m: before.get(m, nothing) for m in changes}
    assert all(after[mood] == before[mood] for mood in after if mood not in changes)
    assert changes["party"]["text"] == f"party: {before['party']['count']} -> {after['party']['count']} tracks"
    one = ask(client, f"files/{ids[1]}/moods/party")
    assert (one["levels"]["strict"], one["levels_are_set"]) == (0.9, True)
    (status,) = ask(client, "calibration/status")["libraries"]
    assert status["calibration"].startswith("reference+")
    assert status["outdated_count"] == 60
    assert client.post("/api/web/calibration/apply").status_code == 200
    assert client.put(f"{MOODS}/levels", json={"levels": {}}).json()["levels"] == {}
    assert distribution(client) == before


@pytest.mark.parametrize(
    ("levels", "why"),
    [
        ({"wild": {}}, "no mood 'wild'"),
        ({"party": {"loose": 0.7}}, "levels.party: expected loose <= regular <= strict"),
        ({"party": {"loose": 0}}, "greater than 0"),
        ({"party": {"strict": 1.5}}, "less than or equal to 1"),
    ],
)
def test_levels_that_make_no_sense_are_refused(client: httpx.Client, levels: object, why: str) -> None:
    for path in ("levels", "levels/preview"):
        method = client.put if path == "levels" else client.post
        assert why in detail(method(f"{MOODS}/{path}", json={"levels": levels}), 400)
    assert ask(client, "moods/levels")["levels"] == {}


def test_a_key_for_reading_may_look_and_preview_but_correct_nothing(
    home: Home, client: httpx.Client, ids: list[int]
) -> None:
    robot = with_key(home, make(client, "read"))
    assert robot.get(f"/api/web/files/{ids[0]}/moods").status_code == 200
    assert robot.post(f"{MOODS}/levels/preview", json={"levels": {}}).status_code == 200
    assert robot.get(f"{MOODS}/agreement").status_code == 200
    assert robot.put(f"/api/web/files/{ids[0]}/moods/party").status_code == 403
    assert robot.delete(f"/api/web/files/{ids[0]}/correction").status_code == 403
    assert robot.post(f"{MOODS}/corrections", json={"file_ids": [ids[0]]}).status_code == 403
    assert robot.put(f"{MOODS}/levels", json={"levels": {}}).status_code == 403


def test_strangers_learn_and_change_nothing(stranger: httpx.Client) -> None:
    for method, path in (("GET", "files/1/moods"), ("PUT", "files/1/correction"), ("GET", "moods/corrections")):
        assert stranger.request(method, f"/api/web/{path}").status_code == 401
