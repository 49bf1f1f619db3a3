"""Exports that are damaged, made up, or mean harm: each is imported as it should be, or refused in one sentence."""

from __future__ import annotations

import base64
import io
import json
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ground import Ground
from models import make_models_dir
from nomarr.errors import InvalidInput
from nomarr.exchange import Imported, export_results, import_results
from nomarr.resultlines import FileLine, Header, parsed
from nomarr.scores import Correction, Embedding, Levels, PackScores
from nomarr.settings import Settings
from nomarr.store import calibrations, claims, corrections, files, libraries, scores
from nomarr.store.calibrations import HeadCalibration
from nomarr.store.database import Database
from nomarr.store.files import Facts, NewFile

NOW = 1_800_000_000_000
FILES = 6
ROUNDS = 250
TABLES = (
    "file_scores",
    "embeddings",
    "patches.patch_embeddings",
    "corrections",
    "score_packs",
    "calibration_heads",
    "calibrations",
    "preferences",
)
ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    2**31,
    2**63,
    10**400,
    0.5,
    -0.5,
    1e308,
    1e-320,
    "",
    "x" * 5000,
    "../../etc/passwd",
    "/etc/passwd",
    "a\0b",
    "line\nbreak",
    "ünï",
    "AAAA",
    "AAB/", # as base64 of float16 these are no numbers
    [],
    {},
    [[]],
    [0.5, 0.5, 0.5],
    {"a": None},
)  # fmt: skip
ODD_TEXTS = (
    b"NaN",
    b"-Infinity",
    b"1e999",
    b'"\\ud800"',
    b'"\xff\xfe"',
    b"[" * 3000,
    b'{"a":' * 3000,
    b"\0",
    b"",
    b"\n",
    b"9" * 5000,
)


def silent(_done: int, _total: int | None) -> None:
    """Progress that nobody looks at."""


def add_files(db: Database) -> list[int]:
    ids = []
    with db.write() as tx:
        library = libraries.create(tx, name="music", root_path="/nowhere", now=NOW)
        for number in range(FILES):
            new = NewFile("A", f"{number}.mp3", 1000, 5, Facts("mp3", duration_s=2.0), audio_key=f"{number:040x}")
            file_id = files.insert(tx, library.id, new, now=NOW)
            assert file_id is not None
            ids.append(file_id)
    return ids


def head(name: str) -> HeadCalibration:
    return HeadCalibration(f"tiny:{name}", "musicnn-msd", "f00d", "tiny-1", name, 0.1, 0.9, 6, 0, 0, None)


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """A real export with all that there can be in one."""
    rng = np.random.default_rng(1)
    with Database(f"sqlite:///{tmp_path_factory.mktemp('old') / 'nomarr.db'}") as db:
        db.migrate()
        ids = add_files(db)
        with db.write() as tx:
            for number, file_id in enumerate(ids):
                file = claims.claim_next(tx, worker="w", now=NOW, lease_ms=60_000)
                assert file is not None
                values = rng.random(2, np.float32)
                heads = ("genre_rock", "mood_happy")
                scores.save(tx, file_id, PackScores("musicnn-msd", "f00d", heads, values, values / 4, "tiny"))
                mean, patches = rng.random(16, np.float32), rng.random((3, 16)).astype(np.float16)
                scores.save_embedding(tx, file_id, Embedding("tiny", "beef", mean, patches))
                claims.finish(
                    tx, file, now=NOW, suite="s1", patches=3, duration_s=2.0, audio_hash=f"{number:064x}",
                    needs_write=False,
                )  # fmt: skip
            corrections.save(tx, {ids[0]: Correction({"sad": 3}, {"party": 2})}, now=NOW)
            calibrations.set_mood_levels(tx, {"party": Levels(0.9, 0.7, 0.6)})
            calibrations.save(
                tx, [head("genre_rock"), head("mood_happy")], library_id=None, library_size=FILES,
                global_version="g1", drift=None, note="by hand", now=NOW,
            )  # fmt: skip
        return exported(db).splitlines(keepends=True)


@pytest.fixture
def fresh(db: Database) -> Database:
    """Where the same files were scanned, and never heard."""
    add_files(db)
    return db


def exported(db: Database) -> bytes:
    out = io.BytesIO()
    export_results(db, out, with_embeddings=True, progress=silent)
    return out.getvalue()


def imported(db: Database, content: bytes, **given: Any) -> Imported | str:
    """What was imported, or the sentence that says why not."""
    try:
        return import_results(db, Settings(**given), io.BytesIO(content), progress=silent)
    except InvalidInput as error:
        return str(error)


def forget_all(db: Database) -> None:
    with db.write() as tx:
        for table in TABLES:
            tx.run(f"DELETE FROM {table}")
        tx.run("UPDATE library_files SET needs_tagging = TRUE, analyzed_at = NULL, suite = NULL, audio_hash = NULL")


