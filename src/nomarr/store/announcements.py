"""Places that somebody spoke of: Lidarr or a watched folder. They are looked at once their album has been quiet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from nomarr.store.database import Transaction

LONGEST_PATH = 2500  # bytes; PostgreSQL's index rows end at 2,704, and scans pass over such folders
LONGEST_WAIT_MS = 5 * 60_000  # for an album that is never quiet, and for a file that does not come
DUE_AT = f"CASE WHEN :due < first_at + {LONGEST_WAIT_MS} THEN :due ELSE first_at + {LONGEST_WAIT_MS} END"


@dataclass(frozen=True)
class Place:
    """What somebody spoke of, relative to the library's root.

    A tree is looked at with all that lies below it. What was promised should be there; somebody wants it analysed.
    `seen` is what it looked like.
    """

    library_id: int
    path: str
    is_tree: bool = False
    is_promised: bool = False
    seen: str | None = None

    @property
    def album(self) -> str:
        """The folder that has to be quiet."""
        return self.path.rpartition("/")[0] if self.is_promised or self.is_tree else self.path


@dataclass(frozen=True)
class Announcement(Place):
    """A place, when it was first spoken of, and when it is to be looked at."""

    first_at: int = 0
    due_at: int = 0


def announce(tx: Transaction, places: Iterable[Place], *, now: int, quiet_ms: int) -> None:
    """Have the places looked at when nothing is heard of their albums for a while; in five minutes at the latest."""
    wanted = [place for place in places if len(place.path.encode()) <= LONGEST_PATH]
    if tx.is_postgresql:  # each touches rows of the other's album
        tx.run("LOCK TABLE announcements IN SHARE ROW EXCLUSIVE MODE")
    tx.many(
        f"""
        INSERT INTO announcements ( library_id,  path,  album,  is_tree,  is_promised,  seen, first_at, due_at)
        SELECT                     :library_id, :path, :album, :is_tree, :is_promised, :seen, :now,     :due
         WHERE EXISTS (SELECT 1 FROM libraries WHERE id = :library_id)  -- it may be removed while it is watched
        ON CONFLICT (library_id, path) DO UPDATE
           SET is_tree     = (announcements.is_tree     OR excluded.is_tree),
               is_promised = (announcements.is_promised OR excluded.is_promised),
               seen        = excluded.seen,
               due_at      = {DUE_AT.replace("first_at", "announcements.first_at")}
        """,
        [{**asdict(place), "album": place.album, "now": now, "due": now + quiet_ms} for place in wanted],
    )
    # What was said of an album's other files waits for these too.
    tx.many(
        f"""
        UPDATE announcements SET due_at = {DUE_AT}
         WHERE library_id = :library_id AND album = :album AND due_at < :due
        """,
        [
            {"library_id": library_id, "album": album, "due": now + quiet_ms}
            for library_id, album in sorted({(place.library_id, place.album) for place in wanted})
        ],
    )


def due(tx: Transaction, *, now: int, limit: int = 2000) -> list[Announcement]:
    """What is to be looked at now, in enabled libraries; the longest awaited first."""
    rows = tx.all(
        """
        SELECT library_id, path, is_tree, is_promised, seen, first_at, due_at
          FROM announcements
         WHERE due_at <= :now
           AND library_id IN (SELECT id FROM libraries WHERE is_enabled)
         ORDER BY due_at, library_id, path
         LIMIT :limit
        """,
        now=now,
        limit=limit,
    )
    return [Announcement(**row) for row in rows]


def put_off(tx: Transaction, announcements: Sequence[Announcement], *, until: int) -> None:
    """Look again later; what was heard of since stays as it is."""
    tx.many(
        """
        UPDATE announcements SET due_at = :until, seen = :seen
         WHERE library_id = :library_id AND path = :path AND due_at = :due_at
        """,
        [{**_key(a), "seen": a.seen, "until": until} for a in announcements],
    )


def done(tx: Transaction, announcements: Sequence[Announcement]) -> None:
    """Forget what was looked at, but for what was heard of again meanwhile."""
    tx.many(
        "DELETE FROM announcements WHERE library_id = :library_id AND path = :path AND due_at = :due_at",
        [_key(a) for a in announcements],
    )


def _key(announcement: Announcement) -> dict[str, object]:
    return {name: getattr(announcement, name) for name in ("library_id", "path", "due_at")}
