"""The guide for users: every route is in it, and its examples do what it says."""

from __future__ import annotations

import base64
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from nomarr import secretkey
from nomarr.scores import PackScores
from nomarr.store import scores

from .conftest import PASSWORD, Analyse, Home, make_song
from .test_openapi import OPERATIONS

GUIDE = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
SERVER = "http://localhost:8356"
SHOWN = re.compile(r"```(bash|json)\n(.*?)```", re.DOTALL)
HEALTHY_OR_NOT = "/health/ready"


@dataclass
class Curl:
    """A line of the guide as curl would understand it."""

    url: str = ""
    method: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None
    is_endless: bool = False

    @property
    def path(self) -> str:
        return self.url.removeprefix(SERVER).partition("?")[0]


def read_curl(line: str) -> Curl:
    command, *words = shlex.split(line, comments=True)
    assert command == "curl"
    curl = Curl()
    while words:
        match words.pop(0):
            case "-X":
                curl.method = words.pop(0)
            case "-H":
                name, _, value = words.pop(0).partition(": ")
                curl.headers[name] = value
            case "-d":
                curl.body = words.pop(0)
            case "-u":
                curl.headers["Authorization"] = f"Basic {base64.b64encode(words.pop(0).encode()).decode()}"
            case "-N":
                curl.is_endless = True
            case url:
                assert not curl.url, f"curl would not understand {url!r}"
                assert url.startswith(SERVER), url
                curl.url = url
    curl.method = curl.method or ("GET" if curl.body is None else "POST")
    return curl


def examples() -> Iterator[tuple[str, object]]:
    """Each line with a curl, and the JSON that is shown right after it, if any."""
    blocks = [(match[1], match[2], match.start(), match.end()) for match in SHOWN.finditer(GUIDE)]
    for number, (kind, text, _, end) in enumerate(blocks):
        if kind != "bash":
            continue
        lines = [line for line in text.replace("\\\n", " ").splitlines() if line.startswith("curl")]
        following = blocks[number + 1] if number + 1 < len(blocks) else ("", "", -1, -1)
        belongs = following[0] == "json" and following[2] == end + 1
        for line in lines:
            yield line, json.loads(following[1]) if belongs and line is lines[-1] else None


@pytest.fixture
def place(home: Home, music: Path, small_models: Path) -> Home:
    """As the guide has it: music with the track it names, models, and no workers."""
    track = music / "Artist/Album/Track.mp3"
    track.parent.mkdir(parents=True)
    make_song(track, title="Happy Song", artist="Artist Name", album="Album")
    home.settings = home.settings.model_copy(
        update={"models_dir": small_models, "workers": 0, "browse_roots": (str(music),)}
    )
    home.start()
    return home


def test_every_example_of_the_guide_works(place: Home, music: Path, analyse: Analyse) -> None:
    known = {
        "$TOKEN": place.token,
        "$KEY": secretkey.show(place.settings.data_dir),
        "your-admin-password": PASSWORD,
    }
    asked = set()
    for line, shown in examples():
        for name, value in known.items():
            line = line.replace(name, value)
        curl = read_curl(re.sub(r"(?<!\w)/music", str(music), line))
        asked.add(curl.path)
        if curl.is_endless:
            continue
        answer = place.connect().request(
            curl.method, curl.url.replace(SERVER, "http://nomarr:8356"), headers=curl.headers, content=curl.body
        )
        if curl.path != HEALTHY_OR_NOT:
            assert answer.is_success, f"{line}\n{answer.status_code} {answer.text}"
        if shown is not None:
            assert shape(answer.json()) == shape(shown), line
        if curl.path.endswith("/logout"):
            login = place.connect().post("/api/web/auth/login", json={"password": PASSWORD})
            known["$TOKEN"] = login.json()["session_token"]
        if curl.path.endswith("/scan"):
            _hear(place, analyse)
    assert len(asked) > 30


def test_every_route_is_in_the_guide() -> None:
    guide = re.sub(r"{\w+}", "{id}", GUIDE)
    missing = [f"{method.upper()} {path}" for method, path in OPERATIONS if re.sub(r"{\w+}", "{id}", path) not in guide]
    assert missing == []


def test_the_guide_speaks_of_no_other_routes() -> None:
    known = [re.compile(re.sub(r"{\w+}", r"[\\w{}-]+", path)) for _, path in OPERATIONS]
    named = {found.rstrip("/.,") for found in re.findall(r"/(?:api/(?:web|v1)|health)/[\w/{}*-]+", GUIDE)}
    unknown = {path for path in named - {"/api/web/*", "/api/v1/*"} if not any(one.fullmatch(path) for one in known)}
    assert unknown == set()


def shape(value: object) -> object:
    """The fields of an answer, whatever they hold."""
    return sorted(value) if isinstance(value, dict) else type(value)


def _hear(place: Home, analyse: Analyse) -> None:
    heads = ("danceability", "energy", "valence")
    with place.db.write() as tx:
        tx.run("UPDATE library_files SET needs_tagging = TRUE WHERE analyzed_at IS NULL")
    files = analyse()
    with place.db.write() as tx:
        for number, file in enumerate(files):
            values = np.full(len(heads), number / max(1, len(files)), np.float32)
            scores.save(tx, file.id, PackScores("vibenet", "f", heads, values, np.zeros(len(heads), np.float32)))


def test_a_line_is_read_as_curl_reads_it() -> None:
    curl = read_curl(f"""curl -X PUT "{SERVER}/x?a=b" -H "A: b: c" -d '{{"d": "e f"}}'  # a comment""")
    assert (curl.method, curl.path, curl.headers, curl.body) == ("PUT", "/x", {"A": "b: c"}, '{"d": "e f"}')
    assert read_curl(f"curl {SERVER}/y").method == "GET"
