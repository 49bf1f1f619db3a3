"""Small libraries, and what Navidrome makes of their files: written from its documentation, not from our code."""

from __future__ import annotations

import json
import random
import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nomarr.inference.catalog import score_names
from nomarr.moods.reference import reference_calibrations
from nomarr.moods.tags import tag_scores, tags_for
from nomarr.moods.tiers import moods_of
from nomarr.scores import PackScores
from nomarr.store import files, libraries, scores, tags
from nomarr.store.database import Database
from nomarr.store.facts import Facts
from nomarr.store.files import NewFile

NOW = 1_800_000_000_000
HEADS = {
    "vibenet": ("danceability", "energy", "valence"),
    "musicnn": ("mood_happy", "mood_sad", "genre_ambient"),
    "essentia-musicnn": ("mood_happy", "danceability"),
}
NAMES = sorted(set(score_names(HEADS.items()).values()))


@dataclass(frozen=True)
class Track:
    folder: str = ""
    name: str = "a.mp3"
    title: str | None = None
    album: str | None = None
    artist: str | None = None
    album_artist: str | None = None
    year: int | None = None
    track: int | None = None
    duration_s: float | None = None
    tags: dict[str, tuple[str, ...]] = field(default_factory=dict)
    scores: dict[str, tuple[float, ...]] = field(default_factory=dict)  # pack -> values

    @property
    def packs(self) -> list[PackScores]:
        return [
            PackScores(
                pack=pack,
                fingerprint="f1",
                heads=HEADS[pack],
                values=np.array(values, dtype=np.float32),
                spreads=np.zeros(len(values), dtype=np.float32),
            )
            for pack, values in sorted(self.scores.items())
        ]


def add_library(db: Database, tracks: Sequence[Track], name: str = "Music") -> dict[int, Track]:
    """File id -> track, of a new library; names become unique."""
    with db.write() as tx:
        library = libraries.create(tx, name=name, root_path=f"/{name.lower()}", now=NOW)
        found = {}
        for number, track in enumerate(tracks):
            unique = f"{number} {track.name}"
            facts = Facts(
                container="mp3",
                duration_s=track.duration_s,
                title=track.title,
                artist=track.artist,
                album=track.album,
                album_artist=track.album_artist,
                year=track.year,
                track=track.track,
            )
            new = NewFile(track.folder, unique, size=1000 + number, mtime_ns=5, facts=facts)
            file_id = files.insert(tx, library.id, new, now=NOW)
            assert file_id is not None
            tags.add_file_tags(tx, {file_id: track.tags})
            for pack in track.packs:
                scores.save(tx, file_id, pack)
            found[file_id] = Track(**{**track.__dict__, "name": unique})
    return found


def empty(db: Database) -> None:
    with db.write() as tx:
        for library in libraries.list_all(tx):
            libraries.delete(tx, library.id)


@dataclass(frozen=True)
class View:
    """A track as Navidrome's database holds it."""

    columns: dict[str, Any]
    tags: dict[str, list[str]]
    roles: dict[str, list[str]]


def view(track: Track, number: int) -> View:
    def parts(texts: Sequence[str], separators: str) -> list[str]:
        split = (p.strip() for text in texts for p in re.split(separators, text, flags=re.IGNORECASE))
        return list(dict.fromkeys(p for p in split if p))

    own = track.tags
    ours = our_tags(track)
    found = {f"nom_{name.replace('-', '_')}": list(v) for name, v in ours.items()}
    found["genre"] = parts(own.get("genre", ()), "[;/,]")
    found["mood"] = list(dict.fromkeys([*parts(own.get("mood", ()), "[;/,]"), *ours.get("mood-loose", ())]))
    found["isrc"] = list(own.get("isrc", ()))
    separators = r" / | feat\. | feat | ft\. | ft |; "
    artists = list(own.get("artists", ())) or parts([track.artist or ""], separators) or ["[Unknown Artist]"]
    album_artists = list(own.get("albumartists", ())) or parts([track.album_artist or ""], separators)
    is_compilation = own.get("compilation", ("0",))[0] in ("1", "true")
    if not album_artists:
        album_artists = ["Various Artists"] if is_compilation else artists
    stem, _, suffix = track.name.rpartition(".")
    bpm = own.get("bpm", ("",))[0]
    rounded = round(float(bpm)) if re.fullmatch(r"[0-9.]+", bpm) else None
    recorded, original, released = (own.get(name, ("",))[0] for name in ("date", "originaldate", "releasedate"))
    if (
        original and not released and recorded >= original
    ):  # the date of the release where that of the recording belongs
        recorded, released = original, recorded
    else:
        recorded = recorded or original or released
    columns = {
        "id": number,
        "title": track.title or stem,
        "album": track.album or "[Unknown Album]",
        "year": track.year or 0,
        "track_number": track.track or 0,
        "duration": track.duration_s or 0.0,
        "path": f"{track.folder}/{track.name}" if track.folder else track.name,
        "suffix": suffix.lower(),
        "bpm": rounded or None,
        "compilation": is_compilation,
        "date": recorded,
        "original_date": original,
        "original_year": int(original[:4] or 0),
        "release_date": released,
        "release_year": int(released[:4] or 0),
        "catalog_num": own.get("catalognumber", ("",))[0],
    }
    roles = {"artist": artists, "albumartist": album_artists, "composer": parts(own.get("composer", ()), "[/;]")}
    return View(columns, {k: v for k, v in found.items() if v}, {k: v for k, v in roles.items() if v})


