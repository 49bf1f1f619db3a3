"""Results out of one database and into another, on both kinds: by sound, once, whole, and nothing is listened to."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import DATABASES
from ground import Ground
from nomarr import exchange, recalibration
from nomarr.errors import InvalidInput
from nomarr.exchange import Imported, export_results, import_results
from nomarr.scan import scan_library
from nomarr.scores import Correction
from nomarr.settings import Settings
from nomarr.store import corrections, files, libraries, queue, results, scores
from nomarr.store.database import Database
from nomarr.wanted import wanted_tags, wanted_words

ENDINGS = ("flac", "mp3", "m4a")


def silent(_done: int, _total: int | None) -> None:
    """Progress that nobody looks at."""


def exported(db: Database, *, with_embeddings: bool = True) -> bytes:
    out = io.BytesIO()
    export_results(db, out, with_embeddings=with_embeddings, progress=silent)
    return out.getvalue()


def imported(db: Database, lines: bytes) -> Imported:
    return import_results(db, Settings(), io.BytesIO(lines), progress=silent)


def tag(ground: Ground) -> None:
    done = ground.run("tag", ground.music)
    assert done.returncode == 0, done.stdout + done.stderr


def scan(ground: Ground) -> None:
    """The music as a library, scanned."""
    with Database(ground.settings().database) as db:
        db.migrate()
        with db.write() as tx:
            library = libraries.create(tx, name="music", root_path=str(ground.music), now=tx.now_ms())
        scan_library(db, library)


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory, small_models: Path, tracks: dict[str, Path]) -> Ground:
    """Three files that were tagged, calibrated, and one of them corrected. Nobody may change it."""
    ground = Ground(tmp_path_factory.mktemp("heard"), small_models)
    for ending in ENDINGS:
        ground.add(tracks[ending], f"{ending}/song.{ending}")
    with Database(ground.settings().database) as db:
        tag(ground)
        recalibration.generate(db, small_models)
        recalibration.apply(db, "native")
        tag(ground)
    with Database(ground.settings().database) as db, db.write() as tx:
        file = files.by_path(tx, libraries.list_all(tx)[0].id, "mp3", "song.mp3")
        assert file is not None
        corrections.save(tx, {file.id: Correction({"happy": 0, "sad": 3}, {"party": 2})}, now=tx.now_ms())
    return ground


@pytest.fixture
def lines(heard: Ground) -> bytes:
    with Database(heard.settings().database) as db:
        return exported(db)


@pytest.fixture
def fresh(tmp_path: Path, small_models: Path, db_url: str, heard: Ground) -> Ground:
    """Another installation with the same music, one file of it under another name, that has scanned it."""
    ground = Ground(tmp_path, small_models, db_url)
    shutil.copytree(heard.music, ground.music)
    (ground.music / "flac" / "song.flac").rename(ground.music / "renamed.flac")
    scan(ground)
    return ground


def words(db: Database, settings: Settings) -> dict[str, Any]:
    """What each file's tags should be, by its ending; with the very scores."""
    found = {}
    with db.read() as tx:
        for file in results.page(tx, after=0, limit=100):
            packs = [(p.pack, p.heads, p.values.tobytes(), p.spreads.tobytes()) for p in scores.load(tx, file.id)]
            tags = wanted_tags(tx, file.id, settings)
            found[file.path[-4:]] = (packs, tags, wanted_words(tx, file.id), corrections.of(tx, file.id))
    return found


def test_moods_and_scores_are_the_same_and_nothing_is_listened_to(heard: Ground, fresh: Ground, lines: bytes) -> None:
    settings = fresh.settings()
    with Database(settings.database) as db, Database(heard.settings().database) as old:
        assert imported(db, lines) == Imported(taken=3, corrected=1, calibrations=1)
        assert words(db, settings) == words(old, settings)
        with db.read() as tx:
            now = tx.now_ms()
            assert queue.queue_depth(tx, now=now).completed == 3
            before = {file.path: file.analyzed_at for file in results.page(tx, after=0, limit=100)}
        stamps = {path: path.stat().st_mtime_ns for path in fresh.music.rglob("song.*")}
    tag(fresh)
    with Database(settings.database) as db:
        with db.read() as tx:
            assert {file.path: file.analyzed_at for file in results.page(tx, after=0, limit=100)} == before
        # The export of the copy is that of the original, but for the name that was changed.
        again = [line.replace(b'"renamed.flac"', b'"flac/song.flac"') for line in exported(db).splitlines()]
    assert sorted(again) == sorted(lines.splitlines())
    touched = [path.name for path, at in stamps.items() if path.stat().st_mtime_ns != at]
    assert touched == ["song.mp3"], "only the file that was corrected since does not hold its words yet"


