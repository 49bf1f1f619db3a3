"""What a file says in an old tag alone stays in sight: a new tag beside it would hide it from players."""

from __future__ import annotations

import struct

import mutagen
import pytest
from mutagen.apev2 import APEv2
from mutagen.flac import FLAC
from mutagen.id3 import ID3, TALB, TIT2

from nomarr.errors import TagsNotSupported
from nomarr.tagfiles.audiofile import describe, plan_write, read_tags, remove_tags, write_tags
from nomarr.tagfiles.payload import audio_hash

from .samples import make_noise, untouched
from .test_taglib import view

TAGS = {"mood_happy": ["0.8712"]}
FILL = TAGS | {"MOOD": ["calm"], "GENRE": ["Rock"]}
INFO = {b"INAM": "Tëst", b"IART": "Somebody", b"IPRD": "An album", b"ICRD": "1999", b"IPRT": "3", b"IGNR": "Jazz"}


@pytest.fixture
def old(tmp_path):
    """A file of some kind whose only tag is an old one."""

    def made(ending):
        path = tmp_path / f"old.{ending}"
        make_noise(path, ["-map_metadata", "-1", "-bitexact", *(["-id3v2_version", "0"] if ending == "mp3" else [])], 7)
        if ending != "wav":
            fields = [b"A title".ljust(30, b"\0"), b"Somebody".ljust(30, b"\0"), b"An album".ljust(30, b"\0"), b"1987"]
            path.write_bytes(
                path.read_bytes() + b"TAG" + b"".join(fields) + b"So it is".ljust(28, b"\0") + b"\0\x05\x08"
            )
            return path
        chunks = b"".join(
            name + struct.pack("<I", len(text.encode()) + 1) + text.encode() + b"\0" * (2 - len(text.encode()) % 2)
            for name, text in INFO.items()
        )
        content = path.read_bytes() + b"LIST" + struct.pack("<I", 4 + len(chunks)) + b"INFO" + chunks
        path.write_bytes(content[:4] + struct.pack("<I", len(content) - 8) + content[8:])
        return path

    return made


every_kind = pytest.mark.parametrize("ending", ["wav", "mp3", "tta", "wv"])


def theirs(path) -> dict[str, list[str]]:
    return {name: values for name, values in view(path).items() if not name.startswith("NOM:")}


@every_kind
def test_players_show_what_they_showed_before(old, ending):
    path = old(ending)
    before, sound, facts = theirs(path), audio_hash(path), describe(path)
    assert {"TITLE", "ARTIST", "ALBUM", "DATE", "GENRE", "TRACKNUMBER"} <= before.keys()
    assert plan_write(path, TAGS).after["ARTIST"] == ("Somebody",)
    assert write_tags(path, TAGS).changed
    assert theirs(path) == before
    state = untouched(path)
    assert not write_tags(path, TAGS).changed
    assert untouched(path) == state
    now = describe(path)
    assert (now.title, now.artist, now.album, now.genres, now.year, now.track) == (
        (facts.title, facts.artist, facts.album, facts.genres, facts.year, facts.track)
    )
    assert facts.artist == "Somebody"
    remove_tags(path)
    assert read_tags(path) == {}
    assert theirs(path) == before
    assert audio_hash(path) == sound


@every_kind
def test_the_genre_that_is_there_wins_over_ours(old, ending):
    path = old(ending)
    assert write_tags(path, FILL).after["GENRE"] == ("Jazz",)
    assert theirs(path)["MOOD"] == ["calm"]
    assert theirs(path)["GENRE"] == ["Jazz"]


@every_kind
def test_a_tag_that_somebody_took_over_is_theirs_with_all_in_it(old, ending):
    path = old(ending)
    write_tags(path, TAGS)
    edit(path, "Better")
    write_tags(path, TAGS | {"more": ["1"]})
    assert "ARTIST" not in read_tags(path)
    remove_tags(path)
    assert (theirs(path)["TITLE"], theirs(path)["ARTIST"]) == (["Better"], ["Somebody"])
    assert read_tags(path) == {}


def edit(path, title) -> None:
    audio = mutagen.File(path)
    if path.suffix == ".wv":
        audio["Title"] = title
    else:
        audio.tags.add(TIT2(encoding=3, text=[title]))
        audio.tags.add(TALB(encoding=3, text=["Another"]))
    audio.save()


@pytest.mark.parametrize("ending", ["mp3", "tta"])
def test_a_file_with_nothing_but_apev2_is_left_alone(old, ending):
    path = old(ending)
    tags = APEv2()
    tags["Title"], tags["Catalog"] = "A title", "X 1"
    tags.save(path)
    state = untouched(path)
    with pytest.raises(TagsNotSupported, match="APEv2"):
        write_tags(path, TAGS)
    assert untouched(path) == state


def test_loudness_alone_is_nothing_to_lose(old):
    path = old("mp3")
    path.write_bytes(path.read_bytes()[:-128])
    tags = APEv2()
    tags["REPLAYGAIN_TRACK_GAIN"], tags["MP3GAIN_MINMAX"] = "-3.00 dB", "1,2"
    tags.save(path)
    assert write_tags(path, TAGS).changed
    assert APEv2(path)["REPLAYGAIN_TRACK_GAIN"] == "-3.00 dB"


def test_a_flac_with_nothing_but_an_id3_tag_is_left_alone(tmp_path):
    path = tmp_path / "a.flac"
    make_noise(path, ["-map_metadata", "-1", "-bitexact"], 7)
    audio = FLAC(path)
    audio.clear()
    audio.save()
    tags = ID3()
    tags.add(TIT2(encoding=3, text=["A title"]))
    tags.save(path)
    with pytest.raises(TagsNotSupported, match="ID3v2"):
        write_tags(path, TAGS)
