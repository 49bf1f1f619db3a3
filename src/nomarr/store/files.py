"""The files of the libraries: what is known about each, and what is still to be done with it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from nomarr.errors import NotFound
from nomarr.store import facts
from nomarr.store.database import Transaction
from nomarr.store.facts import Facts
from nomarr.store.manyids import run_in_chunks

MISSING_KEPT_MS = 30 * 24 * 3600 * 1000  # an unmounted disk or a holiday costs nothing

COLUMNS = """
    f.id, f.library_id, l.root_path, f.folder, f.name, f.size, f.mtime_ns,
    f.container, f.duration_s, f.title, f.artist, f.album, f.album_artist, f.genre, f.year, f.track, f.disc,
    f.audio_key, f.audio_hash, f.needs_tagging, f.needs_write, f.missing_since, f.set_aside,
    f.error, f.error_kind, f.attempts, f.not_before, f.priority, f.claim_token, f.claimed_by, f.lease_until,
    f.suite, f.analyzed_at, f.patches, f.analysis_s,
    f.written_hash, f.written_at, f.write_error, f.write_failures, f.calibration, f.hands_off,
    f.created_at, f.updated_at
"""
FROM = "FROM library_files AS f JOIN libraries AS l ON l.id = f.library_id"

# Nothing that was learned about the old audio may stay, and who listens to it now has lost the file.
OTHER_AUDIO = """
    needs_tagging = :needs_tagging, needs_write = FALSE, audio_hash = NULL,
    suite = NULL, analyzed_at = NULL, patches = NULL, analysis_s = NULL,
    written_hash = NULL, written_at = NULL, write_error = NULL, write_failures = 0, calibration = NULL,
    hands_off = FALSE, claim_token = claim_token + 1, claimed_by = NULL, lease_until = NULL
"""
SET_ASIDE = "set_aside = TRUE, error = :error, error_kind = :error_kind"
# A worker that writes tags changes the file under the scan's eyes, and the row right after it.
UNTOUCHED = """
    size = :known_size AND mtime_ns = :known_mtime_ns AND (lease_until IS NULL OR lease_until < :now)
