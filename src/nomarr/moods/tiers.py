"""Which scores say which word, and how surely: strict, regular and loose moods.

A mood's strength is the weighted mean of the calibrated scores that speak for it. Heads trained on different music
by different people err differently, so their mean errs less than any of them; a head whose percentiles lie too close
to tell tracks apart has no say. The weights were settled on 248 real tracks of 17 kinds (orchestral, chiptune,
techno, death metal, piano, folk ...): each mood had to rank those kinds as a listener would.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nomarr.moods.calibration import calibrated
from nomarr.scores import Calibrations, Moods, PackScores

# Strength at which a word is said. With these about one track in ten carries a given mood strictly, one in four
# regularly and two in five loosely, measured on the tracks above.
STRICT, REGULAR, LOOSE = 0.80, 0.65, 0.50


@dataclass(frozen=True)
class Evidence:
    """One score's say in a mood; `against` counts it the other way round."""

    pack: str  # "essentia" stands for any pack of an Essentia folder
    score: str
    weight: float = 1.0
    against: bool = False


def _for(pack: str, score: str, weight: float = 1.0) -> Evidence:
    return Evidence(pack, score, weight)


def _not(pack: str, score: str, weight: float = 1.0) -> Evidence:
    return Evidence(pack, score, weight, against=True)


@dataclass(frozen=True)
class Mood:
    """A word people use: what says it, what only supports that, and the word that excludes it."""

    word: str
    said_by: tuple[Evidence, ...]
    supported_by: tuple[Evidence, ...] = ()
    opposite: str | None = None


# Energy and valence span the plane of moods (Russell's circumplex): happy is bright and awake, sad dark and quiet,
# aggressive loud and dark, relaxed quiet and bright.
ENERGY, VALENCE = ("vibenet", "energy"), ("vibenet", "valence")
DANCEABILITY, ACOUSTICNESS = ("vibenet", "danceability"), ("vibenet", "acousticness")
INSTRUMENTALNESS = ("vibenet", "instrumentalness")

MOODS = (
    Mood(
        "happy",
        (_for(*VALENCE, 2), _for("musicnn", "mood_happy"), _for("essentia", "mood_happy")),
        (_not("musicnn", "genre_ambient"),),
        opposite="sad",
    ),
    Mood(
        "sad",
        (_not(*VALENCE, 2), _for("musicnn", "mood_sad"), _for("essentia", "mood_sad")),
        (_not(*ENERGY),),
        opposite="happy",
    ),
    Mood(
        "aggressive",
        (_for(*ENERGY, 2), _for("musicnn", "genre_metal"), _for("essentia", "mood_aggressive", 2)),
        (_not(*VALENCE), _for("musicnn", "genre_hard_rock"), _for("musicnn", "genre_heavy_metal")),
        opposite="relaxed",
    ),
    Mood(
        "relaxed",
        (_not(*ENERGY, 2), _for("essentia", "mood_relaxed")),
        (_for(*VALENCE, 0.5), _for(*ACOUSTICNESS), _not("musicnn", "genre_metal")),
        opposite="aggressive",
    ),
    Mood("energetic", (_for(*ENERGY),), opposite="calm"),
    Mood("calm", (_not(*ENERGY, 2), _for("essentia", "mood_relaxed")), opposite="energetic"),
    Mood(
        "party",
        (_for(*DANCEABILITY), _for("musicnn", "mood_party"), _for("essentia", "mood_party")),
        (_for(*ENERGY), _for("musicnn", "genre_dance")),
        opposite="relaxed",
    ),
    Mood(
        "mellow",
        (_for("musicnn", "mood_mellow"), _for("musicnn", "genre_easy_listening")),
        (_not(*ENERGY),),
        opposite="party",
    ),
    Mood(
        "chill",
        (_for("musicnn", "mood_chill"), _for("musicnn", "mood_chillout")),
        (_not(*ENERGY),),
        opposite="aggressive",
    ),
    Mood(
        "danceable",
        (_for(*DANCEABILITY, 2), _for("essentia", "danceability")),
        (_for("musicnn", "genre_dance", 0.5),),
        opposite="ambient",
    ),
    Mood(
        "ambient",
        (_for("musicnn", "genre_ambient", 2),),
        (_not(*ENERGY), _not(*DANCEABILITY)),
        opposite="danceable",
    ),
    Mood("acoustic", (_for(*ACOUSTICNESS, 2), _for("musicnn", "mood_acoustic")), opposite="electronic"),
    Mood(
        "electronic",
        (_for("musicnn", "genre_electronic", 2),),
        (_for("musicnn", "genre_electronica"), _not(*ACOUSTICNESS)),
        opposite="acoustic",
    ),
    Mood(
        "dark",
        (_not(*VALENCE, 2),),
        (_for("musicnn", "genre_experimental"), _for("musicnn", "genre_ambient", 0.5)),
        opposite="bright",
    ),
    Mood(
        "bright",
        (_for(*VALENCE, 2),),
        (_for(*DANCEABILITY, 0.5), _not("musicnn", "genre_experimental")),
        opposite="dark",
    ),
    Mood("beautiful", (_for("musicnn", "mood_beautiful"),)),
    Mood("sexy", (_for("musicnn", "mood_sexy"),)),
    Mood("catchy", (_for("musicnn", "mood_catchy"),)),
    Mood(
        "instrumental",
        (_for(*INSTRUMENTALNESS, 2), _not("essentia", "voice_instrumental")),
        (_for("musicnn", "voice_none"),),
        opposite="vocal",
    ),
    Mood(
        "vocal",
        (_not(*INSTRUMENTALNESS, 2), _for("essentia", "voice_instrumental")),
        (_not("musicnn", "voice_none"),),
        opposite="instrumental",
    ),
)


