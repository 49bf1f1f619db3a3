"""The files: looking for them, and those with which something went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, cast

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field, StringConstraints

from nomarr.library_moods import tiers_of_files
from nomarr.store import calibrations, queue, search
from nomarr.store.search import Fact, Order, Status, Track, UntimedTrack, Wanted
from nomarr.web import filters
from nomarr.web.answers import example, problems, queued_message, utc
from nomarr.web.auth import needs, require_login
from nomarr.web.context import UseClock, UseDatabase, UseMatrix, UseSettings
from nomarr.web.ids import LARGEST_ID, Id

router = APIRouter(prefix="/api/web/files", tags=["files"], dependencies=[Depends(require_login)])

Limit = Annotated[int, Query(ge=1, le=500, description="how many are listed")]
Offset = Annotated[int, Query(ge=0, le=LARGEST_ID, description="how many are passed over before")]
Text = Annotated[str, StringConstraints(max_length=500)]
Tier = Literal["strict", "regular", "loose"]
Sort = Literal[
    "path", "artist", "album", "title", "added", "analyzed",
    "-path", "-artist", "-album", "-title", "-added", "-analyzed",
]  # fmt: skip
TIERS: Mapping[int, Tier] = {1: "loose", 2: "regular", 3: "strict"}
SILENT = "empty: files that do not say"

TRACK: dict[str, Any] = {
    "id": 42,
    "library_id": 1,
    "path": "/music/Artist/Album/Track.mp3",
    "title": "Happy Song",
    "artist": "Artist Name",
    "album": "Album",
    "album_artist": "Artist Name",
    "genre": "House",
    "year": 1999,
    "track": 3,
    "disc": 1,
    "duration_s": 245.3,
    "status": "done",
    "error": None,
    "analyzed_at": "2027-01-15T08:00:00Z",
    "written_at": "2027-01-15T08:00:01Z",
}
LISTED = TRACK | {"moods": [{"mood": "happy", "tier": "strict"}, {"mood": "danceable", "tier": "loose"}]}
PROBLEM = {
    "file_id": 43,
    "library_id": 1,
    "path": "/music/Artist/Album/Broken.mp3",
    "kind": "unreadable",
    "reason": "not an audio file",
    "set_aside": True,
    "at": "2027-01-15T08:00:00Z",
}


@dataclass(frozen=True)
class FileAnswer(UntimedTrack):
    """A file as lists show it. `status`: pending, running, done, error, missing, or new where nobody asked for it."""

    analyzed_at: str | None
    written_at: str | None


@dataclass(frozen=True)
class Word:
    """A mood that a file carries, by its tier."""

    mood: str
    tier: Tier


@dataclass(frozen=True)
class ListedFile(FileAnswer):
    """With the moods that it carries, the highest tier first."""

    moods: list[Word]


@dataclass(frozen=True)
class FileList:
    """One page, and how many files there are in all."""

    total: int
    limit: int
    offset: int
    files: list[ListedFile]


@dataclass(frozen=True)
class ListedProblem:
    """A file that could not be analysed or written, and why."""

    file_id: int
    library_id: int
    path: str
    kind: str
    reason: str
    set_aside: bool
    at: str


@dataclass(frozen=True)
class ProblemList:
    """One page, and how many files with problems there are in all."""

    total: int
    limit: int
    offset: int
    errors: list[ListedProblem]


class RetryRequest(BaseModel):
    ids: list[Id] | None = Field(
        default=None, description="files with problems; null: all of them", examples=[[43, 44]], max_length=10_000
    )


@dataclass(frozen=True)
class RetryAnswer:
    """How many files get another chance."""

    retried: int
    message: str


@dataclass(frozen=True)
class Asked:
    """What a request looks for; what of `given` the scores answer is not in `wanted` yet."""

    wanted: Wanted
    given: filters.Filters


def _asked(
    settings: UseSettings,
    q: Annotated[str, Query(max_length=200, description="words, all found in title, artist, album or file name")] = "",
    artist: Annotated[str | None, Query(max_length=500, description="this very artist")] = None,
    album: Annotated[str | None, Query(max_length=500, description="this very album")] = None,
    tag: Annotated[list[Text] | None, Query(max_length=10, description=filters.HELP)] = None,
    own_tag: Annotated[
        str | None, Query(max_length=100, description="a tag of the file's own by its very name")
    ] = None,
    year: Annotated[str | None, Query(max_length=5, pattern="^[0-9]*$", description=f"this year; {SILENT}")] = None,
    genre: Annotated[str | None, Query(max_length=5000, description=f"this very first genre; {SILENT}")] = None,
    container: Annotated[
        str | None, Query(alias="format", max_length=100, description=f"this container, as flac; {SILENT}")
    ] = None,
    minutes: Annotated[
        str | None,
        Query(max_length=5, pattern="^[0-9]*$", description=f"whole minutes long, 60 from an hour on; {SILENT}"),
    ] = None,
    library_id: Annotated[list[Id] | None, Query(max_length=1000, description="of these libraries")] = None,
    status: Annotated[Status | None, Query(description="left out: all that are not missing")] = None,
) -> Asked:
    given = filters.read_filters(tag or (), namespace=settings.namespace)
    wanted = Wanted(
        words=q,
        artist=artist,
        album=album,
        tags=given.tags if own_tag is None else (*given.tags, (own_tag, None)),
        library_ids=tuple(library_id or ()),
        status=status,
        without=given.without,
        facts=_facts(year=year, genre=genre, container=container, minutes=minutes),
    )
    return Asked(wanted, given)


@dataclass(frozen=True)
class Page:
    """Which of the files that are found a request asks for."""

    order: Order
    descending: bool
    limit: int
    offset: int


def _page(
    sort: Annotated[Sort, Query(description="a leading - turns it round")] = "path",
    limit: Limit = 50,
    offset: Offset = 0,
) -> Page:
    return Page(cast(Order, sort.removeprefix("-")), sort.startswith("-"), limit, offset)


@router.get(
    "",
    summary="Look for files",
    responses=example({"total": 1, "limit": 50, "offset": 0, "files": [LISTED]}) | problems(400, 401, 403, 503),
)
def list_files(
    db: UseDatabase,
    clock: UseClock,
    matrix: UseMatrix,
    asked: Annotated[Asked, Depends(_asked)],
    page: Annotated[Page, Depends(_page)],
) -> FileList:
    """All that is given must hold; capitals and accents make no difference."""
    wanted, chosen = asked.wanted, asked.wanted.library_ids
    with db.read() as tx:
        now = clock(tx)
        current = calibrations.current(tx)
        blocks = [
            (block, current.of(block.library_id))
            for block in matrix.refresh(tx).blocks
            if not chosen or block.library_id in chosen
        ]
        if asked.given.heard:
            wanted = replace(wanted, ids=asked.given.ids(blocks), library_ids=())
        found = search.find(tx, wanted, now=now, **vars(page))
    said = tiers_of_files(blocks, [track.id for track in found.tracks])
    shown = [ListedFile(**listed(track), moods=_words(said.get(track.id, {}))) for track in found.tracks]
    return FileList(found.total, page.limit, page.offset, shown)


@router.get(
    "/errors",
    summary="Files with which something went wrong",
    responses=example({"total": 1, "limit": 50, "offset": 0, "errors": [PROBLEM]}) | problems(400, 401, 403, 503),
)
def list_errors(db: UseDatabase, limit: Limit = 50, offset: Offset = 0) -> ProblemList:
    """Those that were set aside until somebody asks for them again, and those that could not be written yet."""
    with db.read() as tx:
        total = queue.problem_count(tx)
        found = queue.problems(tx, limit, offset)
    return ProblemList(total, limit, offset, [_problem(problem) for problem in found])


@router.post(
    "/retry",
    summary="Give files with problems another chance",
    responses=example({"retried": 2, "message": "Queued 2 files for processing"}) | problems(400, 401, 403, 413, 503),
)
@needs("enqueue")
def retry(db: UseDatabase, clock: UseClock, body: RetryRequest | None = None) -> RetryAnswer:
    """Files among `ids` with which nothing is wrong stay as they are; so do ids that do not exist."""
    ids = None if body is None or body.ids is None else sorted(set(body.ids))
    with db.write() as tx:
        retried = queue.retry(tx, ids, now=clock(tx))
    return RetryAnswer(retried, queued_message(retried))


def _facts(**given: str | None) -> tuple[tuple[Fact, str | int | None], ...]:
    """Empty ones are files that do not say."""
    numbers = ("year", "minutes")
    return tuple(
        (cast(Fact, name), None if text == "" else int(text) if name in numbers else text)
        for name, text in given.items()
        if text is not None
    )


def listed(track: Track) -> dict[str, Any]:
    times = {name: getattr(track, name) for name in ("analyzed_at", "written_at")}
    return vars(track) | {name: None if ms is None else utc(ms) for name, ms in times.items()}


def _words(tiers: Mapping[str, int]) -> list[Word]:
    return [Word(mood, TIERS[tier]) for mood, tier in sorted(tiers.items(), key=lambda one: -one[1])]


def _problem(problem: queue.Problem) -> ListedProblem:
    return ListedProblem(
        problem.file_id,
        problem.library_id,
        problem.path,
        (problem.error_kind or "file") if problem.set_aside else "write",
        (problem.error if problem.set_aside else problem.write_error) or "unknown",
        problem.set_aside,
        utc(problem.updated_at),
    )
