"""One sound under several names: files that were moved, renamed or copied keep their analysis."""

from __future__ import annotations

from dataclasses import dataclass

from nomarr.store import corrections, facts
from nomarr.store.database import Transaction
from nomarr.store.files import FRESH_START, NewFile, forget_analysis, join_path


@dataclass(frozen=True)
class SameAudio:
    """A file whose audio was heard before and may be that of another."""

    id: int
    library_id: int
    root_path: str
    folder: str
    name: str
    audio_hash: str
    written_hash: str | None
    missing_since: int | None

    @property
    def path(self) -> str:
        return join_path(self.root_path, self.folder, self.name)


def find_same_audio(tx: Transaction, audio_key: str, *, limit: int = 20) -> list[SameAudio]:
    """Analysed files that may hold the same audio; missing ones first, for those can have moved."""
    rows = tx.all(
        """
        SELECT f.id, f.library_id, l.root_path, f.folder, f.name, f.audio_hash, f.written_hash, f.missing_since
          FROM library_files AS f
          JOIN libraries     AS l ON l.id = f.library_id
         WHERE f.audio_key = :audio_key
           AND f.audio_hash IS NOT NULL
           AND f.analyzed_at IS NOT NULL
         ORDER BY f.missing_since IS NULL, f.id
         LIMIT :limit
        """,
        audio_key=audio_key,
        limit=limit,
    )
    return [SameAudio(**row) for row in rows]


def move(tx: Transaction, file_id: int, new: NewFile, *, library_id: int, now: int, needs_write: bool = False) -> None:
    """Let a row follow its file to another place; its analysis goes along."""
    tx.run(
        f"""
        UPDATE library_files
           SET {", ".join(f"{name} = :{name}" for name in facts.COLUMNS)},
               library_id = :library, folder = :folder, name = :name, size = :size, mtime_ns = :mtime_ns,
               missing_since = NULL, not_before = NULL, needs_write = (needs_write OR :needs_write),
               updated_at = :now
         WHERE id = :id
        """,
        **facts.values(new.facts, new.name),
        library=library_id,
        folder=new.folder,
        name=new.name,
        size=new.size,
        mtime_ns=new.mtime_ns,
        needs_write=needs_write,
        now=now,
        id=file_id,
    )


def move_all(tx: Transaction, *, from_library: int, into_library: int, prefix: str, now: int) -> int:
    """Hand all files of a library to a wider one, their folders prefixed."""
    return tx.run(
        """
        UPDATE library_files
           SET library_id = :into,
               folder     = CASE WHEN :prefix = '' THEN folder
                                 WHEN folder  = '' THEN :prefix
                                 ELSE :prefix || '/' || folder END,
               updated_at = :now
         WHERE library_id = :old
        """,
        into=into_library,
        old=from_library,
        prefix=prefix,
        now=now,
    )


def copy_analysis(tx: Transaction, *, source_id: int, target_id: int, now: int, tags_are_in_file: bool = False) -> None:
    """Give a file the analysis of another with the same audio, and its corrections; it then needs no listening.

    With `tags_are_in_file` it carries the source's written tags already, so nothing is to be written either.
    """
    forget_analysis(tx, [target_id])
    for table, columns in (
        ("file_scores", "pack_id, scores, spreads"),
        ("embeddings", "backbone, fingerprint, mean"),
        ("patches.patch_embeddings", "backbone, fingerprint, size, patches"),
    ):
        tx.run(
            f"""
            INSERT INTO {table} (file_id, {columns})
            SELECT :target, {columns} FROM {table} WHERE file_id = :source
            """,
            source=source_id,
            target=target_id,
        )
    tx.run(
        f"""
        UPDATE library_files
           SET (suite, analyzed_at, patches, analysis_s, audio_hash, calibration, written_hash, written_at)
             = (SELECT s.suite, s.analyzed_at, s.patches, s.analysis_s, s.audio_hash,
                       CASE WHEN :in_file THEN s.calibration  END,
                       CASE WHEN :in_file THEN s.written_hash END,
                       CASE WHEN :in_file THEN s.written_at   END
                  FROM library_files AS s WHERE s.id = :source),
               needs_tagging = FALSE, needs_write = :needs_write, updated_at = :now,
               {FRESH_START}
         WHERE id = :target
        """,
        source=source_id,
        target=target_id,
        in_file=tags_are_in_file,
        needs_write=not tags_are_in_file,
        now=now,
    )
    corrections.copy(tx, source_id=source_id, target_id=target_id)
