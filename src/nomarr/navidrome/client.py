"""What Nomarr asks of Navidrome, in its own words."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from nomarr.errors import NavidromeProblem
from nomarr.navidrome.connection import NOT_FOUND, Account, Connection, SubsonicError, User

PAGE = 1000  # songs
OLDEST = (0, 58, 0)  # the first in which tags of one's own work throughout
WITH_TARGETS = (0, 59, 0)  # the first that scans single folders
ADVISED = (0, 62, 0)
OWN_BUILD = (999, 0, 0)  # a version without numbers is somebody's own build, most likely of today

Version = tuple[int, int, int]


@dataclass(frozen=True)
class MusicFolder:
    """One of Navidrome's libraries."""

    id: int
    name: str
    path: str
    songs: int
    last_scan: str


@dataclass(frozen=True)
class Song:
    """A song; `path` is relative to its library."""

    id: str
    library_id: int
    path: str
    title: str
    album: str
    artist: str
    duration_s: float
    recording_id: str
    tags: Mapping[str, Any]


@dataclass(frozen=True)
class ScanStatus:
    is_running: bool
    last_scan: str
    error: str


@dataclass(frozen=True)
class Playlist:
    """A playlist as Navidrome has it; one with `rules` finds its songs by itself."""

    id: str
    name: str
    comment: str
    public: bool
    owner_id: str
    rules: dict[str, Any] | None
    songs: int
    record: Mapping[str, Any]  # all of it


@dataclass(frozen=True)
class Server:
    """What was found out about Navidrome and Nomarr's account there."""

    version: str
    user: User

    @property
    def numbers(self) -> Version:
        return version_numbers(self.version)


class Client:
    """Questions and orders to Navidrome, as one account. Threads may share it."""

    def __init__(self, account: Account) -> None:
        self.connection = Connection(account)
        self._server: Server | None = None

    @property
    def account(self) -> Account:
        return self.connection.account

    def close(self) -> None:
        self.connection.close()

    def check(self) -> Server:
        """Who answers, and whether it can work with us. NavidromeProblem says what is in the way."""
        version = self.connection.greet()
        server = Server(version, self.connection.user)
        if server.numbers < OLDEST:
            raise NavidromeProblem(
                f"Navidrome {version} is too old: tags of one's own work from {_dotted(OLDEST)} on", kind="too_old"
            )
        self.connection.subsonic("ping")
        if not server.user.is_admin:
            raise NavidromeProblem(
                f"{server.user.name} is no administrator of Navidrome; only those can start scans and see its "
                "libraries' folders",
                kind="not_admin",
            )
        self._server = server
        return server

    @property
    def server(self) -> Server:
        return self._server or self.check()

    # music

    def music_folders(self) -> list[MusicFolder]:
        return [
            MusicFolder(
                id=int(one["id"]),
                name=str(one.get("name", "")),
                path=str(one.get("path", "")),
                songs=int(one.get("totalSongs") or 0),
                last_scan=str(one.get("lastScanAt", "")),
            )
            for one in self._list("library", {})
        ]

    def songs(self, library_id: int, *, most: int | None = None, sort: str = "path") -> Iterator[list[Song]]:
        """The songs of a library, page by page; those whose files are gone are left out."""
        start = 0
        while most is None or start < most:
            end = start + (PAGE if most is None else min(PAGE, most - start))
            params = {
                "_start": str(start),
                "_end": str(end),
                "_sort": sort,
                "_order": "ASC",
                "library_id": str(library_id),
                "missing": "false",
            }
            page = [_song(one) for one in self._list("song", params)]
            if page:
                yield page
            if len(page) < end - start:
                return
            start = end

    def song(self, song_id: str) -> Song | None:
        answer = self.connection.native("GET", f"song/{_safe(song_id)}")
        if answer.status_code == httpx.codes.NOT_FOUND or _is_gone(answer):
            return None
        return _song(_expect(answer, "a song"))

    def start_scan(self, targets: Sequence[str] = (), *, full: bool = False) -> ScanStatus:
        """Scan `<library>:<folder>`s, or everything; folders that Navidrome does not know are passed over."""
        params: dict[str, str | list[str]] = {"fullScan": "true" if full else "false"}
        if targets:
            params["target"] = list(targets)
        return _status(self.connection.subsonic("startScan", params))

    def scan_status(self) -> ScanStatus:
        return _status(self.connection.subsonic("getScanStatus"))

    # what Navidrome itself makes of a file

    def raw_tags(self, song_id: str) -> dict[str, list[str]] | None:
        """The tags in the song's file as Navidrome reads them at this moment; None where it does not say."""
        answer = self.connection.native("GET", "inspect", params={"id": song_id})
        if answer.status_code in (httpx.codes.NOT_FOUND, httpx.codes.FORBIDDEN):
            return None
        found = _expect(answer, "the tags of a file").get("rawTags") or {}
        return {str(name).lower(): list(map(str, values)) for name, values in found.items()}

    def tag_tables(self) -> dict[str, dict[str, Any]] | None:
        """The [Tags.<name>] tables of its configuration, in lower case; None where it does not show them."""
        answer = self.connection.native("GET", "config/config")
        if not answer.is_success:
            return None
        try:
            tables = answer.json()["config"].get("Tags") or {}
        except (ValueError, KeyError, AttributeError):
            return None
        return {name.lower(): {key.lower(): value for key, value in facts.items()} for name, facts in tables.items()}

    # playlists

    def playlist(self, playlist_id: str) -> Playlist | None:
        answer = self.connection.native("GET", f"playlist/{_safe(playlist_id)}")
        if answer.status_code == httpx.codes.NOT_FOUND or _is_gone(answer):
            return None
        return _playlist(_expect(answer, "a playlist"))

    def own_playlists(self, name: str) -> list[Playlist]:
        """Our account's playlists of exactly this name."""
        found = map(_playlist, self._list("playlist", {"_start": "0", "_end": "100000"}))
        return [one for one in found if one.name == name and one.owner_id == self.connection.user.id]

    def create_smart(self, record: Mapping[str, Any]) -> str:
        """The id of a new playlist with rules."""
        # Sent as exactly application/json: with anything else it would be taken for an M3U file.
        made = _expect(self.connection.native("POST", "playlist", body=record), "a new playlist")
        return str(made["id"])

    def update_playlist(self, old: Playlist, changes: Mapping[str, Any]) -> None:
        # The whole record: older versions empty what is left out.
        answer = self.connection.native("PUT", f"playlist/{_safe(old.id)}", body={**old.record, **changes})
        _expect(answer, f"playlist {old.name}")

    def song_ids(self, playlist_id: str) -> list[str]:
        """The ids of a playlist's songs, in order; one with rules is evaluated for it."""
        found: list[str] = []
        while True:
            window = {"_start": str(len(found)), "_end": str(len(found) + PAGE), "_sort": "id", "_order": "ASC"}
            page = self._list(f"playlist/{_safe(playlist_id)}/tracks", window)
            found.extend(str(one["mediaFileId"]) for one in page)
            if len(page) < PAGE:
                return found

    def put_list(self, song_ids: Sequence[str], *, name: str, playlist_id: str | None = None) -> str:
        """The id of a playlist with just these songs: a new one, or the given one with its songs replaced."""
        params: dict[str, str | list[str]] = {"songId": list(song_ids)}
        params.update({"name": name} if playlist_id is None else {"playlistId": playlist_id})
        made = self.connection.subsonic("createPlaylist", params)
        return str(made["playlist"]["id"])

    def delete_playlist(self, playlist_id: str) -> None:
        """Harmless where it is gone already."""
        try:
            self.connection.subsonic("deletePlaylist", {"id": playlist_id})
        except SubsonicError as error:
            if error.code != NOT_FOUND:
                raise

    def _list(self, path: str, params: Mapping[str, str]) -> list[dict[str, Any]]:
        found = _expect(self.connection.native("GET", path, params=params), path)
        if not isinstance(found, list):
            raise NavidromeProblem(f"Navidrome's answer about {path} is no list", kind="trouble")
        return found


