"""Everything Nomarr writes about a track: names and values, without the namespace."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray

from nomarr.moods.calibration import calibrated
from nomarr.moods.tiers import IN_LOOSE, IN_REGULAR, IN_STRICT
from nomarr.scores import Calibrations, LibraryCalibration, Moods, PackScores

TagValues = dict[str, tuple[str, ...]]
Hashes = NDArray[np.uint64]

VERSION, SUITE, CALIBRATION = "version", "suite", "calibration"
REFERENCE = LibraryCalibration().label  # the calibration of a library that has none of its own yet
TIERS = {"mood-strict": IN_STRICT, "mood-regular": IN_REGULAR, "mood-loose": IN_LOOSE}
# Another version, or other percentiles that move no value, are no reason to write a file again.
# What becomes of standard fields such as MOOD is none either; these are the notes of what of them is ours.
UNHASHED = (VERSION, CALIBRATION, "standard-mood", "standard-genre", "carried")
ALL_BITS = 0xFFFF_FFFF_FFFF_FFFF  # of a hash
STEPS = 10_000  # a score is written with four decimals


def tags_for(
    scores: Mapping[str, float],
    moods: Moods,
    *,
    mode: str,
    version: str,
    suite: str,
    calibration: str = REFERENCE,
) -> TagValues:
    """The fields a file should hold. `mode`: "native" for all, "moods" for the mood words alone, "none" for none."""
    if mode == "none":
        return {}
    words = {"mood-strict": moods.strict, "mood-regular": moods.regular, "mood-loose": moods.loose}
    tags: TagValues = {name: values for name, values in words.items() if values}
    if mode == "native":
        tags.update({name: (score_text(value),) for name, value in sorted(scores.items())})
        tags.update({VERSION: (version,), SUITE: (suite,), CALIBRATION: (calibration,)})
    return tags


def tag_scores(
    packs: Iterable[PackScores], names: Mapping[tuple[str, str], str], calibrations: Calibrations
) -> dict[str, float]:
    """Name -> score of one track, calibrated where there is a calibration, else raw."""
    return {
        names[pack.pack, head]: float(calibrated(pack.values[i : i + 1], calibrations.get((pack.pack, head)))[0])
        for pack in packs
        for i, head in enumerate(pack.heads)
    }


def score_text(value: float) -> str:
    """Four decimals: 0.8712."""
    return f"{round(value * STEPS) / STEPS:.4f}"


def score_steps(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """What score_text says of many scores, as whole ten-thousandths."""
    return np.rint(values * STEPS).astype(np.int64)


def tags_hash(tags: Mapping[str, Iterable[str]]) -> str:
    """Equal for equal tags, whatever version or calibration they come from. 16 hexadecimal digits.

    The order of a field's values does not count. A sum over the values, so that `hashes_of` can compute those of
    a whole library at once.
    """
    hashed = (name for name in tags if name not in UNHASHED and not name.isupper())
    terms = (_name(name) * _text(value) for name in hashed for value in tags[name])
    return hash_text(sum(terms))


def hash_text(number: int) -> str:
    """A sum of terms as tags_hash gives it."""
    return f"{number & ALL_BITS:016x}"


def hashes_of(
    scores: Mapping[str, NDArray[np.float64]], tiers: Mapping[str, NDArray[np.uint8]], *, tracks: int, mode: str
) -> Hashes:
    """tags_hash of many tracks as numbers, uint64[tracks], but for the suite: suite_term(suite) is to be added.

    `scores` are those written, by name; `tiers` by mood.
    """
    total = np.zeros(tracks, np.uint64)
    if mode == "none":
        return total
    for word, tier in tiers.items():
        terms = [sum(_name(n) * _text(word) for n, least in TIERS.items() if code >= least) for code in range(4)]
        total += np.array([term & ALL_BITS for term in terms], np.uint64)[tier]
    if mode == "native":
        for name, values in scores.items():
            total += _step_terms()[score_steps(values)] * np.uint64(_name(name))
    return total


def suite_term(suite: str, *, mode: str) -> int:
    """What the suite adds to a track's hash."""
    return _name(SUITE) * _text(suite) & ALL_BITS if mode == "native" else 0


@cache
def _step_terms() -> Hashes:
    return np.array([_text(f"{step / STEPS:.4f}") for step in range(STEPS + 1)], np.uint64)


def _name(name: str) -> int:
    return _number(f"name {name}") | 1  # odd: no difference of two values is lost in the product


def _text(value: str) -> int:
    return _number(f"value {value}")


def _number(text: str) -> int:
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")
