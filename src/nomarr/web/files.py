"""The files: looking for them, all that is known of one, and those with which something went wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, Field, StringConstraints

from nomarr.inference.catalog import score_names
from nomarr.library_moods import shares_below, tiers_of_files
from nomarr.moods.reference import for_words
from nomarr.moods.tiers import strengths
from nomarr.moods.words import tiers_by_word, words_of
from nomarr.scores import Correction, LibraryCalibration, PackScores
from nomarr.store import calibrations, corrections, files, journal, queue, scores, search, tags
from nomarr.store.search import Fact, Order, Status, Track, Wanted
from nomarr.web import filters
from nomarr.web.answers import example, problems, queued_message, utc
from nomarr.web.auth import needs, require_login
from nomarr.web.context import UseClock, UseDatabase, UseMatrix, UseSettings

router = APIRouter(prefix="/api/web/files", tags=["files"], dependencies=[Depends(require_login)])

FileId = Annotated[int, Path(ge=1, le=2**31 - 1)]
LibraryId = Annotated[int, Field(ge=1, le=2**31 - 1)]
Limit = Annotated[int, Query(ge=1, le=500, description="how many are listed")]
Offset = Annotated[int, Query(ge=0, le=2**31 - 1, description="how many are passed over before")]
Text = Annotated[str, StringConstraints(max_length=500)]
Tier = Literal["strict", "regular", "loose"]
Sort = Literal[
    "path", "artist", "album", "title", "added", "analyzed",
    "-path", "-artist", "-album", "-title", "-added", "-analyzed",
]  # fmt: skip
JOURNALED = 50
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
DETAILS = TRACK | {
    "size": 9_812_332,
    "container": "mp3",
    "suite": "3f2a9c0d1e4b",
    "patches": 81,
    "analysis_s": 1.9,
    "scores": [
        {
            "name": "danceability",
            "pack": "vibenet",
            "head": "danceability",
            "raw": 0.62,
            "calibrated": 0.71,
            "spread": 0.08,
            "p5": 0.21,
            "p95": 0.79,
            "percentile": 66.2,
        }
    ],
    "moods": [{"mood": "happy", "strength": 0.83, "tier": "strict", "by_hand": False}],
    "written": {"hash": "9d0c1f7a2b3e4d5c", "at": "2027-01-15T08:00:01Z", "calibration": "reference", "is_due": False},
    "journal": [{"id": 7, "action": "write", "batch": "nas:120:0:1", "at": "2027-01-15T08:00:01Z", "before": {}}],
    "problem": {
        "set_aside": False,
        "error": None,
        "kind": None,
        "attempts": 0,
        "write_error": None,
        "write_failures": 0,
    },
    "tags": {"genre": ["House"], "label": ["Some Label"]},
}
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
class FileAnswer:
    """A file as lists show it. `status`: pending, running, done, error, missing, or new where nobody asked for it."""

    id: int
    library_id: int
    path: str
    title: str | None
    artist: str | None
    album: str | None
    album_artist: str | None
    genre: str | None
    year: int | None
    track: int | None
    disc: int | None
    duration_s: float | None
    status: str
    error: str | None
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
class ScoreAnswer:
    """One head's score, 0 to 1. `name` is what it is written under; `calibrated` is null without a calibration.

    `p5` and `p95` are what calibration takes for the ends: the library's own or, before it has any, the reference;
    null where there is neither. `percentile` is the share, in per cent, of the library's tracks with a lower score.
    """

    name: str
    pack: str
    head: str
    raw: float
    calibrated: float | None
    spread: float
    p5: float | None
    p95: float | None
    percentile: float | None


@dataclass(frozen=True)
class MoodAnswer:
    """How strongly a mood is heard, 0 to 1, and its tier: strict, regular, loose, or null where it is not said.

    `by_hand`: somebody settled that tier. `strength` is null where nothing that was heard can tell.
    """

    mood: str
    strength: float | None
    tier: Tier | None
    by_hand: bool


@dataclass(frozen=True)
class WrittenAnswer:
    """What the file holds of ours: a hash of it, since when, by which calibration, and whether writing is due."""

    hash: str | None
    at: str | None
    calibration: str | None
    is_due: bool


@dataclass(frozen=True)
class JournalAnswer:
    """One change of the file; `before` is what our fields held until then."""

    id: int
    action: str
    batch: str
    at: str
    before: dict[str, list[str]]


@dataclass(frozen=True)
class ProblemAnswer:
    """What went wrong with a file; it is not tried again where it is set aside."""

    set_aside: bool
    error: str | None
    kind: str | None
    attempts: int
    write_error: str | None
    write_failures: int


@dataclass(frozen=True)
class FileDetails(FileAnswer):
    """All that is known of a file."""

    size: int
    container: str | None
    suite: str | None
    patches: int | None
    analysis_s: float | None
    scores: list[ScoreAnswer]
    moods: list[MoodAnswer]
    written: WrittenAnswer
    journal: list[JournalAnswer]
    problem: ProblemAnswer
    tags: dict[str, list[str]]


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
    ids: list[Annotated[int, Field(ge=1, le=2**31 - 1)]] | None = Field(
        default=None, description="files with problems; null: all of them", examples=[[43, 44]], max_length=10_000
    )


@dataclass(frozen=True)
class RetryAnswer:
    """How many files get another chance."""

    retried: int
    message: str


@router.get(
    "",
    summary="Look for files",
    responses=example({"total": 1, "limit": 50, "offset": 0, "files": [LISTED]}) | problems(400, 401, 403, 503),
)
def list_files(
    db: UseDatabase,
    settings: UseSettings,
    clock: UseClock,
    matrix: UseMatrix,
    q: Annotated[str, Query(max_length=200, description="words, all found in title, artist, album or file name")] = "",
    artist: Annotated[str | None, Query(max_length=500, description="this very artist")] = None,
    album: Annotated[str | None, Query(max_length=500, description="this very album")] = None,
    tag: Annotated[list[Text] | None, Query(max_length=10, description=filters.HELP)] = None,
    own_tag: Annotated[
        str | None, Query(max_length=100, description="a tag of the file's own by its very name")
    ] = None,
    year: Annotated[str | None, Query(max_length=5, pattern="^[0-9]*$", description=f"this year; {SILENT}")] = None,
    genre: Annotated[str | None, Query(max_length=5000, description=f"this very first genre; {SILENT}")] = None,
    format: Annotated[str | None, Query(max_length=100, description=f"this container, as flac; {SILENT}")] = None,  # noqa: A002
    minutes: Annotated[
        str | None,
        Query(max_length=5, pattern="^[0-9]*$", description=f"whole minutes long, 60 from an hour on; {SILENT}"),
    ] = None,
    library_id: Annotated[list[LibraryId] | None, Query(max_length=1000, description="of these libraries")] = None,
    status: Annotated[Status | None, Query(description="left out: all that are not missing")] = None,
    sort: Annotated[Sort, Query(description="a leading - turns it round")] = "path",
    limit: Limit = 50,
    offset: Offset = 0,
) -> FileList:
    """All that is given must hold; capitals and accents make no difference."""
    given = filters.read_filters(tag or (), namespace=settings.namespace)
    chosen = tuple(library_id or ())
    with db.read() as tx:
        now = clock(tx)
        current = calibrations.current(tx)
        blocks = [
            (block, current.of(block.library_id))
            for block in matrix.refresh(tx).blocks
            if not chosen or block.library_id in chosen
        ]
        ids = given.ids(blocks) if given.heard else None
        wanted = Wanted(
            words=q,
            artist=artist,
            album=album,
            tags=given.tags if own_tag is None else (*given.tags, (own_tag, None)),
            ids=ids,
            library_ids=() if given.heard else chosen,
            status=status,
            without=given.without,
            facts=_facts(year=year, genre=genre, container=format, minutes=minutes),
        )
        found = search.find(
            tx,
            wanted,
            now=now,
            order=cast(Order, sort.removeprefix("-")),
            descending=sort.startswith("-"),
            limit=limit,
            offset=offset,
        )
    said = tiers_of_files(blocks, [track.id for track in found.tracks])
    listed = [ListedFile(**_listed(track), moods=_words(said.get(track.id, {}))) for track in found.tracks]
    return FileList(found.total, limit, offset, listed)


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


@router.get(
    "/{file_id}", summary="All that is known of a file", responses=example(DETAILS) | problems(400, 401, 403, 404, 503)
)
def get_file(file_id: FileId, db: UseDatabase, clock: UseClock, matrix: UseMatrix) -> FileDetails:
    with db.read() as tx:
        file = files.get(tx, file_id)
        (track,) = search.tracks(tx, [file_id], now=clock(tx))
        packs = scores.load(tx, file_id)
        calibration = calibrations.for_library(tx, file.library_id)
        correction = corrections.of(tx, file_id)
        changes = journal.recent(tx, limit=JOURNALED, file_id=file_id)
        own = tags.file_tags(tx, file_id)
        blocks = [block for block in matrix.refresh(tx).blocks if block.library_id == file.library_id]
    return FileDetails(
        **_listed(track),
        size=file.size,
        container=file.container,
        suite=file.suite,
        patches=file.patches,
        analysis_s=file.analysis_s,
        scores=_scores(packs, calibration, shares_below(blocks, packs)),
        moods=_moods(packs, calibration, correction),
        written=WrittenAnswer(
            file.written_hash,
            None if file.written_at is None else utc(file.written_at),
            file.calibration,
            file.needs_write,
        ),
        journal=[JournalAnswer(entry.id, entry.action, entry.batch, utc(entry.at), entry.before) for entry in changes],
        problem=ProblemAnswer(
            file.set_aside, file.error, file.error_kind, file.attempts, file.write_error, file.write_failures
        ),
        tags={name: list(values) for name, values in own.items()},
    )


def _facts(**given: str | None) -> tuple[tuple[Fact, str | int | None], ...]:
    """Empty ones are files that do not say."""
    numbers = ("year", "minutes")
    return tuple(
        (cast(Fact, name), None if text == "" else int(text) if name in numbers else text)
        for name, text in given.items()
        if text is not None
    )


def _listed(track: Track) -> dict[str, Any]:
    times = {name: getattr(track, name) for name in ("analyzed_at", "written_at")}
    return vars(track) | {name: None if ms is None else utc(ms) for name, ms in times.items()}


def _words(tiers: Mapping[str, int]) -> list[Word]:
    return [Word(mood, TIERS[tier]) for mood, tier in sorted(tiers.items(), key=lambda one: -one[1])]


def _scores(
    packs: Sequence[PackScores], calibration: LibraryCalibration, below: Mapping[tuple[str, str], float]
) -> list[ScoreAnswer]:
    names, known = score_names([(pack.pack, pack.heads) for pack in packs]), for_words(calibration)
    answers = []
    for pack in packs:
        for head, raw, spread in zip(pack.heads, pack.values.tolist(), pack.spreads.tolist(), strict=True):
            column = (pack.pack, head)
            by, ends = calibration.heads.get(column), known.get(column)
            answers.append(
                ScoreAnswer(
                    names[column],
                    pack.pack,
                    head,
                    round(raw, 4),
                    None if by is None else round(by.apply(raw), 4),
                    round(spread, 4),
                    p5=None if ends is None else ends.p5,
                    p95=None if ends is None else ends.p95,
                    percentile=round(100 * below[column], 1) if column in below else None,
                )
            )
    return sorted(answers, key=lambda answer: answer.name)


def _moods(packs: Sequence[PackScores], calibration: LibraryCalibration, correction: Correction) -> list[MoodAnswer]:
    """The strongest first."""
    tiers = tiers_by_word(words_of(packs, calibration, correction))
    found = {word: round(strength, 4) for word, strength in strengths(packs, for_words(calibration)).items()}
    is_settled = {word for word in (*found, *tiers) if correction.kept is not None or word in correction.moods}
    ranked = sorted({*found, *tiers}, key=lambda word: (-found.get(word, -1.0), word))
    return [MoodAnswer(word, found.get(word), TIERS.get(tiers.get(word, 0)), word in is_settled) for word in ranked]


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