def assert_nothing_is_half_there(db: Database) -> None:
    with db.read() as tx:
        for row in tx.all("SELECT id, analyzed_at, needs_tagging FROM library_files"):
            packs = scores.load(tx, row["id"])
            assert (row["analyzed_at"] is not None) == bool(packs) == (not row["needs_tagging"])
            for pack in packs:
                assert len(pack.heads) == len(pack.values) == len(pack.spreads)
                assert np.isfinite([pack.values, pack.spreads]).all()
            embedding = scores.load_embedding(tx, row["id"], "tiny")
            assert embedding is None or (np.isfinite(embedding.mean).all() and np.isfinite(embedding.patches).all())
        calibrations.current(tx)
    for number, line in enumerate(exported(db).splitlines(), 1):
        parsed(FileLine if number > 1 else Header, line, number)  # what came in can go on from here


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(inner, (*path, key))


def with_odd_value(line: bytes, rng: random.Random) -> bytes:
    """One value, at any depth, is another, gone, there twice, or under another name."""
    whole = json.loads(line)
    path = rng.choice([place for place in places(whole) if place])
    inside = whole
    for key in path[:-1]:
        inside = inside[key]
    match rng.randrange(4), inside:
        case 0, dict():
            inside[rng.choice(["x", "", "../x", "a\nb"])] = inside.pop(path[-1])
        case 1, _:
            del inside[path[-1]]
        case 2, list():
            inside.append(inside[path[-1]])
        case _:
            inside[path[-1]] = rng.choice(ODD_VALUES)
    return json.dumps(whole).encode() + b"\n"


def with_odd_text(line: bytes, rng: random.Random) -> bytes:
    """Something in place of some number or text, which no writer of JSON would write."""
    found = list(re.finditer(rb'"[^"]*"|[0-9.]+|null|true|false', line))
    at = rng.choice(found)
    return line[: at.start()] + rng.choice(ODD_TEXTS) + line[at.end() :]


def with_odd_bytes(line: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(line))
    return line[:at] + rng.randbytes(rng.randrange(4)) + line[at + rng.randrange(4) :]


def mutated(lines: list[bytes], rng: random.Random) -> bytes:
    changed = list(lines)
    at = rng.randrange(len(changed)) if rng.random() < 0.7 else 0
    match rng.randrange(7):
        case 0:
            whole = b"".join(changed)
            return whole[: rng.randrange(len(whole))]
        case 1:
            changed.insert(rng.randrange(len(changed)), changed[at])
        case 2:
            changed[at] = with_odd_bytes(changed[at], rng)
        case 3:
            changed[at] = with_odd_text(changed[at], rng)
        case _:
            changed[at] = with_odd_value(changed[at], rng)
    return b"".join(changed)


def test_whatever_is_wrong_is_said_in_one_sentence_and_nothing_is_left_half_done(
    fresh: Database, lines: list[bytes]
) -> None:
    rng = random.Random(20270115)
    refused = 0
    for _ in range(ROUNDS if not fresh.is_postgresql else ROUNDS // 5):
        content = mutated(lines, rng)
        done = imported(fresh, content)
        if isinstance(done, str):
            refused += 1
            assert re.match(r"line [1-9]\d*: ", done), done
            assert len(done) < 1000
            assert done.isprintable()
        assert_nothing_is_half_there(fresh)
        forget_all(fresh)
    assert refused > 30
    assert imported(fresh, b"".join(lines)) == Imported(taken=FILES, corrected=1, calibrations=1)
    assert exported(fresh) == b"".join(lines)


def vectors(values: list[float], kind: str) -> str:
    return base64.b64encode(np.array(values, kind).tobytes()).decode()


def _head_twice(header: dict[str, Any]) -> None:
    header["calibrations"][0]["heads"][1]["head_key"] = header["calibrations"][0]["heads"][0]["head_key"]


def _version_twice(header: dict[str, Any]) -> None:
    header["calibrations"].append(header["calibrations"][0])


def _last_version(header: dict[str, Any]) -> None:
    header["calibrations"][0]["version"] = 2**31 - 1


def _folder_as_pack(header: dict[str, Any]) -> None:
    header["calibrations"][0]["heads"][0]["pack"] = "../../packs"


def _falling_percentiles(header: dict[str, Any]) -> None:
    header["calibrations"][0]["heads"][0].update(p5=0.9, p95=0.1)


def _odd_levels(header: dict[str, Any]) -> None:
    header["mood_levels"]["party"] = [0.1, 0.5, 0.9]


def _levels_of_no_mood(header: dict[str, Any]) -> None:
    header["mood_levels"]["hungry"] = [0.9, 0.5, 0.1]


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (_head_twice, "heads: a head_key is there twice"),
        (_version_twice, "calibrations: a version is there twice"),
        (_last_version, "version: "),
        (_folder_as_pack, "pack: no model can be called that"),
        (_falling_percentiles, "p5 is larger than p95"),
        (_odd_levels, "party: expected 0 < loose <= regular <= strict <= 1"),
        (_levels_of_no_mood, "there is no mood 'hungry'"),
    ],
)
def test_calibrations_and_levels_that_cannot_hold_are_refused(
    fresh: Database, lines: list[bytes], harm: Callable[[dict[str, Any]], None], why: str
) -> None:
    header = json.loads(lines[0])
    harm(header)
    done = imported(fresh, json.dumps(header).encode() + b"\n" + b"".join(lines[1:]))
    assert isinstance(done, str)
    assert (done.startswith("line 1: no results of Nomarr: "), why in done) == (True, True), done
    with fresh.read() as tx:
        assert (calibrations.current(tx).runs, calibrations.mood_levels(tx)) == ({}, {})


