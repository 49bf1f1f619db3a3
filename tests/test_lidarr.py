"""Lidarr's events, and paths as other programs see them."""

from __future__ import annotations

import json
import time
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nomarr.errors import InvalidInput
from nomarr.lidarr import (
    Event,
    PathMapping,
    Suggestion,
    checked,
    existing,
    map_path,
    read_form,
    read_webhook,
    split_paths,
    suggest,
)

EVENTS: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "lidarr_events.json").read_text())
ALBUM = "/data/media/music/Portishead/Dummy (1994)/Portishead - Dummy - "
ONE, TWO = ALBUM + "01 - Mysterons.flac", ALBUM + "02 - Sour Times.flac"
FIELDS = {  # of the form, as the script fills them
    "paths": ("lidarr_addedtrackpaths", "lidarr_trackfile_paths", "lidarr_trackfile_path"),
    "deletedPaths": ("lidarr_deletedpaths",),
    "previousPaths": ("lidarr_trackfile_previouspaths",),
    "artistPath": ("lidarr_artist_path",),
    "deletedFiles": ("lidarr_artist_deletedfiles",),
}
ARTIST = "/data/media/music/Portishead"
OLD = ALBUM + "01 - Mysterons.mp3"
BEFORE = (f"{ARTIST}/Dummy/01 Mysterons.flac", f"{ARTIST}/Dummy/02 Sour Times.flac")


def form(environment: dict[str, str]) -> dict[str, str]:
    found = {
        field: next((environment[name] for name in names if name in environment), "") for field, names in FIELDS.items()
    }
    return {"eventType": environment["lidarr_eventtype"], **found}


def mapping(from_prefix: str, to_prefix: str = "/library", source: Any = "lidarr") -> PathMapping:
    return PathMapping(source, from_prefix, to_prefix)


# events


WITHOUT_FILES = ["Test", "Grab", "DownloadFailure", "ImportFailure", "ArtistAdd", "Health", "HealthRestored"]


def test_every_known_webhook_gives_its_files() -> None:
    assert {name: read_webhook(payload) for name, payload in EVENTS["webhooks"].items()} == {
        **{name: Event(name) for name in (*WITHOUT_FILES, "ApplicationUpdate")},
        "Download_new": Event("Download", (ONE, TWO)),
        "Download_upgrade": Event("Download", (ONE, TWO), left=(OLD,)),
        "Retag": Event("Retag", (ONE,)),
        "Rename": Event("Rename", (ONE,), left=BEFORE[:1]),
        "ArtistDelete": Event("ArtistDelete", left=(ARTIST,)),
        "ArtistDelete_files_kept": Event("ArtistDelete"),
        "AlbumDelete": Event("AlbumDelete", left=(ARTIST,)),
        "AlbumDelete_files_kept": Event("AlbumDelete"),
    }


def test_every_known_environment_of_the_script_gives_its_files() -> None:
    assert {name: read_form(form(env)) for name, env in EVENTS["scripts"].items()} == {
        **{name: Event(name) for name in ("Test", "Grab", "ArtistAdd", "HealthIssue", "HealthRestored")},
        "ApplicationUpdate": Event("ApplicationUpdate"),
        "AlbumDownload_new": Event("AlbumDownload", (ONE, TWO)),
        "AlbumDownload_upgrade": Event("AlbumDownload", (ONE, TWO), left=(OLD,)),
        "Rename": Event("Rename", (ONE, TWO), left=BEFORE),
        "TrackRetag": Event("TrackRetag", (ONE,)),
        "ArtistDeleted": Event("ArtistDeleted", left=(ARTIST,)),
        "ArtistDeleted_files_kept": Event("ArtistDeleted"),
        "AlbumDeleted": Event("AlbumDeleted", left=(ARTIST,)),
    }


def test_a_test_event_has_no_files_whatever_it_carries() -> None:
    event = read_webhook({"eventType": "Test", "trackFiles": [{"path": "/music/a.flac"}]})
    assert event.is_test
    assert event.paths == ()


@pytest.mark.parametrize("name", ["Grab", "DownloadFailure", "ArtistAdd", "Health", "FromTheFuture", ""])
def test_other_events_have_no_files(name: str) -> None:
    assert read_webhook({"eventType": name, "deletedFiles": True, "artist": {"path": "/music"}}) == Event(name)


