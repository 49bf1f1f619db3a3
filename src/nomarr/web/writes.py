"""What Nomarr writes into files: shown before, listed after, taken back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from nomarr.errors import FileProblem, InvalidInput, NotFound, printable
from nomarr.restoring import Outcome, Page, Restorer, remove_page, undo_page
from nomarr.settings import Settings
from nomarr.store import files, journal, libraries, queue, runs
from nomarr.store.claims import Scope
from nomarr.store.database import Database, Transaction
from nomarr.store.journal import Entry
from nomarr.tagfiles.audiofile import plan_write
from nomarr.tagfiles.standard import shown
from nomarr.wanted import wanted_tags
from nomarr.web.answers import example, problems, utc
from nomarr.web.auth import require_login
from nomarr.web.context import UseClock, UseDatabase, UseSettings
from nomarr.web.ids import Whole
from nomarr.web.paths import AbsolutePath
from nomarr.web.processing import find_places

router = APIRouter(prefix="/api/web/writes", tags=["writes"], dependencies=[Depends(require_login)])

Id = Annotated[Whole, Field(ge=1, le=2**63 - 1)]
MOST = 1000  # files a request: some ten seconds of writing


class Target(BaseModel):
    """Exactly one of `paths`, `file_ids` and `library_id`. Long work is done page by page."""

    paths: list[AbsolutePath] | None = Field(default=None, description="files and folders")
    file_ids: list[Id] | None = Field(default=None, max_length=MOST)
    library_id: Id | None = None
    limit: Whole = Field(default=100, ge=1, le=MOST, description="how many files to look at")
    after: Whole = Field(default=0, ge=0, description="`next` of the page before")


class UndoRequest(BaseModel):
    """Exactly one of `last`, `batch`, `id`, `paths`, `file_ids` and `library_id`."""

    last: bool = Field(default=False, description="the newest batch that can be undone")
    batch: str | None = None
    id: Id | None = Field(default=None, description="one write")
    paths: list[AbsolutePath] | None = None
    file_ids: list[Id] | None = Field(default=None, max_length=MOST)
    library_id: Id | None = None
    even_if_changed: bool = Field(default=False, description="also in files that other programs changed since")
    limit: Whole = Field(default=100, ge=1, le=MOST)
    before_id: Id | None = Field(default=None, description="`next` of the page before")


@dataclass(frozen=True)
class FieldChange:
    """One field; empty where it is not in the file, before or after."""

    field: str
    before: list[str]
    after: list[str]


@dataclass(frozen=True)
class FilePlan:
    """What a write would change in one file; `problem` says why nothing can be written."""

    file_id: int
    path: str
    changes: list[FieldChange]
    problem: str | None = None


@dataclass(frozen=True)
class PlanAnswer:
    """Files that would change or cannot; `looked_at` counts all. `next` is null after the last page."""

    files: list[FilePlan]
    looked_at: int
    next: int | None


@dataclass(frozen=True)
class WriteAnswer:
    """One change of one file. `before` is what Nomarr's fields held, and what undo brings back."""

    id: int
    file_id: int | None
    path: str
    batch: str
    action: str
    at: str
    undone_at: str | None
    can_undo: bool
    before: dict[str, list[str]]


@dataclass(frozen=True)
class WritesAnswer:
    """Newest first; `next` goes into `before_id` for the page after."""

    writes: list[WriteAnswer]
    next: int | None


@dataclass(frozen=True)
class ApplyAnswer:
    """How many files a worker will write."""

    queued: int
    next: int | None


@dataclass(frozen=True)
class RestoreAnswer:
    """What became of each file of this page; `next` is null after the last page."""

    batch: str
    counts: dict[str, int]
    results: list[Outcome]
    next: int | None


