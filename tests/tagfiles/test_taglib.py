"""The same file as TagLib sees it: Navidrome, Kodi, Strawberry and many more read tags through it."""

from __future__ import annotations

import json
import os
import platform
import subprocess

import pytest

from nomarr.tagfiles.audiofile import remove_tags, write_tags

from .samples import WRITABLE, drop_standard

if os.environ.get("CI") and platform.machine() == "x86_64":
    import taglib
else:
    taglib = pytest.importorskip("taglib")

TAGS = {"mood_happy": ["0.8712"], "mood-strict": ["happy", "party", "zufrieden – 満足"]}
STANDARD = {"MOOD": ["happy", "zufrieden – 満足"], "GENRE": ["Hip-hop", "Jazz"]}


def view(path) -> dict[str, list[str]]:
    with taglib.File(path) as file:
        return {name: list(values) for name, values in file.tags.items()}


@pytest.mark.parametrize("name", [name for name in WRITABLE if name != "wma"])
def test_taglib_reads_every_value_as_its_own(copy_of, name):
    path = copy_of(name)
    before = view(path)
    write_tags(path, TAGS)
    after = view(path)
    ours = {field.upper(): after.pop(field.upper()) for field in ("nom:mood_happy", "nom:mood-strict")}
    assert ours == {"NOM:MOOD_HAPPY": TAGS["mood_happy"], "NOM:MOOD-STRICT": TAGS["mood-strict"]}
    assert after == before


def test_taglib_knows_our_attributes_in_wma_by_name(copy_of):
    """Their values TagLib's common view leaves out, and the binding for Python has no other: ffprobe shows the first
    of each. Any further value of a field of ours in WMA is read back by mutagen alone."""
    path = copy_of("wma")
    before = view(path)
    write_tags(path, TAGS)
    assert view(path) == before
    with taglib.File(path) as file:
        assert {name for name in file.unsupported if name.startswith("nom:")} == {"nom:mood_happy", "nom:mood-strict"}
    command = ["ffprobe", "-v", "error", "-show_entries", "format_tags", "-of", "json", str(path)]
    shown = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["format"]["tags"]
    assert (shown["nom:mood_happy"], shown["nom:mood-strict"]) == ("0.8712", "happy")


@pytest.mark.parametrize("name", WRITABLE)
def test_taglib_reads_the_standard_fields(copy_of, name):
    path = copy_of(name)
    drop_standard(path, name)
    before = view(path)
    write_tags(path, STANDARD)
    after = view(path)
    # TagLib gives several values in WMA in another order.
    assert sorted(after["MOOD"]) == sorted(STANDARD["MOOD"])
    assert sorted(after["GENRE"]) == sorted(STANDARD["GENRE"])
    remove_tags(path)
    assert view(path) == before


@pytest.mark.parametrize("name", WRITABLE)
def test_taglib_sees_nothing_of_ours_after_removal(copy_of, name):
    path = copy_of(name)
    before = view(path)
    write_tags(path, TAGS)
    remove_tags(path)
    assert view(path) == before
