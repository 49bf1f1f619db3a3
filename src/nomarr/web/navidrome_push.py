"""Playlists for Navidrome: pushed to it, or put beside the music as files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel, Field, StringConstraints

from nomarr.errors import Conflict, InvalidInput
from nomarr.navidrome import nsp, nspfile, pushing, songs
from nomarr.navidrome.client import Client
from nomarr.navidrome.connection import account_of
from nomarr.navidrome.nspfile import WrittenFile
from nomarr.navidrome.pushing import MOST_SONGS, Wanted
from nomarr.navidrome.query import to_text
from nomarr.navidrome.selection import select
from nomarr.settings import Settings
from nomarr.store import libraries, navidrome
from nomarr.store.database import Database
from nomarr.store.navidrome import Pushed
from nomarr.web.answers import Done, example, problems, utc
from nomarr.web.auth import require_login
from nomarr.web.context import UseClock, UseDatabase, UseSettings
from nomarr.web.ids import LARGEST_ID, Id
from nomarr.web.navidrome import QUERY, PlaylistRequest, ground_of
from nomarr.web.navidrome_link import UseLink

router = APIRouter(prefix="/api/web/navidrome/playlists", tags=["navidrome"], dependencies=[Depends(require_login)])

PushedId = Annotated[int, Path(ge=1, le=LARGEST_ID)]
NOT_IN_RULES = ("name", "comment", "public")  # of an .nsp object: they are the playlist's own


class PushRequest(PlaylistRequest):
    """Either `query`, `rules` or `file_ids`."""

    kind: Literal["rules", "list"] = Field(
        default="rules", description="rules: Navidrome finds the tracks itself, always anew; list: those of this moment"
    )
    file_ids: list[Id] | None = Field(default=None, max_length=MOST_SONGS, description="for a list, in its order")
    public: bool | None = Field(default=None, description="for all of Navidrome's users; null: as it is there")
    pushed_id: Id | None = Field(default=None, description="the one to change, if not the one of this name")
    replace: bool = Field(default=False, description="also one of this name that Nomarr did not make")


class WriteRequest(PlaylistRequest):
    library_id: Id
    folder: str = Field(default="", max_length=1000, description="of the library; made if its last part is missing")
    file_name: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = Field(
        default=None, description="null: as the playlist"
    )
    replace: bool = Field(default=False, description="also a file that Nomarr did not write, or that was changed since")


class DeleteRequest(BaseModel):
    also_there: bool = Field(default=False, description="delete it in Navidrome as well")


@dataclass(frozen=True)
class PushedAnswer:
    """A playlist in Navidrome that Nomarr made. `name` is how it was pushed, `tracks` how many it had then."""

    id: int
    name: str
    kind: str
    navidrome_id: str
    query: str
    tracks: int
    pushed_at: str


@dataclass(frozen=True)
class PushAnswer:
    """`action` is created, updated, unchanged, created_again (it was deleted there) or adopted (it was there already).

    `name_there` is another than its name where somebody renamed it in Navidrome. `matched_tracks` are Nomarr's;
    `unmapped` of a list's are not known to Navidrome.
    """

    action: str
    playlist: PushedAnswer
    name_there: str
    matched_tracks: int
    unmapped: int


PUSHED = {
    "id": 1,
    "name": "Happy Mood",
    "kind": "rules",
    "navidrome_id": "3PDpAwWcHWciTrdj0B3Yci",
    "query": QUERY,
    "tracks": 812,
    "pushed_at": "2027-01-15T08:00:00Z",
}


@dataclass(frozen=True)
class _Asked:
    """What a request comes to: rules for Navidrome, or files for a list."""

    query: str
    matched: int
    rules: dict[str, Any] | None
    file_ids: Sequence[int]


@router.get(
    "/pushed", summary="The playlists that were pushed", responses=example([PUSHED]) | problems(401, 403, 409, 503)
)
def list_pushed(db: UseDatabase, settings: UseSettings) -> list[PushedAnswer]:
    """Those of the account in the settings, as they were when they were pushed."""
    account = account_of(settings).key
    with db.read() as tx:
        return [_pushed(one) for one in navidrome.pushed_playlists(tx, account)]


@router.post(
    "/push",
    summary="Put a playlist into Navidrome",
    responses=example(
        {"action": "created", "playlist": PUSHED, "name_there": "Happy Mood", "matched_tracks": 812, "unmapped": 0}
    )
    | problems(400, 401, 403, 404, 409, 413, 502, 503),
)
def push_playlist(
    request: Request, body: PushRequest, db: UseDatabase, settings: UseSettings, link: UseLink, clock: UseClock
) -> PushAnswer:
    """Pushing again under the same name changes what is different, and makes nothing twice.

    A name that somebody gave it in Navidrome stays; one that was deleted there is made again.
    """
    client = link.client(settings)
    asked = _asked(request, body, db, settings)
    with link.pushing:
        with db.read() as tx:
            now, known = clock(tx), _known(tx, client, body)
        wanted, unmapped = _wanted(db, client, body, asked, now=now)
        outcome = pushing.push(client, wanted, known, replace=body.replace)
        with db.write() as tx:
            if wanted.rules is None and outcome.tracks < len(wanted.song_ids):
                navidrome.forget_songs(tx)  # some are gone from Navidrome; the next list looks for them again
            if known is not None and known.name != wanted.name:
                navidrome.forget_pushed(tx, known.id)
            pushed = navidrome.remember_pushed(
                tx,
                {
                    "account": client.account.key,
                    "name": wanted.name,
                    "kind": wanted.kind,
                    "navidrome_id": outcome.navidrome_id,
                    "query": asked.query,
                    "seen": outcome.seen,
                    "tracks": outcome.tracks,
                    "pushed_at": now,
                },
            )
    return PushAnswer(outcome.action, _pushed(pushed), outcome.name, asked.matched, unmapped)


@router.post(
    "/pushed/{pushed_id}/forget",
    summary="Forget a pushed playlist",
    responses=example({"message": "Forgot Happy Mood", "status": "success"})
    | problems(400, 401, 403, 404, 409, 413, 502, 503),
)
def forget_pushed(
    pushed_id: PushedId, body: DeleteRequest, db: UseDatabase, settings: UseSettings, link: UseLink
) -> Done:
    with db.read() as tx:
        pushed = navidrome.get_pushed(tx, pushed_id)
    if body.also_there:
        client = link.client(settings)
        _require_account(pushed, client)
        client.delete_playlist(pushed.navidrome_id)
    with db.write() as tx:
        navidrome.forget_pushed(tx, pushed_id)
    return Done(f"Forgot {pushed.name}" + (", and deleted it in Navidrome" if body.also_there else ""))


@router.post(
    "/write",
    summary="Put a playlist beside the music",
    responses=example({"path": "/music/Playlists/Happy Mood.nsp", "action": "created"})
    | problems(400, 401, 403, 404, 409, 413, 503),
)
def write_playlist(request: Request, body: WriteRequest, db: UseDatabase, settings: UseSettings) -> WrittenFile:
    """An .nsp file in a folder of a library, which Navidrome's next scan finds. One that Nomarr wrote is updated."""
    with ground_of(request, db, settings, None) as known:
        playlist = body.playlist(known.fields, name=body.playlist_name, comment=body.comment)
        nsp.to_text(playlist, known.fields)
        content = nsp.to_json(playlist, known.fields)
    with db.read() as tx:
        library = libraries.get(tx, body.library_id)
    name = body.file_name or body.playlist_name
    return nspfile.write(settings.here(library.root_path), body.folder, name, content, replace=body.replace)


