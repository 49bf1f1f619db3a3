"""A write is all or nothing, and keeps what belongs to the file."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from nomarr.errors import FileChanged, NomarrError, VanishedFile, WriteFailed
from nomarr.tagfiles import exchange, safewrite
from nomarr.tagfiles.audiofile import plan_write, read_tags, write_tags
from nomarr.tagfiles.leftovers import remove_stale_copies
from nomarr.tagfiles.payload import audio_hash
from nomarr.tagfiles.safewrite import HardLinked, replace
from powers import without_powers

from .samples import untouched

TAGS = {"mood_happy": ["0.8712"], "mood-strict": ["happy", "party"]}


def _copies(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.endswith(".nomtmp")]


def _add_a_byte(copy) -> None:
    copy.seek(0, 2)
    copy.write(b"TAG".ljust(128, b"\0"))


def _accept(_copy) -> None:
    pass


@pytest.mark.parametrize("mode", [0o640, 0o600, 0o664, 0o2755])
def test_the_mode_stays(copy_of, mode):
    path = copy_of("flac")
    path.chmod(mode)
    write_tags(path, TAGS)
    assert path.stat().st_mode & 0o7777 == mode


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_owner_and_group_stay(copy_of):
    path = copy_of("flac")
    os.chown(path, 1234, 4321)
    write_tags(path, TAGS)
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 4321)


def test_extended_attributes_stay(copy_of):
    path = copy_of("flac")
    try:
        os.setxattr(path, "user.rating", b"5")
    except OSError:
        pytest.skip("no extended attributes here")
    write_tags(path, TAGS)
    assert os.getxattr(path, "user.rating") == b"5"


@pytest.mark.parametrize(("policy", "shift_ns"), [("keep", 0), ("keep_plus_1s", 10**9)])
def test_the_time_stays_where_somebody_wants_it_to(copy_of, policy, shift_ns):
    path = copy_of("flac")
    before = 1_600_000_000_123_456_789
    os.utime(path, ns=(before, before))
    written = write_tags(path, TAGS, mtime_policy=policy)
    assert path.stat().st_mtime_ns == written.mtime_ns == before + shift_ns


@pytest.mark.parametrize("offset_s", [-1000, 0, 5000])
def test_the_time_always_moves_on(copy_of, offset_s):
    path = copy_of("flac")
    before = time.time_ns() + offset_s * 10**9
    os.utime(path, ns=(before, before))
    written = write_tags(path, TAGS)
    assert path.stat().st_mtime_ns == written.mtime_ns > before


def test_another_hard_link_keeps_the_old_content(copy_of):
    path = copy_of("flac")
    link = path.with_name("torrent.flac")
    link.hardlink_to(path)
    before = path.read_bytes()
    write_tags(path, TAGS)
    assert link.read_bytes() == before
    assert read_tags(path) != {}


def test_a_file_with_hard_links_can_be_left_alone(copy_of):
    path = copy_of("flac")
    path.with_name("torrent.flac").hardlink_to(path)
    state = untouched(path)
    with pytest.raises(HardLinked, match="2 hard links"):
        write_tags(path, TAGS, hardlink_policy="skip")
    assert untouched(path) == state
    path.with_name("torrent.flac").unlink()
    assert write_tags(path, TAGS, hardlink_policy="skip").changed


@pytest.mark.parametrize("name", ["flac", "mp3_bare", "m4a"])
@pytest.mark.parametrize("tags", [TAGS, {"long": ["x" * 50_000]}])
def test_all_hard_links_can_change_together(copy_of, name, tags):
    path = copy_of(name)
    sound, inode = audio_hash(path), path.stat().st_ino
    link = path.with_name("link")
    link.hardlink_to(path)
    written = write_tags(path, tags, hardlink_policy="in_place")
    assert read_tags(link) == {field: tuple(values) for field, values in tags.items()}
    assert (path.stat().st_ino, link.stat().st_ino) == (inode, inode)
    assert audio_hash(link) == sound
    assert written.mtime_ns == path.stat().st_mtime_ns
    assert sorted(path.parent.iterdir()) == sorted([path, link])


def test_a_symbolic_link_stays_one(copy_of, tmp_path):
    target = copy_of("flac")
    folder = tmp_path / "links"
    folder.mkdir()
    link = folder / "link.flac"
    link.symlink_to("../flac.flac")
    write_tags(link, TAGS)
    assert link.is_symlink()
    assert os.readlink(link) == "../flac.flac"
    assert read_tags(target)["mood_happy"] == ("0.8712",)
    assert _copies(folder) == []


def test_a_broken_or_circular_link_is_explained(tmp_path):
    (tmp_path / "broken.mp3").symlink_to("nowhere.mp3")
    (tmp_path / "circle.mp3").symlink_to("circle.mp3")
    with pytest.raises(VanishedFile, match="no such file"):
        write_tags(tmp_path / "broken.mp3", TAGS)
    with pytest.raises(VanishedFile, match="circle"):
        write_tags(tmp_path / "circle.mp3", TAGS)


@pytest.mark.parametrize("name", ["x" * 250 + ".flac", "ü" * 125 + ".flac", "a\nb\udcff.flac"])
def test_any_legal_name_can_be_written(copy_of, name):
    path = copy_of("flac")
    path = path.rename(path.with_name(name))
    write_tags(path, TAGS)
    assert read_tags(path)["mood_happy"] == ("0.8712",)


@pytest.mark.parametrize("function", ["replace", "fsync", "statvfs", "copy_file_range", "fchmod"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_failing_disk_leaves_the_original(copy_of, monkeypatch, function, number):
    path = copy_of("flac")
    before, state = path.read_bytes(), untouched(path)

    def fail(*_arguments, **_options):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(exchange, "_renameat2", lambda: None)  # a system that knows only plain renaming
        patched.setattr(os, function, fail)
        # A file system that shares blocks needs no copy_file_range.
        patched.setattr("fcntl.ioctl", fail)
        with pytest.raises(WriteFailed) as failure:
            write_tags(path, TAGS)
    assert failure.value.errno == number
    assert failure.value.why in (
        "no space left on the device",
        "the folder is read-only",
        "the device reports a read or write error",
    )
    assert path.read_bytes() == before
    assert untouched(path) == state
    assert _copies(path.parent) == []


def test_a_disk_that_fills_up_while_tags_are_written_leaves_the_original(copy_of):
    path = copy_of("mp3_bare")
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before), limits[1]))
    try:
        with pytest.raises(WriteFailed, match="too large") as failure:
            write_tags(path, TAGS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert failure.value.errno == errno.EFBIG
    assert path.read_bytes() == before
    assert _copies(path.parent) == []


def test_a_full_or_read_only_file_system_is_named(copy_of, tmp_path):
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    content = copy_of("flac").read_bytes()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={len(content) + 200_000}", "tmpfs", str(mounted)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        path = mounted / "a.flac"
        path.write_bytes(content)
        with pytest.raises(WriteFailed, match="no space left"):
            write_tags(path, TAGS)
        subprocess.run(["mount", "-o", "remount,ro", str(mounted)], check=True)
        with pytest.raises(WriteFailed, match="read-only"):
            write_tags(path, TAGS)
        assert path.read_bytes() == content
        assert list(mounted.iterdir()) == [path]
    finally:
        subprocess.run(["umount", str(mounted)], check=True)


def test_an_edit_that_touches_the_audio_is_thrown_away(copy_of):
    path = copy_of("flac")
    before = path.read_bytes()

    def damage(copy):
        copy.seek(-1000, 2)
        copy.write(b"\0" * 1000)

    with pytest.raises(WriteFailed, match="would change its audio"):
        replace(path, damage, _accept)
    assert path.read_bytes() == before
    assert _copies(path.parent) == []


@pytest.mark.parametrize("exception", [KeyboardInterrupt, SystemExit, MemoryError, ZeroDivisionError])
def test_any_exception_removes_the_copy(copy_of, exception):
    path = copy_of("flac")
    before = path.read_bytes()

    def stop(_copy):
        raise exception

    with pytest.raises(exception):
        replace(path, _add_a_byte, stop)
    assert path.read_bytes() == before
    assert _copies(path.parent) == []


def test_a_change_by_another_program_wins(copy_of):
    path = copy_of("flac")
    theirs = path.read_bytes() + b"theirs"

    def slow_edit(copy):
        _add_a_byte(copy)
        path.write_bytes(theirs)

    with pytest.raises(FileChanged):
        replace(path, slow_edit, _accept)
    assert path.read_bytes() == theirs
    assert _copies(path.parent) == []


def test_a_file_replaced_by_another_program_wins(copy_of):
    path = copy_of("flac")
    content = path.read_bytes()

    def slow_edit(copy):
        _add_a_byte(copy)
        newer = path.with_name("newer")
        newer.write_bytes(content)
        os.utime(newer, ns=(path.stat().st_mtime_ns,) * 2)
        newer.replace(path)

    with pytest.raises(FileChanged):
        replace(path, slow_edit, _accept)
    assert path.read_bytes() == content


def test_a_change_in_the_very_last_moment_wins(copy_of, monkeypatch):
    path = copy_of("flac")
    theirs = path.read_bytes() + b"theirs"
    swap = safewrite.exchange

    def too_late(first, second):
        path.write_bytes(theirs)
        return swap(first, second)

    monkeypatch.setattr(safewrite, "exchange", too_late)
    with pytest.raises(FileChanged):
        replace(path, _add_a_byte, _accept)
    assert path.read_bytes() == theirs
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("number", [errno.EBUSY, errno.ESTALE])
def test_a_network_folder_that_hesitates_is_asked_again(copy_of, monkeypatch, number):
    path = copy_of("flac")
    swap, refusals = safewrite.exchange, [number, number]

    def hesitate(first, second):
        if refusals:
            raise OSError(refusals.pop(), "not now")
        return swap(first, second)

    monkeypatch.setattr(safewrite, "exchange", hesitate)
    assert write_tags(path, TAGS).changed
    assert read_tags(path)["mood_happy"] == ("0.8712",)
    assert list(path.parent.iterdir()) == [path]


def test_a_system_without_exchange_renames(copy_of, monkeypatch):
    path = copy_of("flac")
    sound = audio_hash(path)
    monkeypatch.setattr(exchange, "_renameat2", lambda: None)
    assert write_tags(path, TAGS).audio_hash == sound == audio_hash(path)
    assert read_tags(path)["mood_happy"] == ("0.8712",)
    assert list(path.parent.iterdir()) == [path]


def test_a_change_that_hides_its_time_is_seen(copy_of):
    path = copy_of("flac")
    state = path.stat()

    def slow_edit(copy):
        _add_a_byte(copy)
        with path.open("r+b") as file:
            file.seek(100)
            file.write(b"x")
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))

    with pytest.raises(FileChanged):
        replace(path, slow_edit, _accept)


def test_what_the_tags_were_is_told_before_the_file_changes(copy_of):
    path = copy_of("flac")
    write_tags(path, TAGS)
    told = []
    write_tags(path, {"a": ["1"]}, about_to_write=lambda before: told.append((before, read_tags(path))))
    assert told == [({name: tuple(values) for name, values in TAGS.items()},) * 2]


def test_nothing_is_written_when_the_teller_objects(copy_of):
    path = copy_of("flac")
    state = untouched(path)

    def object_to_it(_before):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_tags(path, TAGS, about_to_write=object_to_it)
    assert untouched(path) == state
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_vanishes_meanwhile_is_not_created_again(copy_of):
    path = copy_of("flac")

    def slow_edit(copy):
        _add_a_byte(copy)
        path.unlink()

    with pytest.raises(VanishedFile):
        replace(path, slow_edit, _accept)
    assert list(path.parent.iterdir()) == []


def test_writers_of_one_file_take_turns(copy_of):
    path = copy_of("flac")
    sound = audio_hash(path)
    problems = []

    def write_often(writer: int) -> None:
        try:
            for turn in range(5):
                write_tags(path, {"writer": [str(writer)], "turn": [str(turn)]})
        except NomarrError as problem:
            problems.append(problem)

    threads = [threading.Thread(target=write_often, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert read_tags(path)["turn"] == ("4",)
    assert audio_hash(path) == sound
    assert _copies(path.parent) == []


WRITE_FOREVER = """
import sys
from nomarr.tagfiles.audiofile import write_tags
print("started", flush=True)
while True:
    write_tags(sys.argv[1], {"a": ["1"], "words": ["one", "two"] * 40})
    write_tags(sys.argv[1], {"b": ["2"]})
