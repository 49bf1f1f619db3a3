"""Orders to apply a calibration: fed to the workers little by little, held, and taken up again, on both databases."""

from __future__ import annotations

from pathlib import Path

import pytest

from heard import fill
from nomarr import applying
from nomarr.applying import Applying, hold, ordered, progress
from nomarr.config import PAUSED
from nomarr.errors import Conflict, NotFound
from nomarr.moods.tags import tags_hash
from nomarr.recalibration import generate
from nomarr.scores import Correction
from nomarr.settings import Settings
from nomarr.store import calibrations, corrections, files, libraries, preferences
from nomarr.store.database import Database
from nomarr.store.libraries import Library
from nomarr.store.matrix import read_blocks
from nomarr.wanted import wanted_tags

NATIVE = Settings()


@pytest.fixture(autouse=True)
def few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(applying, "AHEAD", 4)
    monkeypatch.setattr(applying, "UNCHANGED", 3)


@pytest.fixture
def library(db: Database) -> Library:
    with db.write() as tx:
        return libraries.create(tx, name="Music", root_path="/music", now=1)


def begun(db: Database) -> Applying:
    """As at every start of a server: nothing is left in memory."""
    return Applying(db, lambda: "native", read_blocks)


def waiting(db: Database) -> list[int]:
    with db.read() as tx:
        return [row["id"] for row in tx.all("SELECT id FROM library_files WHERE needs_write ORDER BY id")]


def write(db: Database, ids: list[int]) -> None:
    """A worker's part, as far as the database sees it."""
    with db.write() as tx:
        for file_id in ids:
            label = calibrations.current_label(tx, files.get(tx, file_id).library_id)
            tx.run(
                """
                UPDATE library_files SET needs_write = FALSE, calibration = :label, written_hash = :hash
                 WHERE id = :id
                """,
                id=file_id,
                label=label,
                hash=tags_hash(wanted_tags(tx, file_id, NATIVE)),
            )


def far(db: Database) -> tuple[str, int, int] | None:
    with db.read() as tx:
        found = progress(tx, "native")
    return None if found is None else (found.state, found.done, found.total)


def test_workers_get_a_few_files_at_a_time_until_all_are_up_to_date(
    db: Database, library: Library, tmp_path: Path
) -> None:
    ids = sorted(fill(db, library.id, 10))
    generate(db, tmp_path)
    server = begun(db)
    assert server.begin(None).to_write == 10
    assert (len(waiting(db)), far(db)) == (4, ("writing", 0, 10))
    server.step()
    assert len(waiting(db)) == 4, "nobody wrote any of them"
    seen: list[int] = []
    while far(db) is not None:
        given = waiting(db)
        assert len(given) <= 4
        seen += given
        write(db, given)
        server.step()
    assert sorted(seen) == ids
    with db.read() as tx:
        assert calibrations.tagged_by_label(tx) == {library.id: {calibrations.current_label(tx, library.id): 10}}


def test_another_server_goes_on_where_one_was_killed(db: Database, library: Library, tmp_path: Path) -> None:
    fill(db, library.id, 10)
    generate(db, tmp_path)
    begun(db).begin(None)
    write(db, waiting(db))
    heir = begun(db)
    heir.step()
    assert far(db) == ("writing", 4, 10)
    assert len(waiting(db)) == 4
    write(db, waiting(db)[:3])
    begun(db).step()  # killed with files still waiting: they count
    assert far(db) == ("writing", 7, 10)
    assert len(waiting(db)) == 3
    last = begun(db)
    while far(db) is not None:
        write(db, waiting(db))
        last.step()
    with db.read() as tx:
        assert set(calibrations.tagged_by_label(tx)[library.id]) == {calibrations.current_label(tx, library.id)}


def test_it_can_be_held_and_pausing_all_work_holds_it_too(db: Database, library: Library, tmp_path: Path) -> None:
    fill(db, library.id, 10)
    generate(db, tmp_path)
    server = begun(db)
    server.begin(None)
    for key, held in (("held", hold), ("paused", None)):
        given = waiting(db)
        with db.write() as tx:
            if held:
                hold(tx, is_held=True)
            else:
                preferences.put(tx, PAUSED, True)
        write(db, given)
        server.step()
        begun(db).step()  # a restart changes nothing
        assert waiting(db) == []
        state = far(db)
        assert state is not None
        assert state[0] == key
        with db.write() as tx:
            hold(tx, is_held=False)
            preferences.remove(tx, PAUSED)
        server.step()
        assert waiting(db)


def test_an_order_while_all_work_is_paused_waits(db: Database, library: Library, tmp_path: Path) -> None:
    fill(db, library.id, 3)
    generate(db, tmp_path)
    with db.write() as tx:
        preferences.put(tx, PAUSED, True)
    server = begun(db)
    assert server.begin(None).to_write == 3
    assert (waiting(db), far(db)) == ([], ("paused", 0, 3))
    with db.write() as tx:
        preferences.remove(tx, PAUSED)
    server.step()
    assert len(waiting(db)) == 3