"""
FRESH_START = "set_aside = FALSE, error = NULL, error_kind = NULL, attempts = 0, not_before = NULL"


def join_path(root: str, folder: str, name: str) -> str:
    """The absolute path of a file from the three parts that a row holds."""
    return os.path.join(root, folder, name)


@dataclass(frozen=True, kw_only=True)
class LibraryFile(Facts):
    """All that is known about a file, but for its tags and scores."""

    id: int
    library_id: int
    root_path: str
    folder: str
    name: str
    size: int
    mtime_ns: int
    audio_key: str | None
    audio_hash: str | None
    needs_tagging: bool
    needs_write: bool
    missing_since: int | None
    set_aside: bool
    error: str | None
    error_kind: str | None
    attempts: int
    not_before: int | None
    priority: int
    claim_token: int
    claimed_by: str | None
    lease_until: int | None
    suite: str | None
    analyzed_at: int | None
    patches: int | None
    analysis_s: float | None
    written_hash: str | None
    written_at: int | None
    write_error: str | None
    write_failures: int
    calibration: str | None
    hands_off: bool  # our tags were taken out on request, and come back on request only
    created_at: int
    updated_at: int

    @property
    def path(self) -> str:
        return join_path(self.root_path, self.folder, self.name)

    @property
    def is_current(self) -> bool:
        return self.analyzed_at is not None and not self.needs_tagging


@dataclass(frozen=True)
class KnownFile:
    """The little that a scan needs to see whether a file changed."""

    id: int
    size: int
    mtime_ns: int
    missing_since: int | None
    audio_key: str | None
    audio_hash: str | None
    written_hash: str | None
    error_kind: str | None
    analyzed_at: int | None


@dataclass(frozen=True)
class NewFile:
    """A file that a scan found; one with an error is set aside from the start."""

    folder: str
    name: str
    size: int
    mtime_ns: int
    facts: Facts = field(default_factory=Facts)
    audio_key: str | None = None
    error: str | None = None
    error_kind: str | None = None


def get(tx: Transaction, file_id: int) -> LibraryFile:
    row = tx.one(f"SELECT {COLUMNS} {FROM} WHERE f.id = :id", id=file_id)
    if row is None:
        raise NotFound(f"File not found: {file_id}")
    return LibraryFile(**row)


def by_path(tx: Transaction, library_id: int, folder: str, name: str) -> LibraryFile | None:
    row = tx.one(
        f"SELECT {COLUMNS} {FROM} WHERE f.library_id = :library AND f.folder = :folder AND f.name = :name",
        library=library_id,
        folder=folder,
        name=name,
    )
    return None if row is None else LibraryFile(**row)


def in_folder(tx: Transaction, library_id: int, folder: str) -> dict[str, KnownFile]:
    """Name -> file, for one folder without those below it."""
    rows = tx.all(
        """
        SELECT name, id, size, mtime_ns, missing_since, audio_key, audio_hash, written_hash, error_kind, analyzed_at
          FROM library_files
         WHERE library_id = :library AND folder = :folder
        """,
        library=library_id,
        folder=folder,
    )
    return {row["name"]: KnownFile(**{k: v for k, v in row.items() if k != "name"}) for row in rows}


def folders(tx: Transaction, library_id: int, *, below: str = "") -> Iterator[str]:
    """Every folder that has rows, in order, from `below` (itself included) downwards; "" is the root."""
    last = ""
    condition = "" if below == "" else f"AND {inside('folder')}"
    comparison = ">="
    while True:
        rows = tx.all(
            f"""
            SELECT DISTINCT folder
              FROM library_files
             WHERE library_id = :library AND folder {comparison} :last {condition}
             ORDER BY folder
             LIMIT 1000
            """,
            library=library_id,
            last=last,
            **({} if below == "" else inside_params(below)),
        )
        if not rows:
            return
        for row in rows:
            yield row["folder"]
        last, comparison = rows[-1]["folder"], ">"


def inside(column: str) -> str:
    """SQL: the folder, or one below it. A range, so that the index on folders serves it ("0" follows "/")."""
    return f"({column} = :inside OR ({column} >= :inside_low AND {column} < :inside_high))"


def inside_params(folder: str) -> dict[str, str]:
    return {"inside": folder, "inside_low": f"{folder}/", "inside_high": f"{folder}0"}


def count(tx: Transaction, library_id: int) -> int:
    """The files of a library that are not missing."""
    sql = "SELECT COUNT(*) FROM library_files WHERE library_id = :library AND missing_since IS NULL"
    return int(tx.scalar(sql, library=library_id))


def insert(
    tx: Transaction, library_id: int, new: NewFile, *, now: int, needs_tagging: bool = True, priority: int = 0
) -> int | None:
    """The id of the new row, or None if the path has one already."""
    names = (*facts.COLUMNS, "folder", "name", "size", "mtime_ns", "audio_key", "error", "error_kind")
    file_id: int | None = tx.scalar(
        f"""
        INSERT INTO library_files ({", ".join(names)},
                                   library_id, needs_tagging, priority, set_aside, created_at, updated_at)
        VALUES ({", ".join(f":{name}" for name in names)},
                :library, :needs_tagging, :priority, :set_aside, :now, :now)
        ON CONFLICT (library_id, folder, name) DO NOTHING
        RETURNING id
        """,
        **facts.values(new.facts, new.name),
        folder=new.folder,
        name=new.name,
        size=new.size,
        mtime_ns=new.mtime_ns,
        audio_key=new.audio_key,
        **_reason(new),
        library=library_id,
        needs_tagging=needs_tagging,
        priority=priority,
        set_aside=new.error is not None,
        now=now,
    )
    return file_id


def update_changed(
    tx: Transaction,
    known: KnownFile,
    new: NewFile,
    *,
    now: int,
    same_audio: bool,
    needs_tagging: bool = True,
    needs_write: bool = False,
) -> bool:
    """Take over what a changed file says now; False if a worker holds it or changed its row meanwhile.

    With the same audio the analysis stays, and `needs_write` asks for our tags to be written again.
    With other audio all that was known of the old one goes, and who still listens to it can't finish.
    """
    fate = "needs_write = (needs_write OR :needs_write)" if same_audio else OTHER_AUDIO
    changed = tx.run(
        f"""
        UPDATE library_files
           SET {", ".join(f"{name} = :{name}" for name in facts.COLUMNS)},
               size = :size, mtime_ns = :mtime_ns, audio_key = :audio_key, missing_since = NULL,
               updated_at = :now,
               {FRESH_START}, {fate}
         WHERE id = :id AND {UNTOUCHED}
        """,
        **facts.values(new.facts, new.name),
        **({"needs_write": needs_write} if same_audio else {"needs_tagging": needs_tagging}),
        audio_key=new.audio_key,
        **_seen(known, new, now),
    )
    if changed and not same_audio:
        forget_analysis(tx, [known.id])
    if changed and new.error is not None:
        tx.run(f"UPDATE library_files SET {SET_ASIDE} WHERE id = :id", id=known.id, **_reason(new))
    return changed == 1


def set_aside_unopened(tx: Transaction, known: KnownFile, new: NewFile, *, now: int) -> bool:
    """Note why a known file could not be opened; what is known of it stays for when it can be again."""
    changed = tx.run(
        f"""
        UPDATE library_files
           SET size = :size, mtime_ns = :mtime_ns, missing_since = NULL, updated_at = :now, {SET_ASIDE}
         WHERE id = :id AND {UNTOUCHED}
        """,
        **_seen(known, new, now),
        **_reason(new),
    )
    return changed == 1


def mark_missing(tx: Transaction, ids: Sequence[int], now: int) -> int:
    """Note that the files are gone; their analysis waits for them."""
    return run_in_chunks(
        tx,
        """
        UPDATE library_files SET missing_since = :now, updated_at = :now
         WHERE id IN :ids AND missing_since IS NULL
        """,
        ids,
        now=now,
    )


def mark_folder_missing(tx: Transaction, library_id: int, folder: str, now: int) -> int:
    """Note that a folder is gone with all files that lay right in it."""
    return tx.run(
        """
        UPDATE library_files SET missing_since = :now, updated_at = :now
         WHERE library_id = :library AND folder = :folder AND missing_since IS NULL
        """,
        library=library_id,
        folder=folder,
        now=now,
    )


def mark_present(tx: Transaction, ids: Sequence[int], now: int) -> int:
    """Note that the files are back, as they were."""
    return run_in_chunks(
        tx,
        """
        UPDATE library_files SET missing_since = NULL, updated_at = :now
         WHERE id IN :ids AND missing_since IS NOT NULL
        """,
        ids,
        now=now,
    )


def purge_missing(tx: Transaction, *, library_id: int, now: int, older_than_ms: int = MISSING_KEPT_MS) -> int:
    """Forget up to a thousand files that have been missing for long; call again until it answers 0."""
    rows = tx.all(
        "SELECT id FROM library_files WHERE missing_since < :before AND library_id = :library LIMIT 1000",
        before=now - older_than_ms,
        library=library_id,
    )
    return delete(tx, [row["id"] for row in rows])


def delete(tx: Transaction, ids: Sequence[int]) -> int:
    """Forget the files and all that hangs on them."""
    run_in_chunks(tx, "DELETE FROM patches.patch_embeddings WHERE file_id IN :ids", ids)
    return run_in_chunks(tx, "DELETE FROM library_files WHERE id IN :ids", ids)


def forget_analysis(tx: Transaction, ids: Sequence[int]) -> None:
    """Remove scores and embeddings."""
    for table in ("file_scores", "embeddings", "patches.patch_embeddings"):
        run_in_chunks(tx, f"DELETE FROM {table} WHERE file_id IN :ids", ids)


def _seen(known: KnownFile, new: NewFile, now: int) -> dict[str, object]:
    return {
        "id": known.id,
        "size": new.size,
        "mtime_ns": new.mtime_ns,
        "known_size": known.size,
        "known_mtime_ns": known.mtime_ns,
        "now": now,
    }


def _reason(new: NewFile) -> dict[str, object]:
    return {"error": new.error, "error_kind": new.error_kind}
