from __future__ import annotations

from pathlib import Path

import pytest

from nomarr.errors import Conflict, InvalidInput, NotFound
from nomarr.store import files, libraries, scores
from nomarr.store.database import Database
from nomarr.store.facts import Facts
from nomarr.store.libraries import Library, LibraryStats

from .conftest import NOW, AddFile, claim, finish, row
from .test_scores import some_embedding, some_scores


def test_a_library_comes_back_as_it_was_made(db: Database) -> None:
    with db.write() as tx:
        made = libraries.create(tx, name="A", root_path="/a", now=NOW, is_enabled=False, file_write_mode="moods")
    with db.read() as tx:
        assert libraries.get(tx, made.id) == made
        assert (made.name, made.root_path, made.is_enabled) == ("A", "/a", False)
        assert (made.file_write_mode, made.origin, made.watch_mode) == ("moods", "user", "off")
        assert libraries.list_all(tx) == [made]
        assert libraries.list_all(tx, enabled_only=True) == []


@pytest.mark.parametrize("root", ["/music", "/music/jazz", "/music/jazz/", "/", "/other/../music"])
def test_libraries_cannot_overlap(db: Database, library: Library, root: str) -> None:
    with pytest.raises(Conflict, match="overlaps library Music"), db.write() as tx:
        libraries.create(tx, name="Other", root_path=root, now=NOW)


def test_a_similar_name_is_no_overlap(db: Database, library: Library) -> None:
    with db.write() as tx:
        libraries.create(tx, name="Other", root_path="/music-2", now=NOW)
        assert [one.root_path for one in libraries.list_all(tx)] == [library.root_path, "/music-2"]


def test_an_overlap_through_a_link_is_seen(db: Database, tmp_path: Path) -> None:
    (tmp_path / "real" / "jazz").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with db.write() as tx:
        libraries.create(tx, name="A", root_path=tmp_path / "real", now=NOW)
        with pytest.raises(Conflict):
            libraries.create(tx, name="B", root_path=tmp_path / "link" / "jazz", now=NOW)


def test_a_name_is_taken_only_once(db: Database, library: Library) -> None:
    with pytest.raises(Conflict, match="already a library named Music"), db.write() as tx:
        libraries.create(tx, name="Music", root_path="/elsewhere", now=NOW)


@pytest.mark.parametrize("given", [{"name": " "}, {"root_path": "/bad\udcff"}, {"file_write_mode": "everything"}])
def test_what_makes_no_library_is_refused(db: Database, given: dict[str, str]) -> None:
    with pytest.raises(InvalidInput), db.write() as tx:
        libraries.create(tx, **{"name": "A", "root_path": "/a", "now": NOW, **given})


def test_an_update_changes_what_is_given_and_no_more(db: Database, library: Library) -> None:
    with db.write() as tx:
        changed = libraries.update(tx, library.id, now=NOW + 1, is_enabled=False, file_write_mode="none")
        assert (changed.name, changed.root_path) == ("Music", "/music")
        assert (changed.is_enabled, changed.file_write_mode, changed.updated_at) == (False, "none", NOW + 1)
        assert libraries.update(tx, library.id, now=NOW, file_write_mode=None).file_write_mode is None
        assert libraries.update(tx, library.id, now=NOW, root_path="/music/inner").root_path == "/music/inner"


def test_an_update_cannot_make_libraries_overlap(db: Database, library: Library) -> None:
    with db.write() as tx:
        other = libraries.create(tx, name="Other", root_path="/other", now=NOW)
        with pytest.raises(Conflict):
            libraries.update(tx, other.id, now=NOW, root_path="/music/below")
        with pytest.raises(Conflict):
            libraries.update(tx, other.id, now=NOW, name="Music")


def test_what_does_not_exist_is_not_found(db: Database) -> None:
    with db.write() as tx:
        for act in (libraries.get, libraries.delete, files.get):
            with pytest.raises(NotFound):
                act(tx, 99)