PLAN = {
    "files": [
        {
            "file_id": 42,
            "path": "/music/Artist/Album/Track.mp3",
            "changes": [{"field": "nom:mood-strict", "before": ["calm"], "after": ["calm", "acoustic"]}],
            "problem": None,
        }
    ],
    "looked_at": 100,
    "next": 142,
}
WRITES = {
    "writes": [
        {
            "id": 7,
            "file_id": 42,
            "path": "/music/Artist/Album/Track.mp3",
            "batch": "tag 1800000000000",
            "action": "write",
            "at": "2027-01-15T08:00:00Z",
            "undone_at": None,
            "can_undo": True,
            "before": {"mood-strict": ["calm"]},
        }
    ],
    "next": None,
}
RESTORED = {
    "batch": "undo 1800000000000",
    "counts": {"restored": 1, "refused": 1},
    "results": [
        {"path": "/music/a.mp3", "status": "restored", "why": None, "notes": []},
        {"path": "/music/b.mp3", "status": "refused", "why": "another program changed the file since", "notes": []},
    ],
    "next": None,
}


@router.get("", summary="What was written", responses=example(WRITES) | problems(400, 401, 403, 404, 503))
def list_writes(
    db: UseDatabase,
    library_id: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
    file_id: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
    batch: str | None = None,
    only_undoable: bool = False,
    before_id: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
) -> WritesAnswer:
    with db.read() as tx:
        scopes = [] if library_id is None else [Scope(libraries.get(tx, library_id).id)]
        entries = journal.recent(
            tx,
            limit=limit,
            before_id=before_id,
            file_id=file_id,
            batch=batch,
            scopes=scopes,
            standing_only=only_undoable,
        )
    return WritesAnswer([_answer(entry) for entry in entries], entries[-1].id if len(entries) == limit else None)


@router.post(
    "/plan",
    summary="Show what writing would change",
    responses=example(PLAN) | problems(400, 401, 403, 404, 413, 503),
)
def plan(body: Target, db: UseDatabase, settings: UseSettings) -> PlanAnswer:
    """Reads the files and touches none."""
    with db.read() as tx:
        page = runs.in_scope(tx, _scopes(tx, body), after=body.after, limit=body.limit)
    plans = [_plan(db, file_id, path, settings) for file_id, path in page]
    return PlanAnswer([one for one in plans if one.changes or one.problem], len(page), _next(page, body.limit))


@router.post(
    "/apply",
    summary="Have it written",
    responses=example({"queued": 100, "next": 142}) | problems(400, 401, 403, 404, 413, 503),
)
def apply(body: Target, db: UseDatabase, clock: UseClock) -> ApplyAnswer:
    """A worker writes what the plan shows and nothing else, also into files whose tags were taken out before."""
    with db.write() as tx:
        page = runs.in_scope(tx, _scopes(tx, body), after=body.after, limit=body.limit)
        queued = queue.bring_back_tags(tx, [file_id for file_id, _ in page], now=clock(tx))
    return ApplyAnswer(queued, _next(page, body.limit))


@router.post("/undo", summary="Undo writes", responses=example(RESTORED) | problems(400, 401, 403, 404, 413, 503))
def undo(body: UndoRequest, db: UseDatabase, settings: UseSettings, clock: UseClock) -> RestoreAnswer:
    """Files that were changed since are refused, with the reason. Nomarr then leaves the files alone."""
    _one_of(body, "last", "batch", "id", "paths", "file_ids", "library_id")
    with db.read() as tx:
        restorer = Restorer(db, settings, f"undo {clock(tx)}")
        batch = journal.last_batch(tx) if body.last else body.batch
        entry = None if body.id is None else journal.get(tx, body.id)
        is_narrowed = body.paths is not None or body.file_ids is not None or body.library_id is not None
        scopes = _scopes_of(tx, body) if is_narrowed else []
    if body.id is not None:
        if entry is None:
            raise NotFound(f"Write not found: {body.id}")
        found = Page([restorer.undo(entry, even_if_changed=body.even_if_changed)], None)
    elif body.last and batch is None:
        found = Page([], None)
    else:
        found = undo_page(
            restorer,
            limit=body.limit,
            before_id=body.before_id,
            batch=batch,
            scopes=scopes,
            even_if_changed=body.even_if_changed,
        )
    return _restored(restorer, found)


