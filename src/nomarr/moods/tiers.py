"""Which scores say which word, and how surely: strict, regular and loose moods.

A mood's strength is the weighted mean of the calibrated scores that speak for it. Heads trained on different music
by different people err differently, so their mean errs less than any of them; a head whose percentiles lie too close
to tell tracks apart has no say. The weights were settled on 248 real tracks of 17 kinds (orchestral, chiptune,
techno, death metal, piano, folk ...): each mood had to rank those kinds as a listener would.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nomarr.moods.calibration import NARROWEST
from nomarr.moods.reference import Calibrations
from nomarr.scores import Moods, PackScores

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
    mood.word: {mood.opposite} - {None} | {other.word for other in MOODS if other.opposite == mood.word}
    for mood in MOODS
}


def strengths(packs: Iterable[PackScores], calibrations: Calibrations) -> dict[str, float]:
    """Mood -> strength, 0..1; without the moods that nothing here can tell."""
    known = {}
    for pack in packs:
        kind = "essentia" if pack.pack.startswith("essentia-") else pack.pack
        for name, value in zip(pack.heads, pack.values, strict=True):
            calibration = calibrations.get((pack.pack, name))
            if calibration is not None and calibration.p95 - calibration.p5 >= NARROWEST:
                known[kind, name] = calibration.apply(float(value))
    found = {}
    for mood in MOODS:
        if any((e.pack, e.score) in known for e in mood.said_by):
            heard = [e for e in (*mood.said_by, *mood.supported_by) if (e.pack, e.score) in known]
            says = (known[e.pack, e.score] for e in heard)
            agreed = sum(e.weight * (1 - x if e.against else x) for e, x in zip(heard, says, strict=True))
            found[mood.word] = agreed / sum(e.weight for e in heard)
    return found


def moods_of(packs: Sequence[PackScores], calibrations: Calibrations) -> Moods:
    """The words for a track, the strongest first. Of two opposites only the stronger can be strict."""
    found = strengths(packs, calibrations)
    ranked = sorted(found, key=lambda word: -found[word])

    def is_strict(word: str) -> bool:
        return found[word] >= STRICT and all(found[word] > found.get(other or "", 0.0) for other in OPPOSITES[word])

    return Moods(
        strict=tuple(word for word in ranked if is_strict(word)),
        regular=tuple(word for word in ranked if found[word] >= REGULAR),
        loose=tuple(word for word in ranked if found[word] >= LOOSE),
    )