def test_a_single_file_that_was_deleted_is_named_by_itself() -> None:
    payload = {"eventType": "TrackFileDelete", "artist": {"path": ARTIST}, "trackFile": {"path": OLD}}
    assert read_webhook(payload) == Event("TrackFileDelete", left=(OLD,))


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"trackFiles": None, "trackFile": "x"},
        {"trackFiles": [None, 5, {}, {"path": None}, {"path": ""}, {"path": ["/a"]}]},
        {"deletedFiles": True},
        {"tracks": [{"path": "/music/a.flac"}]},
    ],
)
def test_an_event_without_usable_files_has_none(more: dict[str, Any]) -> None:
    assert read_webhook({"eventType": "Download", **more}).paths == ()


def test_a_file_that_is_named_twice_counts_once() -> None:
    assert read_webhook({"eventType": "Download", "trackFiles": [{"path": "/a"}, {"path": "/a"}]}).paths == ("/a",)


@pytest.mark.parametrize("payload", [{}, {"eventType": None}, {"eventType": 5}, {"EventType": "Test"}])
def test_without_an_event_there_is_nothing_to_read(payload: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="eventType"):
        read_webhook(payload)
    with pytest.raises(InvalidInput, match="eventType"):
        read_form({"paths": "/music/a.flac"})


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_nothing_that_json_can_say_breaks_it(value: Any) -> None:
    for name in ("Download", "Rename", "ArtistDelete"):
        members = dict.fromkeys(("trackFiles", "trackFile", "renamedTrackFiles", "deletedFiles", "artist"), value)
        read_webhook({"eventType": name, **members})


# lists of paths


@pytest.mark.parametrize(
    ("text", "roots", "paths"),
    [
        ("", [], []),
        ("/music/a.flac", [], ["/music/a.flac"]),
        ("/music/a.flac|/music/b.flac", [], ["/music/a.flac", "/music/b.flac"]),
        ("/music/a|b/1.flac|/music/a|b/2.flac", [], ["/music/a|b/1.flac", "/music/a|b/2.flac"]),
        ("/music/AC|/DC/1.flac|/music/x.flac", ["/music"], ["/music/AC|/DC/1.flac", "/music/x.flac"]),
        ("/music/a.flac|/other/b.flac", ["/music", "/other"], ["/music/a.flac", "/other/b.flac"]),
        ("/music/a.flac|/musical/b.flac", ["/music"], ["/music/a.flac|/musical/b.flac"]),
        ("/else/a.flac|/else/b.flac", ["/music"], ["/else/a.flac", "/else/b.flac"]),
        ("D:\\Music\\a.flac|D:\\Music\\b.flac", [], ["D:\\Music\\a.flac", "D:\\Music\\b.flac"]),
        ("D:\\Music\\a.flac|d:\\music\\b.flac", ["D:\\Music"], ["D:\\Music\\a.flac", "d:\\music\\b.flac"]),
        ("\\\\nas\\m\\a.flac|\\\\nas\\m\\b.flac", [], ["\\\\nas\\m\\a.flac", "\\\\nas\\m\\b.flac"]),
        ("/m/line\nbreak.flac|/m/'\"$(x).flac", [], ["/m/line\nbreak.flac", "/m/'\"$(x).flac"]),
    ],
)
def test_a_joined_list_is_taken_apart(text: str, roots: list[str], paths: list[str]) -> None:
    assert split_paths(text, roots) == paths


def test_a_long_list_is_taken_apart_quickly() -> None:
    started = time.process_time()
    assert split_paths("/a" + "|" * 990_000, ["/music"]) == ["/a" + "|" * 990_000]
    assert time.process_time() - started < 3


NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1)


@given(st.lists(NAMES, min_size=1))
def test_paths_below_a_known_root_are_told_apart_whatever_their_names(names: list[str]) -> None:
    paths = [f"/music/{name}" for name in names]
    assert split_paths("|".join(paths), ["/music"]) == paths


# mappings


