"""Navidrome: our tags as its fields, and smart playlists made from queries."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field, StringConstraints

from nomarr.errors import InvalidInput
from nomarr.navidrome import nsp, tag_config
from nomarr.navidrome.fields import Fields
from nomarr.navidrome.nsp import Playlist
from nomarr.navidrome.presets import Preset, presets
from nomarr.navidrome.query import LONGEST, parse, to_text
from nomarr.navidrome.selection import count_each, select
from nomarr.navidrome.sounds import Sounds, known_scores
from nomarr.navidrome.tag_config import KnownTag, TagTable
from nomarr.settings import Settings
from nomarr.store import calibrations, libraries
from nomarr.store.database import Database
from nomarr.store.matrix import ScoreMatrix
from nomarr.store.playlists import FileQuery, ListedTrack
from nomarr.web.answers import example, problems
from nomarr.web.auth import needs, require_login
from nomarr.web.context import UseDatabase, UseSettings
from nomarr.web.ids import LARGEST_ID, Whole
from nomarr.web.memory import UseMemory

router = APIRouter(prefix="/api/web/navidrome", tags=["navidrome"], dependencies=[Depends(require_login)])

LibraryId = Annotated[int | None, Query(ge=1, le=LARGEST_ID, description="left out: all enabled libraries")]
Sort = Annotated[str, StringConstraints(max_length=500)]

QUERY = 'nom:mood_happy is true AND (nom:danceability > 0.7 OR genre contains "house") AND NOT year < 1990'
TRACK = {"id": 42, "path": "/music/Artist/Album/Track.mp3", "title": "Happy Song", "artist": "Artist Name"}
TAG = {
    "tag_key": "nom:mood_happy",
    "type": "float",
    "is_multivalue": False,
    "summary": "Mood: Happy",
    "total_count": 3421,
}
TABLE = {"name": "nom_mood_happy", "aliases": ["nom:mood_happy"], "type": "float", "note": "Mood: Happy"}
CONTENT = '{\n  "name": "Happy Mood",\n  "all": [\n    {\n      "is": {\n        "nom_mood_loose": "happy"\n ...'


class Rules(BaseModel):
    """Either `query` or `rules`. What is given beside `rules` takes the place of what they say."""

    query: str | None = Field(default=None, max_length=LONGEST, examples=[QUERY])
    rules: dict[str, Any] | None = Field(default=None, description="an .nsp object", examples=[None])
    sort: Sort | None = Field(default=None, description="fields, or random", examples=["-year,title"])
    limit: Whole | None = Field(default=None, ge=0, le=nsp.MOST_TRACKS, description="0: all", examples=[500])

    def playlist(self, fields: Fields, *, name: str = "", comment: str = "") -> Playlist:
        """The playlist that is asked for. InvalidInput says what is wrong with it."""
        if self.query is not None and self.rules is None:
            made = Playlist(parse(self.query, fields))
        elif self.rules is not None and self.query is None:
            made = nsp.from_json(self.rules, fields)
        else:
            raise InvalidInput("Give either query or rules")
        sort = made.sort if self.sort is None else nsp.read_sort(self.sort, fields)
        limit = made.limit if self.limit is None else self.limit
        changes = {"name": name or made.name, "comment": comment or made.comment, "sort": sort, "limit": limit}
        return Playlist(**{**vars(made), **changes})


class PreviewRequest(Rules):
    preview_limit: Whole = Field(default=10, ge=0, le=1000, description="how many tracks are shown")
    library_id: Whole | None = Field(default=None, ge=1, le=LARGEST_ID, description="null: all enabled libraries")


class PlaylistRequest(Rules):
    playlist_name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)] = Field(
        examples=["Happy Mood"]
    )
    comment: str = Field(default="", max_length=2000, examples=["Tracks with happy mood"])


@dataclass(frozen=True)
class TagsAnswer:
    """The tags that Nomarr writes, as far as there are results."""

    namespace: str
    tag_count: int
    tags: list[KnownTag]


@dataclass(frozen=True)
class ConfigAnswer:
    """Text to append to navidrome.toml, and the same as tables. A table without a type leaves Navidrome's own."""

    namespace: str
    config: str
    tables: list[TagTable]


@dataclass(frozen=True)
class PreviewAnswer:
    """What Navidrome lists: `matched_tracks` is their number, `total_matching` that without the playlist's limit.

    `not_written` of those found by scores or moods have results that their files do not hold (yet), so that
    Navidrome cannot know. Rules on fields that only Navidrome knows are left out and named in `not_evaluated`.
    """

    matched_tracks: int
    total_matching: int
    not_written: int
    preview: list[ListedTrack]
    query: str
    not_evaluated: list[str]


@dataclass(frozen=True)
class PlaylistAnswer:
    """`content` is the .nsp file; `navidrome_version` the oldest that reads it as it is meant."""

    playlist_name: str
    query: str
    content: str
    navidrome_version: str


@dataclass(frozen=True)
class PresetAnswer:
    name: str
    query: str
    matched_tracks: int