def test_files_whose_tags_stay_the_same_only_change_their_label(db: Database, library: Library, tmp_path: Path) -> None:
    ids = list(fill(db, library.id, 8))
    generate(db, tmp_path)
    write(db, ids)
    generate(db, tmp_path)  # the same percentiles under another label
    server = begun(db)
    found = server.begin(None)
    assert (found.to_write, found.unchanged) == (0, 8)
    assert far(db) == ("writing", 3, 8)
    for _ in range(4):
        server.step()
    assert (far(db), waiting(db)) == (None, [])


def test_an_order_for_another_library_joins_one_that_is_not_done(
    db: Database, library: Library, tmp_path: Path
) -> None:
    with db.write() as tx:
        other, third = (libraries.create(tx, name=name, root_path=f"/{name}", now=1) for name in ("b", "c"))
    ids = {one.id: fill(db, one.id, 6, seed=one.id) for one in (library, other, third)}
    generate(db, tmp_path)
    server = begun(db)
    assert server.begin(library.id).to_write == 6
    assert server.begin(other.id).to_write == 6
    assert far(db) == ("writing", 0, 12)
    for _ in range(20):
        write(db, waiting(db))
        server.step()
    assert far(db) is None
    with db.read() as tx:
        assert set(calibrations.tagged_by_label(tx)[third.id]) == {"reference"}
        assert all(
            files.get(tx, file_id).calibration != "reference" for one in (library, other) for file_id in ids[one.id]
        )


def test_a_library_that_is_removed_meanwhile_ends_its_order(db: Database, library: Library, tmp_path: Path) -> None:
    fill(db, library.id, 6)
    generate(db, tmp_path)
    server = begun(db)
    server.begin(library.id)
    with db.write() as tx:
        libraries.delete(tx, library.id)
    for one in (server, begun(db)):
        one.step()
        one.step()
    assert far(db) is None
    with pytest.raises(NotFound):
        server.begin(library.id)


def test_a_file_that_cannot_be_written_does_not_hold_up_the_others(
    db: Database, library: Library, tmp_path: Path
) -> None:
    fill(db, library.id, 10)
    generate(db, tmp_path)
    server = begun(db)
    server.begin(None)
    stuck = waiting(db)
    with db.write() as tx:
        later = tx.now_ms() + 3_600_000
        tx.run("UPDATE library_files SET write_failures = 1, not_before = :later WHERE needs_write", later=later)
    for _ in range(5):
        server.step()
        write(db, [file_id for file_id in waiting(db) if file_id not in stuck])
    server.step()
    assert (far(db), waiting(db)) == (None, stuck)


def test_what_was_corrected_by_hand_survives(db: Database, library: Library, tmp_path: Path) -> None:
    file_id, *others = fill(db, library.id, 6)
    with db.write() as tx:
        corrections.save(tx, {file_id: Correction({"happy": 3, "sad": 0})}, now=1)
    write(db, [file_id, *others])
    fill(db, library.id, 6, seed=2)
    generate(db, tmp_path)
    server = begun(db)
    server.begin(None)
    for _ in range(10):
        write(db, waiting(db))
        server.step()
    with db.read() as tx:
        wanted = wanted_tags(tx, file_id, NATIVE)
        assert files.get(tx, file_id).written_hash == tags_hash(wanted)
        assert corrections.of(tx, file_id) == Correction({"happy": 3, "sad": 0})
    assert "happy" in wanted["mood-strict"]
    assert "sad" not in wanted.get("mood-loose", ())
    assert begun(db).begin(None).to_write == 0, "what is written is what a calibration compares with"


def test_nothing_can_be_held_where_nothing_was_ordered(db: Database) -> None:
    with db.write() as tx:
        assert ordered(tx) is None
        with pytest.raises(Conflict, match="No calibration is being applied"):
            hold(tx, is_held=True)
    server = begun(db)
    server.step()
    assert server.begin(None) == applying.Applied(0, 0)
    assert far(db) is None


def test_a_calibration_that_comes_meanwhile_is_what_files_are_brought_up_to(
    db: Database, library: Library, tmp_path: Path
) -> None:
    fill(db, library.id, 10)
    generate(db, tmp_path)
    server = begun(db)
    server.begin(None)
    write(db, waiting(db))
    generate(db, tmp_path)
    while far(db) is not None:
        server.step()
        write(db, waiting(db))
    with db.read() as tx:
        assert calibrations.tagged_by_label(tx) == {library.id: {calibrations.current_label(tx, library.id): 10}}


def test_what_another_server_finished_is_forgotten(db: Database, library: Library, tmp_path: Path) -> None:
    fill(db, library.id, 10)
    generate(db, tmp_path)
    one, other = begun(db), begun(db)
    one.begin(None)
    other.step()
    while far(db) is not None:
        write(db, waiting(db))
        one.step()
    other.step()
    assert other._plan is None
    before = waiting(db)
    with db.write() as tx:
        preferences.put(tx, applying.PREFERENCE, {"library_ids": None, "total": 0, "is_held": False})
    other.step()
    assert waiting(db) == before == []