def _asked(request: Request, body: PushRequest, db: Database, settings: Settings) -> _Asked:
    if body.file_ids is not None:
        if body.kind != "list" or body.query is not None or body.rules is not None:
            raise InvalidInput('file_ids: they make a list; give kind "list", and neither query nor rules')
        return _Asked("", len(body.file_ids), None, body.file_ids)
    with ground_of(request, db, settings, None) as known:
        playlist = body.playlist(known.fields, name=body.playlist_name, comment=body.comment)
        nsp.to_text(playlist, known.fields)
        query = body.query or to_text(playlist.rules)
        show = MOST_SONGS + 1 if body.kind == "list" else 0
        found = select(playlist, known.fields, known.files, known.sounds, show=show)
        if body.kind == "list":
            if found.not_evaluated:
                names = ", ".join(found.not_evaluated)
                raise InvalidInput(f'Only Navidrome knows {names}; push it with kind "rules"')
            return _Asked(query, found.listed, None, found.first)
        rules = nsp.to_json(playlist, known.fields)
    return _Asked(query, found.listed, {key: rules[key] for key in rules if key not in NOT_IN_RULES}, ())


def _wanted(db: Database, client: Client, body: PushRequest, asked: _Asked, *, now: int) -> tuple[Wanted, int]:
    """The playlist in Navidrome's terms, and how many tracks it does not know."""
    if asked.rules is not None:
        return Wanted(body.playlist_name, body.comment, body.public, asked.rules), 0
    known = songs.ids_of(db, client, asked.file_ids, now=now)
    ids = tuple(known[file_id] for file_id in asked.file_ids if file_id in known)
    return Wanted(body.playlist_name, body.comment, body.public, None, ids), len(asked.file_ids) - len(ids)


def _known(tx: Any, client: Client, body: PushRequest) -> Pushed | None:
    if body.pushed_id is None:
        return navidrome.pushed_named(tx, client.account.key, body.playlist_name)
    pushed = navidrome.get_pushed(tx, body.pushed_id)
    _require_account(pushed, client)
    return pushed


def _require_account(pushed: Pushed, client: Client) -> None:
    """Conflict for a playlist of another account, be it of another Navidrome: its id means nothing to this one."""
    if pushed.account != client.account.key:
        raise Conflict(f"{pushed.name} was pushed to {pushed.account}, and the settings name {client.account.key}")


def _pushed(one: Pushed) -> PushedAnswer:
    return PushedAnswer(one.id, one.name, one.kind, one.navidrome_id, one.query, one.tracks, utc(one.pushed_at))
