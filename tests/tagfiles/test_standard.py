"""MOOD and GENRE: written only where the user has none, and taken back without touching anybody's."""

from __future__ import annotations

import mutagen
import pytest
from mutagen.apev2 import APEv2
from mutagen.flac import FLAC
from mutagen.id3 import ID3, TCON, TMOO, TXXX
from mutagen.mp4 import MP4

from nomarr.tagfiles.audiofile import describe, plan_write, read_tags, remove_tags, write_tags
from nomarr.tagfiles.payload import audio_hash

from .samples import WRITABLE, drop_standard, outside_view, untouched

TAGS = {"mood_happy": ["0.8712"]}
STANDARD = {"MOOD": ["happy", "zufrieden – 満足"], "GENRE": ["Hip-hop", "Jazz"]}
AS_READ = {
    "mood_happy": ("0.8712",),
    **{name: tuple(values) for name, values in STANDARD.items()},
    **{f"standard-{name.lower()}": tuple(values) for name, values in STANDARD.items()},
}
FOREIGN = [name for name in WRITABLE if name != "mp3_bare"]  # these come with MOOD and GENRE of their own

every_container = pytest.mark.parametrize("name", WRITABLE)


@pytest.fixture
def plain(copy_of):
    """A test's own copy of an original, without MOOD and GENRE."""

    def copied(name):
        path = copy_of(name)
        drop_standard(path, name)
        return path

    return copied


def shown(path) -> tuple[list[str], list[str]]:
    """MOOD and GENRE as a scan reads them."""
    facts = describe(path)
    return list(facts.tags.get("mood", ())), list(facts.genres)


@every_container
def test_what_the_file_lacks_is_written_and_taken_back(plain, name):
    path = plain(name)
    before, sound = outside_view(path), audio_hash(path)
    assert shown(path) == ([], [])
    written = write_tags(path, TAGS | STANDARD)
    assert written.after == AS_READ == read_tags(path)
    assert written.audio_hash == sound
    assert tuple(map(sorted, shown(path))) == tuple(map(sorted, STANDARD.values()))
    removed = remove_tags(path)
    assert (removed.before, removed.after) == (AS_READ, {})
    assert outside_view(path) == before
    assert shown(path) == ([], [])
    assert audio_hash(path) == sound


@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_not_ours_is_never_written_over(copy_of, name):
    path = copy_of(name)
    before = outside_view(path)
    assert plan_write(path, TAGS | STANDARD).after == {"mood_happy": ("0.8712",)}
    assert write_tags(path, TAGS | STANDARD).after == {"mood_happy": ("0.8712",)} == read_tags(path)
    assert outside_view(path) == before
    assert not write_tags(path, TAGS | STANDARD).changed
    remove_tags(path)
    assert outside_view(path) == before


@every_container
def test_ours_follow_new_words_and_go_when_nobody_wants_them(plain, name):
    path = plain(name)
    before = outside_view(path)
    write_tags(path, TAGS | STANDARD)
    plan = plan_write(path, TAGS | {"MOOD": ["sad"], "GENRE": STANDARD["GENRE"]})
    assert [change for change in plan if change[0] == "MOOD"] == [("MOOD", tuple(STANDARD["MOOD"]), ("sad",))]
    write_tags(path, plan.after)
    assert shown(path)[0] == ["sad"]
    state = untouched(path)
    assert not write_tags(path, plan.after).changed
    assert untouched(path) == state
    assert write_tags(path, TAGS).after == {"mood_happy": ("0.8712",)}  # as when the setting is switched off
    assert outside_view(path).keys() - {"TXXX:nom:mood_happy"} == before.keys()
    assert shown(path) == ([], [])


@every_container
def test_a_value_that_somebody_changed_since_is_theirs(plain, name):
    path = plain(name)
    write_tags(path, TAGS | {"MOOD": ["happy"], "GENRE": ["Jazz"]})
    change(path, name, "GENRE", ["Polka"])
    assert "GENRE" not in read_tags(path)
    written = write_tags(path, TAGS | {"MOOD": ["sad"], "GENRE": ["Rock"]})
    assert written.after == {"mood_happy": ("0.8712",), "MOOD": ("sad",), "standard-mood": ("sad",)}
    assert shown(path) == (["sad"], ["Polka"])
    remove_tags(path)
    assert shown(path) == ([], ["Polka"])
    assert read_tags(path) == {}


