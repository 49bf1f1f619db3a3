"""What a file should hold, by its stored scores and the calibration of its library."""

from __future__ import annotations

from collections.abc import Sequence

from nomarr import __version__
from nomarr.inference.catalog import score_names
from nomarr.moods.reference import for_words
from nomarr.moods.tags import TagValues, tag_scores, tags_for
from nomarr.moods.tiers import moods_of
from nomarr.scores import LibraryCalibration, PackScores
from nomarr.settings import Settings
from nomarr.store import calibrations, files, libraries, scores
from nomarr.store.database import Transaction


def wanted_tags(tx: Transaction, file_id: int, settings: Settings) -> TagValues:
    """The fields by the stored scores; nothing where the library's results stay in the database."""
    file = files.get(tx, file_id)
    mode = libraries.get(tx, file.library_id).file_write_mode
    calibration = calibrations.for_library(tx, file.library_id)
    return tags_of(scores.load(tx, file_id), calibration, mode, file.suite or "", settings)


def tags_of(
    packs: Sequence[PackScores], calibration: LibraryCalibration, mode: str | None, suite: str, settings: Settings
) -> TagValues:
    """The fields by these scores; a library without a mode of its own follows the settings."""
    return tags_for(
        tag_scores(packs, score_names([(pack.pack, pack.heads) for pack in packs]), calibration.heads),
        moods_of(packs, for_words(calibration)),
        mode=mode or settings.file_write_mode,
        version=__version__,
        suite=suite,
        calibration=calibration.label,
    )
