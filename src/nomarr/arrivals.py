"""What becomes of files that a scan finds new or changed: they are read, then recorded as what they are."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from nomarr.errors import UnreadableAudio, VanishedFile
from nomarr.folders import Seen
from nomarr.moods.tags import tags_hash
from nomarr.store import files, identity, journal, queue, tags
from nomarr.store.database import Database, Transaction
from nomarr.store.facts import Facts
from nomarr.store.files import KnownFile, NewFile
from nomarr.store.identity import SameAudio
from nomarr.store.libraries import Library
from nomarr.store.queue import BACK_CATALOGUE, NEW_MUSIC
from nomarr.tagfiles import audiofile, payload
from nomarr.tagfiles.facts import FileFacts

NO_ACCESS = "no_access"  # error kinds of files that a scan sets aside
UNREADABLE = "unreadable"
DAY_MS = 24 * 3600 * 1000
MOST_WRITES_A_DAY = 3
QUARREL = "another program keeps removing Nomarr's tags; they are written again tomorrow, or when you ask for them"


@dataclass(frozen=True)
class Look:
    """What reading a new or changed file gave; `gone` are rows with such audio whose file is not there."""

    seen: Seen
    known: KnownFile | None
    new: NewFile
    facts: FileFacts
    audio_hash: str | None = None
    gone: frozenset[int] = frozenset()


@dataclass
class Arrivals:
    """One scan's new and changed files; `counts` says what became of them."""

    db: Database
    library: Library
    force: bool
    queue_new: bool
    namespace: str
    now: Callable[[], int]
    counts: Counter[str]
    moved_ids: set[int] = field(default_factory=set)

    def look(self, seen: Seen, known: KnownFile | None) -> Look | None:
        """Read a file outside of any transaction; None if it vanished meanwhile."""
        place = (seen.folder, seen.name, seen.size, seen.mtime_ns)
        facts = FileFacts("")
        try:
            facts = audiofile.describe(seen.path, namespace=self.namespace)
            new = NewFile(*place, facts=_columns(facts), audio_key=payload.audio_key(seen.path))
            return self._look_for_twins(Look(seen, known, new, facts))
        except VanishedFile as error:
            if not os.path.lexists(seen.path):
                return None
            return Look(seen, known, NewFile(*place, error=error.why, error_kind=NO_ACCESS), facts)
        except UnreadableAudio as error:
            new = NewFile(*place, facts=_columns(facts), error=error.why, error_kind=UNREADABLE)
            return Look(seen, known, new, facts)

    def _look_for_twins(self, look: Look) -> Look:
        """Read the audio in full only where the database may know it."""
        key = look.new.audio_key or ""
        with self.db.read() as tx:
            twins = identity.find_same_audio(tx, key)
        was_heard = look.known is not None and look.known.audio_hash is not None and look.known.audio_key == key
        if not twins and not was_heard:
            return look
        return Look(
            look.seen,
            look.known,
            look.new,
            look.facts,
            audio_hash=payload.audio_hash(look.seen.path),
            gone=frozenset(twin.id for twin in twins if self._is_gone(twin)),
        )

    def _is_gone(self, twin: SameAudio) -> bool:
        """Whether the file left its place. Another library may merely be unmounted: only its own scan can say."""
        if twin.library_id != self.library.id:
            return twin.missing_since is not None
        return not os.path.lexists(twin.path)

    def record(self, tx: Transaction, look: Look) -> None:
        """Make the file's row say what was read."""
        if look.known is None:
            self._record_new(tx, look)
        elif look.new.error_kind == NO_ACCESS:
            self._record_unopened(tx, look, look.known)
        else:
            self._record_changed(tx, look, look.known)

    def _record_new(self, tx: Transaction, look: Look) -> None:
        twin = self._twin(tx, look)
        if twin is not None and self._left_its_place(twin, look):
            lost = _lacks_our_tags(look, twin.written_hash)
            identity.move(tx, twin.id, look.new, library_id=self.library.id, now=self.now(), needs_write=lost)
            if lost:
                self._give_in(tx, twin.id)
            tags.replace_file_tags(tx, twin.id, _file_tags(look.facts))
            self.moved_ids.add(twin.id)
            self.counts["moved"] += 1
            self._force(tx, twin.id)
            return
        file_id = files.insert(
            tx,
            self.library.id,
            look.new,
            now=self.now(),
            needs_tagging=self.queue_new or self.force,
            priority=BACK_CATALOGUE if self.library.whole_scan_at is None else NEW_MUSIC,
        )
        if file_id is None:
            return
        tags.add_file_tags(tx, {file_id: _file_tags(look.facts)})
        if twin is not None and not self.force:
            self._copy(tx, twin, file_id, look)
            return
        self.counts["new"] += 1
        if look.new.error is None and (self.queue_new or self.force):
            self.counts["queued"] += 1

    def _record_changed(self, tx: Transaction, look: Look, known: KnownFile) -> None:
        is_same_audio = known.audio_hash is not None and look.audio_hash == known.audio_hash
        lost = is_same_audio and _lacks_our_tags(look, known.written_hash)
        was_taken = files.update_changed(
            tx,
            known,
            look.new,
            now=self.now(),
            same_audio=is_same_audio,
            needs_tagging=self.queue_new or self.force,
            needs_write=lost,
        )
        if not was_taken:
            self.counts["unchanged"] += 1  # in a worker's hands; the next scan sees what became of it
            return
        if lost:
            self._give_in(tx, known.id)
        tags.replace_file_tags(tx, known.id, _file_tags(look.facts))
        self.counts["changed"] += 1
        if is_same_audio:
            self._force(tx, known.id)
            return
        twin = None if self.force else self._twin(tx, look)
        if twin is not None:
            self._copy(tx, twin, known.id, look)
        elif look.new.error is None and (self.queue_new or self.force):
            self.counts["queued"] += 1

    def _record_unopened(self, tx: Transaction, look: Look, known: KnownFile) -> None:
        is_same = (known.size, known.mtime_ns) == (look.new.size, look.new.mtime_ns)
        if known.error_kind == NO_ACCESS and is_same and known.missing_since is None:
            self.counts["unchanged"] += 1
            return
        files.set_aside_unopened(tx, known, look.new, now=self.now())
        self.counts["changed"] += 1

    def _twin(self, tx: Transaction, look: Look) -> SameAudio | None:
        """A row with the very same audio: best one whose file is gone and had the same name."""
        if look.audio_hash is None or look.new.audio_key is None:
            return None
        twins = [
            twin
            for twin in identity.find_same_audio(tx, look.new.audio_key)
            if twin.audio_hash == look.audio_hash and (look.known is None or twin.id != look.known.id)
        ]
        twins.sort(key=lambda twin: (not self._left_its_place(twin, look), twin.name != look.seen.name))
        return twins[0] if twins else None

    def _left_its_place(self, twin: SameAudio, look: Look) -> bool:
        """What was seen of the disk, but for rows that have been moved since: those are in place."""
        return twin.missing_since is not None or twin.id in look.gone - self.moved_ids

    def _copy(self, tx: Transaction, twin: SameAudio, file_id: int, look: Look) -> None:
        is_in_file = twin.written_hash is not None and not _lacks_our_tags(look, twin.written_hash)
        identity.copy_analysis(tx, source_id=twin.id, target_id=file_id, now=self.now(), tags_are_in_file=is_in_file)
        self.counts["copied"] += 1

    def _give_in(self, tx: Transaction, file_id: int) -> None:
        """Ends a quarrel with a program that keeps taking our tags out: the next try comes a day after the last."""
        written = journal.writes_since(tx, file_id, since=self.now() - DAY_MS)
        if len(written) >= MOST_WRITES_A_DAY:
            queue.put_off_write(tx, file_id, until=written[-1] + DAY_MS, reason=QUARREL, now=self.now())

    def _force(self, tx: Transaction, file_id: int) -> None:
        if self.force:
            self.counts["queued"] += queue.request_analysis(tx, [file_id], force=True, now=self.now())


def _lacks_our_tags(look: Look, written_hash: str | None) -> bool:
    """Whether what was once written into the file is not, or not all, in it any more."""
    return written_hash is not None and tags_hash(look.facts.ours) != written_hash


def _columns(facts: FileFacts) -> Facts:
    return Facts(
        container=facts.container,
        duration_s=facts.duration_s,
        title=facts.title,
        artist=facts.artist,
        album=facts.album,
        album_artist=facts.album_artist,
        genre=facts.genres[0] if facts.genres else None,
        year=facts.year,
        track=facts.track,
        disc=facts.disc,
    )


def _file_tags(facts: FileFacts) -> Mapping[str, tuple[str, ...]]:
    return {**facts.tags, "genre": facts.genres}