@router.post(
    "/remove",
    summary="Remove every field of Nomarr's",
    responses=example(RESTORED) | problems(400, 401, 403, 404, 413, 503),
)
def remove(body: Target, db: UseDatabase, settings: UseSettings, clock: UseClock) -> RestoreAnswer:
    """Nothing else in the files changes. It can be undone, and Nomarr leaves the files alone until it is asked."""
    with db.read() as tx:
        restorer = Restorer(db, settings, f"remove {clock(tx)}")
        scopes = _scopes(tx, body)
    return _restored(restorer, remove_page(restorer, scopes, limit=body.limit, after=body.after))


def _scopes(tx: Transaction, body: Target) -> list[Scope]:
    _one_of(body, "paths", "file_ids", "library_id")
    return _scopes_of(tx, body)


def _scopes_of(tx: Transaction, body: Target | UndoRequest) -> list[Scope]:
    if body.library_id is not None:
        return [Scope(libraries.get(tx, body.library_id).id)]
    if body.file_ids is not None:
        found = [files.get(tx, file_id) for file_id in body.file_ids]
        by_library: dict[int, list[int]] = {}
        for file in found:
            by_library.setdefault(file.library_id, []).append(file.id)
        return [Scope(library_id, file_ids=tuple(ids)) for library_id, ids in by_library.items()]
    scopes = []
    for place in find_places(body.paths or [], libraries.list_all(tx, enabled_only=True)):
        if place.is_folder:
            scopes.append(Scope(place.library.id, place.relative or None))
            continue
        folder, _, name = place.relative.rpartition("/")
        known = files.by_path(tx, place.library.id, folder, name)
        if known is None:
            raise NotFound(f"{printable(place.path)} is not known yet; scan its library first")
        scopes.append(Scope(place.library.id, file_ids=(known.id,)))
    return scopes


def _one_of(body: BaseModel, *names: str) -> None:
    """InvalidInput unless exactly one of the fields says what is meant; empty lists would mean everything."""
    given = [name for name in names if getattr(body, name) not in (None, False, [])]
    if len(given) != 1:
        raise InvalidInput(f"give exactly one of {', '.join(names[:-1])} and {names[-1]}")


def _plan(db: Database, file_id: int, path: str, settings: Settings) -> FilePlan:
    with db.read() as tx:
        if files.get(tx, file_id).analyzed_at is None:
            return FilePlan(file_id, printable(path), [])
        wanted = wanted_tags(tx, file_id, settings)
    if not wanted:
        return FilePlan(file_id, printable(path), [])
    try:
        change = plan_write(settings.here(path), wanted, namespace=settings.namespace)
    except FileProblem as error:
        return FilePlan(file_id, printable(path), [], error.why)
    fields = [FieldChange(shown(settings.namespace, name), list(old), list(new)) for name, old, new in change]
    return FilePlan(file_id, printable(path), fields)


def _next(page: Sequence[tuple[int, str]], limit: int) -> int | None:
    return page[-1][0] if len(page) == limit else None


def _answer(entry: Entry) -> WriteAnswer:
    return WriteAnswer(
        id=entry.id,
        file_id=entry.file_id,
        path=printable(entry.path),
        batch=entry.batch,
        action=entry.action,
        at=utc(entry.at),
        undone_at=None if entry.undone_at is None else utc(entry.undone_at),
        can_undo=entry.undone_at is None and entry.action != "undo",
        before=entry.before,
    )


def _restored(restorer: Restorer, page: Page) -> RestoreAnswer:
    counts: dict[str, Any] = dict(Counter(one.status for one in page.outcomes))
    return RestoreAnswer(restorer.batch, counts, page.outcomes, page.next)
