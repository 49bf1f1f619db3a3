"""The part of Navidrome's configuration that makes our tags its fields."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from nomarr.inference.vocabulary import plain_words
from nomarr.navidrome.fields import ANY_TIER, TIERS
from nomarr.navidrome.sounds import Sounds

GROUPS = ("mood", "genre", "era", "voice", "instrument", "tempo", "sound")
HEADER = """\
# Nomarr's tags as Navidrome's fields. Append this to navidrome.toml, restart Navidrome and run a full scan
# (navidrome scan -f, or Full scan in its web UI): a quick scan does not read unchanged files again.
# The aliases are the same for every container: Navidrome sees the bare name of an ID3 TXXX frame, of an MP4 free-form
# atom, of a Vorbis comment, of an APEv2 item and of an ASF attribute.
"""
MOOD_NOTE = "Navidrome's own field, with our words beside the files' own"
KEY_NOTE = "Navidrome's own field; without this it misses the keys of MP3 and MP4 files"


@dataclass(frozen=True)
class TagTable:
    """One [Tags.<name>] table. `type` is empty where Navidrome's own stays."""

    name: str
    aliases: tuple[str, ...]
    type: str
    note: str


@dataclass(frozen=True)
class KnownTag:
    """A tag that Nomarr writes, and how many files it has results for."""

    tag_key: str
    type: str
    is_multivalue: bool
    summary: str
    total_count: int


def known_tags(sounds: Sounds, namespace: str) -> list[KnownTag]:
    """The tags that exist, mood words first."""
    words = [
        KnownTag(f"{namespace}:mood-{tier}", "text", True, f"Mood words, {tier}", len(sounds.carrying(tier, _any)))
        for tier in TIERS
    ]
    numbers = [
        KnownTag(f"{namespace}:{name}", "float", False, _summary(name), count)
        for name, count in sorted(sounds.scores.items())
    ]
    return [tag for tag in words if tag.total_count] + numbers


def tables(scores: Iterable[str], namespace: str) -> list[TagTable]:
    """The tables for these scores, and those that every library needs."""
    made = [
        TagTable(f"{namespace}_mood_{tier}", (f"{namespace}:mood-{tier}",), "string", f"Mood words, {tier}")
        for tier in TIERS
    ]
    made.append(TagTable("mood", ("mood", "tmoo", "wm/mood", f"{namespace}:mood-{ANY_TIER}"), "", MOOD_NOTE))
    made.append(TagTable("key", ("key", "initialkey", "tkey", "wm/initialkey"), "", KEY_NOTE))
    made += [
        TagTable(f"{namespace}_{name}", (f"{namespace}:{name}",), "float", _summary(name)) for name in sorted(scores)
    ]
    return made


def to_toml(found: Iterable[TagTable]) -> str:
    """Text to append to a configuration: whole tables only, which cannot end up inside another section."""
    return HEADER + "".join(f"\n{_table(table)}" for table in found)


def _table(table: TagTable) -> str:
    lines = [f"# {table.note}", f"[Tags.{table.name}]", f"Aliases = {json.dumps(table.aliases)}"]
    if table.type:
        lines.append(f'Type = "{table.type}"')
    return "\n".join(lines) + "\n"


def _summary(score: str) -> str:
    """`mood_happy` is "Mood: Happy"."""
    group = score.partition("_")[0]
    plain = plain_words(score)
    return f"{group.capitalize()}: {plain}" if group in GROUPS else plain


def _any(_word: str) -> bool:
    return True
