"""nomarr explain, as a process, on a file that the tag command analysed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ground import Ground, tone
from models import make_models_dir
from nomarr.cli.explain import run_explain
from nomarr.correcting import Change, correct
from nomarr.errors import Conflict, InvalidInput, NotFound
from nomarr.moods.explain import TIER_NAMES
from nomarr.store.database import Database
from nomarr.tagfiles.audiofile import read_tags


@pytest.fixture
def tagged(tmp_path: Path) -> Ground:
    """Three tones, tagged by percentiles of their own."""
    ground = Ground(tmp_path, make_models_dir(tmp_path / "models"))
    for number in range(1, 4):
        tone(ground.music / f"{number}.flac", seconds=3, hertz=200 * number)
    for command in (("tag", ground.music), ("calibrate", "--apply"), ("tag", ground.music)):
        done = ground.run(*command)
        assert done.returncode == 0, done.stderr
    return ground


def test_a_file_is_explained_as_its_tags_have_it_and_keeps_corrections_when_it_moves(
    tagged: Ground, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in tagged.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tagged.music)
    path = tagged.music / "2.flac"
    assert run_explain(Path("2.flac"), mood=None, as_json=True) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["path"], report["calibration"], report["locked"]) == (str(path), "v1", False)
    agrees_with_tags(report, path)
    settings = tagged.settings()
    with Database(settings.database) as db:
        with db.read() as tx:
            file_id = tx.scalar("SELECT id FROM library_files WHERE name = '2.flac'")
        correct(db, settings, [file_id], Change({"party": 3, "happy": 0, "sad": 1}))
    assert tagged.run("tag", tagged.music).returncode == 0
    assert "party" in read_tags(path)["mood-strict"]
    moved = tagged.music / "deep" / "elsewhere.flac"
    moved.parent.mkdir()
    os.rename(path, moved)
    assert tagged.run("tag", tagged.music, "--force").returncode == 0
    tags = read_tags(moved)
    assert "party" in tags["mood-strict"]
    assert "happy" not in tags.get("mood-loose", ())
    assert run_explain(Path("deep/../deep/elsewhere.flac"), mood="Party", as_json=False) == 0
    assert "Set by hand to strict" in capsys.readouterr().out
    assert run_explain(moved, mood=None, as_json=True) == 0
    agrees_with_tags(json.loads(capsys.readouterr().out), moved)
    says_what_is_wrong(tagged)


def agrees_with_tags(report: dict[str, object], path: Path) -> None:
    tags = read_tags(path)
    for one in report["moods"]:
        for number, tier in enumerate(TIER_NAMES[1:], 1):
            assert (one["mood"] in tags.get(f"mood-{tier}", ())) == (TIER_NAMES.index(one["tier"]) >= number)
        for head in one["heads"]:
            assert f"{head['written']:.4f}" == tags[head["name"]][0]
            assert head["percentile"] in (0.0, 33.3, 66.7)
    assert sum(bool(one["heads"]) for one in report["moods"]) > 3


def says_what_is_wrong(tagged: Ground) -> None:
    with pytest.raises(NotFound, match=r"new\.flac: not known yet; run: nomarr tag"):
        run_explain(tone(tagged.music / "new.flac", seconds=3), mood=None, as_json=False)
    with pytest.raises(NotFound, match=r"nowhere\.flac: there is no such file"):
        run_explain(Path("nowhere.flac"), mood=None, as_json=False)
    with pytest.raises(InvalidInput, match="no mood 'wild'"):
        run_explain(Path("1.flac"), mood="wild", as_json=False)
    with Database(tagged.settings().database) as db, db.write() as tx:
        tx.run("UPDATE library_files SET analyzed_at = NULL WHERE name = '1.flac'")
    with pytest.raises(Conflict, match="not listened to yet; run: nomarr tag"):
        run_explain(Path("1.flac"), mood=None, as_json=False)
