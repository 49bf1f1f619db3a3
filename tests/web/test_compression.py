"""What is sent packed, and what never is."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import httpx
import pytest

from .conftest import PASSWORD, SONGS, Home
from .test_events import Live, live  # noqa: F401 (a fixture)

GZIP = {"Accept-Encoding": "gzip"}


def fetch(client: httpx.Client, url: str, **headers: str) -> tuple[httpx.Response, bytes]:
    """An answer, and its body as it came."""
    with client.stream("GET", url, headers={**GZIP, **headers}) as answer:
        return answer, b"".join(answer.iter_raw())


@pytest.mark.parametrize("url", ["/openapi.json", "/api/web/files", "/api/web/config"])
def test_lists_are_packed_for_those_who_take_it(client: httpx.Client, scanned: dict[str, Any], url: str) -> None:
    answer, packed = fetch(client, url)
    assert (answer.status_code, answer.headers["content-encoding"]) == (200, "gzip")
    assert int(answer.headers["content-length"]) == len(packed)
    assert "accept-encoding" in answer.headers["vary"].lower()
    other, plain = fetch(client, url, **{"Accept-Encoding": "identity"})
    assert "content-encoding" not in other.headers
    assert "accept-encoding" in other.headers["vary"].lower()
    assert gzip.decompress(packed) == plain
    assert len(packed) < len(plain) / 2


def test_a_table_comes_packed_and_its_answer_still_varies_by_kind(client: httpx.Client) -> None:
    answer, packed = fetch(client, "/api/web/analytics/mood-distribution?format=csv")
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed).startswith(b"mood,")
    assert {"accept", "accept-encoding"} <= {one.strip().lower() for one in answer.headers["vary"].split(",")}


def test_what_is_small_stays_as_it_is(client: httpx.Client) -> None:
    answer, _ = fetch(client, "/health/live")
    assert "content-encoding" not in answer.headers


def test_sound_stays_as_it_is_whole_or_in_part(
    client: httpx.Client, scanned: dict[str, Any], music: Path, db: Any
) -> None:
    with db.read() as tx:
        known = tx.one("SELECT id, name FROM library_files ORDER BY id LIMIT 1")
    path = next(music / name for name in SONGS if name.endswith(known["name"]))
    answer, content = fetch(client, f"/api/web/files/{known['id']}/audio")
    assert (answer.status_code, "content-encoding" in answer.headers) == (200, False)
    assert content == path.read_bytes()
    part, content = fetch(client, f"/api/web/files/{known['id']}/audio", Range="bytes=100-1999")
    assert (part.status_code, part.headers["content-length"], "content-encoding" in part.headers) == (
        206,
        "1900",
        False,
    )
    assert content == path.read_bytes()[100:2000]


def test_sound_of_a_kind_that_no_browser_knows_stays_as_it_is(
    client: httpx.Client, scanned: dict[str, Any], music: Path, db: Any
) -> None:
    odd = music / "Nina/Blue/song.dsf"
    odd.write_bytes(b"DSD " * 5000)
    with db.write() as tx:
        tx.run("UPDATE library_files SET folder = 'Nina/Blue', name = 'song.dsf' WHERE name = '01 One.flac'")
        file_id = tx.scalar("SELECT id FROM library_files WHERE name = 'song.dsf'")
    answer, content = fetch(client, f"/api/web/files/{file_id}/audio")
    assert (answer.headers["content-type"], "content-encoding" in answer.headers) == ("application/octet-stream", False)
    assert content == odd.read_bytes()


def test_what_was_packed_before_is_not_packed_again(client: httpx.Client) -> None:
    page, _ = fetch(client, "/")
    assert page.status_code in (200, 303, 307)
    answer, packed = fetch(client, "/static/any/app.css")
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed)[:2] != b"\x1f\x8b"


def test_answers_that_hold_a_secret_are_never_packed(home: Home, client: httpx.Client) -> None:
    login = home.connect().post("/api/web/auth/login", json={"password": PASSWORD}, headers=GZIP)
    key = client.post("/api/web/keys", json={"name": "x" * 100, "scope": "read"}, headers=GZIP)
    token = client.post("/api/web/events/token", headers=GZIP)
    for answer in (login, key, token):
        assert answer.is_success, answer.text
        assert "content-encoding" not in answer.headers
    whole = client.post("/api/web/navidrome/doctor", headers=GZIP)
    assert "content-encoding" not in whole.headers, "nor any other POST"


def test_events_come_one_by_one_and_as_they_are(live: Live) -> None:  # noqa: F811
    with live.listen(**GZIP) as stream:
        assert "content-encoding" not in stream.answer.headers
        assert stream.snapshot(), "none waits for another"