@every_container
def test_what_a_write_replaced_comes_back(plain, name):
    path = plain(name)
    write_tags(path, TAGS | {"MOOD": ["happy"]})
    written = write_tags(path, STANDARD)
    write_tags(path, written.before)
    assert read_tags(path) == {"mood_happy": ("0.8712",), "MOOD": ("happy",), "standard-mood": ("happy",)}
    assert shown(path) == (["happy"], [])


def change(path, name, field, values) -> None:
    """As another program would."""
    if name == "flac_id3":
        audio = FLAC(path)
    elif name in ("mp3_v23", "mp3_id3v1"):
        audio = ID3(path, translate=False)
    else:
        audio = mutagen.File(path)
    if isinstance(audio, MP4):
        audio["©gen"] = values
    elif name.startswith("mp3") or name in ("wav", "aiff", "dsf", "dff", "tta"):
        tags = audio if isinstance(audio, ID3) else audio.tags
        tags.add(TCON(encoding=3, text=values))
    else:
        audio["WM/Genre" if name == "wma" else field] = values
    audio.save(path, **({"v2_version": 3} if isinstance(audio, ID3) else {}))


def test_mood_has_no_frame_of_its_own_in_version_2_3(plain):
    old, new = plain("mp3_v23"), plain("mp3_v24")
    for path in (old, new):
        write_tags(path, STANDARD)
    assert "TMOO" not in ID3(old, translate=False)
    assert ID3(old, translate=False)["TXXX:MOOD"].text == STANDARD["MOOD"]
    assert (ID3(old, translate=False).version, ID3(new).version) == ((2, 3, 0), (2, 4, 0))
    assert ID3(new)["TMOO"].text == STANDARD["MOOD"]
    assert ID3(new)["TCON"].text == STANDARD["GENRE"]


def test_a_mood_moved_to_another_frame_is_still_ours(plain):
    path = plain("mp3_v24")
    write_tags(path, STANDARD)
    tags = ID3(path)
    tags.add(TXXX(encoding=3, desc="mood", text=tags.pop("TMOO").text))
    tags.save(path)
    assert read_tags(path)["MOOD"] == tuple(STANDARD["MOOD"])
    remove_tags(path)
    assert shown(path) == ([], [])


def test_a_damaged_frame_counts_as_somebodys(plain):
    path = plain("mp3_bare")
    tags = ID3()
    tags.add(TMOO(encoding=3, text=["x"]))
    tags.add(TCON(encoding=3, text=["y"]))
    tags.save(path)
    content = path.read_bytes().replace(b"\x03x", b"\x09x").replace(b"\x03y", b"\x09y")  # encodings that do not exist
    path.write_bytes(content)
    assert write_tags(path, TAGS | STANDARD).after == {"mood_happy": ("0.8712",)}
    assert b"\x09x" in path.read_bytes()


@pytest.mark.parametrize("name", ["mp3_ape", "mp3_id3v1", "wv_id3v1"])
def test_a_genre_in_a_tag_beside_counts(plain, name):
    path = plain(name)
    path.write_bytes(path.read_bytes()[:-1] + b"\x08")
    assert "GENRE" not in write_tags(path, TAGS | STANDARD).after
    assert read_tags(path)["MOOD"] == tuple(STANDARD["MOOD"])


def test_fields_in_an_apev2_tag_of_an_mp3_count(plain):
    path = plain("mp3_ape")
    tags = APEv2(path)
    tags["Mood"], tags["Genre"] = "calm", "Polka"
    tags.save(path)
    assert write_tags(path, TAGS | STANDARD).after == {"mood_happy": ("0.8712",)}


def test_fields_in_the_front_tag_of_a_flac_count(plain):
    path = plain("flac_id3")
    tags = ID3(path)
    tags.add(TXXX(encoding=3, desc="mood", text=["calm"]))
    tags.add(TCON(encoding=3, text=["Polka"]))
    tags.save(path)
    assert write_tags(path, TAGS | STANDARD).after == {"mood_happy": ("0.8712",)}
