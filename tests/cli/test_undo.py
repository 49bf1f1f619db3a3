"""nomarr undo as a person runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ground import Ground
from nomarr.tagfiles.audiofile import read_tags, write_tags
from nomarr.tagfiles.payload import audio_hash
from nomarr.tagfiles.turns import here


@pytest.fixture
def tagged(ground: Ground, tracks: dict[str, Path]) -> list[Path]:
    songs = [ground.add(tracks[ending], f"{ending}/song.{ending}") for ending in ("flac", "mp3", "m4a")]
    done = ground.run("tag", ground.music)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(read_tags(song) for song in songs)
    return songs


def test_the_last_run_is_undone_and_stays_undone(ground: Ground, tagged: list[Path], tracks: dict[str, Path]) -> None:
    done = ground.run("undo", "--last")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 files of batch tag" in done.stdout
    for song in tagged:
        assert read_tags(song) == {}
        assert audio_hash(song) == audio_hash(tracks[song.suffix[1:]])
    ground.run("scan")
    assert not any(read_tags(song) for song in tagged)
    assert "nothing to undo" in ground.run("undo", "--last").stdout
    assert ground.run("tag", ground.music).returncode == 0
    assert all(read_tags(song) for song in tagged)


def test_a_folder_or_a_file_can_be_undone(ground: Ground, tagged: list[Path]) -> None:
    assert "1 file restored" in ground.run("undo", tagged[0].parent).stdout
    assert "1 file restored" in ground.run("undo", tagged[1]).stdout
    assert [bool(read_tags(song)) for song in tagged] == [False, False, True]


def test_a_file_changed_since_is_named_and_left(ground: Ground, tagged: list[Path]) -> None:
    write_tags(tagged[0], {"x": ["1"]}, namespace="other")
    done = ground.run("undo", ground.music)
    assert done.returncode == 1
    assert f"{tagged[0]}: another program changed the file since" in done.stdout
    assert "2 files restored" in done.stdout
    assert read_tags(tagged[0])
    assert ground.run("undo", "--force", tagged[0]).returncode == 0
    assert read_tags(tagged[0]) == {}
    assert read_tags(tagged[0], namespace="other") == {"x": ("1",)}


def test_an_untag_can_be_undone(ground: Ground, tagged: list[Path]) -> None:
    before = [read_tags(song) for song in tagged]
    ground.run("untag", ground.music)
    assert not any(read_tags(song) for song in tagged)
    assert ground.run("undo", "--last").returncode == 0
    assert [read_tags(song) for song in tagged] == before


@pytest.mark.parametrize("arguments", [[], ["--last", "--batch", "x"], ["--batch", "no such batch"]])
def test_a_wrong_call_is_explained(ground: Ground, arguments: list[str]) -> None:
    done = ground.run("undo", *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("nomarr: ")


def test_what_killed_processes_left_is_gone_after_the_next_start(ground: Ground, tagged: list[Path]) -> None:
    leftovers = [
        tagged[0].with_name(f".song.flac.{here()}00000000.nomtmp"),
        tagged[0].with_name(".song.flac.0123456789abcdef.nomlock"),
    ]
    leftovers[0].write_bytes(b"half a song")
    leftovers[1].write_text(f"{here()} 1 then\n")
    ground.run("tag", "--dry-run", ground.music)
    assert all(path.exists() for path in leftovers)
    ground.run("tag", ground.music)
    assert not any(path.exists() for path in leftovers)