"""


def test_a_killed_process_leaves_the_old_or_the_new_file(copy_of, tmp_path):
    path = copy_of("wv")
    sound = audio_hash(path)
    states = [{}, {"a": ("1",), "words": ("one", "two") * 40}, {"b": ("2",)}]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    for round_ in range(8):
        command = [sys.executable, "-c", WRITE_FOREVER, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
            assert process.stdout.readline() == b"started\n"
            time.sleep(0.013 * round_)
            process.send_signal(signal.SIGKILL)
        assert read_tags(path) in states
        assert audio_hash(path) == sound
        remove_stale_copies(tmp_path, now=time.time())
        assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_written_while_planning(copy_of):
    path = copy_of("flac")
    before = untouched(path)
    plan_write(path, TAGS)
    assert untouched(path) == before
    assert list(path.parent.iterdir()) == [path]


def test_a_write_protected_file_or_folder_is_left_alone(copy_of):
    path = copy_of("flac")
    state = path.read_bytes(), path.stat().st_ino, path.stat().st_mtime_ns
    with without_powers():
        path.chmod(0o444)
        with pytest.raises(WriteFailed, match="write-protected"):
            write_tags(path, TAGS)
        path.chmod(0o644)
        path.parent.chmod(0o555)
        try:
            with pytest.raises(WriteFailed, match="permission denied"):
                write_tags(path, TAGS)
        finally:
            path.parent.chmod(0o755)
    assert (path.read_bytes(), path.stat().st_ino, path.stat().st_mtime_ns) == state
    assert list(path.parent.iterdir()) == [path]