def _nan_mean(file: dict[str, Any]) -> None:
    file["embeddings"][0]["mean"] = vectors([0.5] * 15 + [float("nan")], "<f4")


def _infinite_patches(file: dict[str, Any]) -> None:
    file["embeddings"][0]["patches"] = vectors([float("inf")] * 16, "<f2")


def _many_patches(file: dict[str, Any]) -> None:
    file["embeddings"][0]["patches"] = vectors([0.5] * 16 * 33, "<f2")


def _odd_base64(file: dict[str, Any]) -> None:
    file["embeddings"][0]["mean"] = "ä" * 8


def _pack_twice(file: dict[str, Any]) -> None:
    file["packs"].append(file["packs"][0] | {"fingerprint": "other"})


def _a_field_as_score(file: dict[str, Any]) -> None:
    file["packs"][0]["scores"]["artist=x\n"] = [0.5, 0.1]


def _outside(file: dict[str, Any]) -> None:
    file["path"] = "A/../../other/0.mp3"


def _far_future(file: dict[str, Any]) -> None:
    file["analyzed_at"] = 2**62


def _text_as_number(file: dict[str, Any]) -> None:
    file["duration_s"] = "2.0"


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (_nan_mean, "embeddings.0: it holds what is no number"),
        (_infinite_patches, "embeddings.0: it holds what is no number"),
        (_many_patches, "more than 32 patches"),
        (_odd_base64, "embeddings.0: its numbers are not in base64"),
        (_pack_twice, "a pack is there twice"),
        (_a_field_as_score, "names of scores are made of a-z, 0-9 and _"),
        (_outside, "path: it is no path inside a library"),
        (_far_future, "analyzed_at: "),
        (_text_as_number, "duration_s: Input should be a valid number"),
    ],
)
def test_a_file_with_what_cannot_be_is_refused(
    fresh: Database, lines: list[bytes], harm: Callable[[dict[str, Any]], None], why: str
) -> None:
    file = json.loads(lines[3])
    harm(file)
    done = imported(fresh, b"".join([*lines[:3], json.dumps(file).encode() + b"\n", *lines[4:]]))
    assert isinstance(done, str)
    assert (done.startswith("line 4: not understood: "), why in done) == (True, True), done
    with fresh.read() as tx:
        assert tx.scalar("SELECT COUNT(*) FROM library_files WHERE analyzed_at IS NOT NULL") == 2


def test_numbers_that_json_does_not_have_are_refused(fresh: Database, lines: list[bytes]) -> None:
    for odd in (b"NaN", b"Infinity", b"1e999"):
        line = re.sub(rb'"genre_rock":\[[0-9.]+', b'"genre_rock":[' + odd, lines[3])
        done = imported(fresh, b"".join([*lines[:3], line, *lines[4:]]))
        assert isinstance(done, str)
        assert done.startswith("line 4: not understood: ")
    assert_nothing_is_half_there(fresh)


def test_an_export_that_ends_early_is_imported_and_said_to_be_so(fresh: Database, lines: list[bytes]) -> None:
    done = imported(fresh, b"".join(lines[:4]))
    assert done == "line 5: is missing: the first one tells of 6 files, and there are 3"
    with fresh.read() as tx:
        assert tx.scalar("SELECT COUNT(*) FROM library_files WHERE analyzed_at IS NOT NULL") == 3
    assert imported(fresh, b"".join(lines)) == Imported(taken=3, known=3)


def test_heads_that_an_installed_pack_does_not_have_are_never_taken_for_its(
    fresh: Database, lines: list[bytes], tmp_path: Path
) -> None:
    from nomarr.inference.catalog import read_suite

    models = make_models_dir(tmp_path / "models")
    pack = read_suite(models).packs[0]
    file = json.loads(lines[1])
    file["packs"] = [{"pack": pack.name, "fingerprint": pack.fingerprint, "scores": {pack.scores[0]: [0.5, 0.1]}}]
    done = imported(fresh, lines[0] + json.dumps(file).encode() + b"\n", models_dir=models)
    assert done == f"line 2: {pack.name} has other heads than its fingerprint stands for"
    with fresh.read() as tx:
        assert tx.scalar("SELECT COUNT(*) FROM score_packs") == 0


def test_the_command_says_it_in_one_sentence(ground: Ground, tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    file.write_bytes(b'{"format":"nomarr-results","version":1,"nomarr":"9","files":1}\n{"library":NaN}\n')
    done = ground.run("import", file)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert done.stderr.startswith("nomarr: line 2: not understood: ")
