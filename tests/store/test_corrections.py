"""What people settled stays with their files, and with the sound where a file goes."""

from __future__ import annotations

import numpy as np
import pytest

from heard import NOW, add_heard, fill, some_scores
from nomarr.scores import NOBODYS, ByHand, Correction, Levels, LibraryCalibration
from nomarr.store import calibrations, corrections, files, identity, libraries
from nomarr.store.database import Database
from nomarr.store.libraries import Library
from nomarr.store.matrix import Block, ScoreMatrix, read_blocks

PARTY = Correction({"party": 2, "sad": 0})
LOCKED = Correction({}, {"happy": 3})


@pytest.fixture
def library(db: Database) -> Library:
    with db.write() as tx:
        return libraries.create(tx, name="Music", root_path="/music", now=1)


def heard_as(db: Database, library: Library, sound: str) -> int:
    with db.write() as tx:
        return add_heard(tx, library.id, some_scores(np.random.default_rng(1)), audio_hash=sound, audio_key="key")


def settle(db: Database, found: dict[int, Correction]) -> None:
    with db.write() as tx:
        corrections.save(tx, found, now=NOW)


def test_what_is_settled_is_kept_and_an_empty_correction_is_forgotten(db: Database, library: Library) -> None:
    one, other = fill(db, library.id, 2)
    settle(db, {one: PARTY, other: LOCKED})
    with db.read() as tx:
        assert corrections.of(tx, one) == PARTY
        assert corrections.of_many(tx, [one, other, 99]) == {one: PARTY, other: LOCKED}
    settle(db, {one: Correction(), other: PARTY})
    with db.read() as tx:
        assert corrections.of(tx, one) == Correction()
        assert corrections.of(tx, other) == PARTY
        assert corrections.count(tx) == 1


def test_they_are_listed_by_file_library_and_mood(db: Database, library: Library) -> None:
    with db.write() as tx:
        second = libraries.create(tx, name="Other", root_path="/other", now=1)
    first, *rest = fill(db, library.id, 3)
    (there,) = fill(db, second.id, 1)
    settle(db, {first: PARTY, rest[0]: LOCKED, there: Correction({"happy": 1})})
    with db.read() as tx:
        assert [one.file_id for one in corrections.page(tx, limit=2)] == [first, rest[0]]
        assert [one.file_id for one in corrections.page(tx, limit=9, after=first)] == [rest[0], there]
        assert [one.file_id for one in corrections.page(tx, limit=9, mood="party")] == [first]
        (found,) = corrections.page(tx, limit=9, library_id=second.id)
        assert (found.path.split("/")[1], found.correction) == ("other", Correction({"happy": 1}))
        assert corrections.count(tx, library_id=library.id, mood="happy") == 0
        assert corrections.verdicts(tx) == {first: PARTY, there: Correction({"happy": 1})}


def test_a_copy_with_the_same_sound_is_corrected_as_well(db: Database, library: Library) -> None:
    source, target, own = (heard_as(db, library, "sound") for _ in range(3))
    settle(db, {source: PARTY, own: LOCKED})
    with db.write() as tx:
        identity.copy_analysis(tx, source_id=source, target_id=target, now=NOW)
        identity.copy_analysis(tx, source_id=source, target_id=own, now=NOW)
        assert corrections.of(tx, target) == PARTY
        assert corrections.of(tx, own) == LOCKED


def test_what_was_settled_comes_back_with_the_sound_after_its_library_was_removed(
    db: Database, library: Library
) -> None:
    settle(db, {heard_as(db, library, "sound"): PARTY})
    with db.write() as tx:
        libraries.delete(tx, library.id)
        assert corrections.count(tx) == 0
        again = libraries.create(tx, name="Again", root_path="/music", now=2)
        new = add_heard(tx, again.id, some_scores(np.random.default_rng(1)))
        assert corrections.of_sound(tx, new, "another") == Correction()
        assert corrections.of_sound(tx, new, "sound") == PARTY
        corrections.adopt(tx, new, "sound")
        assert corrections.of(tx, new) == PARTY
        assert corrections.of_sound(tx, new + 1, "sound") == Correction()


def test_a_file_with_corrections_of_its_own_adopts_no_others(db: Database, library: Library) -> None:
    gone, stays = heard_as(db, library, "sound"), heard_as(db, library, "sound")
    settle(db, {gone: PARTY, stays: LOCKED})
    with db.write() as tx:
        files.delete(tx, [gone])
        corrections.adopt(tx, stays, "sound")
        assert corrections.of_sound(tx, stays, "sound") == LOCKED
        tx.run("UPDATE library_files SET audio_hash = 'sound' WHERE id = :id", id=stays)
    settle(db, {stays: Correction()})
    with db.read() as tx:
        assert corrections.of_sound(tx, stays, "sound") == Correction()  # taken back is taken back


def test_the_matrix_knows_corrections_as_soon_as_they_are_made(db: Database, library: Library) -> None:
    ids = list(fill(db, library.id, 4))
    matrix = ScoreMatrix()

    def seen() -> tuple[int, ByHand]:
        with db.read() as tx:
            snapshot = matrix.refresh(tx)
            (block,) = snapshot.blocks
            (fresh,) = read_blocks(tx)
        assert plain(block) == plain(fresh)
        return snapshot.version, block.by_hand

    first, none = seen()
    assert not len(none.ids)
    settle(db, {ids[1]: PARTY, ids[3]: LOCKED})
    second, found = seen()
    assert second > first
    assert found.ids.tolist() == [ids[1], ids[3]]
    assert (found.settled("party").tolist(), found.settled("sad").tolist()) == ([2, 0], [0, 0])
    assert (found.settled("happy").tolist(), found.settled("calm").tolist()) == ([-1, 3], [-1, 0])
    settle(db, {ids[1]: Correction(), ids[2]: PARTY})
    assert seen()[1].ids.tolist() == [ids[2], ids[3]]


def plain(block: Block) -> tuple[object, ...]:
    hand = block.by_hand
    words = {word: hand.settled(word).tolist() for word in ("party", "sad", "happy")}
    return block.ids.tolist(), block.values.tolist(), block.spreads.tolist(), hand.ids.tolist(), words


def test_corrections_of_several_blocks_are_joined_by_file() -> None:
    one, other = ByHand.of({5: PARTY, 1: LOCKED}), ByHand.of({3: Correction({"calm": 1})})
    joined = ByHand.joined([one, NOBODYS, other])
    assert joined.ids.tolist() == [1, 3, 5]
    assert joined.settled("calm").tolist() == [0, 1, -1]
    assert joined.settled("party").tolist() == [0, -1, 2]
    assert joined.among(np.array([3, 4])).settled("calm").tolist() == [1]


def test_levels_that_somebody_set_are_part_of_the_label(db: Database, library: Library) -> None:
    with db.read() as tx:
        assert calibrations.for_library(tx, library.id) == LibraryCalibration()
    with db.write() as tx:
        calibrations.set_mood_levels(tx, {"party": Levels(0.5, 0.3, 0.001)})
        own, label = calibrations.for_library(tx, library.id), calibrations.current_label(tx, library.id)
        assert own == calibrations.current(tx).of(library.id)
        assert own.label == label
        assert label.startswith("reference+")
        assert own.levels == {"party": Levels(0.5, 0.3, 0.001)}
        calibrations.set_mood_levels(tx, {"party": Levels(0.5, 0.3, 0.2)})
        assert calibrations.current_label(tx, library.id) not in (label, "reference")
        calibrations.set_mood_levels(tx, {})
        assert calibrations.for_library(tx, library.id) == LibraryCalibration()
