"""Characters that JSON and addresses can carry and databases cannot, on both databases."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio.from_thread
import pytest

from nomarr.settings import Settings
from nomarr.store.database import Database
from nomarr.web.auth import change_password

from .conftest import PASSWORD, Home, Time

ASKED = [
    "files?q=a%00b",
    "files?artist=%00",
    "files?album=%00",
    "files?tag=genre:%00",
    "files?tag=%00",
    "files?own_tag=%00",
    "files?genre=%00",
    "files?format=%00",
    "writes?batch=%00",
    "backups/%00",
    "moods/corrections?mood=%00",
    "fs/list?path=/%00",
]
SENT: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "web/auth/login", {"password": "a<odd>78901234"}),
    ("POST", "web/auth/password", {"current_password": "a<odd>b", "new_password": "long enough"}),
    ("POST", "web/auth/password", {"current_password": PASSWORD, "new_password": "a<odd>78901234"}),
    ("POST", "web/keys", {"name": "a<odd>b", "scope": "read"}),
    ("POST", "web/config", {"key": "navidrome_user", "value": "a<odd>b"}),
    ("POST", "web/config", {"key": "navidrome_password", "value": "a<odd>b"}),
    ("POST", "web/navidrome/test", {"url": "http://127.0.0.1:9", "user": "a<odd>b", "password": "p"}),
    ("POST", "web/navidrome/test", {"url": "http://127.0.0.1:9", "user": "u", "password": "a<odd>b"}),
    ("POST", "web/writes/undo", {"batch": "a<odd>b"}),
    ("POST", "web/preview-write", {"root_path": "/a<odd>b"}),
    ("POST", "v1/path-mappings/test", {"path": "/a<odd>b"}),
    ("POST", "v1/hooks/lidarr", {"eventType": "a<odd>b"}),
    ("POST", "v1/hooks/lidarr", {"eventType": "Download", "trackFiles": [{"path": "/a<odd>b.mp3"}]}),
]


@pytest.fixture
def odd(db_url: str, tmp_path: Path, portal: anyio.from_thread.BlockingPortal) -> Iterator[Home]:
    settings = Settings(data_dir=tmp_path)
    with Database(db_url) as db:
        change_password(db, PASSWORD)
        home = Home(settings, db, Time(), portal)
        home.start()
        yield home


def test_odd_characters_are_refused_or_do_no_harm(odd: Home) -> None:
    login = odd.connect().post("/api/web/auth/login", json={"password": PASSWORD})
    client = odd.connect(token=login.json()["session_token"])
    key = client.post("/api/web/keys", json={"name": "All", "scope": "admin"}).json()["key"]
    with odd.connect(token=key) as client:
        answers = {path: client.get(f"/api/web/{path}").status_code for path in ASKED}
        for method, path, body in SENT:
            for text in (r"\u0000", r"\ud800"):
                sent = json.dumps(body).replace("<odd>", text)
                answer = client.request(
                    method, f"/api/{path}", content=sent, headers={"Content-Type": "application/json"}
                )
                answers[f"{path} {sent}"] = answer.status_code
                odd.time.pass_s(60)  # wrong passwords slow everybody down
    assert {path: status for path, status in answers.items() if status >= 429} == {}
