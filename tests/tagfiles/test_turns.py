"""Writers exclude each other, and dead ones hold nobody up and leave nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nomarr.errors import FileChanged
from nomarr.tagfiles import turns
from nomarr.tagfiles.audiofile import read_tags, write_tags
from nomarr.tagfiles.leftovers import remove_stale_copies
from nomarr.tagfiles.safewrite import replace

TAGS = {"mood_happy": ["0.8712"]}
ELSEWHERE = "0123456789abcdef"  # another machine
REBOOTED = turns.here()[:8] + "00000000"  # this machine, before it was started anew
HOLD = """
import sys, time
from pathlib import Path
from nomarr.tagfiles import turns
with turns.turn(Path(sys.argv[1])):
    turns.create_copy(Path(sys.argv[1]))
    print("mine", flush=True)
    time.sleep(60)
"""


def lock_of(path: Path) -> Path:
    with turns.turn(path):
        (lock,) = path.parent.glob(".*.nomlock")
    assert not lock.exists()
    return lock


def holder(path: Path) -> subprocess.Popen:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, env=environment)
    assert process.stdout.readline() == b"mine\n"
    return process


def test_a_file_in_the_hands_of_another_process_is_left_alone(copy_of, monkeypatch):
    monkeypatch.setattr(turns, "PATIENCE_S", 0.2)
    path = copy_of("flac")
    with holder(path) as process:
        with pytest.raises(FileChanged, match="another Nomarr process"):
            write_tags(path, TAGS)
        assert remove_stale_copies(path.parent, now=time.time()) == []
        assert remove_stale_copies(path.parent, now=time.time() + 10**6) == []  # it lives, however long it takes
        process.kill()
    assert read_tags(path) == {}


def test_a_killed_process_holds_nobody_up_and_leaves_nothing(copy_of):
    path = copy_of("flac")
    with holder(path) as process:
        process.send_signal(signal.SIGKILL)
    assert len(list(path.parent.iterdir())) == 3
    started = time.monotonic()
    assert write_tags(path, TAGS).changed
    assert time.monotonic() - started < 2
    assert len(remove_stale_copies(path.parent, now=time.time())) == 1
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(("owner", "age_s", "is_dead"), [
    (ELSEWHERE, 0, False), (ELSEWHERE, 600, False), (ELSEWHERE, 1000, True), (REBOOTED, 0, True), ("", 0, True),
])  # fmt: skip
def test_a_lock_counts_by_who_made_it_and_when(copy_of, monkeypatch, owner, age_s, is_dead):
    monkeypatch.setattr(turns, "PATIENCE_S", 0.1)
    path = copy_of("flac")
    lock = lock_of(path)
    lock.write_text(f"{owner} 1 then\n" if owner else "")
    os.utime(lock, (time.time() - age_s,) * 2)
    if is_dead:
        assert write_tags(path, TAGS).changed
        assert not lock.exists()
    else:
        with pytest.raises(FileChanged):
            write_tags(path, TAGS)
        assert lock.exists()


@pytest.mark.parametrize(("owner", "age_s", "is_dead"), [
    (ELSEWHERE, 0, False), (ELSEWHERE, 3000, False), (ELSEWHERE, 4000, True), (REBOOTED, 0, True),
    (turns.here(), 0, True),
])  # fmt: skip
def test_copies_and_locks_of_the_dead_are_removed(tmp_path, owner, age_s, is_dead):
    album = tmp_path / "artist" / "album"
    album.mkdir(parents=True)
    copy, lock = album / f".a\n.flac.{owner}00000000.nomtmp", album / ".a.flac.0123456789abcdef.nomlock"
    copy.touch()
    lock.write_text(f"{owner} 1 then\n")
    for path in (copy, lock):
        os.utime(path, (time.time() - age_s,) * 2)
    assert sorted(remove_stale_copies(tmp_path, now=time.time())) == (sorted(map(str, (copy, lock))) if is_dead else [])


def test_nothing_that_is_not_ours_is_removed(tmp_path):
    strange = [tmp_path / name for name in ("a.nomtmp", ".a.flac.nomtmp", "a.flac", ".a.0123.nomlock")]
    for path in strange:
        path.touch()
        os.utime(path, (0, 0))
    folder = tmp_path / f".a.flac.{REBOOTED}00000000.nomtmp"
    folder.mkdir()
    link = tmp_path / f".b.flac.{REBOOTED}00000000.nomtmp"
    link.symlink_to(strange[0])
    assert remove_stale_copies(tmp_path, now=time.time()) == []
    assert len(list(tmp_path.iterdir())) == len(strange) + 2


def test_whoever_was_taken_for_dead_replaces_nothing(copy_of):
    path = copy_of("flac")
    before = path.read_bytes()

    def lose_the_turn(copy):
        copy.seek(0, 2)
        copy.write(b"TAG".ljust(128, b"\0"))
        (lock,) = path.parent.glob(".*.nomlock")
        lock.unlink()

    with pytest.raises(FileChanged, match="took this one for dead"):
        replace(path, lose_the_turn, lambda _copy: None)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_change_in_place_that_was_interrupted_is_completed(copy_of):
    path = copy_of("flac")
    old = path.read_bytes()
    write_tags(path, TAGS)
    new = path.read_bytes()
    torn = path.with_name("torn.flac")
    torn.write_bytes(new[: len(new) // 2] + old[len(new) // 2 :])
    redo = path.with_name(f".torn.flac.{REBOOTED}00000000.nomredo")
    redo.write_bytes(new)
    assert remove_stale_copies(path.parent, now=time.time()) == [str(redo)]
    assert torn.read_bytes() == new


def test_long_names_keep_their_locks_apart(copy_of):
    path = copy_of("flac")
    first = path.rename(path.with_name("ü" * 120 + "1.flac"))
    second = first.with_name("ü" * 120 + "2.flac")
    second.write_bytes(first.read_bytes())
    with turns.turn(first), turns.turn(second):
        assert len(list(path.parent.glob(".*.nomlock"))) == 2
