"""The year of a track, as Navidrome has it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from mutagen.flac import FLAC
from mutagen.id3 import ID3, TDOR, TDRC

from nomarr.navidrome.values import dates_of
from nomarr.tagfiles.audiofile import describe
from nomarr.tagfiles.facts import make_facts


@pytest.mark.parametrize(
    ("container", "tags", "year"),
    [
        ("flac", {}, None),
        ("flac", {"date": "2011"}, 2011),
        ("flac", {"date": "2011", "originaldate": "1991-02-03"}, 1991),
        ("flac", {"date": "1991", "originaldate": "1991"}, 1991),
        ("flac", {"date": "1990-12-31", "originaldate": "1991"}, 1990),
        ("flac", {"date": "2011", "originaldate": "1991", "releasedate": "2012"}, 2011),
        ("flac", {"originaldate": "1991", "releasedate": "2012"}, 1991),
        ("flac", {"releasedate": "2012"}, 2012),
        ("flac", {"date": "2011", "originalyear": "1985"}, 1985),
        ("flac", {"year": "19940822"}, 1994),
        ("flac", {"date": "unknown", "originaldate": "c. 1970"}, 1970),
        ("flac", {"date": "2011-13-45"}, 2011),
        ("flac", {"date": "0000"}, None),
        ("m4a", {"date": "2011", "originaldate": "1991"}, 2011),
    ],
)
def test_the_original_year_counts_where_the_date_is_the_release(
    container: str, tags: dict[str, str], year: int | None
) -> None:
    texts = [(name, [value]) for name, value in tags.items()]
    assert make_facts(container, 1.0, texts, {}, prefix="nom:").year == year


@pytest.mark.parametrize("date", ["", "1980", "1991", "1991-05", "2011-01-01"])
@pytest.mark.parametrize("original", ["", "1985", "1991-05-05"])
@pytest.mark.parametrize("release", ["", "2012"])
def test_the_preview_of_playlists_sees_the_same_year(date: str, original: str, release: str) -> None:
    given = {"date": date, "originaldate": original, "releasedate": release}
    facts = make_facts("flac", 1.0, [(name, [value]) for name, value in given.items()], {}, prefix="nom:")
    assert (facts.year or 0) == int(dates_of(date, original, release).date[:4] or 0)


def test_the_year_is_read_from_real_files(tracks: dict[str, Path], tmp_path: Path) -> None:
    flac, mp3 = (Path(shutil.copy(tracks[ending], tmp_path)) for ending in ("flac", "mp3"))
    file = FLAC(flac)
    file["DATE"], file["ORIGINALDATE"] = "2011-05-01", "1991"
    file.save()
    tags = ID3(mp3)
    tags.add(TDRC(text="2011"))
    tags.add(TDOR(text="1991-02-03"))
    tags.save()
    assert [describe(path).year for path in (flac, mp3)] == [1991, 1991]
