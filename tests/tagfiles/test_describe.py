"""The facts a library scan stores."""

from __future__ import annotations

import mutagen
import pytest
from mutagen.id3 import COMM, ID3, TKEY, TXXX, UFID, USLT

from nomarr.errors import VanishedFile
from nomarr.tagfiles.audiofile import describe, write_tags

from .samples import CONTAINER, WRITABLE

DRESSED = [name for name in WRITABLE if name != "mp3_bare"]


@pytest.mark.parametrize("name", DRESSED)
def test_facts_are_the_same_in_every_container(originals, name):
    facts = describe(originals[name])
    assert facts.container == CONTAINER.get(name, name)
    assert (facts.title, facts.artist, facts.album) == ("Tëst", "One; Two", "An album")
    assert facts.genres == ("Jazz", "Free Jazz")
    assert (facts.track, facts.disc) == (3, None)
    assert facts.tags["mood"] == ("calm", "dark")
    assert facts.ours == {}
    assert not any("cover" in field or "picture" in field or "comment" in field for field in facts.tags)


@pytest.mark.parametrize("name", WRITABLE)
def test_the_duration_is_known(originals, name):
    seconds = {"dsf": 4096 * 4 * 8 / 2822400, "dff": 32768 * 8 / 2 / 2822400}.get(name, 1.0)
    assert describe(originals[name]).duration_s == pytest.approx(seconds, rel=0.08)


@pytest.mark.parametrize("name", WRITABLE)
def test_our_own_fields_stand_apart(copy_of, name):
    path = copy_of(name)
    write_tags(path, {"mood_happy": ["0.9"], "mood-strict": ["happy", "party"]})
    facts = describe(path)
    assert facts.ours == {"mood_happy": ("0.9",), "mood-strict": ("happy", "party")}
    assert not any("happy" in field for field in facts.tags)


def test_years_and_numbers_are_found_in_their_usual_forms(copy_of):
    path = copy_of("flac")
    audio = mutagen.File(path)
    audio["DATE"], audio["TRACKNUMBER"], audio["DISCNUMBER"] = "12.03.1987", "07", "2 of 3"
    audio["ALBUM ARTIST"], audio["ORGANIZATION"], audio["INITIALKEY"] = "Various", "Blue Note", "Am"
    audio["LYRICS"], audio["COMMENT"] = "la la", "no"
    audio.save()
    facts = describe(path)
    assert (facts.year, facts.track, facts.disc, facts.album_artist) == (1987, 7, 2, "Various")
    assert facts.tags["label"] == ("Blue Note",)
    assert facts.tags["key"] == ("Am",)
    assert facts.tags["date"] == ("12.03.1987",)
    assert not facts.tags.keys() & {"lyrics", "comment"}


def test_id3_frames_get_common_names(copy_of):
    path = copy_of("mp3_v24")
    tags = ID3(path)
    tags.add(TKEY(encoding=3, text=["F#m"]))
    tags.add(UFID(owner="http://musicbrainz.org", data=b"0b5e-01"))
    tags.add(TXXX(encoding=3, desc="MusicBrainz Album Id", text=["f1"]))
    tags.add(COMM(encoding=3, lang="eng", desc="x", text=["secret"]))
    tags.add(USLT(encoding=3, lang="eng", desc="", text="la la"))
    tags.save(path)
    found = describe(path).tags
    assert found["key"] == ("F#m",)
    assert found["musicbrainz_trackid"] == ("0b5e-01",)
    assert found["musicbrainz_albumid"] == ("f1",)
    assert "secret" not in str(found)
    assert "la la" not in str(found)


def test_the_year_of_an_id3_tag_of_either_version_is_found(originals):
    assert describe(originals["mp3_v23"]).year == 1999


def test_an_mp3_without_id3v2_is_described_by_its_other_tags(copy_of):
    with_ape, with_v1 = copy_of("mp3_ape"), copy_of("mp3_id3v1")
    for path in (with_ape, with_v1):
        ID3().delete(path, delete_v1=False)
    assert describe(with_ape).title == "Tëst"
    facts = describe(with_v1)
    assert (facts.title, facts.artist, facts.year) == ("Only in ID3v1", "Somebody", 1987)


def test_long_and_many_values_are_clipped(copy_of):
    path = copy_of("flac")
    audio = mutagen.File(path)
    for number in range(100):
        audio[f"FIELD{number}"] = "x"
    audio["AAA"] = [f"{number} {'y' * 1000}" for number in range(40)]
    audio["TITLE"] = "t" * 5000
    audio.save()
    facts = describe(path)
    assert len(facts.tags) == 64
    assert len(facts.title) == 512
    assert all(len(values) <= 16 and all(len(value) <= 512 for value in values) for values in facts.tags.values())


@pytest.mark.parametrize(("name", "container"), [("mka", ""), ("aac", "aac")])
def test_files_without_tags_of_their_own_are_described_without(originals, name, container):
    facts = describe(originals[name])
    assert facts.container == container
    assert facts.title is None


def test_a_damaged_tag_does_not_hide_the_audio(copy_of):
    path = copy_of("mp3_bare")
    path.write_bytes(b"ID3\x04\x00\x4f\x00\x00\x00\x0a" + bytes(10) + path.read_bytes())
    facts = describe(path)
    assert facts.container == "mp3"
    assert facts.duration_s == pytest.approx(1, abs=0.1)


def test_only_a_file_that_cannot_be_opened_raises(tmp_path):
    with pytest.raises(VanishedFile, match=r"gone\.mp3: there is no such file"):
        describe(tmp_path / "gone.mp3")
    with pytest.raises(VanishedFile, match="it is a folder"):
        describe(tmp_path)
    (tmp_path / "empty.mp3").touch()
    assert describe(tmp_path / "empty.mp3").container == ""
