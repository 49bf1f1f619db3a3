"""The commands as a person runs them: processes, real files, exit statuses."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from ground import Ground, tone
from nomarr.tagfiles.audiofile import read_tags
from nomarr.tagfiles.payload import audio_hash


@pytest.fixture
def music(ground: Ground, tracks: dict[str, Path]) -> Path:
    for ending, track in tracks.items():
        ground.add(track, f"Artist/Album/{ending} track.{ending}")
    return ground.music


def everything(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {str(p): (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.rglob("*") if p.is_file()}


def test_tag_writes_every_container_and_changes_no_sound(ground: Ground, music: Path) -> None:
    files = sorted(music.rglob("*.*"))
    sounds = {path: audio_hash(path) for path in files}
    done = ground.run("tag", music)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(files)} analysed, {len(files)} tagged" in done.stdout
    assert sorted(music.rglob("*.*")) == files
    for path in files:
        tags = read_tags(path)
        assert {"mood_happy", "danceability", "version", "suite", "calibration"} <= set(tags), path
        assert audio_hash(path) == sounds[path], path


def test_a_second_run_finds_nothing_to_do(ground: Ground, music: Path) -> None:
    ground.run("tag", music)
    before = everything(music)
    again = ground.run("tag", music)
    assert again.returncode == 0
    assert "0 analysed, 0 tagged" in again.stdout
    assert everything(music) == before


def test_a_dry_run_shows_every_change_and_touches_no_file(ground: Ground, music: Path) -> None:
    before = everything(music)
    done = ground.run("tag", "--dry-run", music)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(before)} files would change" in done.stdout
    assert "nom:mood_happy: - -> 0." in done.stdout
    assert everything(music) == before
    real = ground.run("tag", music)
    assert f"0 analysed, {len(before)} tagged" in real.stdout  # what was heard is not heard again


def test_force_listens_again(ground: Ground, tracks: dict[str, Path]) -> None:
    ground.add(tracks["flac"], "track.flac")
    ground.run("tag", ground.music)
    assert "1 analysed" in ground.run("tag", "--force", ground.music).stdout


def test_one_file_can_be_tagged_alone(ground: Ground, tracks: dict[str, Path]) -> None:
    one, other = ground.add(tracks["flac"], "one.flac"), ground.add(tracks["mp3"], "other.mp3")
    done = ground.run("tag", one)
    assert done.returncode == 0, done.stdout + done.stderr
    assert read_tags(one)
    assert not read_tags(other)


def test_a_wider_folder_takes_the_narrower_ones_results_over(ground: Ground, tracks: dict[str, Path]) -> None:
    ground.add(tracks["flac"], "a/track.flac")
    ground.add(tracks["mp3"], "b/track.mp3")
    ground.run("tag", ground.music / "a")
    done = ground.run("tag", ground.music)
    assert "1 analysed, 1 tagged" in done.stdout
    report = json.loads(ground.run("status", "--json").stdout)
    assert [(one["root_path"], one["files"]) for one in report["libraries"]] == [(str(ground.music), 2)]


def test_what_cannot_be_handled_is_named_and_the_rest_is_done(ground: Ground, tracks: dict[str, Path]) -> None:
    good = ground.add(tracks["flac"], "good.flac")
    odd = ground.add(tracks["mp3"], "line\nbreak 'quoted' [x].mp3")
    bad = ground.music / "text.mp3"
    bad.write_text("no music")
    (ground.music / "empty.flac").touch()
    os.symlink(ground.music, ground.music / "loop")
    with open(os.fsencode(ground.music) + b"/\xff.mp3", "wb") as file:
        file.write(tracks["mp3"].read_bytes())
    done = ground.run("tag", ground.music)
    assert done.returncode == 1
    assert read_tags(good)
    assert read_tags(odd)
    assert "text.mp3: not an audio file" in done.stdout
    assert "empty.flac: the file is empty" in done.stdout
    assert "not valid UTF-8" in done.stdout
    assert "loop: " in done.stdout
    assert bad.read_text() == "no music"
    assert "Traceback" not in done.stdout + done.stderr
    again = ground.run("tag", ground.music)
    assert again.returncode == 1
    assert "0 analysed, 0 tagged" in again.stdout


def test_stopping_a_run_leaves_all_consistent_and_the_next_completes_it(ground: Ground, long_track: Path) -> None:
    ground.add(long_track, "1.flac")
    ground.add(tone(ground.folder / "2.flac", seconds=1100, hertz=500), "2.flac")
    with ground.start("tag", ground.music, "-j", "1", NOMARR_CPU_SHARE="20") as process:
        assert process.stdout is not None
        deadline = time.monotonic() + 60
        while not read_tags(ground.music / "1.flac") and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    assert "Traceback" not in err
    assert sorted(os.listdir(ground.music)) == ["1.flac", "2.flac"]
    again = ground.run("tag", ground.music)
    assert again.returncode == 0, again.stdout
    assert read_tags(ground.music / "2.flac")


def test_untag_takes_every_tag_out_and_tag_brings_them_back(ground: Ground, music: Path) -> None:
    ground.run("tag", music)
    done = ground.run("untag", music)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(not read_tags(path) for path in music.rglob("*.*"))
    assert "0 changed" in ground.run("scan", music).stdout or "unchanged" in ground.run("scan", music).stdout
    again = ground.run("tag", music)
    assert "0 analysed" in again.stdout
    assert all(read_tags(path) for path in music.rglob("*.*"))


def test_analyze_gives_one_json_object_a_line(ground: Ground, tracks: dict[str, Path]) -> None:
    done = ground.run("analyze", "--json", tracks["flac"], tracks["mp3"])
    assert done.returncode == 0, done.stderr
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert (first["path"], second["path"]) == (str(tracks["flac"]), str(tracks["mp3"]))
    assert set(first) == {"path", "duration_s", "patches", "suite", "scores", "moods", "heads"}
    assert first["duration_s"] == pytest.approx(4.0, abs=0.1)
    assert set(first["moods"]) == {"strict", "regular", "loose"}
    assert set(first["heads"]["tiny:mood_happy"]) == {"happy", "non_happy"}
    assert first["scores"]["mood_happy"] == pytest.approx(first["heads"]["tiny:mood_happy"]["happy"], abs=1e-6)
    assert not (ground.folder / "data" / "nomarr.db").exists()


def test_analyze_says_what_is_wrong_with_a_file_and_goes_on(ground: Ground, tracks: dict[str, Path]) -> None:
    done = ground.run("analyze", "--json", ground.folder / "nowhere.mp3", tracks["flac"])
    assert done.returncode == 1
    assert "nowhere.mp3: no such file" in done.stderr
    assert len(done.stdout.splitlines()) == 1


def test_status_shows_what_there_is(ground: Ground, music: Path) -> None:
    ground.run("scan", music)
    report = json.loads(ground.run("status", "--json").stdout)
    assert report["queue"]["pending"] == len(list(music.rglob("*.*")))
    assert "music" in ground.run("status").stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["tag", "nowhere"], "there is no such file or folder"),
        (["tag"], "Missing argument"),
        (["scan"], "there is no library yet"),
        (["models", "pull", "nonsense"], "no model pack is named"),
        (["frobnicate"], "No such command"),
    ],
)
def test_a_wrong_call_gets_a_sentence_and_exit_status_two(ground: Ground, arguments: list[str], sentence: str) -> None:
    done = ground.run(*arguments)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_that_holds_nomarrs_own_data_is_refused(ground: Ground) -> None:
    ground.run("status")
    done = ground.run("tag", ground.folder)
    assert done.returncode == 2
    assert "holds Nomarr's own data" in done.stderr


def test_a_bad_setting_is_named(ground: Ground) -> None:
    done = ground.run("status", NOMARR_PORT="lots")
    assert done.returncode == 2
    assert "port" in done.stderr


def test_models_are_listed_with_their_licences(ground: Ground) -> None:
    done = ground.run("models", "list")
    assert done.returncode == 0
    assert "essentia-tiny" in done.stdout
    assert "GPL-3.0-or-later" in done.stdout
