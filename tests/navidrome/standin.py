"""A server that speaks Navidrome's two protocols as strictly as it does, for tests: real HTTP, on a port of its own.

What it answers to right and to wrong requests is what Navidrome 0.63 was seen to answer. It knows nothing of Nomarr.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

OPERATORS = frozenset(
    """
    is isnot gt lt before after contains notcontains startswith endswith intherange inthelast notinthelast
    inplaylist notinplaylist ismissing ispresent
    """.split()  # noqa: SIM905
)
FAILURES = {
    10: "missing parameter",
    40: "Wrong username or password",
    50: "User is not authorized for the given operation",
    70: "data not found",
}


class BadRules(Exception):
    """Navidrome would not take these rules."""


@dataclass
class User:
    id: str
    name: str
    password: str
    is_admin: bool = True


@dataclass
class Navidrome:
    """What the server holds; a test may look at all of it, and change it."""

    version: str = "0.63.2 (295886cb)"
    base: str = ""
    kind: str = "navidrome"
    users: list[User] = field(default_factory=lambda: [User("u1", "admin", "secret")])
    libraries: list[dict[str, Any]] = field(default_factory=lambda: [{"id": 1, "name": "Music", "path": "/music"}])
    songs: list[dict[str, Any]] = field(default_factory=list)
    playlists: dict[str, dict[str, Any]] = field(default_factory=dict)
    tracks: dict[str, list[str]] = field(default_factory=dict)
    tag_tables: dict[str, Any] = field(default_factory=dict)
    raw_tags: dict[str, dict[str, list[str]]] = field(default_factory=dict)  # song -> its file's tags
    find: Callable[[dict[str, Any]], list[str]] = lambda _rules: []  # which songs rules find
    is_scanning: bool = False
    last_scan: str = "2026-11-23T08:00:00Z"
    scans: list[tuple[bool, list[str]]] = field(default_factory=list)  # (full, targets)
    logins: list[float] = field(default_factory=list)
    login_limit: int = 5  # in 20 seconds
    tokens: dict[str, str] = field(default_factory=dict)  # token -> user id
    requests: list[str] = field(default_factory=list)
    interruption: Callable[[Handler], bool] | None = None  # True where it has answered itself
    url: str = ""
    lock: threading.RLock = field(default_factory=threading.RLock)

    def add_song(self, path: str, **facts: Any) -> str:
        song_id = f"s{len(self.songs) + 1:04}"
        library = facts.get("libraryId", 1)
        tags = facts.pop("tags", {})
        self.songs.append({"id": song_id, "libraryId": library, "path": path, "missing": False, "tags": tags, **facts})
        return song_id

    def forget_sessions(self) -> None:
        with self.lock:
            self.tokens.clear()

    def writes(self) -> list[str]:
        """The requests that may have changed something."""
        changing = ("createPlaylist", "updatePlaylist", "deletePlaylist", "startScan")
        native = ("PUT /api", "POST /api", "DELETE")
        return [one for one in self.requests if one.startswith(native) or one.endswith(changing)]


class Handler(BaseHTTPRequestHandler):
    """One request."""

    navidrome: Navidrome  # of the server's own subclass
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    def log_message(self, *_args: object) -> None:
        pass

    def _answer(self) -> None:
        here = self.navidrome
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.new_token = ""
        parts = urlsplit(self.path)
        path, self.query = unquote(parts.path), parse_qs(parts.query, keep_blank_values=True)
        with here.lock:
            here.requests.append(f"{self.command} {path}")
            if here.interruption is not None and here.interruption(self):
                return
            rest = path.removeprefix(here.base)
            if here.base and not path.startswith(f"{here.base}/"):
                self._elsewhere()
            elif rest == "/auth/login" and self.command == "POST":
                self._login()
            elif rest.startswith("/rest/"):
                self._subsonic(rest.removeprefix("/rest/").removesuffix(".view"))
            elif rest.startswith("/api/"):
                self._native(rest.removeprefix("/api/"))
            else:
                self._elsewhere()

    def _elsewhere(self) -> None:
        if self.command != "GET":
            return self.send(405, b"")
        if self.path.startswith(f"{self.navidrome.base}/app/"):
            return self.text(404, "404 page not found")
        return self.send(302, b"", "text/html", Location=f"{self.navidrome.base}/app/")

    # answers

    def send(self, status: int, content: bytes, kind: str = "application/json", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if self.new_token:
            self.send_header("X-ND-Authorization", self.new_token)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def json(self, status: int, answer: Any, **headers: str) -> None:
        self.send(status, json.dumps(answer).encode(), **headers)

    def text(self, status: int, text: str) -> None:
        self.send(status, f"{text}\n".encode(), "text/plain; charset=utf-8")

    # logging in

    def _login(self) -> None:
        here, now = self.navidrome, time.monotonic()
        here.logins = [at for at in here.logins if at > now - 20] + [now]
        if len(here.logins) > here.login_limit:
            return self.text(429, "Too Many Requests")
        try:
            given = json.loads(self.body)
        except ValueError:
            return self.json(422, {"error": "invalid request payload"})
        user = next((u for u in here.users if u.name.lower() == str(given.get("username", "")).lower()), None)
        if user is None or user.password != given.get("password"):
            return self.json(401, {"error": "Invalid username or password"})
        facts = {"id": user.id, "name": user.name, "username": user.name, "isAdmin": user.is_admin}
        return self.json(200, {**facts, "token": self._new_token(user)})

    def _new_token(self, user: User) -> str:
        token = secrets.token_hex(16)
        self.navidrome.tokens[token] = user.id
        return token

    # Subsonic's API

    def _subsonic(self, method: str) -> None:
        if self.command == "POST" and self.headers.get("Content-Type") == "application/x-www-form-urlencoded":
            for name, values in parse_qs(self.body.decode(), keep_blank_values=True).items():
                self.query.setdefault(name, []).extend(values)
        known = {
            "getOpenSubsonicExtensions": None,
            "ping": lambda _user: {},
            "startScan": self._start_scan,
            "getScanStatus": lambda _user: self._scan_status(),
            "createPlaylist": self._create_playlist,
            "deletePlaylist": self._delete_playlist,
        }
        if method not in known:
            return self.text(404, "404 page not found")
        do = known[method]
        if do is None:
            return self._ok({"openSubsonicExtensions": [{"name": "formPost", "versions": [1]}]})
        for name in ("u", "v", "c"):
            if not self.one(name):
                return self._failed(10, f"missing parameter: '{name}'")
        user = next((u for u in self.navidrome.users if u.name.lower() == self.one("u").lower()), None)
        if user is None or hashlib.md5((user.password + self.one("s")).encode()).hexdigest() != self.one("t"):
            return self._failed(40)
        result = do(user)
        return self._failed(*result) if isinstance(result, tuple) else self._ok(result)

    def one(self, name: str) -> str:
        return self.query.get(name, [""])[0]

    def _ok(self, more: dict[str, Any]) -> None:
        self._response({"status": "ok", **more})

    def _failed(self, code: int, message: str = "") -> None:
        self._response({"status": "failed", "error": {"code": code, "message": message or FAILURES[code]}})

    def _response(self, inner: dict[str, Any]) -> None:
        head = {"version": "1.16.1", "type": self.navidrome.kind, "serverVersion": self.navidrome.version}
        if self.one("f") != "json":
            return self.send(200, b"<subsonic-response/>", "application/xml")
        return self.json(200, {"subsonic-response": {**head, "openSubsonic": True, **inner}})

    def _start_scan(self, user: User) -> Any:
        here = self.navidrome
        if not user.is_admin:
            return (50,)
        for target in self.query.get("target", []):
            library, colon, _ = target.partition(":")
            if not colon:
                return 0, f'Invalid target parameter: invalid target format: "{target}" (expected libraryID:folderPath)'
            if not library.isdigit() or int(library) == 0:
                return 0, f'Invalid target parameter: invalid library ID "{library}"'
            if all(one["id"] != int(library) for one in here.libraries):
                return 70, f"Library with ID {library} not found"
        here.scans.append((self.one("fullScan") == "true", self.query.get("target", [])))
        return self._scan_status()

    def _scan_status(self) -> dict[str, Any]:
        status = {"scanning": self.navidrome.is_scanning, "count": 1, "lastScan": self.navidrome.last_scan}
        return {"scanStatus": status}

    def _create_playlist(self, user: User) -> Any:
        here, playlist_id, name = self.navidrome, self.one("playlistId"), self.one("name")
        if not playlist_id and not name:
            return 0, "Internal Server Error: required parameter name is missing"
        if not playlist_id:
            playlist_id = self._new_playlist(user, {"name": name})
        there = here.playlists.get(playlist_id)
        if there is None:
            return (70,)
        if there["rules"] is not None or there["ownerId"] != user.id:
            return (50,)
        if "songId" in self.query:  # without any the old ones stay
            known = {song["id"] for song in here.songs}
            here.tracks[playlist_id] = [one for one in self.query["songId"] if one in known]
        there["songCount"] = len(here.tracks[playlist_id])
        return {"playlist": {"id": playlist_id, "name": there["name"]}}

    def _delete_playlist(self, _user: User) -> Any:
        there = self.navidrome.playlists.pop(self.one("id"), None)
        return (70,) if there is None else {}

    # the API of its own pages

    def _native(self, path: str) -> None:
        bearer = self.headers.get("X-ND-Authorization", "")
        user_id = self.navidrome.tokens.get(bearer.removeprefix("Bearer ")) if bearer.startswith("Bearer ") else None
        user = next((u for u in self.navidrome.users if u.id == user_id), None)
        if user is None:
            return self.json(401, {"error": "Not authenticated"})
        self.new_token = self._new_token(user)
        kind, _, rest = path.partition("/")
        if kind in ("library", "inspect", "config") and not user.is_admin:
            return self.text(403, "Access denied: admin privileges required")
        if kind == "library":
            return self._list([{**one, **self._numbers(one["id"])} for one in self.navidrome.libraries])
        if kind == "config":
            return self.json(200, {"id": "config", "config": {"Tags": self.navidrome.tag_tables}})
        if kind == "inspect":
            raw = self.navidrome.raw_tags.get(self.one("id"))
            return self.text(404, "not found") if raw is None else self.json(200, {"file": "x", "rawTags": raw})
        if kind == "song":
            return self._song(rest)
        if kind == "playlist":
            return self._playlist(user, *rest.split("/")) if rest else self._playlist_root(user)
        return self.text(404, "404 page not found")

    def _numbers(self, library_id: int) -> dict[str, Any]:
        songs = sum(song["libraryId"] == library_id for song in self.navidrome.songs)
        return {"totalSongs": songs, "lastScanAt": self.navidrome.last_scan}

    def _list(self, every: list[Any]) -> None:
        start, end = int(self.one("_start") or 0), int(self.one("_end") or 0)
        shown = every[start:end] if end else every[start:]
        self.json(200, shown, X_Total_Count=str(len(every)))

    def _song(self, song_id: str) -> None:
        songs = self.navidrome.songs
        if song_id:
            found = next((song for song in songs if song["id"] == song_id), None)
            return self.json(500, {"error": "data not found"}) if found is None else self.json(200, found)
        chosen = [
            song
            for song in songs
            if (not self.one("library_id") or song["libraryId"] == int(self.one("library_id")))
            and (self.one("missing") != "false" or not song["missing"])
            and song["path"].startswith(self.one("path"))
        ]
        return self._list(sorted(chosen, key=lambda song: song["path"]))

    def _playlist_root(self, user: User) -> None:
        if self.command == "GET":
            mine = [p for p in self.navidrome.playlists.values() if p["ownerId"] == user.id or p["public"]]
            return self._list(mine)
        if self.headers.get("Content-Type") != "application/json":
            self._new_playlist(user, {"name": "2026-11-23T08:24:57Z"})
            return self.text(201, "#EXTM3U")
        try:
            given = json.loads(self.body)
            check_rules(given.get("rules"))
        except (ValueError, BadRules):
            return self.json(422, {"error": "Invalid request payload"})
        return self.json(200, {"id": self._new_playlist(user, given)})

    def _new_playlist(self, user: User, given: dict[str, Any]) -> str:
        here = self.navidrome
        playlist_id = f"p{len(here.tracks) + 1:04}"
        here.playlists[playlist_id] = {
            "id": playlist_id,
            "name": given.get("name", ""),
            "comment": given.get("comment", ""),
            "public": given.get("public", False),
            "rules": given.get("rules"),
            "ownerId": user.id,
            "ownerName": user.name,
            "songCount": 0,
        }
        here.tracks[playlist_id] = []
        return playlist_id

    def _playlist(self, user: User, playlist_id: str, *more: str) -> None:
        here = self.navidrome
        there = here.playlists.get(playlist_id)
        if more == ("tracks",) and self.command == "GET":
            if there is None:
                return self.text(404, "not found")
            if there["rules"] is not None:
                here.tracks[playlist_id] = here.find(there["rules"])
                there["songCount"] = len(here.tracks[playlist_id])
            songs = enumerate(here.tracks[playlist_id], 1)
            return self._list([{"id": str(number), "mediaFileId": song} for number, song in songs])
        if self.command == "GET":
            return self.json(500, {"error": "data not found"}) if there is None else self.json(200, there)
        if there is None:
            return self.json(404, {"error": "playlist not found"})
        if there["ownerId"] != user.id and not user.is_admin:
            return self.json(403, {"error": "permission denied"})
        given = json.loads(self.body)
        try:
            if given.get("rules") is not None:
                check_rules(given["rules"])
        except BadRules:
            return self.json(422, {"error": "Invalid request payload"})
        there.update({key: given[key] for key in ("name", "comment", "public", "rules") if key in given})
        return self.json(200, there)


def check_rules(rules: Any) -> None:
    """BadRules for what Navidrome's own reader of rules does not take."""
    if rules is None:
        return
    if not isinstance(rules, dict) or len({"all", "any"} & rules.keys()) != 1:
        raise BadRules
    for key in ("limit", "offset", "limitPercent"):
        if not isinstance(rules.get(key, 0), int):
            raise BadRules
    _check_group(rules.get("all", rules.get("any")))


def _check_group(group: Any) -> None:
    if not isinstance(group, list):
        raise BadRules
    for rule in group:
        ((operator, value),) = rule.items()
        if operator.lower() in ("all", "any"):
            _check_group(value)
        elif operator.lower() not in OPERATORS or not isinstance(value, dict) or len(value) != 1:
            raise BadRules


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def running(navidrome: Navidrome, *, certificate: str | None = None) -> Iterator[Navidrome]:
    """The server on a free port of this machine; with a certificate (and key) in one file it speaks HTTPS."""
    handler = type("ItsHandler", (Handler,), {"navidrome": navidrome})
    server = Server(("127.0.0.1", 0), handler)
    scheme = "http"
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    navidrome.url = f"{scheme}://127.0.0.1:{server.server_address[1]}{navidrome.base}"
    try:
        yield navidrome
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
