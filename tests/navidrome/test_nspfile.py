"""Playlists as files beside the music: in the library alone, whole or not at all, and never over somebody's own."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from nomarr.errors import Conflict, InvalidInput, NotFound
from nomarr.navidrome import nspfile
from nomarr.navidrome.nspfile import file_name, is_ours, write

PLAYLIST = {"name": "Happy é", "all": [{"is": {"genre": "Jazz"}}], "limit": 5}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "music"
    (root / "Nina").mkdir(parents=True)
    return root


def test_a_playlist_becomes_a_file_and_stays_one(root: Path) -> None:
    made = write(str(root), "", "Happy", PLAYLIST)
    assert made == nspfile.WrittenFile(str(root / "Happy.nsp"), "created")
    content = json.loads((root / "Happy.nsp").read_text())
    assert {key: content[key] for key in PLAYLIST} == PLAYLIST
    before = (root / "Happy.nsp").stat()
    assert write(str(root), "", "Happy", PLAYLIST).action == "unchanged"
    after = (root / "Happy.nsp").stat()
    assert (before.st_mtime_ns, before.st_ino) == (after.st_mtime_ns, after.st_ino)
    assert write(str(root), "", "Happy.nsp", {**PLAYLIST, "limit": 6}).action == "updated"
    assert set(os.listdir(root)) == {"Happy.nsp", "Nina"}


def test_everybody_may_read_it(root: Path) -> None:
    write(str(root), "Nina", "Happy", PLAYLIST)
    assert stat.S_IMODE((root / "Nina/Happy.nsp").stat().st_mode) == 0o644


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", "not json", '{"writtenBy": "nomarr 0123456789abcdef"}', "[" * 5000]
)
def test_a_file_that_is_not_ours_is_replaced_only_when_asked(root: Path, content: str) -> None:
    (root / "Happy.nsp").write_text(content)
    with pytest.raises(Conflict, match="was not written by Nomarr"):
        write(str(root), "", "Happy", PLAYLIST)
    assert (root / "Happy.nsp").read_text() == content
    assert write(str(root), "", "Happy", PLAYLIST, replace=True).action == "updated"


def test_what_is_no_file_is_never_opened(root: Path) -> None:
    os.mkfifo(root / "Happy.nsp")
    with pytest.raises(Conflict, match="is no file"):
        write(str(root), "", "Happy", PLAYLIST, replace=True)


def test_a_file_of_ours_that_somebody_changed_is_theirs(root: Path) -> None:
    write(str(root), "", "Happy", PLAYLIST)
    file = root / "Happy.nsp"
    assert is_ours(file.read_bytes())
    file.write_text(file.read_text().replace('"limit": 5', '"limit": 50'))
    assert not is_ours(file.read_bytes())
    with pytest.raises(Conflict):
        write(str(root), "", "Happy", PLAYLIST)


def test_a_folder_is_made_but_no_tree(root: Path) -> None:
    assert write(str(root), "Playlists", "Happy", PLAYLIST).path == str(root / "Playlists/Happy.nsp")
    with pytest.raises(NotFound):
        write(str(root), "a/b/c", "Happy", PLAYLIST)
    (root / "file").write_text("")
    with pytest.raises(Conflict, match="no folder"):
        write(str(root), "file", "Happy", PLAYLIST)
    with pytest.raises(NotFound):
        write(str(root / "gone"), "", "Happy", PLAYLIST)
    assert not (root / "gone").exists()


@pytest.mark.parametrize("folder", ["..", "Nina/../..", "/etc", "../music2", ".hidden", "Nina/.x", "a\0b"])
def test_nothing_is_written_outside_of_the_library(root: Path, folder: str) -> None:
    (root.parent / "music2").mkdir()
    with pytest.raises(InvalidInput, match="folder"):
        write(str(root), folder, "Happy", PLAYLIST)
    assert list(root.parent.rglob("*.nsp")) == []


def test_links_do_not_lead_out(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (root / "link").symlink_to(outside)
    with pytest.raises(InvalidInput, match="leads out of the library"):
        write(str(root), "link", "Happy", PLAYLIST)
    (outside / "target").write_text("theirs")
    (root / "Happy.nsp").symlink_to(outside / "target")
    with pytest.raises(Conflict, match="is a link"):
        write(str(root), "", "Happy", PLAYLIST, replace=True)
    assert (outside / "target").read_text() == "theirs"
    (tmp_path / "way").symlink_to(root)
    assert write(str(tmp_path / "way"), "Nina", "Happy", PLAYLIST).action == "created"


def test_a_folder_that_cannot_be_written_says_so(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(nspfile.tempfile, "mkstemp", refuse)
    with pytest.raises(Conflict, match="Read-only file system"):
        write(str(root), "", "Happy", PLAYLIST)


def test_a_file_that_appears_meanwhile_is_not_lost(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsync = os.fsync

    def be_too_late(fd: int) -> None:
        fsync(fd)
        (root / "Happy.nsp").write_text("theirs")

    monkeypatch.setattr(os, "fsync", be_too_late)
    with pytest.raises(Conflict, match="appeared at this very moment"):
        write(str(root), "", "Happy", PLAYLIST)
    assert (root / "Happy.nsp").read_text() == "theirs"
    assert set(os.listdir(root)) == {"Happy.nsp", "Nina"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Happy", "Happy.nsp"),
        ("Happy.nsp", "Happy.nsp"),
        ("../../etc/passwd", "_.._etc_passwd.nsp"),
        (".hidden", "hidden.nsp"),
        ('a/b\\c:d*e?f"g<h>i|j\0k\n', "a_b_c_d_e_f_g_h_i_j_k_.nsp"),
        ("x" * 300, "x" * 200 + ".nsp"),
        ("é" * 150, "é" * 100 + ".nsp"),
        ("name. . ", "name.nsp"),
    ],
)
def test_names_are_made_safe(name: str, expected: str) -> None:
    assert file_name(name) == expected


@pytest.mark.parametrize("name", ["", "...", " ", "/", "___"])
def test_a_name_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="file_name"):
        file_name(name)
