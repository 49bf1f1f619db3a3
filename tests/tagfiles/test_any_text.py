"""Whatever words a user invents come back unchanged."""

from __future__ import annotations

import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nomarr.tagfiles.audiofile import read_tags, write_tags
from nomarr.tagfiles.payload import audio_hash

NAMES = st.text(alphabet="abcxyz0189_-", min_size=1, max_size=20)
VALUES = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=60)
TAGS = st.dictionaries(NAMES, st.lists(VALUES, min_size=1, max_size=4), max_size=5)


@pytest.mark.parametrize("name", ["mp3_v24", "mp3_v23", "flac", "m4a", "ogg", "opus", "wma", "wv", "wav", "dsf"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tags=TAGS)
def test_any_unicode_text_comes_back(originals, tmp_path, name, tags):
    path = tmp_path / originals[name].name
    shutil.copy(originals[name], path)
    before = read_tags(path)
    write_tags(path, tags)
    assert read_tags(path) == {field: tuple(values) for field, values in tags.items()}
    write_tags(path, before)
    assert read_tags(path) == before
    assert audio_hash(path) == audio_hash(originals[name])
