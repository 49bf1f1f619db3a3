"""Measures the reference percentiles: python benchmarks/reference_percentiles.py FILE... > reference.json

Listens to every file with the installed models and prints each score's 5th and 95th percentile over all tracks.
"""

from __future__ import annotations

import json
import sys

import numpy as np

from nomarr import Models
from nomarr.errors import FileProblem

ABOUT = (
    "5th and 95th percentile of each pooled score over {count} tracks from free games' soundtracks (Debian packages "
    "fretsonfire-songs-sectoid and -muldjord, extremetuxracer-data, frozen-bubble-data, torus-trooper-data, "
    "lincity-ng-data, supertux-data, wesnoth-1.16-music, warzone2100-music, singularity-music, asc-music, "
    "hyperrogue-music, drascula-music, ardentryst, xmoto-data, planetblupi-music-ogg, hedgewars-data). That music "
    "holds hardly any voice, so instrumentalness, liveness and speechiness have the ends of their own scale instead."
)
OWN_SCALE = {"instrumentalness": (0.1, 0.9), "liveness": (0.05, 0.8), "speechiness": (0.03, 0.6)}


def main() -> None:
    values: dict[tuple[str, str], list[float]] = {}
    count = 0
    with Models() as models:
        for path in sys.argv[1:]:
            try:
                analysis = models.analyze(path)
            except FileProblem as error:
                print(error, file=sys.stderr)
                continue
            count += 1
            for pack in analysis.packs:
                for name, value in zip(pack.heads, pack.values, strict=True):
                    values.setdefault((pack.pack, name), []).append(float(value))
    packs: dict[str, dict[str, tuple[float, float]]] = {}
    for (pack, name), found in sorted(values.items()):
        low, high = OWN_SCALE.get(name) or np.percentile(found, [5, 95])
        packs.setdefault(pack, {})[name] = (round(float(low), 5), round(float(high), 5))
    print(json.dumps({"about": ABOUT.format(count=count), "packs": packs}, indent=1))


if __name__ == "__main__":
    main()