# Exclusion holds both ways: "chill" names "aggressive", so neither is strict where the other is stronger.
OPPOSITES = {
    mood.word: {mood.opposite or ""} - {""} | {other.word for other in MOODS if other.opposite == mood.word}
    for mood in MOODS
}
EVIDENCE = {(e.pack, e.score) for mood in MOODS for e in (*mood.said_by, *mood.supported_by)}
DENIED = {(e.pack, e.score) for mood in MOODS for e in (*mood.said_by, *mood.supported_by) if e.against}
WORDS = tuple(mood.word for mood in MOODS)


Strength = NDArray[np.float64]  # 0..1, one a track

NONE, IN_LOOSE, IN_REGULAR, IN_STRICT = range(4)  # tiers as numbers: each holds those below it


def strengths_of(
    columns: Mapping[tuple[str, str], NDArray[np.float32]], calibrations: Calibrations
) -> dict[str, Strength]:
    """Mood -> strength, of many tracks heard with the same packs; without the moods that nothing here can tell.

    `columns` holds (pack, score) -> raw scores, float32[tracks]; packs in the order of their names.
    """
    known: dict[tuple[str, str], Strength] = {}
    for (pack, score), raw in columns.items():
        kind = "essentia" if pack.startswith("essentia-") else pack
        calibration = calibrations.get((pack, score))
        if (kind, score) in EVIDENCE and calibration is not None and not calibration.is_narrow:
            known[kind, score] = calibrated(raw, calibration)
    against = {key: 1 - known[key] for key in known.keys() & DENIED}
    found = {}
    for mood in MOODS:
        if any((e.pack, e.score) in known for e in mood.said_by):
            heard = [e for e in (*mood.said_by, *mood.supported_by) if (e.pack, e.score) in known]
            agreed = np.zeros(len(next(iter(known.values()))))
            for e in heard:
                says = (against if e.against else known)[e.pack, e.score]
                agreed += says if e.weight == 1 else e.weight * says
            agreed /= sum(e.weight for e in heard)
            found[mood.word] = agreed
    return found


def tiers_of(found: Mapping[str, Strength]) -> dict[str, NDArray[np.uint8]]:
    """Mood -> its tier in each track, as a number. Of two opposites only the stronger can be strict."""
    return {word: _tier(found, word) for word in found}


def _tier(found: Mapping[str, Strength], word: str) -> NDArray[np.uint8]:
    strength = found[word]
    tier = (strength >= LOOSE).astype(np.uint8)
    tier += strength >= REGULAR
    strict = strength >= STRICT
    for other in OPPOSITES[word] & found.keys():
        strict &= strength > found[other]
    tier += strict
    return tier


def strengths(packs: Iterable[PackScores], calibrations: Calibrations) -> dict[str, float]:
    """Mood -> strength of one track."""
    return {word: float(values[0]) for word, values in strengths_of(_columns(packs), calibrations).items()}


def moods_of(packs: Sequence[PackScores], calibrations: Calibrations) -> Moods:
    """The words for a track, the strongest first."""
    found = strengths_of(_columns(packs), calibrations)
    tiers = tiers_of(found)
    ranked = sorted(found, key=lambda word: -found[word][0])

    def words(tier: int) -> tuple[str, ...]:
        return tuple(word for word in ranked if tiers[word][0] >= tier)

    return Moods(strict=words(IN_STRICT), regular=words(IN_REGULAR), loose=words(IN_LOOSE))


def _columns(packs: Iterable[PackScores]) -> dict[tuple[str, str], NDArray[np.float32]]:
    return {
        (pack.pack, name): pack.values[i : i + 1]
        for pack in sorted(packs, key=lambda one: one.pack)
        for i, name in enumerate(pack.heads)
    }
