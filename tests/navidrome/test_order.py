"""Sort, limit and offset, and what the preview has to leave to Navidrome."""

from __future__ import annotations

from typing import Any

import pytest

from nomarr.navidrome.nsp import Playlist, from_json, read_sort
from nomarr.store import files, libraries, playlists
from nomarr.store.database import Database

from .conftest import FIELDS, World, rules
from .world import NOW, Track, View, add_library, random_tracks

ALL = "duration >= 0"


def _key(view: View, name: str) -> Any:
    if name == "score":
        return float(view.tags.get("nom_danceability", [0.0])[0])
    if name == "artist":
        return view.roles["artist"][0]
    if name == "bpm":
        return view.columns["bpm"] or -1
    return view.columns[name]


@pytest.mark.parametrize(
    ("sort", "keys"),
    [
        ("", [("title", 1)]),
        ("year", [("year", 1)]),
        ("-year,title", [("year", -1), ("title", 1)]),
        ("+album,-duration", [("album", 1), ("duration", -1)]),
        ("-nom:danceability,title", [("score", -1), ("title", 1)]),
        ("nom_danceability", [("score", 1)]),
        ("-bpm,year", [("bpm", -1), ("year", 1)]),
    ],
)
def test_tracks_come_in_the_asked_order(world: World, sort: str, keys: list[tuple[str, int]]) -> None:
    found = world.select(Playlist(rules(ALL), sort=read_sort(sort, FIELDS))).first
    expected = sorted(world.views)
    for name, sign in reversed(keys):
        expected.sort(key=lambda i, name=name: _key(world.views[i], name), reverse=sign < 0)  # type: ignore[misc]
    texts = [[_key(world.views[i], name) for name, _ in keys] for i in found]
    assert texts == [[_key(world.views[i], name) for name, _ in keys] for i in expected]


def test_artists_sort_by_the_first_who_is_named(db: Database) -> None:
    tracks = [Track(artist=name) for name in ("Otis", "Nina feat. Zoe", "Nina", "Bach; Zoe")] + [Track()]
    world = World(db, add_library(db, tracks))
    found = world.select(Playlist(rules(ALL), sort=read_sort("artist,title", FIELDS))).first
    names = [_key(world.views[i], "artist") for i in found]
    assert names == ["Bach", "Nina", "Nina", "Otis", "[Unknown Artist]"]


def test_album_artists_sort_by_who_stands_in_where_nobody_is_named(db: Database) -> None:
    tracks = [
        Track(album_artist="Otis", artist="Zoe"),
        Track(artist="Bach"),
        Track(artist="Abba", tags={"compilation": ("1",)}),
        Track(),
    ]
    world = World(db, add_library(db, tracks))
    found = world.select(Playlist(rules(ALL), sort=read_sort("albumartist", FIELDS))).first
    names = [world.views[i].roles["albumartist"][0] for i in found]
    assert names == ["Bach", "Otis", "Various Artists", "[Unknown Artist]"]


def test_dates_sort_as_navidrome_makes_them_of_three_tags(world: World) -> None:
    for name, column in (("date", "date"), ("releasedate", "release_date"), ("originalyear", "original_year")):
        found = world.select(Playlist(rules(ALL), sort=read_sort(f"-{name}", FIELDS))).first
        keys = [world.views[i].columns[column] for i in found]
        assert keys == sorted(keys, reverse=True)
        assert len(set(keys)) > 2


def test_the_date_of_an_mp4_file_is_also_that_of_its_release(db: Database) -> None:
    ids = list(add_library(db, [Track(tags={"date": ("1999-03-01",)}), Track(tags={"date": ("1999-03-01",)})]))
    with db.write() as tx:
        tx.run("UPDATE library_files SET container = 'm4a' WHERE id = :id", id=ids[0])
    assert World(db, {}).ids(rules("releaseyear is 1999")) == {ids[0]}


def test_a_random_order_shuffles_and_loses_nothing(world: World) -> None:
    for sort in ("random", "nom:danceability,random"):
        playlist = Playlist(rules(ALL), sort=read_sort(sort, FIELDS))
        orders = {world.select(playlist).first for _ in range(5)}
        assert len(orders) > 1
        assert {tuple(sorted(order)) for order in orders} == {tuple(sorted(world.views))}


