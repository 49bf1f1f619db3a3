"""Which of Navidrome's songs is which of our files, and which of its folders is which of ours.

Both sides know a file by its place below a folder of their own, and these folders need not be the same: a sample of
songs is looked up by file name alone, and what their paths have in common from the end tells how the two trees lie to
one another. After that every song is looked up by its place, and what is left by its tags.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from nomarr.navidrome.client import Client, MusicFolder, Song
from nomarr.store import libraries, navidrome, preferences
from nomarr.store.database import Database, Transaction
from nomarr.store.facts import fold
from nomarr.store.navidrome import Placed, Touched

STATE = "navidrome.songs"  # the preference that says what was found the last time
SAMPLE = 300  # songs
MOST_PLACES = 8  # pairs of folders for one of Navidrome's libraries
SAME_LENGTH_S = 3.0  # two programs seldom measure the same length to the millisecond


@dataclass(frozen=True)
class Place:
    """A folder of Navidrome's that is a folder of ours; "" is the root of a library."""

    music_folder: int
    their_folder: str
    library_id: int
    our_folder: str

    def ours(self, path: str) -> str | None:
        """Where a path in Navidrome's library lies in ours; None where it lies beside this place."""
        return _moved(path, self.their_folder, self.our_folder)

    def theirs(self, path: str) -> str | None:
        return _moved(path, self.our_folder, self.their_folder)


@dataclass(frozen=True)
class Found:
    """What looking at both sides gave; `state` is what it was found in, and holds for."""

    url: str
    state: str
    places: tuple[Place, ...]
    songs: int
    matched: int
    at: int


def last_found(tx: Transaction, client: Client) -> Found | None:
    """What was found the last time, if it was of this Navidrome."""
    facts = preferences.get(tx, STATE)
    if facts is None or facts["url"] != client.account.url:
        return None
    return Found(**{**facts, "places": tuple(Place(**place) for place in facts["places"])})


def state_of(tx: Transaction, folders: Iterable[MusicFolder]) -> str:
    """Equal as long as neither side was scanned or changed its libraries."""
    ours = [(lib.id, lib.root_path, lib.is_enabled, lib.scan_finished_at) for lib in libraries.list_all(tx)]
    return repr((ours, [(folder.id, folder.path, folder.songs, folder.last_scan) for folder in folders]))


def find_places(db: Database, client: Client, folders: Iterable[MusicFolder]) -> tuple[Place, ...]:
    """How the folders of the two lie to one another, the likeliest first."""
    places: list[Place] = []
    for folder in folders:
        sample = [song for page in client.songs(folder.id, most=SAMPLE, sort="random") for song in page]
        names = {form for song in sample for form in _forms(song.path.rpartition("/")[2])}
        with db.read() as tx:  # not while Navidrome is waited for
            enabled = {library.id for library in libraries.list_all(tx, enabled_only=True)}
            files = [file for file in navidrome.files_named(tx, names) if file.library_id in enabled]
        places.extend(_likeliest(folder.id, sample, files))
    return tuple(places)


def find_songs(db: Database, client: Client, *, now: int) -> Found:
    """Look at every song, and remember which file it is. Takes a second for some thousand songs."""
    folders = client.music_folders()
    with db.read() as tx:
        state = state_of(tx, folders)
    places = find_places(db, client, folders)
    songs = matched = 0
    for folder in folders:
        here = [place for place in places if place.music_folder == folder.id]
        for page in client.songs(folder.id):
            with db.write() as tx:
                pairs = match(tx, page, here)
                navidrome.remember_songs(tx, pairs, generation=now)
            songs, matched = songs + len(page), matched + len(pairs)
    found = Found(client.account.url, state, places, songs, matched, now)
    with db.write() as tx:
        navidrome.forget_songs(tx, but_generation=now)
        preferences.put(tx, STATE, asdict(found))
    return found


def ids_of(db: Database, client: Client, file_ids: Sequence[int], *, now: int) -> dict[int, str]:
    """File -> song, as far as Navidrome has it; looks again only where one is unknown and something has changed."""
    with db.read() as tx:
        known = last_found(tx, client)
        found = {} if known is None else navidrome.song_ids(tx, file_ids)
    if known is not None and len(found) == len(set(file_ids)):
        return found
    folders = client.music_folders()
    with db.read() as tx:
        is_current = known is not None and known.state == state_of(tx, folders)
    if not is_current:
        find_songs(db, client, now=now)
    with db.read() as tx:
        return navidrome.song_ids(tx, file_ids)


def match(tx: Transaction, songs: Sequence[Song], places: Sequence[Place]) -> list[tuple[int, str]]:
    """(file, song) for those songs that are files of ours."""
    by_place = _by_place(tx, songs, places)
    left = [song for song in songs if song.id not in by_place]
    taken = set(by_place.values())
    by_tags = {song: file for song, file in _by_tags(tx, left).items() if file not in taken}
    return [(file, song) for song, file in {**by_place, **by_tags}.items()]


