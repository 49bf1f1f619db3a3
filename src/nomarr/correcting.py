"""Correcting the moods of files by hand: words set, taken away or left to the models again, and locks."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from nomarr.errors import Conflict, FileProblem, InvalidInput, printable
from nomarr.moods.tags import TIERS, tags_hash
from nomarr.moods.tiers import IN_REGULAR, IN_STRICT, OPPOSITES, WORDS
from nomarr.moods.words import tiers_by_word, words_of
from nomarr.scores import Correction, Moods
from nomarr.settings import Settings
from nomarr.store import calibrations, corrections, files, libraries, queue, scores
from nomarr.store.database import Database
from nomarr.tagfiles.audiofile import read_tags


@dataclass(frozen=True)
class Change:
    """What is to be settled: tiers of moods as numbers, 0 for "not this one", None for "as the models say".

    `locked` None leaves locks alone; with `is_whole` whatever was settled before is forgotten.
    """

    moods: Mapping[str, int | None] = field(default_factory=dict)
    locked: bool | None = None
    is_whole: bool = False

    def __post_init__(self) -> None:
        for word in self.moods:
            if word not in WORDS:
                raise InvalidInput(f"there is no mood {word!r}; there are {', '.join(WORDS)}")

    def of(self, old: Correction, words: Moods | None) -> Correction:
        """What holds after the change; `words` are those that a track keeps which is locked now."""
        moods = {} if self.is_whole else dict(old.moods)
        moods.update({word: tier for word, tier in self.moods.items() if tier is not None})
        for word in [word for word, tier in self.moods.items() if tier is None]:
            moods.pop(word, None)
        stays_locked = (old.kept is not None and not self.is_whole) if self.locked is None else self.locked
        kept = None
        if stays_locked:
            kept = dict(old.kept if old.kept is not None else tiers_by_word(words or Moods()))
        _keep_opposites_apart(moods, kept)
        return Correction(moods, kept)


def correct(db: Database, settings: Settings, file_ids: Collection[int], change: Change) -> dict[int, Correction]:
    """File -> its corrections after the change; those that it changes are queued for writing.

    All or nothing. NotFound for a file that does not exist, Conflict where a lock would have no words to keep.
    """
    words = _words_to_keep(db, settings, file_ids) if change.locked else {}
    with db.write() as tx:
        known = [files.get(tx, file_id) for file_id in sorted(set(file_ids))]
        old = corrections.of_many(tx, [file.id for file in known])
        new = {file.id: change.of(old.get(file.id, Correction()), words.get(file.id)) for file in known}
        changed = {file_id: one for file_id, one in new.items() if one != old.get(file_id, Correction())}
        now = tx.now_ms()
        corrections.save(tx, changed, now=now)
        modes = {library.id: library.file_write_mode or settings.file_write_mode for library in libraries.list_all(tx)}
        written = [file.id for file in known if file.id in changed and modes[file.library_id] != "none"]
        queue.request_write(tx, written, now=now)
    return new


def _words_to_keep(db: Database, settings: Settings, file_ids: Collection[int]) -> dict[int, Moods]:
    """The words that each of the files has now; where it lags behind the database those that are in the file."""
    found, lagging = {}, []
    with db.read() as tx:
        current, old = calibrations.current(tx), corrections.of_many(tx, list(file_ids))
        for file_id in file_ids:
            file = files.get(tx, file_id)
            if file.analyzed_at is None:
                raise Conflict(f"{printable(file.path)}: not listened to yet, so there are no words to keep")
            calibration = current.of(file.library_id)
            found[file_id] = words_of(scores.load(tx, file_id), calibration, old.get(file_id, Correction()))
            if file.written_hash is not None and (file.needs_write or file.calibration != calibration.label):
                lagging.append(file)
    for file in lagging:
        with suppress(FileProblem):  # it is gone or damaged: the database knows best
            ours = read_tags(settings.here(file.path), namespace=settings.namespace)
            if tags_hash(ours) == file.written_hash:
                found[file.id] = Moods(*(tuple(word for word in ours.get(tier, ()) if word in WORDS) for tier in TIERS))
    return found


def _keep_opposites_apart(moods: Mapping[str, int], kept: dict[str, int] | None) -> None:
    """InvalidInput where two opposites are made strict; where one was kept strict it becomes regular."""
    for word in WORDS:
        for other in sorted(OPPOSITES[word]) if moods.get(word) == IN_STRICT else ():
            if moods.get(other) == IN_STRICT:
                raise InvalidInput(f"{word} and {other} exclude each other; only one of them can be strict")
            if kept is not None and kept.get(other) == IN_STRICT:
                kept[other] = IN_REGULAR
