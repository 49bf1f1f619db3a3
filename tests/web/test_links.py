"""Every number that analytics answers with leads to a list of exactly so many tracks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from heard import add_heard, fill, some_scores
from nomarr.store import files, libraries, tags
from nomarr.store.database import Database
from nomarr.store.facts import Facts

BASE = "/api/web/analytics"
# Names and values that mean something elsewhere: in a query, in a filter, in SQL.
ODD_TAGS = {
    "genre": ("Jazz", "R&B + Soul"),
    "mood": ("our own",),
    "100%_what?": ("x",),
    "a:b>0.5": ("=1+1",),
    "!x": ("y",),
}


@pytest.fixture
def shelf(db: Database) -> int:
    """Two libraries that count, one of which holds mood words alone, and a disabled one; -> the first."""
    with db.write() as tx:
        main = libraries.create(tx, name="Main", root_path="/main", now=1)
        other = libraries.create(tx, name="Other", root_path="/other", now=1, file_write_mode="moods")
        off = libraries.create(tx, name="Off", root_path="/off", now=1, is_enabled=False)
    fill(db, main.id, 60, facts=Facts("flac", 185.0, genre="Jazz", year=1999))
    fill(db, main.id, 20, seed=2, facts=Facts("mp3", 239.99, genre="R&B + Soul", year=2001))
    fill(db, other.id, 15, seed=3, facts=Facts("mp3", 3600.0, genre="jazz"))
    fill(db, off.id, 9, seed=4, facts=Facts("mp3", 10.0, genre="Jazz", year=1999))
    fill(db, main.id, 3, seed=5, analyzed_at=None, written_hash=None, set_aside=True)
    gone = fill(db, main.id, 4, seed=6, facts=Facts("flac", 185.0, genre="Jazz", year=1999))
    with db.write() as tx:
        add_heard(tx, main.id, some_scores(np.random.default_rng(7), ["vibenet"]))
        add_heard(tx, main.id, [], analyzed_at=None, written_hash=None)  # not heard yet
        files.mark_missing(tx, list(gone), 5)
        for number, row in enumerate(tx.all("SELECT id FROM library_files ORDER BY id")):
            names = list(ODD_TAGS)[: number % 6]
            tags.replace_file_tags(tx, row["id"], {name: ODD_TAGS[name] for name in names})
    return main.id


def numbers_in(answer: Any) -> Iterator[tuple[int, str]]:
    """Each number that has a link of its own name beside it, and that link."""
    if isinstance(answer, dict):
        for field, link in answer.get("links", {}).items():
            yield answer[field], link
        for name, value in answer.items():
            if name != "links":
                yield from numbers_in(value)
    elif isinstance(answer, list):
        for one in answer:
            yield from numbers_in(one)


def get(client: httpx.Client, link: str, **params: Any) -> Any:
    answer = client.get(link, params=params or None)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("chosen", [False, True], ids=["all", "one library"])
@pytest.mark.parametrize(
    ("name", "at_least"), [("tag-frequencies", 40), ("mood-distribution", 60), ("overview", 12), ("coverage", 4)]
)
def test_a_link_leads_to_as_many_tracks_as_its_number_says(
    client: httpx.Client, shelf: int, name: str, at_least: int, chosen: bool
) -> None:
    found = list(numbers_in(get(client, f"{BASE}/{name}", **({"library_id": shelf} if chosen else {}))))
    assert len(found) >= at_least
    for number, link in found:
        assert get(client, link)["total"] == number, link


def test_links_of_moods_that_go_together_lead_to_the_tracks_of_both(client: httpx.Client, shelf: int) -> None:
    answer = get(client, f"{BASE}/mood-cooccurrence", top_n=4)
    assert all(get(client, link)["total"] == number for number, link in numbers_in(answer))
    counts, links = answer["counts"], answer["count_links"]
    correlated = get(client, f"{BASE}/tag-correlations", top_n=4)
    for a, row in counts.items():
        assert set(links[a]) == set(row)
        for b, count in row.items():
            assert get(client, links[a][b])["total"] == count
        assert correlated["mood_links"][a] == {b: links[a][b] for b in row if b != a}
        assert set(correlated["mood_links"][a]) == set(correlated["mood_correlations"][a])
        for tier, share in correlated["mood_tier_correlations"][a].items():
            total = get(client, correlated["tier_links"][a][tier])["total"]
            assert total / counts[a][a] == pytest.approx(share, abs=1e-3)


def test_links_of_tags_name_the_namespace_and_only_libraries_that_hold_them(
    client: httpx.Client, db: Database, shelf: int
) -> None:
    answer = get(client, f"{BASE}/tag-frequencies", limit=1000)
    links = {one["tag_key"]: one["links"]["total_count"] for one in answer["tag_frequencies"]}
    assert links["nom:energy"] == f"/api/web/files?tag=nom%3Aenergy&library_id={shelf}"
    assert links["nom:mood-strict"].count("library_id") == 2
    assert set(ODD_TAGS) <= set(links)


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("year=next", "year"),
        ("minutes=-1", "minutes"),
        ("library_id=0", "library_id"),
        ("tag=!", "tag: expected a name"),
        ("status=heard", "status"),
    ],
)
def test_filters_that_make_no_sense_are_refused(client: httpx.Client, query: str, why: str) -> None:
    answer = client.get(f"/api/web/files?{query}")
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith(why)


def test_a_filter_can_be_turned_round(client: httpx.Client, shelf: int) -> None:
    def total(*texts: str) -> int:
        return int(get(client, "/api/web/files", tag=list(texts), library_id=shelf)["total"])

    heard = total("nom:*")
    assert total("mood:happy") + total("!mood:happy") == heard
    assert total("nom:energy>0.5") + total("!nom:energy>0.5") == heard
    assert total("mood:happy", "!mood-strict:happy") == total("mood:happy") - total("mood-strict:happy")
    everything = get(client, "/api/web/files", library_id=shelf)["total"]
    assert total("genre:jazz") + total("! genre:jazz") == everything
