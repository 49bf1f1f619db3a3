"""Which scores say which word, and how surely: strict, regular and loose moods.

A mood's strength is the weighted mean of the calibrated scores that speak for it. Heads trained on different music
by different people err differently, so their mean errs less than any of them; a head whose percentiles lie too close
to tell tracks apart has no say. The weights were settled on 248 real tracks of 17 kinds (orchestral, chiptune,
techno, death metal, piano, folk ...): each mood had to rank those kinds as a listener would.

The tiers, with the levels below or those that somebody set instead:

| tier    | strength    | and                                       | because                                          |
| ------- | ----------- | ----------------------------------------- | ------------------------------------------------ |
| loose   | >= loose    | no opposite is strict                     | a search for calm must not find what is surely   |
|         |             |                                           | a party, whatever else may be in it              |
| regular | >= regular  | stronger than every opposite              | of two words that exclude each other only the    |
|         |             |                                           | stronger is worth a place in a playlist          |
| strict  | >= strict   | the same, and one standard deviation down | a track whose patches go far apart says the word |
|         |             | (over the patches) still >= loose         | in parts; strict is for those that say it        |
|         |             |                                           | throughout. Of 619 strict words in those tracks  |
|         |             |                                           | 11 fall to regular, most of them songs that      |
|         |             |                                           | change their mood on the way                     |

The standard deviation is that of each score, in steps of 1/510: a byte a score beside the four of the score itself,
57 MB at a million tracks. It is asked for only where a word would be strict, one track in ten.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nomarr.moods.calibration import calibrated
from nomarr.scores import SPREAD_STEPS, Calibrations, Levels, Moods, PackScores, Steps, spread_steps

# Strength at which a word is said. With these about one track in ten carries a given mood strictly, one in four
# regularly and two in five loosely, measured on the tracks above.
STRICT, REGULAR, LOOSE = 0.80, 0.65, 0.50
LEVELS = Levels(STRICT, REGULAR, LOOSE)


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
    """A word people use: what says it, what only supports that, and the words that it and they exclude."""

    word: str
    said_by: tuple[Evidence, ...]
    supported_by: tuple[Evidence, ...] = ()
    opposites: tuple[str, ...] = ()


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
        opposites=("sad",),
    ),
    Mood(
        "sad",
        (_not(*VALENCE, 2), _for("musicnn", "mood_sad"), _for("essentia", "mood_sad")),
        (_not(*ENERGY),),
        opposites=("happy",),
    ),
    Mood(
        "aggressive",
        (_for(*ENERGY, 2), _for("musicnn", "genre_metal"), _for("essentia", "mood_aggressive", 2)),
        (_not(*VALENCE), _for("musicnn", "genre_hard_rock"), _for("musicnn", "genre_heavy_metal")),
        opposites=("relaxed",),
    ),
    Mood(
        "relaxed",
        (_not(*ENERGY, 2), _for("essentia", "mood_relaxed")),
        (_for(*VALENCE, 0.5), _for(*ACOUSTICNESS), _not("musicnn", "genre_metal")),
        opposites=("aggressive", "energetic"),
    ),
    Mood("energetic", (_for(*ENERGY),), opposites=("calm",)),
    Mood("calm", (_not(*ENERGY, 2), _for("essentia", "mood_relaxed")), opposites=("energetic", "aggressive", "party")),
    Mood(
        "party",
        (_for(*DANCEABILITY), _for("musicnn", "mood_party"), _for("essentia", "mood_party")),
        (_for(*ENERGY), _for("musicnn", "genre_dance")),
        opposites=("relaxed",),
    ),
    Mood(
        "mellow",
        (_for("musicnn", "mood_mellow"), _for("musicnn", "genre_easy_listening")),
        (_not(*ENERGY),),
        opposites=("party",),
    ),
    Mood(
        "chill",
        (_for("musicnn", "mood_chill"), _for("musicnn", "mood_chillout")),
        (_not(*ENERGY),),
        opposites=("aggressive", "energetic"),
    ),
    Mood(
        "danceable",
        (_for(*DANCEABILITY, 2), _for("essentia", "danceability")),
        (_for("musicnn", "genre_dance", 0.5),),
        opposites=("ambient",),
    ),
    Mood(
        "ambient",
        (_for("musicnn", "genre_ambient", 2),),
        (_not(*ENERGY), _not(*DANCEABILITY)),
        opposites=("danceable",),
    ),
    Mood("acoustic", (_for(*ACOUSTICNESS, 2), _for("musicnn", "mood_acoustic")), opposites=("electronic",)),
    Mood(
        "electronic",
        (_for("musicnn", "genre_electronic", 2),),
        (_for("musicnn", "genre_electronica"), _not(*ACOUSTICNESS)),
        opposites=("acoustic",),
    ),
    Mood(
        "dark",
        (_not(*VALENCE, 2),),
        (_for("musicnn", "genre_experimental"), _for("musicnn", "genre_ambient", 0.5)),
        opposites=("bright",),
    ),
    Mood(
        "bright",
        (_for(*VALENCE, 2),),
        (_for(*DANCEABILITY, 0.5), _not("musicnn", "genre_experimental")),
        opposites=("dark",),
    ),
    Mood("beautiful", (_for("musicnn", "mood_beautiful"),)),
    Mood("sexy", (_for("musicnn", "mood_sexy"),)),
    Mood("catchy", (_for("musicnn", "mood_catchy"),)),
    Mood(
        "instrumental",
        (_for(*INSTRUMENTALNESS, 2), _not("essentia", "voice_instrumental")),
        (_for("musicnn", "voice_none"),),
        opposites=("vocal",),
    ),
    Mood(
        "vocal",
        (_not(*INSTRUMENTALNESS, 2), _for("essentia", "voice_instrumental")),
        (_not("musicnn", "voice_none"),),
        opposites=("instrumental",),
    ),
)


# Exclusion holds both ways: "chill" names "aggressive", so neither is strict where the other is stronger.
OPPOSITES = {
    mood.word: {*mood.opposites, *(other.word for other in MOODS if mood.word in other.opposites)} for mood in MOODS
}
BY_WORD = {mood.word: mood for mood in MOODS}
WORDS = tuple(BY_WORD)
EVIDENCE = {(e.pack, e.score) for mood in MOODS for e in (*mood.said_by, *mood.supported_by)}
DENIED = {(e.pack, e.score) for mood in MOODS for e in (*mood.said_by, *mood.supported_by) if e.against}


Strength = NDArray[np.float64]  # 0..1, one a track
Tier = NDArray[np.uint8]
Column = tuple[str, str]  # (pack, score)

NONE, IN_LOOSE, IN_REGULAR, IN_STRICT = range(4)  # tiers as numbers: each holds those below it


@dataclass(frozen=True)
class Heard:
    """The scores of tracks that were heard with the same packs: (pack, score) -> raw scores, float32[tracks], and
    their spreads as scores.spread_steps gives them; packs in the order of their names.
    """

    scores: Mapping[Column, NDArray[np.float32]]
    spreads: Mapping[Column, Steps]


def strengths_of(heard: Heard, calibrations: Calibrations) -> dict[str, Strength]:
    """Mood -> strength in each track; without the moods that nothing here can tell."""
    columns = columns_with_a_say(heard.scores, calibrations)
    known = {kind: calibrated(heard.scores[column], calibrations[column]) for kind, column in columns.items()}
    against = {kind: 1 - known[kind] for kind in known.keys() & DENIED}
    return {
        mood.word: _agreed([(e, (against if e.against else known)[e.pack, e.score]) for e in evidence])
        for mood in MOODS
        if (evidence := evidence_in(mood, columns))
    }


def tiers_of(
    found: Mapping[str, Strength], heard: Heard, calibrations: Calibrations, levels: Mapping[str, Levels] | None = None
) -> dict[str, Tier]:
    """Mood -> its tier in each track, as a number, of the moods that strengths_of found.

    `levels` are those of moods that somebody set instead of LEVELS.
    """
    levels = levels or {}
    columns = columns_with_a_say(heard.scores, calibrations)
    leads = {word: _leads(found, word) for word in found}
    strict = {}
    for word, strength in found.items():
        own = levels.get(word, LEVELS)
        at = np.flatnonzero(leads[word] & (strength >= own.strict))
        strict[word] = np.zeros(len(strength), np.bool_)
        if len(at):
            strict[word][at] = weakest(BY_WORD[word], heard, calibrations, columns, at) >= own.loose
    tiers = {}
    for word, strength in found.items():
        own = levels.get(word, LEVELS)
        is_said = strength >= own.loose
        for other in OPPOSITES[word] & found.keys():
            is_said &= ~strict[other]
        tier = is_said.astype(np.uint8)
        tier += leads[word] & (strength >= own.regular)
        tier += strict[word]
        tiers[word] = tier
    return tiers


def columns_with_a_say(scores: Iterable[Column], calibrations: Calibrations) -> dict[Column, Column]:
    """Evidence, as the table above calls it -> the column that gives it; not of heads that cannot tell tracks apart."""
    found = {}
    for pack, score in scores:
        kind = "essentia" if pack.startswith("essentia-") else pack
        calibration = calibrations.get((pack, score))
        if (kind, score) in EVIDENCE and calibration is not None and not calibration.is_narrow:
            found[kind, score] = (pack, score)
    return found


def evidence_in(mood: Mood, columns: Mapping[Column, Column]) -> list[Evidence]:
    """What there is of a mood's evidence; nothing where only its support was heard."""
    if not any((e.pack, e.score) in columns for e in mood.said_by):
        return []
    return [e for e in (*mood.said_by, *mood.supported_by) if (e.pack, e.score) in columns]


