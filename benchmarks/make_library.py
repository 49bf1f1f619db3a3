"""A database of many analysed tracks that look like a collection, for measuring and for looking at pages.

    python benchmarks/make_library.py [--tracks 100000] [--url sqlite:////tmp/nomarr/nomarr.db] [--root /music]

Artists have styles, albums have years, tracks have scores of the packs that come with Nomarr, alike within a style.
Always the same for the same number of tracks. There are no audio files behind it.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from nomarr.moods.reference import reference_calibrations
from nomarr.store import facts, libraries, scores
from nomarr.store.database import Database, Transaction
from nomarr.store.facts import Facts
from nomarr.store.files import NewFile

PACKS = ("musicnn", "vibenet")
FINGERPRINT = "benchmark"
BATCH = 5000
ENDINGS = ("flac", "flac", "flac", "mp3", "mp3", "m4a", "opus")
STYLES = {
    "Rock": ("Rock", "Indie Rock", "Alternative"),
    "Metal": ("Metal", "Heavy Metal", "Doom Metal"),
    "Jazz": ("Jazz", "Fusion", "Bebop"),
    "Electronic": ("Electronic", "House", "Techno", "Ambient"),
    "Classical": ("Classical", "Baroque", "Chamber Music"),
    "Hip-Hop": ("Hip-Hop", "Rap", "Trap"),
    "Folk": ("Folk", "Singer-Songwriter", "Country"),
    "Soul": ("Soul", "Funk", "R&B"),
    "Pop": ("Pop", "Synth-Pop", "Dance"),
}
# fmt: off
FIRST = ("Nina", "Otis", "Björk", "Miles", "Ella", "Jürgen", "Aphex", "Zoë", "Fela", "Mercedes", "Sigur", "Tom", "Kate",
         "The", "DJ", "Dark", "Golden", "Los", "Les", "Northern", "Electric", "Velvet", "Midnight", "Paper", "Silver")
WORDS = ("love", "night", "river", "blue", "fire", "city", "dream", "heart", "rain", "road", "summer", "winter", "sun",
         "moon", "shadow", "light", "home", "dance", "ghost", "garden", "stone", "wild", "silent", "electric", "ocean",
         "mirror", "train", "wind", "star", "paper", "glass", "bridge", "mountain", "sister", "brother", "morning",
         "yesterday", "forever", "nothing", "wonder", "señor", "café", "über", "été", "machine", "radio", "satellite")
SYLLABLES = ("ka", "lo", "mi", "ren", "tas", "vo", "del", "sha", "bru", "nor", "el", "ish", "ward", "ton", "berg",
             "ova", "ini", "ez", "ström", "ard", "una", "quin", "fer", "hal", "wick")
# fmt: on


@dataclass(frozen=True)
class Song:
    """A file, its genres beside, and what style its sound is of."""

    new: NewFile
    genres: tuple[str, ...]
    style: int


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--tracks", type=int, default=100_000)
    arguments.add_argument("--url", default="sqlite:////tmp/nomarr/nomarr.db", help="a database that holds nothing yet")
    arguments.add_argument("--root", default="/music", help="the folder that the tracks are said to lie in")
    given = arguments.parse_args()
    started = time.perf_counter()
    with Database(given.url) as db:
        db.migrate()
        make_library(db, given.tracks, root=given.root)
    print(f"made {given.tracks} tracks in {time.perf_counter() - started:.0f} s")


def make_library(db: Database, tracks: int, *, root: str = "/music", suite: str = "benchmark") -> int:
    """The id of a new library with that many tracks; a few of them are unfinished, faulty or missing.

    A server listens again to what was not heard with its own suite.
    """
    songs = _songs(random.Random(tracks))
    sounds = _Sounds(tracks)
    with db.write() as tx:
        now = tx.now_ms()
        library_id = libraries.create(tx, name="Music", root_path=root, now=now).id
        packs = {pack: _pack(tx, pack, sounds.heads[pack]) for pack in PACKS}
    for start in range(0, tracks, BATCH):
        batch = list(islice(songs, min(BATCH, tracks - start)))
        with db.write() as tx:
            first = int(tx.scalar("SELECT COALESCE(MAX(id), 0) FROM library_files")) + 1
            _insert(tx, library_id, first, batch, suite=suite, now=now)
            for pack, pack_id in packs.items():
                values, spreads = sounds.of(pack, [song.style for song in batch])
                _insert_scores(tx, pack_id, first, values, spreads)
            ids = f"BETWEEN {first} AND {first + len(batch) - 1}"
            _make_uneven(tx, ids, now=now)
    with db.write() as tx:
        if tx.is_postgresql:  # which would do the latter by itself a little later
            tx.run("SELECT setval('library_files_id_seq', (SELECT MAX(id) FROM library_files))")
            tx.run("ANALYZE")
    return library_id


def _songs(chance: random.Random) -> Iterator[Song]:
    styles = list(STYLES)
    while True:
        style = chance.randrange(len(styles))
        artist = f"{chance.choice(FIRST)} {_surname(chance)}"
        first_year = chance.randint(1958, 2022)
        for _ in range(chance.randint(1, 8)):
            album = " ".join(chance.sample(WORDS, chance.randint(1, 3))).title()
            year = min(2025, first_year + chance.randint(0, 20))
            genres = tuple(chance.sample(STYLES[styles[style]], chance.randint(1, 2)))
            ending = chance.choice(ENDINGS)
            for track in range(1, chance.randint(6, 16)):
                title = " ".join(chance.sample(WORDS, chance.randint(1, 4))).capitalize()
                facts = Facts(
                    ending, chance.gauss(230, 60) % 900 + 30, title, artist, album, artist, genres[0], year, track, 1
                )
                # A number in the name, for some artists meet twice.
                number = chance.getrandbits(40)
                new = NewFile(
                    f"{artist}/{year} {album}",
                    f"{track:02} {title} [{number:010x}].{ending}",
                    size=chance.randint(3_000_000, 40_000_000),
                    mtime_ns=1_700_000_000_000_000_000 + number,
                    facts=facts,
                    audio_key=f"{number:016x}",
                )
                yield Song(new, genres, style)


def _surname(chance: random.Random) -> str:
    return "".join(chance.sample(SYLLABLES, chance.randint(2, 3))).capitalize()


class _Sounds:
    """Scores between their heads' usual ends, alike within a style."""

    def __init__(self, seed: int) -> None:
        reference = reference_calibrations()
        self.rng = np.random.default_rng(seed)
        self.heads = {pack: tuple(head for name, head in reference if name == pack) for pack in PACKS}
        self.ends = {
            pack: np.array([(reference[pack, head].p5, reference[pack, head].p95) for head in heads])
            for pack, heads in self.heads.items()
        }
        self.styles = {pack: self.rng.normal(0, 1.2, (len(STYLES), len(heads))) for pack, heads in self.heads.items()}

    def of(self, pack: str, styles: list[int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Scores and spreads, each float32[songs, heads]."""
        heard = self.styles[pack][styles] + self.rng.normal(0, 1, (len(styles), len(self.heads[pack])))
        low, high = self.ends[pack].T
        values = np.clip(low + (high - low) * (1.2 / (1 + np.exp(-heard)) - 0.1), 0, 1)
        return values.astype(np.float32), self.rng.uniform(0, 0.2, values.shape).astype(np.float32)


def _pack(tx: Transaction, pack: str, heads: tuple[str, ...]) -> int:
    nothing = np.zeros(len(heads), np.float32)
    return scores._pack_id(tx, scores.PackScores(pack, FINGERPRINT, heads, nothing, nothing))


def _insert(tx: Transaction, library_id: int, first: int, songs: list[Song], *, suite: str, now: int) -> None:
    names = (*facts.COLUMNS, "folder", "name", "size", "mtime_ns", "audio_key")
    rows = [
        {
            **facts.values(song.new.facts, song.new.name),
            **{name: getattr(song.new, name) for name in names[-5:]},
            "id": file_id,
            "suite": suite,
            "analyzed_at": now - 40_000_000_000 + file_id * 1000,
        }
        for file_id, song in enumerate(songs, first)
    ]
    tx.many(
        f"""
        INSERT INTO library_files ({", ".join(names)}, id, library_id, audio_hash, suite, analyzed_at, patches,
                                   analysis_s, written_hash, written_at, calibration, created_at, updated_at)
        VALUES ({", ".join(f":{name}" for name in names)}, :id, {library_id}, :audio_key, :suite, :analyzed_at, 80,
                1.5, :audio_key, :analyzed_at, 'reference', :analyzed_at, :analyzed_at)
        """,
        rows,
    )
    tx.many(
        "INSERT INTO file_tags (file_id, name, value) VALUES (:id, :name, :value)",
        [
            {"id": file_id, "name": name, "value": value}
            for file_id, song in enumerate(songs, first)
            for name, value in (
                *(("genre", genre) for genre in song.genres),
                ("label", f"Label {song.style * 7 + file_id % 40}"),
                ("musicbrainz_trackid", f"{file_id:032x}"),
            )
        ],
    )


def _insert_scores(
    tx: Transaction, pack_id: int, first: int, values: NDArray[np.float32], spreads: NDArray[np.float32]
) -> None:
    tx.many(
        f"INSERT INTO file_scores (file_id, pack_id, scores, spreads) VALUES (:id, {pack_id}, :scores, :spreads)",
        [
            {"id": file_id, "scores": value.tobytes(), "spreads": spread.tobytes()}
            for file_id, (value, spread) in enumerate(zip(values, spreads, strict=True), first)
        ],
    )


def _make_uneven(tx: Transaction, ids: str, *, now: int) -> None:
    """One track in 200 waits, in 500 could not be read, in 500 is gone, in 300 was not written yet."""
    unheard = "analyzed_at = NULL, suite = NULL, written_hash = NULL, written_at = NULL, calibration = NULL"
    tx.run(f"UPDATE library_files SET needs_tagging = TRUE, {unheard} WHERE id {ids} AND id % 200 = 7")
    tx.run(
        f"""
        UPDATE library_files SET set_aside = TRUE, error = 'not an audio file', error_kind = 'unreadable', {unheard}
         WHERE id {ids} AND id % 500 = 11
        """
    )
    tx.run(f"UPDATE library_files SET missing_since = {now} WHERE id {ids} AND id % 500 = 13")
    tx.run(f"UPDATE library_files SET needs_write = TRUE, written_hash = NULL WHERE id {ids} AND id % 300 = 17")
    files_without_scores = f"SELECT id FROM library_files WHERE id {ids} AND analyzed_at IS NULL"
    tx.run(f"DELETE FROM file_scores WHERE file_id IN ({files_without_scores})")


if __name__ == "__main__":
    main()
