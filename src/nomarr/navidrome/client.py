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
from nomarr.navidrome.facts import Facts, read_json, sentence

PAGE = 500  # songs; their lyrics come along
MOST_FOLDERS, MOST_SONGS, MOST_IN_PLAYLIST = 1000, 10_000_000, 1_000_000  # more are not believed
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
    tags: Mapping[str, list[str]]


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
        found = self._list("library", {})
        if len(found) > MOST_FOLDERS:
            raise _endless("libraries")
        return [
            MusicFolder(
                id=one.whole("id"),
                name=one.text("name"),
                path=one.text("path"),
                songs=one.whole("totalSongs"),
                last_scan=one.text("lastScanAt"),
            )
            for one in found
        ]

    def songs(self, library_id: int, *, most: int | None = None, sort: str = "path") -> Iterator[list[Song]]:
        """The songs of a library, page by page; those whose files are gone are left out."""
        start, firsts = 0, set[str]()
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
                if (sort == "path" and page[0].id in firsts) or start > MOST_SONGS:
                    raise _endless("songs")
                firsts.add(page[0].id)
                yield page
            if len(page) < end - start:
                return
            start = end

    def song(self, song_id: str) -> Song | None:
        answer = self.connection.native("GET", f"song/{_safe(song_id)}")
        if answer.status_code == httpx.codes.NOT_FOUND or _is_gone(answer):
            return None
        return _song(Facts(_expect(answer, "a song"), "a song"))

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
        what = "the tags of a file"
        return {name.lower(): values for name, values in Facts(_expect(answer, what), what).lists("rawTags").items()}

    def tag_tables(self) -> dict[str, dict[str, Any]] | None:
        """The [Tags.<name>] tables of its configuration, in lower case; None where it does not show them."""
        answer = self.connection.native("GET", "config/config")
        if not answer.is_success:
            return None
        what = "its configuration"
        tables = Facts(_expect(answer, what), what).inner("config").inner("Tags")
        return {
            name.lower(): {key.lower(): value for key, value in Facts(facts, what).all.items()}
            for name, facts in tables.all.items()
        }

    # playlists

    def playlist(self, playlist_id: str) -> Playlist | None:
        answer = self.connection.native("GET", f"playlist/{_safe(playlist_id)}")
        if answer.status_code == httpx.codes.NOT_FOUND or _is_gone(answer):
            return None
        return _playlist(Facts(_expect(answer, "a playlist"), "a playlist"))

    def own_playlists(self, name: str) -> list[Playlist]:
        """Our account's playlists of exactly this name."""
        found = map(_playlist, self._list("playlist", {"_start": "0", "_end": "100000"}))
        return [one for one in found if one.name == name and one.owner_id == self.connection.user.id]

    def create_smart(self, record: Mapping[str, Any]) -> str:
        """The id of a new playlist with rules."""
        made = _expect(self.connection.native("POST", "playlist", body=record), "a new playlist")
        return Facts(made, "a new playlist").id()

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
            found.extend(one.id("mediaFileId") for one in page)
            if len(page) < PAGE:
                return found
            if len(found) > MOST_IN_PLAYLIST:
                raise _endless("songs of a playlist")

    def put_list(self, song_ids: Sequence[str], *, name: str, playlist_id: str | None = None) -> str:
        """The id of a playlist with just these songs: a new one, or the given one with its songs replaced."""
        params: dict[str, str | list[str]] = {"songId": list(song_ids)}
        params.update({"name": name} if playlist_id is None else {"playlistId": playlist_id})
        made = self.connection.subsonic("createPlaylist", params)
        return made.inner("playlist").id()

    def delete_playlist(self, playlist_id: str) -> None:
        """Harmless where it is gone already."""
        try:
            self.connection.subsonic("deletePlaylist", {"id": playlist_id})
        except SubsonicError as error:
            if error.code != NOT_FOUND:
                raise

    def _list(self, path: str, params: Mapping[str, str]) -> list[Facts]:
        found = _expect(self.connection.native("GET", path, params=params), path)
        if not isinstance(found, list):
            raise NavidromeProblem(f"Navidrome's answer about {path} is no list", kind="trouble")
        return [Facts(one, path) for one in found]


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
            return read_json(answer.content)
        except ValueError as error:
            raise NavidromeProblem(f"Navidrome's answer about {what} cannot be read", kind="trouble") from error
    if answer.status_code == httpx.codes.FORBIDDEN:
        raise NavidromeProblem(f"Navidrome does not let this user have {what}", kind="not_admin")
    if answer.status_code == httpx.codes.NOT_FOUND:
        raise NavidromeProblem(f"Navidrome does not have {what} (any more)", kind="not_found")
    why = sentence(answer.content[:1000].decode("utf-8", "replace"))
    raise NavidromeProblem(f"Navidrome refused {what}: {answer.status_code} {why}", kind="refused")


def _endless(what: str) -> NavidromeProblem:
    return NavidromeProblem(f"Navidrome's {what} come to no end; they are not read", kind="trouble")


def _is_gone(answer: httpx.Response) -> bool:
    """Navidrome says 500 where 404 is meant."""
    return answer.status_code == httpx.codes.INTERNAL_SERVER_ERROR and b"data not found" in answer.content


def _song(facts: Facts) -> Song:
    return Song(
        id=facts.id(),
        library_id=facts.whole("libraryId") or 1,
        path=facts.text("path"),
        title=facts.text("title"),
        album=facts.text("album"),
        artist=facts.text("artist"),
        duration_s=facts.number("duration"),
        recording_id=facts.text("mbzRecordingID"),
        tags=facts.lists("tags"),
    )


def _playlist(facts: Facts) -> Playlist:
    return Playlist(
        id=facts.id(),
        name=facts.text("name"),
        comment=facts.text("comment"),
        public=facts.all.get("public") is True,
        owner_id=facts.text("ownerId"),
        rules=facts.inner("rules").all or None,
        songs=facts.whole("songCount"),
        record=facts.all,
    )


def _status(body: Facts) -> ScanStatus:
    facts = body.inner("scanStatus")
    return ScanStatus(facts.all.get("scanning") is True, facts.text("lastScan"), sentence(facts.text("error")))