def targets(touched: Iterable[Touched], places: Sequence[Place], *, most: int) -> list[str]:
    """The folders as Navidrome's scanner takes them, at most so many; [] where some are not known to it."""
    found: set[tuple[int, str]] = set()
    for folder in touched:
        theirs = [
            (place.music_folder, path)
            for place in places
            if place.library_id == folder.library_id and (path := place.theirs(folder.folder)) is not None
        ]
        if not theirs:
            return []
        found.update(theirs)
    while len(found) > most and any(path for _, path in found):
        deepest = max(path.count("/") for _, path in found if path)
        found = {(lib, path.rpartition("/")[0] if path.count("/") == deepest else path) for lib, path in found}
    return [f"{lib}:{path}" for lib, path in sorted(found) if not _is_covered(lib, path, found)]


def _is_covered(lib: int, path: str, found: set[tuple[int, str]]) -> bool:
    """Whether a folder above is there too: Navidrome looks into what lies below."""
    parts = path.split("/") if path else []
    return any((lib, "/".join(parts[:depth])) in found for depth in range(len(parts)))


def _likeliest(music_folder: int, songs: Iterable[Song], files: Iterable[Placed]) -> list[Place]:
    by_name: dict[str, list[tuple[int, list[str]]]] = {}
    for file in files:
        parts = _parts(f"{file.folder}/{file.name}" if file.folder else file.name)
        by_name.setdefault(parts[-1], []).append((file.library_id, parts))
    votes: Counter[Place] = Counter()
    for song in songs:
        theirs = _parts(song.path)
        near = [(_in_common(theirs, ours), library_id, ours) for library_id, ours in by_name.get(theirs[-1], ())]
        longest = max((tail for tail, _, _ in near), default=0)
        for tail, library_id, ours in near:
            if tail == longest:
                heads = "/".join(theirs[:-tail]), "/".join(ours[:-tail])
                votes[Place(music_folder, heads[0], library_id, heads[1])] += 1
    least = max(votes.values(), default=0) / 20  # fewer are chance: a Track 01 in another album
    return [place for place, count in votes.most_common(MOST_PLACES) if count >= least]


def _by_place(tx: Transaction, songs: Sequence[Song], places: Sequence[Place]) -> dict[str, int]:
    found: dict[str, int] = {}
    for place in places:
        paths = {song.id: path for song in songs if song.id not in found and (path := place.ours(song.path))}
        folders = {form for path in paths.values() for form in _forms(path.rpartition("/")[0])}
        files = {
            _normal(f"{file.folder}/{file.name}" if file.folder else file.name): file
            for file in navidrome.files_in(tx, place.library_id, folders)
        }
        for song in songs:
            file = files.get(_normal(paths.get(song.id, "")))
            if file is not None and _is_as_long(song, file):
                found[song.id] = file.id
    return found


def _by_tags(tx: Transaction, songs: Sequence[Song]) -> dict[str, int]:
    """By title, artist, album and length, where just one file has them."""
    titled = {fold(song.title) for song in songs if song.title}
    files: dict[tuple[str, str, str], list[Placed]] = {}
    for file, *keys in navidrome.files_titled(tx, titled):
        files.setdefault((keys[0], keys[1], keys[2]), []).append(file)
    found: dict[str, int] = {}
    claims: Counter[int] = Counter()
    for song in songs:
        near = [
            file
            for file in files.get((fold(song.title), fold(song.artist), fold(song.album)), ())
            if file.duration_s is not None and song.duration_s and _is_as_long(song, file)
        ]
        if len(near) == 1:
            found[song.id] = near[0].id
            claims[near[0].id] += 1
    return {song: file for song, file in found.items() if claims[file] == 1}


def _is_as_long(song: Song, file: Placed) -> bool:
    return not song.duration_s or not file.duration_s or abs(song.duration_s - file.duration_s) <= SAME_LENGTH_S


def _in_common(theirs: Sequence[str], ours: Sequence[str]) -> int:
    """How many parts of two paths are the same, from the end."""
    pairs = zip(reversed(theirs), reversed(ours), strict=False)
    return next((at for at, (one, other) in enumerate(pairs) if one != other), min(len(theirs), len(ours)))


def _moved(path: str, from_folder: str, to_folder: str) -> str | None:
    if from_folder and path != from_folder and not path.startswith(f"{from_folder}/"):
        return None
    rest = path[len(from_folder) :].lstrip("/")
    return f"{to_folder}/{rest}".strip("/") if to_folder else rest


def _parts(path: str) -> list[str]:
    return _normal(path).split("/")


def _normal(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _forms(text: str) -> set[str]:
    """The ways in which different systems spell accents."""
    return {text, _normal(text), unicodedata.normalize("NFD", text)}
