"""Taking back what Nomarr wrote: a change is undone, or every field of ours removed; nothing else is touched.

Either way Nomarr keeps its hands off the file afterwards, until somebody asks for its tags again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from nomarr.errors import FileProblem, NotFound, TagsNotSupported, UnreadableAudio
from nomarr.moods.tags import tags_hash
from nomarr.settings import Settings
from nomarr.store import files, journal, runs
from nomarr.store import tags as file_tags
from nomarr.store.claims import Scope
from nomarr.store.database import Database, Transaction
from nomarr.store.journal import Entry
from nomarr.tagfiles.audiofile import Written, read_tags, write_tags
from nomarr.tagfiles.containers import reason
from nomarr.tagfiles.family import Fields

IN_HAND = "a worker has it in hand at this moment; try again when it is done"

Status = Literal["restored", "removed", "unchanged", "refused", "failed"]


@dataclass(frozen=True)
class Outcome:
    """What became of one file; `why` says why not, `notes` what of its owner or attributes could not be kept."""

    path: str
    status: Status
    why: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def is_done(self) -> bool:
        return self.status in ("restored", "removed", "unchanged")


@dataclass
class Restorer:
    """One run of undoing or removing; `batch` is its name in the journal."""

    db: Database
    settings: Settings
    batch: str

    def undo(self, entry: Entry, *, even_if_changed: bool = False) -> Outcome:
        """Gives the file the fields that it had before a change, unless somebody changed it since."""
        with self.db.read() as tx:
            newest, standing = journal.newest_of(tx, entry)
            path = _path_now(tx, entry)
        if entry.undone_at is not None or entry.action == "undo":
            return Outcome(path, "unchanged", "it was undone before, or is an undo itself")
        if standing.id != entry.id:
            return Outcome(path, "refused", f"its tags were changed again since, by {standing.batch}")
        try:
            now_in_file = read_tags(self.settings.here(path), namespace=self.settings.namespace)
            before = {name: tuple(values) for name, values in entry.before.items()}
            if entry.size is None and now_in_file == before:
                self._mark(entry)
                return Outcome(path, "unchanged", "Nomarr was stopped before it wrote anything")
            why = None if even_if_changed else _changed(self.settings.here(path), tags_hash(now_in_file), entry, newest)
            if why is not None:
                return Outcome(path, "refused", why)
            written = self._put(entry.file_id, path, entry.before, "undo", undone=entry)
        except FileProblem as error:
            return Outcome(path, "failed", error.why)
        if written is None:
            return Outcome(path, "refused", IN_HAND)
        return Outcome(path, "restored" if written.changed else "unchanged", notes=written.notes)

    def remove(self, file_id: int | None, path: str) -> Outcome:
        """Takes every field of ours out of the file."""
        try:
            written = self._put(file_id, path, {}, "remove")
        except (TagsNotSupported, UnreadableAudio):
            return Outcome(path, "unchanged")  # nothing of ours can be in there
        except FileProblem as error:
            return Outcome(path, "failed", error.why)
        if written is None:
            return Outcome(path, "refused", IN_HAND)
        return Outcome(path, "removed" if written.changed else "unchanged", notes=written.notes)

    def _put(
        self,
        file_id: int | None,
        path: str,
        tags: Mapping[str, Sequence[str]],
        action: str,
        *,
        undone: Entry | None = None,
    ) -> Written | None:
        """Writes and records; None where a worker has the file."""
        announced: list[int] = []
        was_off = True
        if file_id is not None:
            with self.db.write() as tx:
                was_off = files.get(tx, file_id).hands_off
                if not runs.keep_hands_off(tx, file_id, now=tx.now_ms()):
                    return None
        try:
            written = write_tags(
                self.settings.here(path),
                tags,
                namespace=self.settings.namespace,
                mtime_policy=self.settings.mtime_policy,
                hardlink_policy=self.settings.hardlink_policy,
                about_to_write=self._announcer(file_id, path, tags, action, announced),
            )
        except BaseException:
            with self.db.write() as tx:
                journal.drop(tx, announced)
                if file_id is not None and not was_off:
                    runs.hand_back(tx, file_id)
            raise
        self._record(file_id, written, announced, undone)
        return written

    def _announcer(
        self, file_id: int | None, path: str, tags: Mapping[str, Sequence[str]], action: str, announced: list[int]
    ) -> Callable[[Fields], None]:
        def announce(before: Fields) -> None:
            with self.db.write() as tx:
                entry_id = journal.add(
                    tx,
                    file_id=file_id,
                    path=path,
                    batch=self.batch,
                    action=action,
                    before=before,
                    after_hash=tags_hash(tags),
                    at=tx.now_ms(),
                )
            announced.append(entry_id)

        return announce

    def _record(self, file_id: int | None, written: Written, announced: list[int], undone: Entry | None) -> None:
        with self.db.write() as tx:
            now = tx.now_ms()
            if written.changed:
                journal.confirm(
                    tx,
                    announced.pop(),
                    audio_hash=written.audio_hash,
                    size=written.size,
                    mtime_ns=written.mtime_ns,
                )
            journal.drop(tx, announced)
            if file_id is not None:
                runs.forget_write(tx, file_id, size=written.size, mtime_ns=written.mtime_ns, now=now)
                file_tags.note_standard(tx, file_id, before=written.before, after=written.after)
            if undone is not None:
                journal.mark_undone(tx, undone.id, now=now)

    def _mark(self, entry: Entry) -> None:
        with self.db.write() as tx:
            journal.mark_undone(tx, entry.id, now=tx.now_ms())


@dataclass(frozen=True)
class Page:
    """A part of a long run; `next` goes into the next call, None when everything was looked at."""

    outcomes: list[Outcome]
    next: int | None


def undo_page(
    restorer: Restorer,
    *,
    limit: int,
    before_id: int | None = None,
    batch: str | None = None,
    scopes: Sequence[Scope] = (),
    path: str | None = None,
    even_if_changed: bool = False,
) -> Page:
    """Undoes the next changes of a batch, of a part of a library or of one path, newest first."""
    with restorer.db.read() as tx:
        entries = journal.recent(
            tx, limit=limit, before_id=before_id, batch=batch, scopes=scopes, path=path, standing_only=True
        )
    outcomes = [restorer.undo(entry, even_if_changed=even_if_changed) for entry in entries]
    return Page(outcomes, entries[-1].id if len(entries) == limit else None)


def remove_page(restorer: Restorer, scopes: Sequence[Scope], *, limit: int, after: int = 0) -> Page:
    """Removes our fields from the next files of a part of a library, by id."""
    with restorer.db.read() as tx:
        page = runs.in_scope(tx, scopes, after=after, limit=limit)
    outcomes = [restorer.remove(file_id, path) for file_id, path in page]
    return Page(outcomes, page[-1][0] if len(page) == limit else None)


def _path_now(tx: Transaction, entry: Entry) -> str:
    """Where the file is now: it may have been renamed or moved since."""
    if entry.file_id is None:
        return entry.path
    try:
        return files.get(tx, entry.file_id).path
    except NotFound:
        return entry.path


def _changed(path: str, now_in_file: str, entry: Entry, newest: Entry) -> str | None:
    """Why the file is not as Nomarr left it; None where it is."""
    if now_in_file != entry.after_hash:
        return "its tags of Nomarr's are not those that were written: something else changed them since"
    if newest.size is None:
        return None
    try:
        state = os.stat(path)
    except OSError as error:
        return reason(error)
    if (state.st_size, state.st_mtime_ns) != (newest.size, newest.mtime_ns):
        return "another program changed the file since"
    return None
