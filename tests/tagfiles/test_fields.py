"""What a user of the tags sees, the same in every container."""

from __future__ import annotations

import mutagen
import pytest
from mutagen.apev2 import APEv2
from mutagen.flac import FLAC
from mutagen.id3 import ID3, TXXX

from nomarr.errors import InvalidInput, TagsNotSupported
from nomarr.tagfiles.audiofile import plan_write, read_tags, remove_tags, write_tags
from nomarr.tagfiles.payload import audio_hash, audio_key

from .samples import DECODABLE, WRITABLE, decoded, outside_view, untouched

TAGS = {
    "mood_happy": ["0.8712"],
    "danceability": ["0.0314"],
    "mood-strict": ["happy", "party"],
    "mood-loose": ["happy", "party", "zufrieden – 満足"],
    "version": ["0.1.0"],
}
AS_READ = {name: tuple(values) for name, values in TAGS.items()}

every_container = pytest.mark.parametrize("name", WRITABLE)


@every_container
def test_what_was_written_is_read_back(copy_of, name):
    path = copy_of(name)
    written = write_tags(path, TAGS)
    assert written.changed
    assert written.before == {}
    assert written.after == AS_READ == read_tags(path)
    assert (written.size, written.mtime_ns) == (path.stat().st_size, path.stat().st_mtime_ns)


@every_container
def test_fields_and_pictures_of_other_programs_stay(copy_of, name):
    path = copy_of(name)
    before = outside_view(path)
    write_tags(path, TAGS)
    assert outside_view(path) == before
    remove_tags(path)
    assert outside_view(path) == before


@every_container
def test_the_audio_stays(copy_of, originals, name):
    path = copy_of(name)
    written = write_tags(path, TAGS)
    assert written.audio_hash == audio_hash(path) == audio_hash(originals[name])
    assert audio_key(path) == audio_key(originals[name])


@pytest.mark.parametrize("name", DECODABLE)
def test_the_sound_stays_for_a_decoder(copy_of, originals, name):
    path = copy_of(name)
    write_tags(path, TAGS | {"mood-loose": ["x" * 200] * 50})
    assert decoded(path) == decoded(originals[name])


@every_container
def test_a_second_write_leaves_the_file_alone(copy_of, name):
    path = copy_of(name)
    write_tags(path, TAGS)
    before = untouched(path)
    again = write_tags(path, TAGS)
    assert not again.changed
    assert again.audio_hash is None
    assert untouched(path) == before


@every_container
def test_a_write_replaces_all_our_fields(copy_of, name):
    path = copy_of(name)
    write_tags(path, TAGS)
    write_tags(path, {"mood_happy": ["0.1000"], "suite": ["abc"]})
    assert read_tags(path) == {"mood_happy": ("0.1000",), "suite": ("abc",)}


@every_container
def test_removal_leaves_nothing_of_ours(copy_of, name):
    path = copy_of(name)
    write_tags(path, TAGS)
    removed = remove_tags(path)
    assert removed.changed
    assert removed.after == {}
    assert read_tags(path) == {}
    assert b"mood_happy" not in path.read_bytes()


@every_container
def test_a_plan_says_what_the_write_does(copy_of, name):
    path = copy_of(name)
    write_tags(path, {"mood_happy": ["0.5000"], "version": ["0.1.0"], "old": ["x"]})
    plan = plan_write(path, {"mood_happy": ["0.6000"], "version": ["0.1.0"], "new": ["a", "b"]})
    assert list(plan) == [
        ("mood_happy", ("0.5000",), ("0.6000",)),
        ("new", (), ("a", "b")),
        ("old", ("x",), ()),
    ]
    assert not plan.is_empty
    assert plan_write(path, plan.before).is_empty
    assert read_tags(path) == plan.before
    write_tags(path, plan.after)
    assert read_tags(path) == plan.after


@every_container
def test_two_namespaces_do_not_meet(copy_of, name):
    path = copy_of(name)
    write_tags(path, TAGS)
    write_tags(path, {"mood_sad": ["0.2"]}, namespace="other")
    remove_tags(path, namespace="other")
    assert read_tags(path) == AS_READ


@every_container
def test_the_name_of_the_file_does_not_matter(copy_of, name):
    path = copy_of(name)
    path = path.rename(path.with_name("no ending"))
    write_tags(path, TAGS)
    assert read_tags(path) == AS_READ


@pytest.mark.parametrize("name", ["mka", "aac"])
def test_what_cannot_carry_tags_is_refused(copy_of, name):
    path = copy_of(name)
    before = path.read_bytes()
    with pytest.raises(TagsNotSupported, match="does not write tags"):
        write_tags(path, TAGS)
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["mp3_v23", "mp3_id3v1", "wav"])
def test_an_id3_tag_of_version_2_3_stays_one(copy_of, name):
    path = copy_of(name)
    write_tags(path, TAGS)
    with path.open("rb") as file:
        tags = mutagen.File(file).tags
    assert tags.version == (2, 3, 0)
    assert tags["TXXX:nom:mood-strict"].text == ["happy", "party"]


