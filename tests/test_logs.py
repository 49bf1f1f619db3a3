from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from nomarr import logs
from nomarr.logs import Json, Recent, Text, recent, without_secrets


def record(message: str, *arguments: object, level: int = logging.INFO) -> logging.LogRecord:
    return logging.LogRecord("nomarr.test", level, __file__, 1, message, arguments, None)


@pytest.mark.parametrize(
    "text",
    [
        "GET /api/v1/info?apikey=hunter2hunter2&limit=3",
        "GET /api/web/events/status?token=hunter2hunter2",
        "Authorization: Bearer hunter2hunter2",
        "{'authorization': 'Basic hunter2hunter2', 'accept': 'json'}",
        "X-Api-Key: hunter2hunter2",
        "Cookie: nomarr_session=hunter2hunter2; other=1",
        '{"password": "hunter2hunter2", "name": 1}',
        "NOMARR_ADMIN_PASSWORD=hunter2hunter2",
        "connecting to postgresql://nomarr:hunter2hunter2@db/nomarr",
        "GET /rest/ping?u=me&p=hunter2hunter2",
        "the key is nom_hunter2hunter2hunter2hunter2",
    ],
)
def test_secrets_are_left_out_of_the_log(text: str) -> None:
    for shown in (Text().format(record(text)), Json().format(record("%s", text))):
        assert "hunter2" not in shown
        assert "***" in shown


@pytest.mark.parametrize(
    "text",
    [
        "The token is not valid; each opens the stream once, within a minute",
        "password: it is required",
        "analysed /music/Basic Channel/Bearer of Bad News.flac in 1.30 s",
        "nom_mood is not a field; see http://localhost:8356/docs",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert without_secrets(text) == text


def test_known_secrets_are_left_out_wherever_they_turn_up() -> None:
    assert without_secrets("cannot log in as me, swordfish", ["swordfish"]) == "cannot log in as me, ***"


def test_a_traceback_is_kept_and_cleaned() -> None:
    try:
        raise ValueError("password=swordfish")
    except ValueError as error:
        failed = record("it failed", level=logging.ERROR)
        failed.exc_info = (type(error), error, error.__traceback__)
    line = json.loads(Json().format(failed))
    assert line["level"] == "error"
    assert "Traceback" in line["message"]
    assert "swordfish" not in line["message"]


def test_the_recent_lines_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "RECENT_BYTES", 2_000)
    handler = Recent(tmp_path)
    handler.setFormatter(Json())
    for number in range(200):
        handler.emit(record("line %d", number))
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 4_500
    assert [line.message for line in recent(tmp_path, limit=3)] == ["line 197", "line 198", "line 199"]
    assert len(recent(tmp_path, limit=1000)) > 10


def test_a_line_that_was_cut_short_is_passed_over(tmp_path: Path) -> None:
    handler = Recent(tmp_path)
    handler.setFormatter(Json())
    handler.emit(record("whole"))
    with handler.path.open("a") as file:
        file.write('{"time": "2027\n')
    handler.emit(record("next"))
    assert [line.message for line in recent(tmp_path, limit=10)] == ["whole", "next"]


def test_a_folder_that_is_gone_keeps_nothing_from_being_logged(tmp_path: Path) -> None:
    handler = Recent(tmp_path / "gone")
    handler.setFormatter(Json())
    handler.emit(record("lost"))
    assert recent(tmp_path / "gone", limit=10) == []


def test_a_line_that_cannot_be_made_fails_nobody(tmp_path: Path) -> None:
    Recent(tmp_path).emit(record("%d files", "no number"))
    assert recent(tmp_path, limit=10) == []
