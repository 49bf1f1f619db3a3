"""Why a track has a mood, or has it not: every number that took part, and the rule in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nomarr.moods.calibration import calibrated
from nomarr.moods.reference import for_words
from nomarr.moods.tags import REFERENCE
from nomarr.moods.tiers import (
    BY_WORD,
    IN_LOOSE,
    IN_REGULAR,
    IN_STRICT,
    LEVELS,
    NONE,
    OPPOSITES,
    WORDS,
    Column,
    Evidence,
    Heard,
    Mood,
    columns_with_a_say,
    evidence_in,
    heard_by,
    strengths_of,
    tiers_of,
    weakest,
)
from nomarr.moods.words import ONE, settle
from nomarr.scores import SPREAD_STEPS, ByHand, Calibrations, Correction, Levels, LibraryCalibration, PackScores

TIER_NAMES = ("none", "loose", "regular", "strict")  # by their number
FIRST = np.zeros(1, np.intp)


@dataclass(frozen=True)
class HeadReason:
    """One score's say in a mood, `for` or `against` it.

    `percentile` is the share, in per cent, of the library's analysed tracks whose raw score is lower; null without
    any. `p5` and `p95` come from `percentiles_from`, a calibration of the library's own or the reference. `written`
    is what goes into the file under `name`: calibrated where the library has a calibration, else raw.
    """

    name: str
    pack: str
    head: str
    says: str
    weight: float
    raw: float
    spread: float
    percentile: float | None
    p5: float
    p95: float
    percentiles_from: str
    calibrated: float
    written: float


@dataclass(frozen=True)
class Opposing:
    """A mood that excludes this one, as strong as the models hear it."""

    mood: str
    strength: float
    tier: str


@dataclass(frozen=True)
class MoodReason:
    """One mood of a track. Tiers are strict, regular, loose or none.

    `tier` is what holds, `models_tier` what the models alone say. `strength` is the weighted mean of what the heads
    say, `weakest` the same one standard deviation down, as their scores vary over the track; null where nothing that
    was heard can tell. `levels_are_set`: somebody changed the mood's levels. `by_hand`: set, removed or locked where
    somebody settled the mood.
    """

    mood: str
    tier: str
    because: str
    models_tier: str
    by_hand: str | None
    strength: float | None
    weakest: float | None
    levels: Levels
    levels_are_set: bool
    opposites: tuple[Opposing, ...]
    heads: tuple[HeadReason, ...]


def reasons(
    packs: Sequence[PackScores],
    calibration: LibraryCalibration,
    correction: Correction,
    *,
    names: Mapping[Column, str],
    below: Mapping[Column, float],
) -> list[MoodReason]:
    """Every mood of one track: the highest tier first, then the strongest.

    `names` are those under which scores are written; `below` says which share of the library has a lower raw score.
    """
    track = _Track.of(packs, calibration, correction)
    found = [_reason(word, track, names, below) for word in WORDS]
    return sorted(found, key=lambda one: (-TIER_NAMES.index(one.tier), -(one.strength or 0.0)))


@dataclass(frozen=True)
class _Track:
    heard: Heard
    calibration: LibraryCalibration
    correction: Correction
    percentiles: Calibrations
    columns: Mapping[Column, Column]
    strengths: Mapping[str, float]
    models: Mapping[str, int]
    settled: Mapping[str, int]

    @classmethod
    def of(cls, packs: Iterable[PackScores], calibration: LibraryCalibration, correction: Correction) -> _Track:
        heard, percentiles = heard_by(packs), for_words(calibration)
        found = strengths_of(heard, percentiles)
        tiers = tiers_of(found, heard, percentiles, calibration.levels)
        settled = settle(tiers, ByHand.of({0: correction} if correction else {}), ONE)
        return cls(
            heard,
            calibration,
            correction,
            percentiles,
            columns_with_a_say(heard.scores, percentiles),
            {word: float(strength[0]) for word, strength in found.items()},
            {word: int(tier[0]) for word, tier in tiers.items()},
            {word: int(tier[0]) for word, tier in settled.items()},
        )

    def weakest(self, mood: Mood) -> float:
        return float(weakest(mood, self.heard, self.percentiles, self.columns, FIRST)[0])

    def levels(self, word: str) -> Levels:
        return self.calibration.levels.get(word, LEVELS)


def _reason(word: str, track: _Track, names: Mapping[Column, str], below: Mapping[Column, float]) -> MoodReason:
    is_told = word in track.strengths
    low = track.weakest(BY_WORD[word]) if is_told else None
    evidence = evidence_in(BY_WORD[word], track.columns)
    return MoodReason(
        mood=word,
        tier=TIER_NAMES[track.settled.get(word, NONE)],
        because=_because(word, track, low),
        models_tier=TIER_NAMES[track.models.get(word, NONE)],
        by_hand=_by_hand(word, track.correction),
        strength=round(track.strengths[word], 4) if is_told else None,
        weakest=None if low is None else round(low, 4),
        levels=track.levels(word),
        levels_are_set=word in track.calibration.levels,
        opposites=tuple(
            Opposing(other, round(track.strengths[other], 4), TIER_NAMES[track.models[other]])
            for other in sorted(OPPOSITES[word] & track.strengths.keys(), key=lambda o: -track.strengths[o])
        ),
        heads=tuple(_head(e, track, names, below) for e in evidence),
    )


def _head(e: Evidence, track: _Track, names: Mapping[Column, str], below: Mapping[Column, float]) -> HeadReason:
    column = track.columns[e.pack, e.score]
    raw, used, own = track.heard.scores[column], track.percentiles[column], track.calibration.heads.get(column)
    return HeadReason(
        name=names[column],
        pack=column[0],
        head=column[1],
        says="against" if e.against else "for",
        weight=e.weight,
        raw=round(float(raw[0]), 4),
        spread=round(float(track.heard.spreads[column][0]) / SPREAD_STEPS, 4),
        percentile=round(100 * below[column], 1) if column in below else None,
        p5=used.p5,
        p95=used.p95,
        percentiles_from=track.calibration.label if used is own else REFERENCE,
        calibrated=round(float(calibrated(raw, used)[0]), 4),
        written=round(float(calibrated(raw, own)[0]), 4),
    )


def _by_hand(word: str, correction: Correction) -> str | None:
    if word in correction.moods:
        return "set" if correction.moods[word] else "removed"
    return None if correction.kept is None else "locked"


def _because(word: str, track: _Track, low: float | None) -> str:
    rule = _rule(word, track, low)
    match _by_hand(word, track.correction):
        case "set":
            return f"Set by hand to {TIER_NAMES[track.settled[word]]}. By the models alone: {rule}"
        case "removed":
            return f"Taken away by hand. By the models alone: {rule}"
        case "locked":
            return f"The track is locked, its words stay. By the models alone: {rule}"
    if track.settled.get(word, NONE) != track.models.get(word, NONE):
        stricter = next(other for other in OPPOSITES[word] if track.correction.moods.get(other) == IN_STRICT)
        return f"No more than regular, for {stricter} was made strict by hand. By the models alone: {rule}"
    return rule


def _rule(word: str, track: _Track, low: float | None) -> str:
    if low is None:
        return "not said: no model that can tell it was heard, or its scores hardly vary here."
    strength, tier, levels = track.strengths[word], track.models[word], track.levels(word)
    rivals = sorted(OPPOSITES[word] & track.strengths.keys(), key=lambda other: -track.strengths[other])
    beaten = "".join(f", more than {other}'s {track.strengths[other]:.4f}" for other in rivals[:1])
    deviation = f"one standard deviation down, as its scores vary over the track, it is {low:.4f}"
    if tier == IN_STRICT:
        return f"strict: {strength:.4f} reaches {levels.strict:g}{beaten}; {deviation}, not below {levels.loose:g}."
    if tier == IN_REGULAR and strength >= levels.strict:
        return f"regular: {strength:.4f} reaches {levels.strict:g}{beaten}; but {deviation}, below {levels.loose:g}."
    if tier == IN_REGULAR:
        return f"regular: {strength:.4f} reaches {levels.regular:g}{beaten}, but not {levels.strict:g}."
    if tier == IN_LOOSE and strength >= levels.regular:
        return f"loose: {strength:.4f} reaches {levels.regular:g}, but {_stronger(rivals, track)} is no weaker."
    if tier == IN_LOOSE:
        return f"loose: {strength:.4f} reaches {levels.loose:g}, but not {levels.regular:g}."
    if strength >= levels.loose:
        stricter = next(other for other in rivals if track.models[other] == IN_STRICT)
        return f"not said: {strength:.4f} reaches {levels.loose:g}, but {stricter} is strict, which excludes it."
    return f"not said: {strength:.4f} is below {levels.loose:g}."


def _stronger(rivals: Sequence[str], track: _Track) -> str:
    return f"{rivals[0]} with {track.strengths[rivals[0]]:.4f}"