def test_importing_twice_changes_nothing(fresh: Ground, lines: bytes) -> None:
    with Database(fresh.settings().database) as db:
        imported(db, lines)
        before = exported(db)
        assert imported(db, lines) == Imported(known=3)
        assert exported(db) == before


def test_what_is_here_already_stays(fresh: Ground, lines: bytes) -> None:
    with Database(fresh.settings().database) as db:
        imported(db, lines)
        mine = Correction({"relaxed": 1}, None)
        with db.write() as tx:
            file = files.by_path(tx, libraries.list_all(tx)[0].id, "mp3", "song.mp3")
            assert file is not None
            corrections.save(tx, {file.id: mine}, now=1)
        other = lines.replace(b'"mood_happy":[', b'"mood_happy":[0.5,0.1],"ignored":[')
        assert imported(db, other).taken == 0
        with db.read() as tx:
            assert corrections.of(tx, file.id) == mine


def test_other_music_under_the_same_name_is_not_taken_for_it(
    tmp_path: Path, small_models: Path, tracks: dict[str, Path], lines: bytes
) -> None:
    ground = Ground(tmp_path, small_models)
    ground.add(tracks["ogg"], "mp3/song.mp3")
    scan(ground)
    with Database(ground.settings().database) as db:
        assert imported(db, lines) == Imported(absent=3, calibrations=1)


def _not_json(line: bytes) -> bytes:
    return line[:-5]


def _unknown_field(line: bytes) -> bytes:
    return line.replace(b'"packs"', b'"pakcs"')


def _too_high(line: bytes) -> bytes:
    return json.dumps(
        json.loads(line) | {"packs": [{"pack": "p", "fingerprint": "f", "scores": {"a": [2, 0]}}]}
    ).encode()


def _no_mood(line: bytes) -> bytes:
    return json.dumps(json.loads(line) | {"corrections": {"moods": {"hungry": 2}}}).encode()


def _other_heads(line: bytes) -> bytes:
    whole = json.loads(line)
    whole["packs"][0]["scores"]["more"] = [0.5, 0.1]
    return json.dumps(whole).encode()


def _odd_embedding(line: bytes) -> bytes:
    whole = json.loads(line)
    whole["embeddings"][0]["mean"] = "AAAA"
    return json.dumps(whole).encode()


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (_not_json, "not understood"),
        (_unknown_field, "pakcs"),
        (_too_high, "packs.0.scores.a.0"),
        (_no_mood, "there is no mood 'hungry'"),
        (_other_heads, "other heads than its fingerprint"),
        (_odd_embedding, "numbers are not whole"),
    ],
)
@pytest.mark.parametrize("db_url", DATABASES[:1], indirect=True)
def test_a_line_that_is_not_understood_is_named_and_its_file_is_as_it_was(
    fresh: Ground, lines: bytes, harm: Callable[[bytes], bytes], why: str
) -> None:
    parts = lines.splitlines()
    parts[3] = harm(parts[3])
    path = json.loads(lines.splitlines()[3])["path"]
    folder, _, name = path.rpartition("/")
    with Database(fresh.settings().database) as db:
        with pytest.raises(InvalidInput, match=rf"^line 4: .*({why})"):
            imported(db, b"\n".join(parts) + b"\n")
        with db.read() as tx:
            file = files.by_path(tx, libraries.list_all(tx)[0].id, folder, name)
            assert file is not None
            assert (file.analyzed_at, file.needs_tagging) == (None, True)
            assert scores.load(tx, file.id) == []
        assert imported(db, lines).taken >= 1


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "line 1: no results of Nomarr"),
        (b"{}\n", "line 1: no results of Nomarr: format"),
        (b'{"format":"nomarr-results","version":2,"nomarr":"9","files":0}\n', "line 1: is of version 2"),
        (b'{"format":"nomarr-results","version":1,"nomarr":"9","files":0}\n{"libr', "line 2: ends in the middle"),
    ],
)
@pytest.mark.parametrize("db_url", DATABASES[:1], indirect=True)
def test_what_is_no_export_is_refused(db: Database, text: bytes, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        imported(db, text)


def test_large_lines_are_not_all_held_in_memory(fresh: Ground, lines: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "BATCH_BYTES", 100)
    told: list[int] = []
    with Database(fresh.settings().database) as db:
        import_results(db, Settings(), io.BytesIO(lines), progress=lambda done, _all: told.append(done))
    assert told == [1, 2, 3, 3]
