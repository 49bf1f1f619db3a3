"""Playlists into Navidrome, so that pushing again changes only what is different.

Navidrome's id is remembered. What people changed there stays theirs as far as it can: a new name is kept, a deleted
playlist is made again, and one of the same name that Nomarr did not make is left alone unless somebody says so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from nomarr.errors import Conflict, InvalidInput
from nomarr.navidrome.client import Client, Playlist
from nomarr.store.navidrome import Pushed

Action = Literal["created", "updated", "unchanged", "created_again", "adopted"]
MOST_SONGS = 10_000  # in a list: a request that Navidrome still takes


@dataclass(frozen=True)
class Wanted:
    """A playlist as it should be there: with rules of its own, or just these songs."""

    name: str
    comment: str = ""
    public: bool | None = None  # None: as it is there
    rules: Mapping[str, Any] | None = None
    song_ids: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        return "list" if self.rules is None else "rules"


@dataclass(frozen=True)
class Outcome:
    """What was done. `name` is the playlist's in Navidrome, `seen` stands for what is there now."""

    action: Action
    navidrome_id: str
    name: str
    seen: str
    tracks: int


def push(client: Client, wanted: Wanted, known: Pushed | None, *, replace: bool = False) -> Outcome:
    """Make Navidrome hold the playlist. Conflict where that would take something from somebody."""
    _check(wanted)
    there = None if known is None else client.playlist(known.navidrome_id)
    if there is not None:
        return _update(client, there, wanted, known_name=known.name if known else wanted.name)
    namesake = _namesake(client, wanted, replace=replace)
    if namesake is not None:
        outcome = _update(client, namesake, wanted, known_name=wanted.name)
        return Outcome("adopted", outcome.navidrome_id, outcome.name, outcome.seen, outcome.tracks)
    made = _create(client, wanted)
    return _outcome(client, "created" if known is None else "created_again", made, wanted)


def _check(wanted: Wanted) -> None:
    if wanted.rules is not None:
        return
    if not wanted.song_ids:
        raise InvalidInput("None of these tracks is known to Navidrome; an empty list is not pushed")
    if len(wanted.song_ids) > MOST_SONGS:
        raise InvalidInput(f"A list can have at most {MOST_SONGS} tracks; this one has {len(wanted.song_ids)}")


def _namesake(client: Client, wanted: Wanted, *, replace: bool) -> Playlist | None:
    """A playlist there that has the name already: one that is just what is wanted, or that may be replaced.

    The former is what a push leaves that was cut off before its id was remembered.
    """
    namesakes = client.own_playlists(wanted.name)
    for one in namesakes:
        if _kind(one) == wanted.kind and _differences(client, one, wanted, known_name=wanted.name) == {}:
            return one
    if not namesakes:
        return None
    if not replace:
        raise Conflict(
            f"Navidrome has a playlist {wanted.name} of {client.account.user}'s that Nomarr did not make; "
            "choose another name, or ask to replace it"
        )
    return next((one for one in namesakes if _kind(one) == wanted.kind), None)


def _create(client: Client, wanted: Wanted) -> str:
    facts = {"name": wanted.name, "comment": wanted.comment, "public": wanted.public is True}
    if wanted.rules is not None:
        return client.create_smart({**facts, "rules": dict(wanted.rules)})
    made = client.put_list(wanted.song_ids, name=wanted.name)
    there = client.playlist(made)
    if there is not None and (wanted.comment or wanted.public):
        client.update_playlist(there, {"comment": wanted.comment, "public": wanted.public is True})
    return made


def _update(client: Client, there: Playlist, wanted: Wanted, *, known_name: str) -> Outcome:
    if _kind(there) != wanted.kind:
        raise Conflict(
            f"{there.name} is a {_KINDS[_kind(there)]} in Navidrome now, and cannot become a {_KINDS[wanted.kind]}; "
            "push it under another name"
        )
    different = _differences(client, there, wanted, known_name=known_name)
    if different.pop("songs", None):
        client.put_list(wanted.song_ids, name="", playlist_id=there.id)
    elif not different:
        return _outcome(client, "unchanged", there.id, wanted)
    if different:
        client.update_playlist(client.playlist(there.id) or there, different)
    return _outcome(client, "updated", there.id, wanted)


def _differences(client: Client, there: Playlist, wanted: Wanted, *, known_name: str) -> dict[str, Any]:
    """What has to change; a name only where it was changed here."""
    different: dict[str, Any] = {}
    if wanted.name != known_name and wanted.name != there.name:
        different["name"] = wanted.name
    if wanted.comment != there.comment:
        different["comment"] = wanted.comment
    if wanted.public is not None and wanted.public != there.public:
        different["public"] = wanted.public
    if wanted.rules is not None and _canonical(wanted.rules) != _canonical(there.rules):
        different["rules"] = dict(wanted.rules)
    if wanted.rules is None and list(wanted.song_ids) != client.song_ids(there.id):
        different["songs"] = True
    return different


def _outcome(client: Client, action: Action, playlist_id: str, wanted: Wanted) -> Outcome:
    there = client.playlist(playlist_id)
    if there is None:
        raise Conflict(f"Somebody deleted {wanted.name} in Navidrome at this very moment; push it again")
    tracks = len(client.song_ids(playlist_id))  # which has a playlist with rules look for its songs
    return Outcome(action, playlist_id, there.name, seen_hash(there), tracks)


def seen_hash(there: Playlist) -> str:
    text = json.dumps([there.name, there.comment, there.public, _canonical(there.rules)])
    return hashlib.sha256(text.encode()).hexdigest()


def _kind(there: Playlist) -> str:
    return "list" if there.rules is None else "rules"


def _canonical(rules: Mapping[str, Any] | None) -> str:
    """Equal for equal rules, whatever the order of keys, and 1 is 1.0."""
    return json.dumps(_plain(rules), sort_keys=True)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(one) for one in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


_KINDS = {"rules": "playlist with rules", "list": "plain list"}