def our_tags(track: Track) -> dict[str, tuple[str, ...]]:
    """What a worker writes about the track."""
    names = score_names([(pack.pack, pack.heads) for pack in track.packs])
    return tags_for(
        tag_scores(track.packs, names, {}),
        moods_of(track.packs, reference_calibrations()),
        mode="native",
        version="1",
        suite="s",
    )


COLUMN = {
    "tracknumber": "track_number",
    "filepath": "path",
    "filetype": "suffix",
    "originaldate": "original_date",
    "originalyear": "original_year",
    "releasedate": "release_date",
    "releaseyear": "release_year",
    "catalognumber": "catalog_num",
}
ROLES = ("artist", "albumartist", "composer")
NUMERIC_COLUMNS = ("year", "track_number", "duration", "bpm", "compilation", "original_year", "release_year")


class Navidrome:
    """Runs .nsp rules as Navidrome does: over SQLite, by the SQL that its criteria become."""

    def __init__(self, views: Sequence[View]) -> None:
        self.db = sqlite3.connect(":memory:")
        names = list(views[0].columns) if views else ["id"]
        columns = ", ".join(f"{n} {'NUMERIC' if n in NUMERIC_COLUMNS else 'TEXT'}" for n in names if n != "id")
        self.db.execute(f"CREATE TABLE media_file (id INTEGER PRIMARY KEY{', ' * bool(columns)}{columns}, tags TEXT)")
        self.db.execute("CREATE TABLE media_file_artists (media_file_id INTEGER, role TEXT, name TEXT)")
        for one in views:
            stored = json.dumps({k: [{"id": "x", "value": v} for v in vs] for k, vs in one.tags.items()})
            marks = ", ".join("?" * (len(names) + 1))
            self.db.execute(f"INSERT INTO media_file VALUES ({marks})", [*one.columns.values(), stored])
            rows = [(one.columns["id"], role, name) for role, people in one.roles.items() for name in people]
            self.db.executemany("INSERT INTO media_file_artists VALUES (?, ?, ?)", rows)

    def listed(self, nsp: dict[str, Any]) -> set[int]:
        args: list[Any] = []
        (key,) = {"all", "any"} & nsp.keys()
        condition = self._group(key, nsp[key], args)
        return {row[0] for row in self.db.execute(f"SELECT id FROM media_file WHERE {condition}", args)}

    def _group(self, key: str, rules: list[Any], args: list[Any]) -> str:
        parts = []
        for rule in rules:
            ((operator, given),) = rule.items()
            parts.append(
                self._group(operator, given, args) if operator in ("all", "any") else self._rule(operator, given, args)
            )
        return "(" + (" AND " if key == "all" else " OR ").join(parts) + ")"

    def _rule(self, operator: str, given: dict[str, Any], args: list[Any]) -> str:
        ((name, value),) = given.items()
        if name not in COLUMN and name not in ROLES and name not in (
            "title", "album", "year", "date", "duration", "bpm", "compilation"
        ):  # fmt: skip
            return self._tag(name, operator, value, args)
        if name in ROLES:
            return self._role(name, operator, value, args)
        column = COLUMN.get(name, name)
        if operator in ("isMissing", "isPresent"):
            is_text = name not in ("bpm",)
            missing = f"({column} IS NULL OR {column} = '')" if is_text else f"{column} IS NULL"
            return missing if (operator == "isMissing") == value else f"NOT {missing}"
        if operator == "inTheRange":
            args.extend(value)
            return f"({column} >= ? AND {column} <= ?)"
        return self._compared(column, operator, value, args)

    def _tag(self, name: str, operator: str, value: Any, args: list[Any]) -> str:
        is_number = name.startswith("nom_") and "mood_s" not in name and name[4:] in NAMES
        inside, negated = self._inside("CAST(value AS REAL)" if is_number else "value", operator, value, args)
        exists = f"EXISTS (SELECT 1 FROM json_tree(media_file.tags, '$.{name}') WHERE key = 'value'{inside})"
        return f"NOT {exists}" if negated else exists

    def _role(self, name: str, operator: str, value: Any, args: list[Any]) -> str:
        args.append(name)
        inside, negated = self._inside("mfa.name", operator, value, args)
        exists = (
            "EXISTS (SELECT 1 FROM media_file_artists AS mfa WHERE mfa.media_file_id = media_file.id"
            f" AND mfa.role = ?{inside})"
        )
        return f"NOT {exists}" if negated else exists

    def _inside(self, what: str, operator: str, value: Any, args: list[Any]) -> tuple[str, bool]:
        if operator in ("isMissing", "isPresent"):
            return "", (operator == "isMissing") == value
        assert operator != "inTheRange", "range operator not supported for tag/role field"
        positive = {"isNot": "is", "notContains": "contains"}.get(operator, operator)
        return " AND " + self._compared(what, positive, value, args), positive != operator

    def _compared(self, what: str, operator: str, value: Any, args: list[Any]) -> str:
        patterns = {
            "contains": ("LIKE", "%{}%"),
            "notContains": ("NOT LIKE", "%{}%"),
            "startsWith": ("LIKE", "{}%"),
            "endsWith": ("LIKE", "%{}"),
        }
        if operator in patterns:
            sign, pattern = patterns[operator]
            args.append(pattern.format(value))
        else:
            sign = {"is": "=", "isNot": "<>", "gt": ">", "lt": "<"}[operator]
            args.append(value)
        return f"{what} {sign} ?"


