"""Which song is which file, over two trees that lie to one another in any way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from pydantic import SecretStr

from nomarr.navidrome import songs
from nomarr.navidrome.client import Client
from nomarr.navidrome.connection import Account
from nomarr.navidrome.songs import Place, find_songs, ids_of, targets
from nomarr.store import libraries, navidrome
from nomarr.store.database import Database
from nomarr.store.navidrome import Touched

from .standin import Navidrome, running
from .world import Track, add_library

LIBRARY = [
    Track(
        folder=folder, name=f"{number:02} Song.flac", title=f"T{number}", artist="Nina", album=folder, duration_s=60.0
    )
    for folder in ("Rock/Nina/Blue", "Rock/Nina/Red", "Rock/Otis/Red/CD 1", "Jazz/Zoë/Été")
    for number in range(1, 6)
]


@pytest.fixture
def server() -> Iterator[Navidrome]:
    with running(Navidrome()) as server:
        yield server


@pytest.fixture
def client(server: Navidrome) -> Iterator[Client]:
    client = Client(Account(server.url, "admin", SecretStr("secret")))
    yield client
    client.close()


def paths(tracks: dict[int, Track]) -> dict[int, str]:
    return {i: f"{track.folder}/{track.name}" for i, track in tracks.items()}


def mapped(db: Database) -> dict[int, str]:
    with db.read() as tx:
        return {row[0]: row[1] for row in tx.tuples("SELECT file_id, song_id FROM navidrome_songs")}


def test_the_same_tree_is_known_by_its_paths(db: Database, server: Navidrome, client: Client) -> None:
    ours = paths(add_library(db, LIBRARY))
    theirs = {server.add_song(path, duration=60.4): i for i, path in ours.items()}
    found = find_songs(db, client, now=1)
    assert (found.songs, found.matched) == (20, 20)
    assert mapped(db) == {i: song for song, i in theirs.items()}
    assert found.places == (Place(1, "", found.places[0].library_id, ""),)


@pytest.mark.parametrize(
    ("their_folder", "our_folder"),
    [("", "Rock"), ("music", ""), ("mnt/all", ""), ("other", "Rock")],
)
def test_trees_may_begin_at_different_folders(
    db: Database, server: Navidrome, client: Client, their_folder: str, our_folder: str
) -> None:
    expected = {}
    for i, path in paths(add_library(db, LIBRARY)).items():
        if path.startswith(our_folder):
            path = path.removeprefix(our_folder).lstrip("/")
            expected[i] = server.add_song(f"{their_folder}/{path}".lstrip("/"), duration=60)
    found = find_songs(db, client, now=1)
    assert mapped(db) == expected
    assert (found.places[0].their_folder, found.places[0].our_folder) == (their_folder, our_folder)


def test_accents_may_be_spelled_in_another_way(db: Database, server: Navidrome, client: Client) -> None:
    import unicodedata

    ours = paths(add_library(db, LIBRARY))
    for path in ours.values():
        server.add_song(unicodedata.normalize("NFD", path), duration=60)
    assert find_songs(db, client, now=1).matched == 20


def test_one_of_our_libraries_may_be_two_of_theirs_and_the_other_way_round(
    db: Database, server: Navidrome, client: Client
) -> None:
    server.libraries = [{"id": 1, "name": "Rock", "path": "/r"}, {"id": 2, "name": "Jazz", "path": "/j"}]
    first = paths(add_library(db, LIBRARY))
    second = paths(add_library(db, [replace(t, folder=t.folder.replace("Rock", "Pop")) for t in LIBRARY[:5]], "Two"))
    expected = {}
    for i, path in {**first, **second}.items():
        genre, _, rest = path.partition("/")
        library = {"Rock": 1, "Jazz": 2, "Pop": 1}[genre]
        expected[i] = server.add_song(f"Pop/{rest}" if genre == "Pop" else rest, libraryId=library, duration=60)
    find_songs(db, client, now=1)
    assert mapped(db) == expected


def test_a_file_of_another_length_under_the_same_path_is_another_song(
    db: Database, server: Navidrome, client: Client
) -> None:
    ours = paths(add_library(db, LIBRARY))
    for path in ours.values():
        server.add_song(path, duration=60 if "Blue" in path else 200)
    assert find_songs(db, client, now=1).matched == 5


def test_what_lies_elsewhere_is_known_by_its_tags_if_they_are_its_own(
    db: Database, server: Navidrome, client: Client
) -> None:
    ours = add_library(db, LIBRARY)
    moved, *others = ours
    facts = ours[moved]
    song = server.add_song("Moved/x.flac", title="t1", artist="NINA", album=facts.folder, duration=61)
    server.add_song("Moved/y.flac", title="T2", artist="Nina", album="Another", duration=60)
    twin = ours[others[0]]
    for name in ("a", "b"):
        server.add_song(f"Twins/{name}.flac", title=twin.title, artist="Nina", album=twin.folder, duration=60)
    find_songs(db, client, now=1)
    assert mapped(db) == {moved: song}


def test_of_two_songs_in_one_place_the_first_counts(db: Database, server: Navidrome, client: Client) -> None:
    server.libraries = [{"id": 1, "name": "A", "path": "/a"}, {"id": 2, "name": "B", "path": "/b"}]
    ours = paths(add_library(db, LIBRARY))
    first = {i: server.add_song(path, duration=60) for i, path in ours.items()}
    for path in ours.values():
        server.add_song(path, duration=60, libraryId=2)
    find_songs(db, client, now=1)
    assert mapped(db) == first


def test_what_is_gone_on_either_side_is_forgotten(db: Database, server: Navidrome, client: Client) -> None:
    ours = paths(add_library(db, LIBRARY))
    for path in ours.values():
        server.add_song(path, duration=60)
    find_songs(db, client, now=1)
    server.songs[0]["missing"] = True
    find_songs(db, client, now=2)
    assert len(mapped(db)) == 19
    with db.write() as tx:
        libraries.delete(tx, libraries.list_all(tx)[0].id)
    assert mapped(db) == {}


def test_songs_are_looked_for_again_only_when_something_changed(
    db: Database, server: Navidrome, client: Client
) -> None:
    ours = paths(add_library(db, LIBRARY))
    ids = list(ours)
    for i in ids[:-1]:
        server.add_song(ours[i], duration=60)
    assert len(ids_of(db, client, ids, now=1)) == 19
    before = server.requests.count("GET /api/song")
    assert len(ids_of(db, client, ids[:-1], now=2)) == 19
    assert len(ids_of(db, client, ids, now=3)) == 19
    assert server.requests.count("GET /api/song") == before
    late = server.add_song(ours[ids[-1]], duration=60)
    assert ids_of(db, client, ids, now=4)[ids[-1]] == late


def test_another_navidrome_begins_anew(db: Database, server: Navidrome, client: Client) -> None:
    ours = paths(add_library(db, LIBRARY))
    for path in ours.values():
        server.add_song(path, duration=60)
    find_songs(db, client, now=1)
    with running(Navidrome()) as other:
        elsewhere = Client(Account(other.url, "admin", SecretStr("secret")))
        assert ids_of(db, elsewhere, list(ours), now=2) == {}
        elsewhere.close()


@pytest.mark.parametrize(
    ("folders", "most", "expected"),
    [
        (["A/B", "A/C"], 9, ["1:A/B", "1:A/C"]),
        (["A", "A/B", "A/B/C", "AB"], 9, ["1:A", "1:AB"]),
        (["", "A"], 9, ["1:"]),
        (["A/1", "A/2", "B/1"], 2, ["1:A", "1:B"]),
        (["A/1/x", "A/2/x", "B"], 2, ["1:A", "1:B"]),
        (["A", "B", "C"], 2, ["1:"]),
    ],
)
def test_folders_become_few_targets(folders: list[str], most: int, expected: list[str]) -> None:
    touched = [Touched(7, folder) for folder in folders]
    assert targets(touched, [Place(1, "", 7, "")], most=most) == expected


def test_targets_are_named_as_navidrome_knows_them() -> None:
    places = [Place(2, "", 7, "Rock"), Place(3, "in/here", 8, "")]
    assert targets([Touched(7, "Rock/Nina"), Touched(8, "x")], places, most=9) == ["2:Nina", "3:in/here/x"]
    assert targets([Touched(7, "Rock")], places, most=9) == ["2:"]
    assert targets([Touched(7, "Rock/Nina"), Touched(7, "Jazz")], places, most=9) == []
    assert targets([Touched(7, "Rocket")], places, most=9) == []


def test_a_large_library_is_matched_in_pages(
    db: Database, server: Navidrome, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(navidrome, "CHUNK", 7)
    monkeypatch.setattr(songs, "SAMPLE", 5)
    monkeypatch.setattr("nomarr.navidrome.client.PAGE", 6)
    ours = paths(add_library(db, LIBRARY))
    for path in ours.values():
        server.add_song(path, duration=60)
    assert find_songs(db, client, now=1).matched == 20
