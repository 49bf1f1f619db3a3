"""The last lines of the log, over HTTP."""

from __future__ import annotations

import logging

import httpx

from nomarr.logs import Json, Recent
from web.conftest import Home


def test_an_administrator_reads_the_last_lines_of_the_log(home: Home, client: httpx.Client) -> None:
    handler = Recent(home.settings.data_dir)
    handler.setFormatter(Json())
    for level, text in ((logging.INFO, "first"), (logging.WARNING, "second"), (logging.INFO, "third")):
        handler.emit(logging.LogRecord("nomarr.test", level, "", 0, text, (), None))
    lines = client.get("/api/web/system/logs?limit=2").json()
    assert [line["message"] for line in lines] == ["second", "third"]
    assert lines[0]["level"] == "warning"
    assert [line["message"] for line in client.get("/api/web/system/logs?level=warning").json()] == ["second"]
    assert client.get("/api/web/system/logs?limit=0").status_code == 400


def test_a_key_for_less_does_not_read_the_log(client: httpx.Client, stranger: httpx.Client) -> None:
    key = client.post("/api/web/keys", json={"name": "player", "scope": "enqueue"}).json()["key"]
    assert stranger.get("/api/web/system/logs", headers={"X-Api-Key": key}).status_code == 403
    assert stranger.get("/api/web/system/logs").status_code == 401


def test_there_may_be_no_lines_yet(client: httpx.Client) -> None:
    assert client.get("/api/web/system/logs").json() == []
