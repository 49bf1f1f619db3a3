"""Corrections win over whatever the models say, everywhere, and only what changes is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heard import add_heard, fill, some_scores
from nomarr.correcting import Change, correct
from nomarr.errors import Conflict, InvalidInput, NotFound
from nomarr.library_moods import Judged, agreement, block_tiers, model_tiers, mood_sums, tier_counts
from nomarr.moods.tags import tags_hash
from nomarr.moods.tiers import IN_STRICT, OPPOSITES, WORDS
from nomarr.moods.words import tiers_by_word, words_of
from nomarr.recalibration import apply, find_changes, generate
from nomarr.scores import ByHand, Correction, Levels, LibraryCalibration
from nomarr.settings import Settings
from nomarr.store import calibrations, corrections, files, libraries, scores
from nomarr.store.database import Database
from nomarr.store.libraries import Library
from nomarr.store.matrix import Block, read_blocks
from nomarr.wanted import wanted_tags, wanted_words
from test_library_moods import make_block, make_tracks

NATIVE = Settings()


@pytest.fixture
def library(db: Database) -> Library:
    with db.write() as tx:
        return libraries.create(tx, name="Music", root_path="/music", now=1)


def pretend_written(db: Database, ids: list[int], given: Settings = NATIVE) -> None:
    """As if a worker had written the files by what holds now."""
    with db.write() as tx:
        for file_id in ids:
            label = calibrations.current_label(tx, files.get(tx, file_id).library_id)
            values = {"hash": tags_hash(wanted_tags(tx, file_id, given)), "label": label, "id": file_id}
            tx.run(
                "UPDATE library_files SET needs_write = FALSE, written_hash = :hash, calibration = :label "
                "WHERE id = :id",
                **values,
            )


def words(db: Database, file_id: int) -> dict[str, int]:
    with db.read() as tx:
        return tiers_by_word(wanted_words(tx, file_id))


def due(db: Database) -> list[int]:
    with db.read() as tx:
        return [row["id"] for row in tx.all("SELECT id FROM library_files WHERE needs_write ORDER BY id")]


def test_a_correction_has_its_file_written_and_no_other(db: Database, library: Library) -> None:
    one, other = fill(db, library.id, 2)
    pretend_written(db, [one, other])
    assert correct(db, NATIVE, [one], Change({"party": 3})) == {one: Correction({"party": 3})}
    assert words(db, one)["party"] == 3
    assert due(db) == [one]
    pretend_written(db, [one])
    correct(db, NATIVE, [one], Change({"party": 3}))  # nothing new
    assert due(db) == []
    correct(db, NATIVE, [one], Change({"party": None}))
    assert due(db) == [one]
    assert "party" not in Change({"party": None}).of(Correction({"party": 3}), None).moods


def test_a_library_whose_results_stay_in_the_database_has_nothing_written(db: Database) -> None:
    with db.write() as tx:
        quiet = libraries.create(tx, name="Quiet", root_path="/quiet", now=1, file_write_mode="none")
    (one,) = fill(db, quiet.id, 1)
    correct(db, NATIVE, [one], Change({"party": 0}, locked=True))
    assert due(db) == []
    assert "party" not in words(db, one)


def test_a_locked_file_keeps_its_words_whatever_the_models_say(db: Database, library: Library, tmp_path: Path) -> None:
    moods_only = Settings(file_write_mode="moods")
    ids = list(fill(db, library.id, 30))
    pretend_written(db, ids, moods_only)
    before = words(db, ids[0])
    correct(db, moods_only, [ids[0]], Change(locked=True))
    pretend_written(db, ids, moods_only)
    with db.write() as tx:
        for pack in some_scores(np.random.default_rng(99), fingerprint="f2"):
            scores.save(tx, ids[0], pack)
    generate(db, tmp_path)
    assert words(db, ids[0]) == before
    apply(db, "moods")
    assert ids[0] not in due(db)
    assert due(db)
    assert find_changes(db, "moods") == []
    correct(db, moods_only, [ids[0]], Change(locked=False))
    assert words(db, ids[0]) != before


def test_corrected_files_are_not_found_changed_again_and_again(db: Database, library: Library, tmp_path: Path) -> None:
    ids = list(fill(db, library.id, 20))
    correct(db, NATIVE, ids[:10], Change({"party": 2, "sexy": 1, "sad": 0}))
    correct(db, NATIVE, ids[5:15], Change(locked=True))
    pretend_written(db, ids)
    generate(db, tmp_path)
    first = apply(db, "native")
    pretend_written(db, due(db))
    assert first.to_write == 20
    generate(db, tmp_path)  # the same percentiles under another name
    again = apply(db, "native")
    assert (again.to_write, again.unchanged) == (0, 20)


def test_levels_have_only_those_files_written_whose_words_change(db: Database, library: Library) -> None:
    moods_only = Settings(file_write_mode="moods")
    ids = list(fill(db, library.id, 60))
    pretend_written(db, ids, moods_only)
    before = {file_id: words(db, file_id) for file_id in ids}
    with db.write() as tx:
        calibrations.set_mood_levels(tx, {"party": Levels(0.95, 0.9, 0.85)})
    applied = apply(db, "moods")
    changed = [file_id for file_id in ids if words(db, file_id) != before[file_id]]
    assert 0 < len(changed) < 60
    assert due(db) == changed
    assert (applied.to_write, applied.unchanged) == (len(changed), 60 - len(changed))


def test_two_opposites_cannot_both_be_made_strict(db: Database, library: Library) -> None:
    (one,) = fill(db, library.id, 1)
    correct(db, NATIVE, [one], Change({"happy": 3}))
    with pytest.raises(InvalidInput, match="sad exclude"):
        correct(db, NATIVE, [one], Change({"sad": 3}))
    assert Change({"sad": 3}).of(Correction({}, {"happy": 3}), None) == Correction({"sad": 3}, {"happy": 2})


def test_nothing_is_corrected_where_one_of_the_files_cannot_be(db: Database, library: Library) -> None:
    (one,) = fill(db, library.id, 1)
    with pytest.raises(NotFound, match="File not found: 999999"):
        correct(db, NATIVE, [one, 999999], Change({"party": 2}))
    with db.write() as tx:
        unheard = add_heard(tx, library.id, [], analyzed_at=None)
    with pytest.raises(Conflict, match="not listened to yet"):
        correct(db, NATIVE, [one, unheard], Change(locked=True))
    with pytest.raises(InvalidInput, match="no mood 'wild'"):
        Change({"wild": 2})
    with db.read() as tx:
        assert corrections.count(tx) == 0


def some_corrections() -> st.SearchStrategy[dict[int, Correction]]:
    tiers = st.dictionaries(st.sampled_from(WORDS), st.integers(0, 3), max_size=5)
    kept = st.none() | st.dictionaries(st.sampled_from(WORDS), st.integers(1, 3), max_size=5)
    return st.dictionaries(st.integers(0, 9), st.builds(Correction, tiers, kept).filter(bool), max_size=10)


def corrected(block: Block, found: dict[int, Correction]) -> Block:
    return Block(block.library_id, block.packs, block.ids, block.values, block.spreads, ByHand.of(found))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32), some_corrections())
def test_corrections_always_win_for_one_file_as_for_many(seed: int, found: dict[int, Correction]) -> None:
    tracks, own = make_tracks(seed, 10), LibraryCalibration()
    block = corrected(make_block(tracks), found)
    tiers, models = block_tiers(block, own), model_tiers(block, own)
    for number, track in enumerate(tracks):
        one = found.get(number, Correction())
        many = {word: int(codes[number]) for word, codes in tiers.items() if codes[number]}
        assert many == tiers_by_word(words_of(track, own, one))
        for word in WORDS:
            if word in one.moods:
                assert many.get(word, 0) == one.moods[word]
            elif one.kept is not None:
                assert many.get(word, 0) == one.kept.get(word, 0)
            elif many.get(word, 0) != (int(models[word][number]) if word in models else 0):
                assert any(one.moods.get(other) == IN_STRICT for other in OPPOSITES[word])


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32), some_corrections(), st.lists(st.floats(0.01, 1), min_size=3, max_size=3))
def test_a_preview_of_levels_counts_what_there_is_once_they_hold(
    seed: int, found: dict[int, Correction], given_levels: list[float]
) -> None:
    block = corrected(make_block(make_tracks(seed, 10)), found)
    levels = {"party": Levels(*sorted(given_levels, reverse=True))}
    preview = tier_counts(block, LibraryCalibration(), levels)
    assert np.array_equal(preview, mood_sums(block, LibraryCalibration("reference+x", {}, levels)).tiers)


def test_agreement_compares_verdicts_with_the_models_alone(db: Database, library: Library) -> None:
    heard = fill(db, library.id, 40)
    said = {file_id: "party" in words_of(packs, LibraryCalibration()).loose for file_id, packs in heard.items()}
    right, wrong = [f for f in said if said[f]][:3], [f for f in said if said[f]][3:4]
    missed, silent = [f for f in said if not said[f]][:2], [f for f in said if not said[f]][2:4]
    for ids, tier in ((right, 2), (wrong, 0), (missed, 1), (silent, 0)):
        correct(db, NATIVE, ids, Change({"party": tier}))
    correct(db, NATIVE, list(heard)[-5:], Change(locked=True))
    with db.read() as tx:
        found = agreement([(b, LibraryCalibration()) for b in read_blocks(tx)], corrections.verdicts(tx))
    assert found["party"] == Judged(judged=8, should_carry=5, carry=4, both=3)
    assert found["happy"] == Judged()
