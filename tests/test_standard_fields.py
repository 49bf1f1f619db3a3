"""MOOD and GENRE are filled where somebody wants it and the file has none, and go when nobody wants it any more."""

from __future__ import annotations

from pathlib import Path

import mutagen
import pytest

from ground import Ground, row
from models import write_backbone, write_head
from nomarr import config
from nomarr.errors import InvalidInput, SettingsError
from nomarr.inference.vocabulary import MSD
from nomarr.moods.tiers import IN_REGULAR
from nomarr.restoring import Restorer
from nomarr.scan import scan_library
from nomarr.scores import Correction
from nomarr.settings import load_settings
from nomarr.store import corrections, journal, libraries, queue, tags
from nomarr.store.database import Database
from nomarr.store.libraries import Library
from nomarr.tagfiles.audiofile import read_tags
from nomarr.wanted import genres
from nomarr.worker.loop import Worker


@pytest.fixture(scope="session")
def small_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small models that tell the genres of the Million Song Dataset."""
    folder = tmp_path_factory.mktemp("models")
    write_backbone(folder / "tiny", tags=[output.label for output in MSD])
    write_head(folder / "tiny", "mood_happy", ("happy", "non_happy"))
    return folder


@pytest.fixture
def song(here: Ground, tracks: dict[str, Path]) -> Path:
    return here.add(tracks["flac"], "song.flac")


@pytest.fixture
def made(db: Database, here: Ground, song: Path) -> Library:
    """A library of one song that somebody called happy, analysed and tagged with nothing but Nomarr's own fields."""
    with db.write() as tx:
        made = libraries.create(tx, name="Music", root_path=here.music, now=tx.now_ms())
    scan_library(db, made)
    with db.write() as tx:
        corrections.save(tx, {row(db, made).id: Correction({"happy": IN_REGULAR, "party": IN_REGULAR})}, now=1)
    work(db, here)
    assert standard(song) == ([], [])
    return made


def work(db: Database, here: Ground) -> None:
    """What a worker does after somebody asked for all tags to be written."""
    with db.write() as tx:
        ids = [row["id"] for row in tx.all("SELECT id FROM library_files WHERE analyzed_at IS NOT NULL")]
        queue.bring_back_tags(tx, ids, now=tx.now_ms())
    Worker(here.settings(), db, "worker 1", drain=True, batch="run").run()


def choose(db: Database, here: Ground, fields: str | None) -> None:
    with db.write() as tx:
        config.change(tx, here.settings(), "standard_fields", fields)


def standard(path: Path) -> tuple[list[str], list[str]]:
    audio = mutagen.File(path)
    return sorted(audio.get("MOOD", [])), audio.get("GENRE", [])


def known(db: Database, made: Library) -> tuple[list[str], str | None]:
    """The mood and the genre of the song as the database has them."""
    file = row(db, made)
    with db.read() as tx:
        return sorted(tags.file_tags(tx, file.id).get("mood", ())), file.genre


def test_each_field_is_filled_only_if_it_was_chosen(db: Database, here: Ground, song: Path, made: Library) -> None:
    choose(db, here, "mood")
    work(db, here)
    assert standard(song) == (["happy", "party"], [])
    assert known(db, made) == (["happy", "party"], None)
    choose(db, here, "genre")
    work(db, here)
    words, genre = standard(song)
    assert words == []
    assert 1 <= len(genre) <= 2
    assert known(db, made) == ([], genre[0])
    choose(db, here, None)
    work(db, here)
    assert standard(song) == ([], [])
    assert known(db, made) == ([], None)
    assert "standard-genre" not in read_tags(song)


def test_a_library_may_choose_for_itself(db: Database, here: Ground, song: Path, made: Library) -> None:
    choose(db, here, "mood,genre")
    with db.write() as tx:
        libraries.update(tx, made.id, now=1, standard_fields=["mood"])
    work(db, here)
    assert standard(song) == (["happy", "party"], [])
    with db.write() as tx:
        libraries.update(tx, made.id, now=1, standard_fields=[])
    work(db, here)
    assert standard(song) == ([], [])


def test_the_users_own_genre_stays(db: Database, here: Ground, song: Path, made: Library) -> None:
    audio = mutagen.File(song)
    audio["GENRE"] = ["Polka"]
    audio.save()
    scan_library(db, made)
    choose(db, here, "mood,genre")
    work(db, here)
    assert standard(song) == (["happy", "party"], ["Polka"])
    assert known(db, made) == (["happy", "party"], "Polka")


def test_undo_and_removal_take_exactly_ours(db: Database, here: Ground, song: Path, made: Library) -> None:
    choose(db, here, "mood,genre")
    work(db, here)
    filled = standard(song)
    with db.read() as tx:
        entry = journal.recent(tx, limit=1)[0]
    assert entry.before.keys() & {"MOOD", "GENRE"} == set()
    restorer = Restorer(db, here.settings(), "back")
    assert restorer.undo(entry).status == "restored"
    assert standard(song) == ([], [])
    assert known(db, made) == ([], None)
    assert "mood_happy" in read_tags(song)
    work(db, here)
    assert standard(song) == filled
    assert restorer.remove(row(db, made).id, str(song)).status == "removed"
    assert (standard(song), read_tags(song)) == (([], []), {})
    with db.read() as tx:
        removal = journal.recent(tx, limit=1)[0]
    assert restorer.undo(removal).status == "restored"
    assert standard(song) == filled


def test_a_change_that_was_announced_but_not_made_is_told_by_the_standard_fields_too(
    db: Database, here: Ground, song: Path, made: Library
) -> None:
    """Killed between replacing the file and saying so: its own fields are the same before and after."""
    choose(db, here, "mood")
    work(db, here)
    with db.write() as tx:
        entry = journal.recent(tx, limit=1)[0]
        tx.run("UPDATE journal SET size = NULL, mtime_ns = NULL WHERE id = :id", id=entry.id)
        entry = journal.recent(tx, limit=1)[0]
    assert Restorer(db, here.settings(), "back").undo(entry).status == "restored"
    assert standard(song) == ([], [])


def test_only_what_is_sure_is_called_a_genre() -> None:
    assert genres({"genre_rock": 0.5, "genre_jazz": 0.45, "genre_pop": 0.44, "mood_sad": 0.9}) == ("Rock", "Jazz")
    assert genres({"genre_rock": 0.5, "genre_hip_hop": 0.3}) == ("Rock",)
    assert genres({"genre_rock": 0.19, "genre_jazz": 0.18}) == ()
    assert genres({"genre_nobody_knows": 0.9, "mood_happy": 0.9}) == ()


@pytest.mark.parametrize("name", ["bpm", "key"])
def test_what_nomarr_does_not_know_cannot_be_chosen(db: Database, here: Ground, name: str) -> None:
    with pytest.raises(SettingsError, match="neither tempo nor key"):
        load_settings({"NOMARR_STANDARD_FIELDS": name})
    with pytest.raises(InvalidInput, match="does not work them out"):
        choose(db, here, f"mood,{name}")