@dataclass(frozen=True)
class Ground:
    """What queries stand on, at one moment."""

    fields: Fields
    sounds: Sounds
    files: FileQuery
    state: Hashable  # equal as long as neither scores, calibrations nor libraries changed


@router.get(
    "/preview",
    summary="The tags that Navidrome can be told of",
    responses=example({"namespace": "nom", "tag_count": 1, "tags": [TAG]}) | problems(400, 401, 404, 503),
)
def preview_tags(request: Request, db: UseDatabase, settings: UseSettings, library_id: LibraryId = None) -> TagsAnswer:
    with ground_of(request, db, settings, library_id) as ground:
        tags = tag_config.known_tags(ground.sounds, settings.namespace)
    return TagsAnswer(settings.namespace, len(tags), tags)


@router.get(
    "/config",
    summary="Navidrome's configuration for them",
    responses=example({"namespace": "nom", "config": "[Tags.nom_mood_happy]\n...", "tables": [TABLE]})
    | problems(400, 401, 404, 503),
)
def config(request: Request, db: UseDatabase, settings: UseSettings, library_id: LibraryId = None) -> ConfigAnswer:
    """TOML to append to navidrome.toml; a full scan must follow."""
    with ground_of(request, db, settings, library_id) as ground:
        tables = tag_config.tables(ground.sounds.scores, settings.namespace)
    return ConfigAnswer(settings.namespace, tag_config.to_toml(tables), tables)


@router.post(
    "/playlists/preview",
    summary="What a query finds",
    responses=example(
        {
            "matched_tracks": 3421,
            "total_matching": 3421,
            "not_written": 12,
            "preview": [TRACK],
            "query": QUERY,
            "not_evaluated": [],
        }
    )
    | problems(400, 401, 403, 404, 413, 503),
)
@needs("read")
def preview_playlist(request: Request, body: PreviewRequest, db: UseDatabase, settings: UseSettings) -> PreviewAnswer:
    """Counts the tracks that Navidrome would list, once it has read the tags and knows their fields."""
    with ground_of(request, db, settings, body.library_id) as ground:
        playlist = body.playlist(ground.fields)
        nsp.to_text(playlist, ground.fields)
        found = select(playlist, ground.fields, ground.files, ground.sounds, show=body.preview_limit)
        tracks = ground.files.tracks(found.first)
    query = body.query or to_text(playlist.rules)
    return PreviewAnswer(
        matched_tracks=found.listed,
        total_matching=found.matching,
        not_written=found.not_written,
        preview=tracks,
        query=query,
        not_evaluated=list(found.not_evaluated),
    )


@router.post(
    "/playlists/generate",
    summary="A smart playlist for Navidrome",
    responses=example(
        {"playlist_name": "Happy Mood", "query": QUERY, "content": CONTENT, "navidrome_version": "0.58.0"}
    )
    | problems(400, 401, 403, 413, 503),
)
@needs("read")
def generate_playlist(
    request: Request, body: PlaylistRequest, db: UseDatabase, settings: UseSettings
) -> PlaylistAnswer:
    """The content of an .nsp file, to be saved in a library's folder."""
    with ground_of(request, db, settings, None) as ground:
        playlist = body.playlist(ground.fields, name=body.playlist_name, comment=body.comment)
        content = nsp.to_text(playlist, ground.fields)
        version = nsp.needed_version(playlist, ground.fields)
    return PlaylistAnswer(body.playlist_name, body.query or to_text(playlist.rules), content, version)


@router.get(
    "/presets",
    summary="Queries to begin with",
    responses=example([{"name": "Happy", "query": "nom:mood-regular is happy", "matched_tracks": 812}])
    | problems(400, 401, 404, 503),
)
def list_presets(
    request: Request, db: UseDatabase, settings: UseSettings, memory: UseMemory, library_id: LibraryId = None
) -> list[PresetAnswer]:
    chosen = presets(settings.namespace)
    with ground_of(request, db, settings, library_id) as ground:
        counts = memory.recall(("presets", library_id), (ground.state, *chosen), lambda: _counts(ground, chosen))
    return [PresetAnswer(preset.name, preset.query, count) for preset, count in zip(chosen, counts, strict=True)]


def _counts(ground: Ground, chosen: Sequence[Preset]) -> list[int]:
    rules = [parse(preset.query, ground.fields) for preset in chosen]
    return count_each(rules, ground.fields, ground.files, ground.sounds)


@contextmanager
def ground_of(request: Request, db: Database, settings: Settings, library_id: int | None) -> Iterator[Ground]:
    matrix: ScoreMatrix = request.app.state.matrix
    with db.read() as tx:
        chosen = libraries.list_all(tx, enabled_only=True) if library_id is None else [libraries.get(tx, library_id)]
        snapshot = matrix.refresh(tx)
        current = calibrations.current(tx)
        yield Ground(
            fields=Fields(settings.namespace, known_scores(snapshot)),
            sounds=Sounds(snapshot, current.of, library_ids={library.id for library in chosen}),
            files=FileQuery(tx, library_id, request.app.state.remembered),
            state=(snapshot.version, *chosen, *(current.of(library.id).label for library in chosen)),
        )
