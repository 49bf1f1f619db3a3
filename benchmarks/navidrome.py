"""How long the preview of a playlist takes, warm.

    python benchmarks/navidrome.py [--files 100000] [--url postgresql://...]

Makes a library in the database alone: titles, artists, albums, tags and scores that look like real ones.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time

import numpy as np

from nomarr.moods.reference import reference_calibrations
from nomarr.navidrome import nsp
from nomarr.navidrome.fields import Fields
from nomarr.navidrome.nsp import Playlist
from nomarr.navidrome.query import parse
from nomarr.navidrome.selection import select
from nomarr.navidrome.sounds import Sounds, known_scores
from nomarr.scores import PackScores
from nomarr.store import calibrations, files, libraries, scores, tags
from nomarr.store.database import Database
from nomarr.store.facts import Facts
from nomarr.store.files import NewFile
from nomarr.store.matrix import ScoreMatrix
from nomarr.store.playlists import FileQuery

BATCH = 1000
ROUNDS = 7
GENRES = ("House", "Deep House; Techno", "Jazz", "Soul/Funk", "Rock", "Indie Rock, Pop", "Metal", "Ambient", "Folk")
PACKS = ("musicnn", "vibenet")
QUERIES = {
    "a mood": "nom:mood_happy is true",
    "a score": "nom:danceability > 0.7",
    "a score and a year": "nom:danceability > 0.7 AND NOT year < 1990",
    "a genre": 'genre contains "house"',
    "an artist": 'artist contains "nina"',
    "a title": 'title contains "love"',
    "an absent tag": "isrc isMissing",
    "no genre": 'genre isNot "Jazz"',
    "a date": "releasedate > 2000",
    "an identifier": 'mbz_recording_id startsWith "0"',
    "all together": 'nom:mood_happy is true AND (nom:danceability > 0.7 OR genre contains "house") AND NOT year < 1990',
    "six texts": 'title contains "a" AND album contains "1" AND artist contains "a" AND genre isNot "Jazz"'
    ' AND filepath contains "Artist" AND NOT title contains "zz"',
}
SORTS = (
    "",
    "random",
    "-nom:danceability,title",
    "artist,-year",
    "albumartist,album",
    "genre,title",
    "-releasedate,isrc",
)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--files", type=int, default=100_000)
    arguments.add_argument("--url", help="an empty database; by default SQLite in a temporary folder")
    given = arguments.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="nomarr-navidrome-") as folder,
        Database(given.url or f"sqlite:///{folder}/nomarr.db") as db,
    ):
        db.migrate()
        started = time.perf_counter()
        make_library(db, given.files)
        print(f"made {given.files} files in {time.perf_counter() - started:.1f} s")
        measure(db)


def measure(db: Database) -> None:
    matrix = ScoreMatrix()
    for name, query in QUERIES.items():
        report(db, matrix, name, query, "")
    for sort in SORTS:
        report(db, matrix, f"sorted by {sort or 'title'}", "duration >= 0", sort)
    print(f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


def report(db: Database, matrix: ScoreMatrix, name: str, query: str, sort: str) -> None:
    took = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        with db.read() as tx:
            snapshot = matrix.refresh(tx)
            fields = Fields("nom", known_scores(snapshot))
            playlist = Playlist(parse(query, fields), sort=nsp.read_sort(sort, fields))
            query_of_files = FileQuery(tx)
            sounds = Sounds(snapshot, calibrations.current(tx).of)
            found = select(playlist, fields, query_of_files, sounds, show=10)
            query_of_files.tracks(found.first)
        took.append((time.perf_counter() - started) * 1000)
    median, worst = statistics.median(took[1:]), max(took[1:])
    print(f"{name:>38}: {found.matching:7} files, {median:6.1f} ms (worst {worst:.1f}, first {took[0]:.1f})")


def make_library(db: Database, count: int) -> None:
    rng = np.random.default_rng(1)
    words = ["love", "night", "blue", "river", "dance", "home", "light", "rain", "song", "Nina", "fire", "road"]
    heads = {pack: tuple(head for p, head in reference_calibrations() if p == pack) for pack in PACKS}
    with db.write() as tx:
        library = libraries.create(tx, name="benchmark", root_path="/benchmark", now=tx.now_ms())
    for start in range(0, count, BATCH):
        heard = {pack: rng.beta(0.7, 1.5, (BATCH, len(names))).astype(np.float32) for pack, names in heads.items()}
        with db.write() as tx:
            own = {}
            for number in range(start, min(start + BATCH, count)):
                artist = f"Artist {words[number // 120 % len(words)]} {number // 120}"
                album = f"Album {number // 12}"
                facts = Facts(
                    container="flac",
                    duration_s=float(rng.integers(100, 400)),
                    title=f"{words[number * 7 % 12]} {words[number * 5 % 11]} {number}",
                    artist=artist,
                    album=album,
                    album_artist=artist,
                    year=int(rng.integers(1960, 2025)),
                    track=number % 12 + 1,
                )
                new = NewFile(f"{artist}/{album}", f"{number % 12 + 1:02} {number}.flac", 1, 1, facts)
                file_id = files.insert(tx, library.id, new, now=1)
                assert file_id is not None
                own[file_id] = {
                    "genre": (GENRES[number // 120 % len(GENRES)],),
                    "date": (str(facts.year),),
                    "isrc": (f"X{number}",) if number % 3 else (),
                    "label": (f"Label {number // 600}",),
                    "musicbrainz_trackid": (f"{number:032x}",),
                }
                for pack, names in heads.items():
                    values = heard[pack][number - start]
                    scores.save(tx, file_id, PackScores(pack, "f1", names, values, values / 4, pack))
            tags.add_file_tags(tx, own)


if __name__ == "__main__":
    main()