def test_frames_of_a_mixed_id3_version_survive(copy_of):
    path = copy_of("mp3_v23")
    write_tags(path, TAGS)
    tags = ID3(path, translate=False)
    assert str(tags["TYER"]) == "1999"
    assert str(tags["TDAT"]) == "3112"
    assert str(tags["TSOP"]) == "S"


def test_a_tag_of_version_2_4_stays_one(copy_of):
    path = copy_of("mp3_v24")
    write_tags(path, TAGS)
    assert ID3(path).version == (2, 4, 0)


@pytest.mark.parametrize("name", ["mp3_id3v1", "mp3_ape", "wv_id3v1"])
def test_an_id3v1_tag_keeps_every_byte(copy_of, name):
    path = copy_of(name)
    before = path.read_bytes()[-128:]
    assert before.startswith(b"TAGOnly in ID3v1")
    write_tags(path, TAGS)
    assert path.read_bytes()[-128:] == before


@pytest.mark.parametrize("name", ["mp3_v23", "mp3_v24", "mp3_ape", "mp3_bare"])
def test_no_id3v1_tag_is_added(copy_of, name):
    path = copy_of(name)
    had_one = path.read_bytes()[-128:-125] == b"TAG"
    write_tags(path, TAGS)
    assert (path.read_bytes()[-128:-125] == b"TAG") == had_one


def test_an_apev2_tag_in_an_mp3_is_left_alone(copy_of):
    path = copy_of("mp3_ape")
    before = dict(APEv2(path))
    write_tags(path, TAGS)
    assert dict(APEv2(path)) == before


def test_a_front_id3_tag_of_a_flac_is_kept(copy_of):
    path = copy_of("flac_id3")
    before = ID3(path)
    write_tags(path, TAGS)
    assert dict(ID3(path)) == dict(before)
    assert "nom:version" in FLAC(path)


@pytest.mark.parametrize("name", ["mp3_bare", "flac", "wav", "wv", "tta"])
def test_removal_gives_back_the_very_same_bytes(copy_of, name):
    path = copy_of(name)
    write_tags(path, {"a": ["1"]})
    remove_tags(path)
    first = path.read_bytes()
    write_tags(path, {"a": ["1"]})
    remove_tags(path)
    assert path.read_bytes() == first


def test_a_bare_mp3_is_bare_again_after_removal(copy_of):
    path = copy_of("mp3_bare")
    before = path.read_bytes()
    write_tags(path, TAGS)
    remove_tags(path)
    assert path.read_bytes() == before


def test_fields_that_differ_in_case_are_ours_too(copy_of):
    path = copy_of("mp3_v24")
    tags = ID3(path)
    tags.add(TXXX(encoding=3, desc="NOM:Mood_Happy", text=["0.1"]))
    tags.add(TXXX(encoding=3, desc="Nom:Version", text=["0"]))
    tags.save(path)
    assert read_tags(path) == {"mood_happy": ("0.1",), "version": ("0",)}
    write_tags(path, TAGS)
    assert sorted(key for key in ID3(path) if "nom:" in key.lower()) == sorted(f"TXXX:nom:{name}" for name in TAGS)


def test_a_comment_that_is_not_utf8_survives_byte_for_byte(copy_of):
    path = copy_of("flac")
    audio = FLAC(path)
    audio["OLD"] = "Caf\u00e9"
    audio.save()
    path.write_bytes(path.read_bytes().replace(b"OLD=Caf\xc3\xa9", b"OLD=Caf\xe9\xe9"))
    write_tags(path, TAGS)
    assert b"OLD=Caf\xe9\xe9" in path.read_bytes()
    assert read_tags(path) == AS_READ


def test_empty_values_and_fields_are_not_written(copy_of):
    path = copy_of("mp3_bare")
    assert write_tags(path, {"a": [], "b": [""], "c": ["", "x"]}).after == {"c": ("x",)}
    assert read_tags(path) == {"c": ("x",)}


@pytest.mark.parametrize(
    ("tags", "namespace"),
    [({"Mood": ["x"]}, "nom"), ({"a=b": ["x"]}, "nom"), ({"": ["x"]}, "nom"), ({"a": ["x\0y"]}, "nom"),
     ({"a": ["\ud800"]}, "nom"), ({"a": ["x"]}, ""), ({"a": ["x"]}, "no:m")],
)  # fmt: skip
def test_names_and_values_that_no_file_can_hold_are_refused(copy_of, tags, namespace):
    path = copy_of("mp3_bare")
    with pytest.raises(InvalidInput):
        write_tags(path, tags, namespace=namespace)


def test_a_great_many_fields_fit(copy_of):
    path = copy_of("ogg")
    tags = {f"head_{number}": [f"{number / 400:.4f}"] for number in range(400)} | {"long": ["ü" * 100_000]}
    write_tags(path, tags)
    assert read_tags(path) == {name: tuple(values) for name, values in tags.items()}
    assert decoded(path)