@pytest.mark.parametrize(
    ("from_prefix", "path", "mapped"),
    [
        ("/data/media/music", "/data/media/music/A/1.flac", "/library/A/1.flac"),
        ("/data/media/music/", "/data/media/music/A/1.flac", "/library/A/1.flac"),
        ("/data/media/music", "/data/media/music", "/library"),
        ("/data/music", "/data/music2/1.flac", None),
        ("/data/music", "/DATA/music/1.flac", None),
        ("/data/music", "data/music/1.flac", None),
        ("/", "/A/1.flac", "/library/A/1.flac"),
        ("D:\\Music", "D:\\Music\\A\\1.flac", "/library/A/1.flac"),
        ("D:\\Music\\", "d:\\MUSIC\\A\\1.flac", "/library/A/1.flac"),
        ("D:/Music", "D:\\Music\\A/1.flac", "/library/A/1.flac"),
        ("D:\\Music", "D:\\Music2\\1.flac", None),
        ("D:\\", "D:\\A\\1.flac", "/library/A/1.flac"),
        ("\\\\nas\\share", "\\\\NAS\\share\\A\\1.flac", "/library/A/1.flac"),
        ("/music", "/music/back\\slash.flac", "/library/back\\slash.flac"),
    ],
)
def test_a_prefix_is_replaced_between_whole_names(from_prefix: str, path: str, mapped: str | None) -> None:
    assert map_path(path, [checked(mapping(from_prefix))], "lidarr") == mapped


def test_the_longest_prefix_counts_and_among_equals_the_first() -> None:
    mappings = [mapping("/data", "/short"), mapping("/data/music", "/long"), mapping("/data/music/", "/late")]
    assert map_path("/data/music/1.flac", mappings, "lidarr") == "/long/1.flac"
    assert map_path("/data/other/1.flac", mappings, "lidarr") == "/short/other/1.flac"


def test_a_mapping_holds_for_its_source_or_for_all() -> None:
    mappings = [mapping("/data", "/a", "lidarr"), mapping("/d", "/b", "*")]
    assert map_path("/data/1", mappings, "api") is None
    assert map_path("/d/1", mappings, "api") == "/b/1"


@pytest.mark.parametrize(
    ("from_prefix", "to_prefix"),
    [
        ("music", "/m"),
        ("", "/m"),
        ("D:music", "/m"),
        ("/m", "music"),
        ("/m", "/a/../b"),
        ("/m\0", "/m"),
        ("/m", "/\ud800"),
    ],
)
def test_a_mapping_that_cannot_work_is_refused(from_prefix: str, to_prefix: str) -> None:
    with pytest.raises(InvalidInput):
        checked(mapping(from_prefix, to_prefix))


def test_a_file_is_found_however_its_accents_are_written(tmp_path: Path) -> None:
    composed, apart = (unicodedata.normalize(form, str(tmp_path / "Björk.flac")) for form in ("NFC", "NFD"))
    Path(apart).touch()
    assert existing(composed) == apart
    assert existing(str(tmp_path / "nothing")) is None
    assert existing("/\0") is None


# suggestions


def test_a_mapping_is_suggested_where_the_end_of_the_path_is_there(tmp_path: Path) -> None:
    (tmp_path / "A/B").mkdir(parents=True)
    (tmp_path / "A/B/1.flac").touch()
    roots = ["/nowhere", str(tmp_path)]
    to = str(tmp_path)
    assert suggest("/data/media/music/A/B/1.flac", roots) == Suggestion("/data/media/music", to)
    assert suggest("D:\\Music\\A\\B\\1.flac", roots) == Suggestion("D:\\Music", to)
    assert suggest("\\\\nas\\share\\A\\B\\1.flac", roots) == Suggestion("\\\\nas\\share", to)
    assert suggest("/data/1.flac", roots) is None
    assert suggest("/data/../A/B/1.flac", roots) is None
    assert suggest("/data" * 100 + "/A/B/1.flac", roots) is None
    for path in ("/data/media/music/A/B/1.flac", "D:\\Music\\A\\B\\1.flac"):
        found = suggest(path, roots)
        assert found is not None
        mapped = map_path(path, [mapping(found.from_prefix, found.to_prefix)], "lidarr")
        assert mapped == str(tmp_path / "A/B/1.flac")
