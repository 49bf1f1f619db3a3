"""Playlists that most people want, as queries over mood words that every pack of models can tell."""

from __future__ import annotations

from dataclasses import dataclass

_PRESETS = {
    "Happy": "{0}:mood-regular is happy",
    "Sad": "{0}:mood-regular is sad",
    "Energetic": "{0}:mood-regular is energetic",
    "Chill": "({0}:mood-regular is chill OR {0}:mood-regular is relaxed) AND NOT {0}:mood-loose is energetic",
    "Party": "{0}:mood-regular is party AND NOT {0}:mood-loose is sad",
    "Focus": "{0}:mood-regular is instrumental AND ({0}:mood-loose is calm OR {0}:mood-loose is ambient)"
    " AND NOT {0}:mood-loose is aggressive",
    "Workout": "{0}:mood-regular is energetic AND ({0}:mood-loose is danceable OR {0}:mood-loose is aggressive)",
    "Sleep": "{0}:mood-strict is calm AND NOT {0}:mood-loose is danceable",
    "Acoustic evening": "{0}:mood-regular is acoustic"
    " AND ({0}:mood-loose is relaxed OR {0}:mood-loose is mellow OR {0}:mood-loose is calm)",
    "Driving": "{0}:mood-loose is energetic AND ({0}:mood-loose is bright OR {0}:mood-loose is catchy)"
    " AND NOT {0}:mood-regular is calm",
}


@dataclass(frozen=True)
class Preset:
    name: str
    query: str


def presets(namespace: str) -> list[Preset]:
    return [Preset(name, query.format(namespace)) for name, query in _PRESETS.items()]
