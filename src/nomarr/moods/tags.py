"""Everything Nomarr writes about a track: names and values, without the namespace."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from nomarr.scores import Moods

TagValues = dict[str, tuple[str, ...]]

VERSION, SUITE, CALIBRATION = "version", "suite", "calibration"
REFERENCE = "reference"  # the calibration of a library that has none of its own yet


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
        tags.update({name: (f"{value:.4f}",) for name, value in sorted(scores.items())})
        tags.update({VERSION: (version,), SUITE: (suite,), CALIBRATION: (calibration,)})
    return tags


def tags_hash(tags: Mapping[str, tuple[str, ...]]) -> str:
    """Equal for equal tags, whatever version of Nomarr wrote them. 16 hexadecimal digits."""
    lines = [f"{name}={chr(31).join(values)}" for name, values in sorted(tags.items()) if name != VERSION]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
