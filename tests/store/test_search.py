"""Looking for tracks, on both databases."""

from __future__ import annotations

import numpy as np
import pytest

from nomarr.store import files, progress, queue, search, tags
from nomarr.store.database import Database
from nomarr.store.facts import Facts
from nomarr.store.libraries import Library
from nomarr.store.search import Wanted

from .conftest import LEASE_MS, NOW, AddFile, claim, finish

EVERYTHING = Wanted()


def titles(db: Database, wanted: Wanted = EVERYTHING, **given: object) -> list[str | None]:
    with db.read() as tx:
        found = search.find(tx, wanted, now=NOW, **{"limit": 50, **given})
    assert found.total >= len(found.tracks)
    return [track.title for track in found.tracks]


@pytest.fixture
def three(add_file: AddFile) -> list[int]:
    """Sugar by Nina Simone, Crème Brûlée by Björk, and Sugar Free 100% by Otis."""
    return [
        add_file("1.mp3", "n", facts=Facts(title="Sugar", artist="Nina Simone", album="Blue", disc=1, track=2)),
        add_file("2.mp3", "b", facts=Facts(title="Crème Brûlée", artist="BJÖRK", album="Blue", disc=1, track=1)),
        add_file("3_x.mp3", "o", facts=Facts(title="Sugar Free 100%", artist="Otis", album="Red")),
    ]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("sugar", {"Sugar", "Sugar Free 100%"}),
        ("SUGAR otis", {"Sugar Free 100%"}),
        ("bjork", {"Crème Brûlée"}),
        ("Björk CREME", {"Crème Brûlée"}),
        ("100%", {"Sugar Free 100%"}),
        ("3_x.mp3", {"Sugar Free 100%"}),
        ("1_mp3", set()),
        ("!", set()),
        ("blue", {"Sugar", "Crème Brûlée"}),
        ("  ", {"Sugar", "Crème Brûlée", "Sugar Free 100%"}),
        ("sugar björk", set()),
    ],
)
@pytest.mark.usefixtures("three")
def test_all_words_must_occur_whatever_their_case_and_accents(db: Database, words: str, found: set[str]) -> None:
    assert set(titles(db, Wanted(words=words))) == found


@pytest.mark.usefixtures("three")
def test_an_artist_is_that_very_artist(db: Database) -> None:
    assert titles(db, Wanted(artist="björk")) == ["Crème Brûlée"]
    assert titles(db, Wanted(artist="bjö")) == []
    assert set(titles(db, Wanted(album="BLUE"))) == {"Sugar", "Crème Brûlée"}


@pytest.mark.parametrize("few", [0, 2000])
@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("path", ["Crème Brûlée", "Sugar", "Sugar Free 100%"]),
        ("title", ["Crème Brûlée", "Sugar", "Sugar Free 100%"]),
        ("artist", ["Crème Brûlée", "Sugar", "Sugar Free 100%"]),
        ("album", ["Crème Brûlée", "Sugar", "Sugar Free 100%"]),
        ("added", ["Sugar", "Crème Brûlée", "Sugar Free 100%"]),
    ],
)
@pytest.mark.usefixtures("three")
def test_few_and_many_are_sorted_and_paged_alike(
    db: Database, monkeypatch: pytest.MonkeyPatch, few: int, order: search.Order, expected: list[str]
) -> None:
    monkeypatch.setattr(search, "FEW", few)
    assert titles(db, order=order) == expected
    assert titles(db, order=order, descending=True) == expected[::-1]
    for limit in (1, 2, 3):
        pages = [titles(db, order=order, limit=limit, offset=offset) for offset in range(0, 5, limit)]
        assert [title for page in pages for title in page] == expected


