from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from nomarr import folders, scan
from nomarr.errors import Conflict, Forbidden, InvalidInput, NotFound
from nomarr.moods.tags import tags_hash
from nomarr.scan import ScanResult, scan_library
from nomarr.scores import PackScores
from nomarr.store import claims, files, libraries, scans, scores, tags
from nomarr.store.database import Database
from nomarr.store.files import LibraryFile
from nomarr.store.libraries import Library
from nomarr.tagfiles import audiofile, payload
from powers import without_powers

NOW = 1_800_000_000_000
DAY_MS = 24 * 3600 * 1000
OURS = {"mood_happy": ["0.5000"], "mood-strict": ["happy"], "version": ["1"]}

Scan = Callable[..., ScanResult]


def encode(path: Path, codec: str, seed: int) -> Path:
    """A quarter of a second of noise, another for each seed."""
    noise = np.random.default_rng(seed).integers(-9000, 9000, (1, 4000)).astype(np.int16)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(noise, format="s16", layout="mono")
        frame.rate = 16000
        resampler = av.AudioResampler(format=stream.format, layout="mono", rate=16000, frame_size=1152)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="session")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("sounds")
    return [encode(folder / f"{n}.flac", "flac", n) for n in range(4)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "music"
    folder.mkdir()
    return folder


@pytest.fixture
def library(db: Database, root: Path) -> Library:
    with db.write() as tx:
        return libraries.create(tx, name="Music", root_path=root, now=NOW)


@pytest.fixture
def scan_it(db: Database, library: Library) -> Scan:
    def run(**given: object) -> ScanResult:
        return scan_library(db, library, **{"now": lambda: NOW, **given})

    return run


@pytest.fixture
def song(root: Path, sounds: list[Path]) -> Callable[..., Path]:
    def put(name: str, sound: int = 0) -> Path:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(sounds[sound], path)
        return path

    return put


Song = Callable[..., Path]


def rows(db: Database, library: Library) -> dict[str, LibraryFile]:
    """Relative path -> row."""
    with db.read() as tx:
        ids = [
            known.id
            for folder in files.folders(tx, library.id)
            for known in files.in_folder(tx, library.id, folder).values()
        ]
        found = [files.get(tx, file_id) for file_id in ids]
    return {os.path.join(file.folder, file.name): file for file in found}


def analyse_all(db: Database, *, write: bool = True) -> None:
    """What workers do, but for listening."""
    vector = np.array([0.5], dtype=np.float32)
    while True:
        with db.write() as tx:
            file = claims.claim_next(tx, worker="w", now=NOW, lease_ms=60_000)
        if file is None:
            return
        written = audiofile.write_tags(file.path, OURS) if write else None
        with db.write() as tx:
            if file.needs_tagging:
                scores.save(tx, file.file_id, PackScores("main", "f", ("happy",), vector, vector))
                claims.finish(
                    tx,
                    file,
                    now=NOW,
                    suite="s",
                    patches=1,
                    duration_s=0.25,
                    audio_hash=payload.audio_hash(file.path),
                    needs_write=False,
                )
            if written is not None:
                claims.record_write(
                    tx,
                    file,
                    now=NOW,
                    size=written.size,
                    mtime_ns=written.mtime_ns,
                    written_hash=tags_hash(written.after),
                    calibration="c",
                )


def retag(path: Path, **fields: str) -> None:
    from mutagen.flac import FLAC

    file = FLAC(path)
    for name, value in fields.items():
        file[name] = value
    file.save()


def counts(result: ScanResult) -> dict[str, int]:
    """What is not zero, but for the number found."""
    names = (
        "new", "changed", "unchanged", "moved", "copied", "returned", "missing", "purged", "queued", "skipped_count"
    )  # fmt: skip
    return {name: getattr(result, name) for name in names if getattr(result, name)}


def snapshot(db: Database) -> list[object]:
    tables = ("library_files", "file_tags", "file_scores")
    with db.read() as tx:
        return [sorted(tx.all(f"SELECT * FROM {table}"), key=str) for table in tables]


# new files


def test_new_files_are_described_and_queued(db: Database, library: Library, scan_it: Scan, song: Song) -> None:
    path = song("Nina/Blue/01.flac")
    retag(path, title="Song", artist="Nina", album="Blue", date="1967", tracknumber="1", genre="Jazz")
    song("top.flac", 1)
    result = scan_it()
    assert (result.found, counts(result)) == (2, {"new": 2, "queued": 2})
    file = rows(db, library)["Nina/Blue/01.flac"]
    assert (file.title, file.artist, file.album, file.year) == ("Song", "Nina", "Blue", 1967)
    assert (file.track, file.genre, file.container) == (1, "Jazz", "flac")
    assert (file.size, file.mtime_ns) == (path.stat().st_size, path.stat().st_mtime_ns)
    assert (file.needs_tagging, file.needs_write, file.audio_hash) == (True, False, None)
    assert file.audio_key == payload.audio_key(path)
    with db.read() as tx:
        assert tags.file_tags(tx, file.id)["genre"] == ("Jazz",)


def test_an_unchanged_library_is_scanned_without_writing_anything(db: Database, scan_it: Scan, song: Song) -> None:
    for n in range(4):
        song(f"{n}/{n}.flac", n)
    scan_it()
    before = snapshot(db)
    result = scan_it(now=lambda: NOW + DAY_MS)
    assert counts(result) == {"unchanged": 4}
    assert snapshot(db) == before


def test_an_empty_library_may_stay_empty(scan_it: Scan) -> None:
    assert counts(scan_it()) == {}


def test_new_files_are_not_queued_where_that_is_not_wanted(
    db: Database, library: Library, scan_it: Scan, song: Song
) -> None:
    song("a.flac")
    assert counts(scan_it(queue_new=False)) == {"new": 1}
    assert not rows(db, library)["a.flac"].needs_tagging
    assert counts(scan_it(force=True)) == {"unchanged": 1, "queued": 1}


def test_more_files_than_fit_into_one_batch_are_all_found(
    db: Database, library: Library, scan_it: Scan, song: Song, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "BATCH", 3)
    for n in range(10):
        song(f"{n % 2}/{n}.flac", n % 4)
    heard: list[int] = []
    scan_it(progress=lambda found, _: heard.append(found))
    assert len(rows(db, library)) == 10
    assert heard == [0, 5, 10]


# what a person does to files


def test_a_retagged_file_is_not_listened_to_again(db: Database, library: Library, scan_it: Scan, song: Song) -> None:
    path = song("a.flac")
    scan_it()
    analyse_all(db)
    assert counts(scan_it()) == {"unchanged": 1}
    retag(path, title="Better")
    assert counts(scan_it()) == {"changed": 1}
    file = rows(db, library)["a.flac"]
    assert (file.title, file.is_current, file.needs_write) == ("Better", True, False)


def test_tags_of_ours_that_were_removed_are_written_again(
    db: Database, library: Library, scan_it: Scan, song: Song
) -> None:
    path = song("a.flac")
    scan_it()
    analyse_all(db)
    audiofile.remove_tags(path)
    assert counts(scan_it()) == {"changed": 1}
    file = rows(db, library)["a.flac"]
    assert (file.is_current, file.needs_write) == (True, True)


@pytest.mark.parametrize(("change", "is_written_again"), [("version", False), ("mood_happy", True), ("more", True)])
def test_tags_of_ours_that_were_changed_are_written_again_but_for_the_version(
    db: Database, library: Library, scan_it: Scan, song: Song, change: str, is_written_again: bool
) -> None:
    path = song("a.flac")
    scan_it()
    analyse_all(db)
    audiofile.write_tags(path, {**OURS, change: ["2"]})
    assert counts(scan_it()) == {"changed": 1}
    assert rows(db, library)["a.flac"].needs_write is is_written_again


def test_a_file_into_which_nothing_was_written_is_not_written_again(
    db: Database, library: Library, scan_it: Scan, song: Song
) -> None:
    path = song("a.flac")
    scan_it()
    analyse_all(db, write=False)
    audiofile.write_tags(path, OURS)
    assert counts(scan_it()) == {"changed": 1}
    assert not rows(db, library)["a.flac"].needs_write


def test_other_audio_under_the_same_name_is_listened_to(
    db: Database, library: Library, scan_it: Scan, song: Song
) -> None:
    song("a.flac")
    scan_it()
    analyse_all(db)
    song("a.flac", 1)
    assert counts(scan_it()) == {"changed": 1, "queued": 1}
    file = rows(db, library)["a.flac"]
    assert (file.needs_tagging, file.is_current, file.audio_hash, file.written_hash) == (True, False, None, None)
    with db.read() as tx:
        assert scores.load(tx, file.id) == []


def test_a_renamed_folder_keeps_the_analysis_of_its_files(
    db: Database, library: Library, root: Path, scan_it: Scan, song: Song
) -> None:
    for n in range(3):
        song(f"old/{n}.flac", n)
    scan_it()
    analyse_all(db)
    before = {file.name: file.id for file in rows(db, library).values()}
    (root / "old").rename(root / "a new name")
    assert counts(scan_it()) == {"moved": 3}
    after = rows(db, library)
    assert set(after) == {f"a new name/{n}.flac" for n in range(3)}
    assert {file.name: file.id for file in after.values()} == before
    assert all(file.is_current and not file.needs_write for file in after.values())


def test_two_files_of_the_same_audio_move_to_two_places(
    db: Database, library: Library, root: Path, scan_it: Scan, song: Song
) -> None:
    song("old/1.flac")
    song("old/2.flac")
    scan_it()
    analyse_all(db)
    before = {file.name: file.id for file in rows(db, library).values()}
    (root / "old").rename(root / "new")
    assert counts(scan_it()) == {"moved": 2}
    assert {file.name: file.id for file in rows(db, library).values()} == before


def test_a_file_that_was_missing_and_turns_up_elsewhere_is_the_same_file(
    db: Database, library: Library, tmp_path: Path, scan_it: Scan, song: Song
) -> None:
    path = song("a.flac")
    song("stays.flac", 1)
    scan_it()
    analyse_all(db)
    path.rename(tmp_path / "away.flac")
    assert counts(scan_it()) == {"unchanged": 1, "missing": 1}
    (tmp_path / "away.flac").rename(path.with_name("b.flac"))
    assert counts(scan_it()) == {"unchanged": 1, "moved": 1}
    file = rows(db, library)["b.flac"]
    assert (file.missing_since, file.is_current) == (None, True)


def test_a_moved_file_whose_tags_were_stripped_is_written_again(
    db: Database, library: Library, root: Path, scan_it: Scan, song: Song
) -> None:
    path = song("a.flac")
    scan_it()
    analyse_all(db)
    path.unlink()
    song("b.flac")
    assert counts(scan_it()) == {"moved": 1}
    assert rows(db, library)["b.flac"].needs_write


def test_a_copied_file_gets_the_analysis_of_the_first(
    db: Database, library: Library, scan_it: Scan, song: Song
) -> None:
    path = song("a.flac")
    scan_it()
    analyse_all(db)
    shutil.copyfile(path, path.with_name("tagged copy.flac"))
    song("bare copy.flac")
    assert counts(scan_it()) == {"unchanged": 1, "copied": 2}
    found = rows(db, library)
    assert all(file.is_current for file in found.values())
    assert not found["tagged copy.flac"].needs_write
    assert found["bare copy.flac"].needs_write
    with db.read() as tx:
        assert all(len(scores.load(tx, file.id)) == 1 for file in found.values())


def test_a_file_replaced_by_audio_that_is_known_needs_no_listening(
    db: Database, library: Library, scan_it: Scan, song: Song
) -> None:
    song("a.flac", 0)
    song("b.flac", 1)
    scan_it()
    analyse_all(db)
    song("b.flac", 0)
    assert counts(scan_it()) == {"unchanged": 1, "changed": 1, "copied": 1}
    assert rows(db, library)["b.flac"].is_current


def test_swapped_files_swap_their_analysis(
    db: Database, library: Library, root: Path, scan_it: Scan, song: Song
) -> None:
    song("a.flac", 0)
    song("b.flac", 1)
    scan_it()
    analyse_all(db)
    hashes = {name: file.audio_hash for name, file in rows(db, library).items()}
    (root / "a.flac").rename(root / "c")
    (root / "b.flac").rename(root / "a.flac")
    (root / "c").rename(root / "b.flac")
    for name in ("a.flac", "b.flac"):
        retag(root / name, title=name * 9)
    scan_it()
    after = rows(db, library)
    for name, other in (("a.flac", "b.flac"), ("b.flac", "a.flac")):
        assert after[name].needs_tagging or after[name].audio_hash == hashes[other]


def test_force_has_everything_in_scope_listened_to(
    db: Database, library: Library, root: Path, scan_it: Scan, song: Song
) -> None:
    song("a/1.flac")
    song("b/2.flac", 1)
    scan_it()
    analyse_all(db)
    assert counts(scan_it(force=True, paths=[root / "a"])) == {"unchanged": 1, "queued": 1}
    found = rows(db, library)
    assert (found["a/1.flac"].needs_tagging, found["b/2.flac"].needs_tagging) == (True, False)


def test_a_file_in_a_workers_hands_is_left_to_it(db: Database, library: Library, scan_it: Scan, song: Song) -> None:
    path = song("a.flac")
    scan_it()
    with db.write() as tx:
        assert claims.claim_next(tx, worker="w", now=NOW, lease_ms=60_000) is not None
    audiofile.write_tags(path, OURS)
    assert counts(scan_it()) == {"unchanged": 1}
    assert rows(db, library)["a.flac"].claimed_by == "w"


# missing


def test_vanished_files_are_missing_then_purged_and_returned_ones_are_as_before(
    db: Database, library: Library, tmp_path: Path, root: Path, scan_it: Scan, song: Song
) -> None:
    song("stays/0.flac", 0)
    song("goes/1.flac", 1)
    song("stays/2.flac", 2)
    scan_it()
    analyse_all(db)
    (root / "goes").rename(tmp_path / "goes")
    (root / "stays" / "2.flac").rename(tmp_path / "2.flac")
    assert counts(scan_it(clean_missing=False)) == {"unchanged": 1}
    assert counts(scan_it()) == {"unchanged": 1, "missing": 2}
    assert counts(scan_it()) == {"unchanged": 1}
    (tmp_path / "goes").rename(root / "goes")
    assert counts(scan_it()) == {"unchanged": 1, "returned": 1}
    file = rows(db, library)["goes/1.flac"]
    assert (file.missing_since, file.is_current) == (None, True)
    assert counts(scan_it(now=lambda: NOW + 31 * DAY_MS)) == {"unchanged": 2, "purged": 1}
    assert set(rows(db, library)) == {"stays/0.flac", "goes/1.flac"}


@pytest.mark.parametrize("left", [[], ["lost+found/"], ["cover.jpg"]])
def test_a_root_without_music_is_an_error_and_never_a_deletion(
    db: Database, library: Library, root: Path, scan_it: Scan, song: Song, left: list[str]
) -> None:
    song("a.flac")
    song("b/c.flac", 1)
    scan_it()
    before = snapshot(db)
    shutil.rmtree(root)
    root.mkdir()
    for name in left:
        (root / name).mkdir() if name.endswith("/") else (root / name).write_text("")
    with pytest.raises(Conflict, match="2 files of library Music are known: is the disk mounted"):
        scan_it()
    assert snapshot(db) == before
    with db.read() as tx:
        assert libraries.get(tx, library.id).scan_status(now=NOW) == "failed"


def test_a_root_that_is_gone_or_no_folder_is_an_error(root: Path, scan_it: Scan) -> None:
    root.rmdir()
    with pytest.raises(NotFound, match="Folder not found"):
        scan_it()
    root.write_text("")
    with pytest.raises(InvalidInput, match="not a folder"):
        scan_it()


# what is passed over


def test_hidden_and_foreign_files_are_passed_over(root: Path, scan_it: Scan, song: Song) -> None:
    for name in (".hidden.flac", ".folder/a.flac", "a.flac.nomtmp", "b.nomtmp.flac", "cover.jpg", "flac"):
        song(name)
    song("UPPER.FLAC")
    assert counts(scan_it()) == {"new": 1, "queued": 1}


def test_links_are_not_followed_but_listed(root: Path, tmp_path: Path, scan_it: Scan, song: Song) -> None:
    song("a/1.flac")
    (tmp_path / "outside").mkdir()
    (root / "out").symlink_to(tmp_path / "outside")
    (root / "a" / "loop").symlink_to(root)
    (root / "a" / "2.flac").symlink_to("1.flac")
    (root / "broken.flac").symlink_to("nowhere")
    (root / "self.flac").symlink_to("self.flac")
    (root / "self").symlink_to("self")
    result = scan_it()
    assert counts(result) == {"new": 1, "queued": 1, "skipped_count": 5}
    assert {reason for _, reason in result.skipped} == {"it is a link, which Nomarr does not follow"}


def test_an_empty_ignore_file_leaves_out_its_folder(
    db: Database, library: Library, root: Path, scan_it: Scan, song: Song
) -> None:
    song("a/1.flac")
    song("a/b/2.flac", 1)
    song("c/3.flac", 2)
    scan_it()
    (root / "a" / ".nomarrignore").write_text("\n")
    assert counts(scan_it()) == {"unchanged": 1, "missing": 2}
    (root / "a" / ".nomarrignore").unlink()
    assert counts(scan_it()) == {"unchanged": 1, "returned": 2}


def test_an_ignore_file_with_patterns_leaves_out_what_they_match(
    db: Database, library: Library, root: Path, scan_it: Scan, song: Song
) -> None:
    kept = ["a/1.flac", "a/b/keep me.flac", "b/x.wav.flac", "c/d/deep.flac"]
    left_out = ["a/x.wav.mp3", "a/b/live.flac", "a/b/c/live.flac", "a/demos/1.flac", "a/c/d/deep.flac"]
    for name in kept + left_out:
        song(name)
    (root / "a" / ".nomarrignore").write_text("# a note\n\n*.mp3\nlive*\ndemos/\n/c/d\n!keep*\n")
    scan_it()
    assert sorted(rows(db, library)) == sorted(kept)


def test_ignore_patterns_match_names_and_relative_paths(
    db: Database, library: Library, scan_it: Scan, song: Song
) -> None:
    for name in ("Podcasts/1.flac", "a/Podcasts/2.flac", "a/b/3.flac", "a/4.flac", "5.flac"):
        song(name)
    scan_it(ignore_patterns=["Podcasts", "a/b/*"])
    assert sorted(rows(db, library)) == ["5.flac", "a/4.flac"]


def test_any_name_that_is_utf8_works(db: Database, library: Library, scan_it: Scan, song: Song) -> None:
    names = [
        "new\nline.flac",
        "a\n\nb/tab\t.flac",
        "quote'\";--.flac",
        "%_[x].flac",
        "é.flac",
        "e\u0301.flac",
        "\\.flac",
    ]
    for name in names:
        song(name)
    scan_it()
    assert sorted(rows(db, library)) == sorted(names)
    assert counts(scan_it()) == {"unchanged": len(names)}


def test_a_name_that_is_not_utf8_is_listed_with_what_to_do(root: Path, scan_it: Scan, song: Song) -> None:
    song("a.flac")
    song(os.fsdecode(b"caf\xe9.flac"))
    song(os.fsdecode(b"fold\xe9r/b.flac"))
    result = scan_it()
    assert counts(result) == {"new": 1, "queued": 1, "skipped_count": 2}
    assert sorted(result.skipped) == [
        (f"{root}/caf\\udce9.flac", folders.NOT_UTF8),
        (f"{root}/fold\\udce9r", folders.NOT_UTF8),
    ]


def test_an_empty_file_is_set_aside_with_the_reason_until_it_changes(
    db: Database, library: Library, root: Path, scan_it: Scan, song: Song
) -> None:
    (root / "a.flac").write_bytes(b"")
    assert counts(scan_it()) == {"new": 1}
    file = rows(db, library)["a.flac"]
    assert (file.set_aside, file.error, file.error_kind) == (True, "the file is empty", "unreadable")
    assert counts(scan_it()) == {"unchanged": 1}
    song("a.flac")
    assert counts(scan_it()) == {"changed": 1, "queued": 1}
    file = rows(db, library)["a.flac"]
    assert (file.set_aside, file.error, file.needs_tagging) == (False, None, True)


def test_a_file_that_became_empty_loses_its_analysis(
    db: Database, library: Library, root: Path, scan_it: Scan, song: Song
) -> None:
    song("a.flac")
    scan_it()
    analyse_all(db)
    (root / "a.flac").write_bytes(b"")
    scan_it()
    file = rows(db, library)["a.flac"]
    assert (file.set_aside, file.error, file.is_current) == (True, "the file is empty", False)


def test_what_is_no_file_is_listed(root: Path, scan_it: Scan, song: Song) -> None:
    song("a.flac")
    os.mkfifo(root / "pipe.flac")
    assert scan_it().skipped == [(f"{root}/pipe.flac", "it is not a regular file")]


def test_a_folder_with_an_audio_ending_is_a_folder(db: Database, library: Library, scan_it: Scan, song: Song) -> None:
    song("live.mp3/1.flac")
    scan_it()
    assert list(rows(db, library)) == ["live.mp3/1.flac"]


def test_what_cannot_be_read_is_listed_and_not_missing(
    db: Database, library: Library, root: Path, scan_it: Scan, song: Song
) -> None:
    song("a.flac")
    song("closed/b.flac", 1)
    secret = song("secret.flac", 2)
    scan_it()
    analyse_all(db)
    (root / "closed").chmod(0)
    secret.chmod(0)
    os.utime(secret)
    with without_powers():
        result = scan_it()
    (root / "closed").chmod(0o755)
    secret.chmod(0o644)
    assert counts(result) == {"unchanged": 1, "changed": 1, "skipped_count": 1}
    assert result.skipped == [(f"{root}/closed", "it cannot be read: Permission denied")]
    assert scan_it().changed == 1
    file = rows(db, library)["secret.flac"]
    assert (file.set_aside, file.is_current) == (False, True)


def test_the_list_of_what_was_skipped_is_bounded(root: Path, scan_it: Scan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "SKIPPED_LISTED", 2)
    for n in range(5):
        (root / f"{n}.flac").symlink_to("nowhere")
    result = scan_it()
    assert (len(result.skipped), result.skipped_count) == (2, 5)


# scopes


def test_paths_limit_a_scan_and_what_it_calls_missing(
    db: Database, library: Library, root: Path, scan_it: Scan, song: Song
) -> None:
    for n, name in enumerate(("1.flac", "a/2.flac", "a/b/3.flac", "a b/4.flac")):
        song(name, n)
    assert counts(scan_it(paths=[root / "a"])) == {"new": 2, "queued": 2}
    assert counts(scan_it(paths=[root / "a", root / "a" / "b", root / "a/b/3.flac"])) == {"unchanged": 2}
    assert counts(scan_it(paths=[root / "1.flac"])) == {"new": 1, "queued": 1}
    scan_it()
    for path in list(root.rglob("*.flac")):
        path.unlink()
    song("kept.flac")
    assert counts(scan_it(paths=[root / "a"], recursive=False)) == {"missing": 1}
    assert counts(scan_it(paths=[root / "a"])) == {"missing": 1}
    assert counts(scan_it(recursive=False)) == {"new": 1, "queued": 1, "missing": 1}
    assert counts(scan_it()) == {"unchanged": 1, "missing": 1}


def test_a_folder_in_an_ignored_one_stays_ignored(root: Path, scan_it: Scan, song: Song) -> None:
    song("a/b/1.flac")
    (root / "a" / ".nomarrignore").write_text("b\n")
    result = scan_it(paths=[root / "a" / "b"])
    assert counts(result) == {"skipped_count": 1}


def test_paths_are_checked_before_anything_is_scanned(
    db: Database, library: Library, root: Path, tmp_path: Path, scan_it: Scan, song: Song
) -> None:
    song("a.flac")
    (root / "link").symlink_to(tmp_path)
    outside = tmp_path / "outside.flac"
    outside.write_text("")
    with pytest.raises(NotFound, match=f"File not found: {root}/nothing.flac"):
        scan_it(paths=[root / "a.flac", root / "nothing.flac"])
    for path in (outside, root / "link" / "outside.flac", root / ".." / "outside.flac", tmp_path, "/"):
        with pytest.raises(Forbidden, match="lies outside library Music"):
            scan_it(paths=[root / "a.flac", path])
    assert rows(db, library) == {}


# one at a time


def test_a_second_scan_waits_for_the_first_to_end_or_die(
    db: Database, library: Library, scan_it: Scan, song: Song
) -> None:
    song("a.flac")
    with db.write() as tx:
        scans.begin(tx, library.id, owner="another", now=NOW)
    with pytest.raises(Conflict, match="already running"):
        scan_it(now=lambda: NOW + 30_000)
    assert scan_it(now=lambda: NOW + 61_000).new == 1


def test_a_scan_that_lost_its_library_to_another_stops(
    db: Database, library: Library, scan_it: Scan, song: Song, monkeypatch: pytest.MonkeyPatch
) -> None:
    song("a/1.flac")
    song("b/2.flac", 1)
    clock = iter(range(NOW, NOW + 10**9, 40_000))

    def take_over(found: int, folder: str) -> None:
        with db.write() as tx:
            scans.begin(tx, library.id, owner="another", now=NOW + 10**9)

    with pytest.raises(Conflict, match="took over"):
        scan_it(now=lambda: next(clock), progress=take_over)
    with db.read() as tx:
        assert libraries.get(tx, library.id).scan_owner == "another"


def test_a_scan_says_when_it_ended(db: Database, library: Library, scan_it: Scan, song: Song) -> None:
    song("a.flac")
    scan_it()
    with db.read() as tx:
        scanned = libraries.get(tx, library.id)
    assert (scanned.scan_status(now=NOW), scanned.scan_finished_at, scanned.scan_owner) == ("complete", NOW, None)


KILLED = """
import os, signal, sys
from nomarr.scan import scan_library
from nomarr.store import libraries
from nomarr.store.database import Database

db = Database(sys.argv[1])
with db.read() as tx:
    (library,) = libraries.list_all(tx)
def die(found, folder):
    if found >= 2:
        os.kill(os.getpid(), signal.SIGKILL)
scan_library(db, library, progress=die)
"""


def test_a_scan_that_was_killed_is_made_up_for_by_the_next(
    db: Database, db_url: str, library: Library, song: Song
) -> None:
    for n in range(4):
        song(f"{n}/{n}.flac", n)
    killed = subprocess.run([sys.executable, "-c", KILLED, db_url])
    assert killed.returncode == -9
    with pytest.raises(Conflict):
        scan_library(db, library)
    with db.read() as tx:
        found, now = libraries.get(tx, library.id), tx.now_ms()
    later = now + 61_000
    assert (found.scan_status(now=now), found.scan_status(now=later)) == ("scanning", "failed")
    assert found.scan_failure(now=later) == "its process ended before the scan did"
    scan_library(db, library, now=lambda: later)
    assert len(rows(db, library)) == 4


def test_files_of_every_kind_of_container_are_scanned(
    db: Database, library: Library, root: Path, scan_it: Scan
) -> None:
    encode(root / "a.mp3", "libmp3lame", 1)
    encode(root / "b.wav", "pcm_s16le", 2)
    (root / "c.ogg").write_bytes(b"no audio at all")
    assert counts(scan_it()) == {"new": 3, "queued": 3}
    assert rows(db, library)["a.mp3"].container == "mp3"