class Clients:
    """The client of the account that the settings name, kept from one request to the next."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._client: Client | None = None

    def of(self, account: Account) -> Client:
        with self._lock:
            if self._client is None or self._client.account != account:
                self._client = Client(account)  # the other one may still be in somebody's hands
            return self._client

    def close(self) -> None:
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None


def version_numbers(text: str) -> Version:
    """0.62.1 of "0.62.1 (a1b2c3)" or "v0.62.1-SNAPSHOT"."""
    found = re.match(r"v?([0-9]{1,4})\.([0-9]{1,4})(?:\.([0-9]{1,4}))?", text)
    return OWN_BUILD if found is None else (int(found[1]), int(found[2]), int(found[3] or 0))


def _dotted(version: Version) -> str:
    return ".".join(map(str, version))


def _safe(playlist_id: str) -> str:
    """Ids are letters and digits; anything else must not become a path of its own."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", playlist_id)


def _expect(answer: httpx.Response, what: str) -> Any:
    if answer.is_success:
        try:
            return answer.json()
        except ValueError as error:
            raise NavidromeProblem(f"Navidrome's answer about {what} cannot be read", kind="trouble") from error
    if answer.status_code == httpx.codes.FORBIDDEN:
        raise NavidromeProblem(f"Navidrome does not let this user have {what}", kind="not_admin")
    if answer.status_code == httpx.codes.NOT_FOUND:
        raise NavidromeProblem(f"Navidrome does not have {what} (any more)", kind="not_found")
    why = " ".join(answer.text.split())[:200]
    raise NavidromeProblem(f"Navidrome refused {what}: {answer.status_code} {why}", kind="refused")


def _is_gone(answer: httpx.Response) -> bool:
    """Navidrome says 500 where 404 is meant."""
    return answer.status_code == httpx.codes.INTERNAL_SERVER_ERROR and "data not found" in answer.text


def _song(facts: Mapping[str, Any]) -> Song:
    return Song(
        id=str(facts["id"]),
        library_id=int(facts.get("libraryId") or 1),
        path=str(facts.get("path", "")),
        title=str(facts.get("title", "")),
        album=str(facts.get("album", "")),
        artist=str(facts.get("artist", "")),
        duration_s=float(facts.get("duration") or 0),
        recording_id=str(facts.get("mbzRecordingID") or ""),
        tags=facts.get("tags") or {},
    )


def _playlist(facts: Mapping[str, Any]) -> Playlist:
    return Playlist(
        id=str(facts["id"]),
        name=str(facts.get("name", "")),
        comment=str(facts.get("comment", "")),
        public=facts.get("public") is True,
        owner_id=str(facts.get("ownerId", "")),
        rules=facts.get("rules") or None,
        songs=int(facts.get("songCount") or 0),
        record=facts,
    )


def _status(body: Mapping[str, Any]) -> ScanStatus:
    facts = body.get("scanStatus") or {}
    return ScanStatus(facts.get("scanning") is True, str(facts.get("lastScan", "")), str(facts.get("error") or ""))
