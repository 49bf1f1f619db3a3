"""The configuration, read by a TOML parser and by a model of what Navidrome decodes."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest

from nomarr.navidrome.nsp import Playlist
from nomarr.navidrome.presets import presets
from nomarr.navidrome.query import parse
from nomarr.navidrome.selection import select
from nomarr.navidrome.sounds import Sounds, known_scores
from nomarr.navidrome.tag_config import known_tags, tables, to_toml
from nomarr.store.database import Database
from nomarr.store.playlists import FileQuery

from .conftest import FIELDS, World
from .world import HEADS, NAMES, Track, add_library, our_tags

KEYS = {"ignore": bool, "aliases": list, "type": str, "maxlength": int, "split": list, "album": bool}
TYPES = {"string", "int", "float", "date", "uuid"}
NAMES_OF_COLUMNS = {"title", "album", "year", "date", "rating", "bpm", "comment", "artist"}


def decode(text: str) -> dict[str, dict[str, Any]]:
    """The Tags section as Navidrome understands it; fails where it would not start, or would misunderstand."""
    found = tomllib.loads(text)
    assert {key.lower() for key in found} == {"tags"}
    tags = next(iter(found.values()))
    for name, table in tags.items():
        assert isinstance(table, dict), "every value under Tags is decoded into a struct"
        assert re.fullmatch(r"[a-z0-9_]+", name), "other names break its SQL, or need quotes"
        assert name not in NAMES_OF_COLUMNS, "the column would win"
        for key, value in table.items():
            assert isinstance(value, KEYS[key.lower()])
        lowered = {key.lower(): value for key, value in table.items()}
        assert lowered.get("type", "string") in TYPES
        assert lowered["aliases"]
        for alias in lowered["aliases"]:
            assert isinstance(alias, str)
            assert alias == alias.lower()
            assert not alias.startswith(("txxx:", "----:")), "TagLib delivers the bare name"
        assert "split" not in lowered or lowered.get("type", "string") == "string"
    return {name: {key.lower(): value for key, value in table.items()} for name, table in tags.items()}


def test_navidrome_accepts_the_configuration() -> None:
    tags = decode(to_toml(tables(NAMES, "nom")))
    assert tags["nom_mood_happy"] == {"aliases": ["nom:mood_happy"], "type": "float"}
    assert tags["nom_mood_strict"] == {"aliases": ["nom:mood-strict"], "type": "string"}
    assert tags["mood"] == {"aliases": ["mood", "tmoo", "wm/mood", "nom:mood-loose"]}
    assert set(tags) == {f"nom_{name}" for name in NAMES} | {
        "nom_mood_strict",
        "nom_mood_regular",
        "nom_mood_loose",
        "mood",
        "key",
    }


def test_every_field_of_ours_in_a_playlist_is_in_the_configuration() -> None:
    tags = decode(to_toml(tables(NAMES, "nom")))
    for name in (*(f"nom:{score}" for score in NAMES), "nom:mood-strict", "nom:mood-loose", "mood"):
        assert FIELDS.find(name).navidrome in tags


def test_every_alias_is_a_name_that_is_written_into_files() -> None:
    track = Track(scores={pack: (0.9,) * len(heads) for pack, heads in HEADS.items()})
    written = {f"nom:{name}" for name in our_tags(track)}
    tags = decode(to_toml(tables(NAMES, "nom")))
    ours = {alias for table in tags.values() for alias in table["aliases"] if alias.startswith("nom:")}
    assert ours <= written


def test_it_can_follow_any_configuration_and_names_the_full_scan() -> None:
    text = to_toml(tables(NAMES, "music"))
    before = 'MusicFolder = "/music"\n[Scanner]\nSchedule = "1h"\n'
    assert tomllib.loads(before + text)["Scanner"] == {"Schedule": "1h"}
    assert "[Tags]" not in text
    assert "full scan" in text
    assert "[Tags.music_danceability]" in text


def test_the_tags_that_exist_are_listed_with_their_numbers(world: World) -> None:
    with world.db.read() as tx:
        found = {tag.tag_key: tag for tag in known_tags(Sounds(world.matrix.refresh(tx)), "nom")}
    for name in ("mood_happy", "danceability", "danceability_vibenet", "mood_happy_musicnn"):
        expected = sum(f"nom_{name}" in view.tags for view in world.views.values())
        assert found[f"nom:{name}"].total_count == expected > 0
    strict = sum("nom_mood_strict" in view.tags for view in world.views.values())
    assert found["nom:mood-strict"].total_count == strict
    assert (found["nom:mood-strict"].is_multivalue, found["nom:mood-strict"].type) == (True, "text")
    assert (found["nom:mood_happy"].summary, found["nom:mood_happy"].type) == ("Mood: Happy", "float")


def test_a_library_without_results_has_no_tags(db: Database) -> None:
    world = World(db, add_library(db, [Track()]))
    with db.read() as tx:
        snapshot = world.matrix.refresh(tx)
        assert known_tags(Sounds(snapshot), "nom") == []
        assert {"mood_happy", "danceability", "energy"} <= known_scores(snapshot)


@pytest.mark.parametrize("preset", presets("nom"), ids=lambda preset: preset.name)
def test_every_preset_can_be_asked(world: World, preset: Any) -> None:
    with world.db.read() as tx:
        playlist = Playlist(parse(preset.query, FIELDS))
        found = select(playlist, FIELDS, FileQuery(tx), Sounds(world.matrix.refresh(tx)), show=0)
    assert not found.not_evaluated
    assert world.check(playlist.rules) is not None