def test_deleting_a_library_forgets_its_files_and_all_that_hangs_on_them(
    db: Database, library: Library, add_file: AddFile
) -> None:
    file_id = add_file()
    with db.write() as tx:
        scores.save(tx, file_id, some_scores())
        scores.save_embedding(tx, file_id, some_embedding())
        libraries.delete(tx, library.id)
        for table in ("library_files", "file_scores", "embeddings", "patches.patch_embeddings"):
            assert tx.scalar(f"SELECT COUNT(*) FROM {table}") == 0


def test_a_path_finds_its_library_through_links(db: Database, tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (root / "out").symlink_to(outside)
    (outside / "in").symlink_to(root)
    with db.write() as tx:
        library = libraries.create(tx, name="A", root_path=root, now=NOW)
        assert libraries.containing(tx, root) == library
        assert libraries.containing(tx, root / "a" / "b.mp3") == library
        assert libraries.containing(tx, outside / "in" / "b.mp3") == library
        assert libraries.containing(tx, root / "out" / "b.mp3") is None
        assert libraries.containing(tx, f"{root}-2/b.mp3") is None


def test_widening_makes_one_library_of_several_and_loses_no_analysis(
    db: Database, library: Library, add_file: AddFile
) -> None:
    with db.write() as tx:
        a = libraries.create(tx, name="wide", root_path="/tagged/a", now=NOW, origin="tag")
        b = libraries.create(tx, name="b", root_path="/tagged/x/b", now=NOW, origin="tag")
    ids = [
        add_file("1.mp3", library_id=a.id),
        add_file("2.mp3", "disc 1", library_id=a.id),
        add_file("3.mp3", library_id=b.id),
    ]
    file = claim(db)
    assert file is not None
    finish(db, file)
    with db.write() as tx:
        scores.save(tx, ids[0], some_scores())
        wide = libraries.widen(tx, into_root="/tagged", libraries=[a, b], name="wide", now=NOW)
        assert [found.name for found in libraries.list_all(tx)] == ["Music", "wide"]
        assert len(scores.load(tx, ids[0])) == 1
    assert (wide.origin, wide.root_path) == ("tag", "/tagged")
    rows = [row(db, i) for i in ids]
    assert [r.path for r in rows] == ["/tagged/a/1.mp3", "/tagged/a/disc 1/2.mp3", "/tagged/x/b/3.mp3"]
    assert rows[0].is_current


def test_widening_leaves_libraries_made_by_hand_alone(db: Database, library: Library) -> None:
    with pytest.raises(Conflict, match="made by hand"), db.write() as tx:
        libraries.widen(tx, into_root="/", libraries=[library], name="all", now=NOW)


def test_widening_cannot_swallow_a_library_that_was_not_named(db: Database, library: Library) -> None:
    with db.write() as tx:
        a = libraries.create(tx, name="a", root_path="/x", now=NOW, origin="tag")
        with pytest.raises(Conflict, match="overlaps library Music"):
            libraries.widen(tx, into_root="/", libraries=[a], name="all", now=NOW)


def test_numbers_leave_out_missing_files_and_disabled_libraries(
    db: Database, library: Library, add_file: AddFile
) -> None:
    with db.write() as tx:
        assert libraries.stats(tx) == LibraryStats(0, 0, 0, 0)
        off = libraries.create(tx, name="off", root_path="/off", now=NOW, is_enabled=False)
    add_file("1.mp3", facts=Facts(artist="A", album="One", duration_s=10.5))
    add_file("2.mp3", facts=Facts(artist="B", album="One", duration_s=20))
    add_file("3.mp3", facts=Facts(artist="B", album="One", album_artist="A"))
    add_file("4.mp3", facts=Facts())
    missing = add_file("5.mp3", facts=Facts(artist="C", album="Two", duration_s=1000))
    add_file("6.mp3", library_id=off.id)
    with db.write() as tx:
        files.mark_missing(tx, [missing], NOW)
        assert libraries.stats(tx) == LibraryStats(4, 2, 2, 30.5)
        counts = libraries.counts(tx)[library.id]
    assert (counts.file_count, counts.tagged_count, counts.missing_count) == (4, 0, 1)