def random_tracks(count: int, seed: int) -> list[Track]:
    chance = random.Random(seed)
    words = ["Blue", "blue", "BLÅ", "blå", "Rain_y", "100%", "A", "[Unknown Artist]", "Nina", "x" * 3, "Z z", "1999"]
    people = [*words, "Nina feat. Otis", "Otis / Nina", "Nina; Otis", "Otis FT. Blue", "Earth, Wind & Fire"]
    genres = ["Jazz", "jazz", "Soul;Jazz", "Rock/Pop", "House, Deep House", "Jazz%"]

    def maybe(values: Sequence[Any], share: float = 0.7) -> Any:
        return chance.choice(values) if chance.random() < share else None

    def some(values: Sequence[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(chance.choice(values) for _ in range(chance.randint(1, 3))))

    def one() -> Track:
        options = {
            "genre": genres,
            "mood": ["Happy", "happy; calm", "sad"],
            "isrc": words,
            "artists": people,
            "albumartists": words,
            "composer": ["Bach/Blue", "Nina; Otis", "A"],
            "bpm": ["120", "119.6", "0", "fast", "90"],
            "compilation": ["1", "0", "true"],
            "date": ["1994-05-01", "1999", "2001-02"],
            "originaldate": ["1994-05-01", "1994", "2001-02"],
            "releasedate": ["1999-05", "2020"],
            "catalognumber": words,
        }
        single = ("bpm", "compilation", "date", "originaldate", "releasedate", "catalognumber")
        found = {
            name: (chance.choice(values),) if name in single else some(values)
            for name, values in options.items()
            if chance.random() < (0.2 if name in ("artists", "albumartists") else 0.5)
        }
        heard = {
            pack: tuple(chance.choice([0.0, 1.0, 0.5, 0.25, chance.random()]) for _ in heads)
            for pack, heads in HEADS.items()
            if chance.random() < 0.6
        }
        return Track(
            folder=maybe(["Nina/Blue", "Otis"]) or "",
            name=chance.choice(["a.mp3", "b.x.FLAC", "Blue.ogg"]),
            title=maybe(words),
            album=maybe(words),
            artist=maybe(people),
            album_artist=maybe(people, 0.4),
            year=maybe([1980, 1990, 1999, 2000]),
            track=maybe([1, 2, 3]),
            duration_s=maybe([100.0, 200.5, 300.25]),
            tags=found,
            scores=heard,
        )

    return [one() for _ in range(count)]