def weakest(
    mood: Mood, heard: Heard, calibrations: Calibrations, columns: Mapping[Column, Column], at: NDArray[np.intp]
) -> Strength:
    """The strength in some tracks if each score were one standard deviation further from saying the word."""
    says = []
    for e in evidence_in(mood, columns):
        column = columns[e.pack, e.score]
        raw, spread = heard.scores[column][at].astype(np.float64), heard.spreads[column][at] / SPREAD_STEPS
        shifted = calibrated(raw + spread if e.against else raw - spread, calibrations[column])
        says.append((e, 1 - shifted if e.against else shifted))
    return _agreed(says)


def _agreed(says: Sequence[tuple[Evidence, Strength]]) -> Strength:
    total = np.zeros(len(says[0][1]))
    for e, one in says:
        total += one if e.weight == 1 else e.weight * one
    total /= sum(e.weight for e, _ in says)
    return total


def _leads(found: Mapping[str, Strength], word: str) -> NDArray[np.bool_]:
    """Where the mood is stronger than every opposite."""
    leads = np.ones(len(found[word]), np.bool_)
    for other in OPPOSITES[word] & found.keys():
        leads &= found[word] > found[other]
    return leads


def heard_by(packs: Iterable[PackScores]) -> Heard:
    """The scores of one track, as arrays of one."""
    scores: dict[Column, NDArray[np.float32]] = {}
    spreads: dict[Column, Steps] = {}
    for pack in sorted(packs, key=lambda one: one.pack):
        columns = [(pack.pack, head) for head in pack.heads]
        scores.update(zip(columns, pack.values[:, None], strict=True))
        spreads.update(zip(columns, spread_steps(pack.spreads)[:, None], strict=True))
    return Heard(scores, spreads)


def strengths(packs: Iterable[PackScores], calibrations: Calibrations) -> dict[str, float]:
    """Mood -> strength of one track."""
    return {word: float(values[0]) for word, values in strengths_of(heard_by(packs), calibrations).items()}


def moods_of(
    packs: Iterable[PackScores], calibrations: Calibrations, levels: Mapping[str, Levels] | None = None
) -> Moods:
    """The words that the models have for a track, the strongest first."""
    heard = heard_by(packs)
    found = strengths_of(heard, calibrations)
    return listed(found, tiers_of(found, heard, calibrations, levels))


def listed(found: Mapping[str, Strength], tiers: Mapping[str, Tier]) -> Moods:
    """The words of one track by its strengths and tiers, arrays of one; the strongest first."""
    ranked = sorted(tiers, key=lambda word: -float(found[word][0]) if word in found else 0.0)

    def words(tier: int) -> tuple[str, ...]:
        return tuple(word for word in ranked if tiers[word][0] >= tier)

    return Moods(strict=words(IN_STRICT), regular=words(IN_REGULAR), loose=words(IN_LOOSE))
