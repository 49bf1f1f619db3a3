"""The commands that keep the data safe, as a person runs them."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from conftest import _administer, _url
from ground import Ground
from nomarr.backups import PART
from nomarr.secretkey import show
from nomarr.store import files, workers
from nomarr.store.database import Database
from nomarr.tagfiles.audiofile import read_tags

from .test_serve import serving


def add_songs(ground: Ground, tracks: dict[str, Path]) -> list[Path]:
    return [ground.add(tracks[ending], f"{ending}/song.{ending}") for ending in ("flac", "mp3")]


def analysed_at(ground: Ground) -> dict[str, int | None]:
    with Database(ground.settings().database) as db, db.read() as tx:
        rows = tx.all("SELECT id FROM library_files ORDER BY id")
        return {file.path: file.analyzed_at for file in (files.get(tx, row["id"]) for row in rows)}


def run(ground: Ground, *arguments: object) -> str:
    done = ground.run(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_after_a_disaster_nothing_is_analysed_again_and_undo_still_works(
    ground: Ground, tracks: dict[str, Path], tmp_path: Path
) -> None:
    songs = add_songs(ground, tracks)
    run(ground, "tag", ground.music)
    before, tags = analysed_at(ground), [read_tags(song) for song in songs]
    assert all(tags)
    assert "checked" in run(ground, "backup", "--to", tmp_path / "elsewhere")
    [backup] = (path for path in (tmp_path / "elsewhere").glob("*Z.db"))
    shutil.rmtree(ground.folder / "data")
    assert "is now the database" in run(ground, "restore", backup)
    run(ground, "tag", ground.music)
    assert analysed_at(ground) == before
    assert [read_tags(song) for song in songs] == tags
    assert "2 files of batch tag" in run(ground, "undo", "--last")
    assert not any(read_tags(song) for song in songs)


def test_a_restored_server_knows_the_password_and_has_another_key(ground: Ground, tmp_path: Path) -> None:
    with serving(ground) as (server, _):
        server.login()
        key = show(ground.settings().data_dir)
        run(ground, "backup", "--to", tmp_path / "elsewhere")
        [backup] = (path for path in (tmp_path / "elsewhere").glob("*Z.db"))
        refused = ground.run("restore", backup)
        assert refused.returncode == 2
        assert "is in use: stop the server" in refused.stderr
        token = server.token
    shutil.rmtree(ground.folder / "data")
    run(ground, "restore", backup)
    with serving(ground) as (server, _):
        server.token = token
        assert server.call("GET", "/api/web/libraries") == [], "the session lives on"
        server.login()
    assert show(ground.settings().data_dir) != key


def test_results_go_through_a_pipe(ground: Ground, tracks: dict[str, Path], tmp_path: Path) -> None:
    add_songs(ground, tracks)
    run(ground, "tag", ground.music)
    file = tmp_path / "results.jsonl"
    done = ground.run("export", "-")
    assert done.stderr == "Results of 2 files exported.\n"
    file.write_text(done.stdout)
    before = analysed_at(ground)
    shutil.rmtree(ground.folder / "data")
    run(ground, "scan", ground.music)
    assert "2 files took results over" in run(ground, "import", file)
    assert analysed_at(ground) == before
    file.write_text("{}\n")
    wrong = ground.run("import", file)
    assert (wrong.returncode, wrong.stderr.startswith("nomarr: line 1: no results of Nomarr")) == (2, True)


def test_a_copy_waits_for_nobody_to_work_and_runs_on_the_other_database(
    ground: Ground, tracks: dict[str, Path], postgresql_server: str
) -> None:
    songs = add_songs(ground, tracks)
    run(ground, "tag", ground.music)
    name = f"moved_{time.time_ns()}"
    url = _url(Path(postgresql_server), name)
    with Database(ground.settings().database) as db, db.write() as tx:
        # A minute ahead, for the command takes its time to start on a busy machine.
        workers.heartbeat(tx, worker="w1", host="nas", pid=1, version="1", now=tx.now_ms() + 60_000, state="idle")
    _administer(Path(postgresql_server), f"CREATE DATABASE {name}")
    try:
        refused = ground.run("db", "copy", "--to", url)
        assert refused.returncode == 2
        assert "is in use by worker w1" in refused.stderr
        said = run(ground, "db", "copy", "--to", url, "--force")
        assert "library_files: 2 rows, checksum" in said
        before, moved = analysed_at(ground), Ground(ground.folder, ground.models, url)
        assert analysed_at(moved) == before
        assert "2 files" in run(moved, "undo", "--last")
        assert not any(read_tags(song) for song in songs)
        assert "PostgreSQL is backed up by its own tools" in moved.run("backup").stderr
    finally:
        _administer(Path(postgresql_server), f"DROP DATABASE {name} WITH (FORCE)")


def test_a_restore_that_was_cut_off_leaves_no_empty_database_in_the_old_ones_place(
    ground: Ground, tracks: dict[str, Path], tmp_path: Path
) -> None:
    add_songs(ground, tracks)
    run(ground, "tag", ground.music)
    run(ground, "backup", "--to", tmp_path / "kept")
    (backup,) = (file for file in (tmp_path / "kept").glob("nomarr-*.db") if "patches" not in file.name)
    before, database = analysed_at(ground), Path(Database(ground.settings().database).name)
    database.rename(database.with_name(f"{PART}{database.name}"))  # as kill -9 leaves it
    refused = ground.run("status")
    assert (refused.returncode, "a restore was cut off" in refused.stderr) == (2, True), refused.stderr
    run(ground, "restore", backup)
    assert analysed_at(ground) == before


def test_no_empty_database_is_made_to_be_saved(ground: Ground, tmp_path: Path) -> None:
    for command in (("backup",), ("export", tmp_path / "x"), ("db", "copy", "--to", f"sqlite:///{tmp_path}/x.db")):
        done = ground.run(*command)
        assert (done.returncode, "there is no database" in done.stderr) == (2, True), done.stderr
    assert not (ground.folder / "data").exists()
    assert not (tmp_path / "x").exists()