@pytest.mark.parametrize("few", [0, 2000])
def test_ids_narrow_together_with_all_else(
    db: Database, three: list[int], monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(search, "FEW", few)
    ids = np.array(three[:2], np.int64)
    assert set(titles(db, Wanted(ids=ids))) == {"Sugar", "Crème Brûlée"}
    assert titles(db, Wanted(ids=ids, words="sugar")) == ["Sugar"]
    assert titles(db, Wanted(ids=ids[:0])) == []


def test_tags_are_found_by_name_and_value(db: Database, three: list[int]) -> None:
    with db.write() as tx:
        tags.add_file_tags(
            tx, {three[0]: {"genre": ["House", "Jazz"]}, three[1]: {"genre": ["house music"]}, three[2]: {"bpm": ["9"]}}
        )
    assert titles(db, Wanted(tags=(("genre", "house"),))) == ["Sugar"]
    assert titles(db, Wanted(tags=(("genre", "HOUSE"), ("genre", "jazz")))) == ["Sugar"]
    assert set(titles(db, Wanted(tags=(("genre", None),)))) == {"Sugar", "Crème Brûlée"}
    assert titles(db, Wanted(tags=(("bpm", "9"),))) == ["Sugar Free 100%"]
    assert titles(db, Wanted(tags=(("nothing", None),))) == []


def test_a_file_is_found_by_what_became_of_it(db: Database, library: Library, add_file: AddFile) -> None:
    def found(status: search.Status | None) -> list[int]:
        with db.read() as tx:
            page = search.find(tx, Wanted(status=status, library_ids=(library.id,)), now=NOW, limit=50)
        return [track.id for track in page.tracks]

    gone, broken, done, unwritten, running, pending = (add_file(f"{n}.mp3") for n in range(6))
    with db.write() as tx:
        files.mark_missing(tx, [gone], NOW)
        tx.run("UPDATE library_files SET set_aside = TRUE, error = 'bad' WHERE id = :id", id=broken)
    for file_id in (done, unwritten):
        file = claim(db)
        assert file is not None
        assert file.file_id == file_id
        finish(db, file, needs_write=file_id == unwritten)
    with db.write() as tx:
        tx.run("UPDATE library_files SET written_hash = 'x', written_at = 1 WHERE id = :id", id=done)
        tx.run("UPDATE library_files SET not_before = :later WHERE id = :id", id=unwritten, later=NOW + 1)
    assert claim(db) is not None
    assert found("missing") == [gone]
    assert found("errors") == [broken]
    assert found("done") == [done, unwritten]
    assert found("unwritten") == [unwritten]
    assert found("running") == [running]
    assert found("pending") == [unwritten, pending]
    assert found(None) == [broken, done, unwritten, running, pending]


def test_a_file_that_changes_is_found_by_what_it_says_now(db: Database, add_file: AddFile, library: Library) -> None:
    file_id = add_file(facts=Facts(title="Old"))
    with db.write() as tx:
        known = files.in_folder(tx, library.id, "")["a.mp3"]
        new = files.NewFile("", "a.mp3", size=1, mtime_ns=1, facts=Facts(title="New"))
        assert files.update_changed(tx, known, new, now=NOW, same_audio=True)
    assert titles(db, Wanted(words="old")) == []
    assert titles(db, Wanted(words="new")) == ["New"]
    with db.read() as tx:
        assert search.tracks(tx, [file_id, 999], now=NOW)[0].status == "pending"


# progress


def test_the_pace_is_unknown_until_something_was_measured(db: Database) -> None:
    with db.read() as tx:
        pace = progress.pace(tx, now=NOW)
    assert pace == progress.Pace(None, None)
    assert pace.eta_s(10, 2) is None


def test_the_pace_is_measured_over_the_last_minutes(db: Database, add_file: AddFile) -> None:
    ids = [add_file(f"{n}.mp3") for n in range(6)]
    with db.write() as tx:
        for n, file_id in enumerate(ids):
            at = NOW - 60_000 + n * 12_000 if n else NOW - 3_600_000
            tx.run(
                "UPDATE library_files SET analyzed_at = :at, analysis_s = :s, needs_tagging = FALSE WHERE id = :id",
                at=at,
                s=4.0 + n,
                id=file_id,
            )
    with db.read() as tx:
        pace = progress.pace(tx, now=NOW)
    assert pace.avg_time == pytest.approx(6.5)
    assert pace.rate_per_minute == pytest.approx(5 / 48 * 60, abs=0.01)
    assert pace.eta_s(10, 1) == pytest.approx(96, abs=0.5)
    with db.read() as tx:
        later = progress.pace(tx, now=NOW + 600_000)
    assert later.rate_per_minute == 0
    assert later.eta_s(10, 2) == pytest.approx(32.5), "by the average then"


def test_files_in_hand_and_those_just_finished_are_seen(db: Database, add_file: AddFile) -> None:
    first, second = add_file("1.mp3"), add_file("2.mp3")
    file = claim(db, "w7")
    assert file is not None
    with db.read() as tx:
        assert progress.running(tx, now=NOW) == [progress.Running(first, "/music/1.mp3", "w7")]
        assert progress.running(tx, now=NOW + LEASE_MS + 1) == []
        assert [job.status for job in progress.jobs(tx, [first, second], now=NOW)] == ["running", "pending"]
        before = progress.marker(tx)
    finish(db, file, now=NOW + 5)
    with db.read() as tx:
        assert progress.finished_since(tx, NOW + 1) == [first]
        assert progress.finished_since(tx, NOW + 6) == []
        assert progress.marker(tx) != before
        (job,) = progress.jobs(tx, [first, 999], now=NOW + 5)
    assert (job.status, job.at) == ("done", NOW + 5)


def test_a_reason_why_nothing_is_written_is_no_problem(db: Database, add_file: AddFile) -> None:
    file_id = add_file()
    with db.write() as tx:
        tx.run("UPDATE library_files SET write_error = 'WAV files cannot carry tags' WHERE id = :id", id=file_id)
        assert queue.problem_count(tx) == 0
        assert queue.retry(tx, now=NOW) == 0
        tx.run("UPDATE library_files SET write_failures = 1 WHERE id = :id", id=file_id)
        assert queue.problem_count(tx) == 1
        assert queue.retry(tx, now=NOW) == 1
