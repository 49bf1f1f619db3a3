"""The same file as TagLib sees it: Navidrome, Kodi, Strawberry and many more read tags through it."""

from __future__ import annotations

import os
import platform

import pytest

from nomarr.tagfiles.audiofile import remove_tags, write_tags

from .samples import WRITABLE

if os.environ.get("CI") and platform.machine() == "x86_64":
    import taglib
else:
    taglib = pytest.importorskip("taglib")

TAGS = {"mood_happy": ["0.8712"], "mood-strict": ["happy", "party", "zufrieden – 満足"]}
# These TagLib either leaves out of its common view, or does not read at all.
UNSEEN = {"wma": "custom attributes are not in its common view", "dff": "kept in a chunk of its own"}


def view(path) -> dict[str, list[str]]:
    with taglib.File(path) as file:
        return {name: list(values) for name, values in file.tags.items()}


@pytest.mark.parametrize("name", [name for name in WRITABLE if name not in UNSEEN])
def test_taglib_reads_every_value_as_its_own(copy_of, name):
    path = copy_of(name)
    before = view(path)
    write_tags(path, TAGS)
    after = view(path)
    ours = {field.upper(): after.pop(field.upper()) for field in ("nom:mood_happy", "nom:mood-strict")}
    assert ours == {"NOM:MOOD_HAPPY": TAGS["mood_happy"], "NOM:MOOD-STRICT": TAGS["mood-strict"]}
    assert after == before


@pytest.mark.parametrize("name", WRITABLE)
def test_taglib_sees_nothing_of_ours_after_removal(copy_of, name):
    path = copy_of(name)
    before = view(path)
    write_tags(path, TAGS)
    remove_tags(path)
    assert view(path) == before
