"""What a file should hold, by its stored scores, the calibration of its library and what was corrected by hand."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

from nomarr import __version__
from nomarr.inference.catalog import score_names
from nomarr.inference.vocabulary import genre_words
from nomarr.library_moods import shares_below
from nomarr.moods.explain import MoodReason, reasons
from nomarr.moods.tags import TagValues, tag_scores, tags_for
from nomarr.moods.words import words_of
from nomarr.scores import Correction, LibraryCalibration, Moods, PackScores
from nomarr.settings import Settings
from nomarr.store import calibrations, corrections, files, libraries, scores
from nomarr.store.database import Transaction
from nomarr.store.matrix import Block

# A genre is put into GENRE from this raw score on, and a second one where it is nearly as sure. Raw, so that another
# calibration does not change what the file calls itself.
SURE_GENRE, NEARLY = 0.2, 0.8


class WriteChoices(Protocol):
    """What a library says about its files; None: as the settings say."""

    @property
    def file_write_mode(self) -> str | None: ...
    @property
    def standard_fields(self) -> str | None: ...


def wanted_tags(tx: Transaction, file_id: int, settings: Settings) -> TagValues:
    """The fields by the stored scores; nothing where the library's results stay in the database."""
    file = files.get(tx, file_id)
    library = libraries.get(tx, file.library_id)
    calibration, correction = calibrations.for_library(tx, file.library_id), corrections.of(tx, file_id)
    packs, suite = scores.load(tx, file_id), file.suite or ""
    return tags_of(packs, calibration, correction, library, suite, settings)


def wanted_words(tx: Transaction, file_id: int) -> Moods:
    """The mood words by the stored scores."""
    calibration = calibrations.for_library(tx, files.get(tx, file_id).library_id)
    return words_of(scores.load(tx, file_id), calibration, corrections.of(tx, file_id))


def explained(tx: Transaction, file_id: int, blocks: Iterable[Block]) -> list[MoodReason]:
    """Why the file has its words and no others, nothing before it was heard; `blocks` hold all libraries' scores."""
    file, packs = files.get(tx, file_id), scores.load(tx, file_id)
    if not packs:
        return []
    return reasons(
        packs,
        calibrations.for_library(tx, file.library_id),
        corrections.of(tx, file_id),
        names=score_names([(pack.pack, pack.heads) for pack in packs]),
        below=shares_below((block for block in blocks if block.library_id == file.library_id), packs),
    )


def tags_of(
    packs: Sequence[PackScores],
    calibration: LibraryCalibration,
    correction: Correction,
    library: WriteChoices,
    suite: str,
    settings: Settings,
) -> TagValues:
    """The fields by these scores; a library without choices of its own follows the settings."""
    names = score_names([(pack.pack, pack.heads) for pack in packs])
    words, mode = words_of(packs, calibration, correction), library.file_write_mode or settings.file_write_mode
    tags = tags_for(
        tag_scores(packs, names, calibration.heads),
        words,
        mode=mode,
        version=__version__,
        suite=suite,
        calibration=calibration.label,
    )
    if mode == "none":
        return tags
    own = library.standard_fields
    chosen = settings.standard_fields if own is None else own.split(",")
    return tags | standard_values(tag_scores(packs, names, {}), words, chosen)


def standard_values(raw: Mapping[str, float], words: Moods, chosen: Collection[str]) -> TagValues:
    """What belongs into MOOD and GENRE, by raw scores and mood words, where they are to be filled."""
    values = {"MOOD": words.regular if "mood" in chosen else (), "GENRE": genres(raw) if "genre" in chosen else ()}
    return {name: texts for name, texts in values.items() if texts}


def genres(raw: Mapping[str, float]) -> tuple[str, ...]:
    """The genre that is heard most surely, and one more that is nearly as sure; none where nothing is sure."""
    known = {words: score for name, score in raw.items() if (words := genre_words(name)) is not None}
    ranked = sorted(known.items(), key=lambda item: (-item[1], item[0]))[:2]
    return tuple(words for words, score in ranked if score >= max(SURE_GENRE, NEARLY * ranked[0][1]))
