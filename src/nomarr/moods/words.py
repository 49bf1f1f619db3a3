"""The words of a track: what the models say, and above that what a person settled.

A correction always wins, for its own mood. What the models say of the others stays, with one exception: where a person
made a mood strict, its opposites are regular at most.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from nomarr.moods.reference import for_words
from nomarr.moods.tiers import IN_REGULAR, IN_STRICT, OPPOSITES, WORDS, Tier, heard_by, listed, strengths_of, tiers_of
from nomarr.scores import ByHand, Correction, LibraryCalibration, Moods, PackScores

NOTHING = Correction()
ONE = np.zeros(1, np.int64)  # the id of a track that is looked at alone


def words_of(packs: Iterable[PackScores], calibration: LibraryCalibration, correction: Correction = NOTHING) -> Moods:
    """The words of one track, the strongest first."""
    heard, percentiles = heard_by(packs), for_words(calibration)
    found = strengths_of(heard, percentiles)
    tiers = tiers_of(found, heard, percentiles, calibration.levels)
    return listed(found, settle(tiers, ByHand.of({0: correction} if correction else {}), ONE))


def settle(tiers: Mapping[str, Tier], by_hand: ByHand, ids: NDArray[np.int64]) -> dict[str, Tier]:
    """Mood -> tier in each of the tracks `ids`, once the corrections of some of them are taken into account."""
    if not len(by_hand.ids):
        return dict(tiers)
    at = np.searchsorted(ids, by_hand.ids)
    given = {word: by_hand.settled(word) for word in WORDS}
    settled = {}
    for word in WORDS:
        if word not in tiers and not (given[word] > 0).any():
            continue
        tier = tiers[word].copy() if word in tiers else np.zeros(len(ids), np.uint8)
        models = tier[at]
        for other in OPPOSITES[word]:
            np.minimum(models, IN_REGULAR, out=models, where=given[other] == IN_STRICT)
        tier[at] = np.where(given[word] >= 0, given[word], models)
        settled[word] = tier
    return settled


def tiers_by_word(moods: Moods) -> dict[str, int]:
    """Word -> its tier as a number, of the words that are said."""
    return {word: 1 + (word in moods.regular) + (word in moods.strict) for word in moods.loose}