@pytest.mark.parametrize("sort", ["title", "nom:danceability"])
@pytest.mark.parametrize(("limit", "percent", "offset"), [(7, 0, 0), (7, 0, 57), (0, 10, 2), (0, 0, 9), (7, 0, 99)])
def test_limits_cut_the_ordered_list(world: World, sort: str, limit: int, percent: int, offset: int) -> None:
    order = read_sort(sort, FIELDS)
    everything = world.select(Playlist(rules(ALL), sort=order)).first
    found = world.select(Playlist(rules(ALL), sort=order, limit=limit, limit_percent=percent, offset=offset))
    size = limit or 60 * percent // 100
    expected = everything[offset : offset + size] if size else everything
    assert (found.matching, found.listed, found.first) == (60, len(expected), expected)


def test_only_as_many_as_asked_for_are_shown(world: World) -> None:
    found = world.select(Playlist(rules(ALL)), show=3)
    assert (found.matching, found.listed, len(found.first)) == (60, 60, 3)


@pytest.mark.parametrize(
    ("query", "same", "names"),
    [
        ("rating > 3", ALL, ("rating",)),
        ("rating > 3 AND year > 1985", "year > 1985", ("rating",)),
        ("rating > 3 OR year > 1985", "year > 1985", ("rating",)),
        ("NOT (rating > 3 AND year > 1985)", "NOT year > 1985", ("rating",)),
        ("(loved is true OR playcount > 3) AND genre contains jazz", "genre contains jazz", ("loved", "playcount")),
        ("inPlaylist x AND lastplayed inTheLast 3", ALL, ("id", "lastplayed")),
    ],
)
def test_what_only_navidrome_knows_is_left_out_and_named(
    world: World, query: str, same: str, names: tuple[str, ...]
) -> None:
    found = world.select(Playlist(rules(query)))
    assert set(found.first) == world.ids(rules(same))
    assert found.not_evaluated == names


def test_an_order_that_only_navidrome_knows_falls_back_to_the_title(world: World) -> None:
    found = world.select(Playlist(rules(ALL), sort=read_sort("-playcount", FIELDS)))
    assert found.not_evaluated == ("playcount",)
    assert found.first == world.select(Playlist(rules(ALL))).first


def test_missing_files_and_disabled_libraries_are_not_listed(db: Database) -> None:
    first = add_library(db, random_tracks(5, seed=1))
    world = World(db, add_library(db, random_tracks(5, seed=2), name="Other"))
    for query in (ALL, "NOT isrc is nothing", "NOT nom:mood_happy > 2"):
        assert world.ids(rules(query)) == set(first) | set(world.tracks)
    with db.write() as tx:
        files.mark_missing(tx, [min(first)], NOW)
        (one, other) = libraries.list_all(tx)
        libraries.update(tx, other.id, now=NOW, is_enabled=False)
    for query in (ALL, "NOT isrc is nothing", "NOT nom:mood_happy > 2"):
        assert world.ids(rules(query)) == set(first) - {min(first)}
        assert set(world.select(Playlist(rules(query)), library_id=other.id).first) == set(world.tracks)
        assert world.select(Playlist(rules(query)), library_id=one.id).matching == 4


def test_an_nsp_files_own_limit_counts(world: World) -> None:
    playlist = from_json({"all": [{"gt": {"year": 0}}], "limit": 4, "order": "desc", "sort": "year"}, FIELDS)
    found = world.select(playlist)
    assert (found.listed, [world.tracks[i].year for i in found.first]) == (4, [2000] * 4)


def test_a_question_about_many_values_is_answered(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playlists, "CHUNK", 50)
    tracks = [Track(artist=f"Artist {n}", tags={"genre": (f"Genre {n}",)}) for n in range(120)]
    world = World(db, add_library(db, tracks))
    assert world.select(Playlist(rules("artist contains ARTIST AND genre startsWith g"))).matching == 120
    assert world.select(Playlist(rules("NOT artist is 'Artist 7'"))).matching == 119
