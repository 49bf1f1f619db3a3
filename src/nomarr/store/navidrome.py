"""What Nomarr remembers of Navidrome: its ids of our files, the playlists we made there, what it was told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nomarr.errors import NotFound
from nomarr.store.database import Row, Transaction
from nomarr.store.manyids import chunks

CHUNK = 1000  # values in one statement

_PLACE = "f.id, f.library_id, f.folder, f.name, f.duration_s"


@dataclass(frozen=True)
class Placed:
    """A file by its place."""

    id: int
    library_id: int
    folder: str
    name: str
    duration_s: float | None


@dataclass(frozen=True)
class Pushed:
    """A playlist that Nomarr made in Navidrome. `seen` stands for what Navidrome held right after it."""

    id: int
    account: str
    name: str
    kind: str
    navidrome_id: str
    query: str
    seen: str
    tracks: int
    pushed_at: int


@dataclass(frozen=True)
class Touched:
    """A folder that tags were written in, or taken out."""

    library_id: int
    folder: str


@dataclass(frozen=True)
class Writes:
    """How many files were written since a moment; the first of them and the last, in milliseconds UTC."""

    files: int
    first: int
    last: int


# files and songs


def files_named(tx: Transaction, names: Iterable[str]) -> list[Placed]:
    """The files with one of these names, wherever they lie; looks at every file."""
    wanted = sorted(set(names))
    return _placed(tx, "f.name IN :names", wanted, "names")


def files_in(tx: Transaction, library_id: int, folders: Iterable[str]) -> list[Placed]:
    return _placed(
        tx, "f.library_id = :library AND f.folder IN :folders", sorted(set(folders)), "folders", library=library_id
    )


def files_titled(tx: Transaction, title_keys: Iterable[str]) -> list[tuple[Placed, str, str, str]]:
    """The files with one of these titles, folded (store.facts.fold), and their title, artist and album, folded."""
    found: list[tuple[Placed, str, str, str]] = []
    for some in chunks(sorted(set(title_keys)), CHUNK):
        rows = tx.all(
            f"""
            SELECT {_PLACE}, f.title_key, f.artist_key, f.album_key
              FROM library_files AS f
             WHERE f.title_key IN :some AND f.missing_since IS NULL
            """,
            some=some,
        )
        found.extend((_file(row), row["title_key"], row["artist_key"], row["album_key"]) for row in rows)
    return found


def remember_songs(tx: Transaction, pairs: Sequence[tuple[int, str]], *, generation: int) -> None:
    """Keep which song each file is; of several songs the first of a generation stays."""
    tx.many(
        """
        INSERT INTO navidrome_songs (file_id, song_id, generation) VALUES (:file, :song, :generation)
        ON CONFLICT (file_id) DO UPDATE SET song_id = excluded.song_id, generation = excluded.generation
         WHERE navidrome_songs.generation <> excluded.generation
        """,
        [{"file": file_id, "song": song_id, "generation": generation} for file_id, song_id in pairs],
    )


def forget_songs(tx: Transaction, *, but_generation: int | None = None) -> None:
    if but_generation is None:
        tx.run("DELETE FROM navidrome_songs")
    else:
        tx.run("DELETE FROM navidrome_songs WHERE generation <> :generation", generation=but_generation)


def song_ids(tx: Transaction, file_ids: Sequence[int]) -> dict[int, str]:
    """File -> Navidrome's id of it, as far as that is known."""
    found: dict[int, str] = {}
    for some in chunks(file_ids, CHUNK):
        rows = tx.tuples("SELECT file_id, song_id FROM navidrome_songs WHERE file_id IN :some", some=some)
        found.update({row[0]: row[1] for row in rows})
    return found


def count_songs(tx: Transaction) -> int:
    return int(tx.scalar("SELECT COUNT(*) FROM navidrome_songs"))


def some_written(tx: Transaction, *, limit: int) -> list[tuple[Placed, str]]:
    """Files that hold our tags and are known to Navidrome, with its ids; the latest written."""
    rows = tx.all(
        f"""
        SELECT {_PLACE}, s.song_id
          FROM library_files   AS f
          JOIN navidrome_songs AS s ON s.file_id = f.id
         WHERE f.written_hash IS NOT NULL AND f.missing_since IS NULL
         ORDER BY f.updated_at DESC
         LIMIT :limit
        """,
        limit=limit,
    )
    return [(_file(row), row["song_id"]) for row in rows]


def count_written(tx: Transaction) -> int:
    return int(tx.scalar("SELECT COUNT(*) FROM library_files WHERE written_hash IS NOT NULL AND missing_since IS NULL"))


# writes that Navidrome has not heard of

_WRITTEN_SINCE = "updated_at > :since AND (written_at > :since OR hands_off) AND missing_since IS NULL"


def writes_since(tx: Transaction, since: int) -> Writes | None:
    """What was written into files, or taken out of them, after a moment."""
    row = tx.one(
        f"""
        SELECT COUNT(*) AS files, MIN(updated_at) AS first, MAX(updated_at) AS last
          FROM library_files
         WHERE {_WRITTEN_SINCE}
        """,
        since=since,
    )
    return None if row is None or not row["files"] else Writes(**row)


def folders_written_since(tx: Transaction, since: int) -> list[Touched]:
    rows = tx.all(
        f"SELECT DISTINCT library_id, folder FROM library_files WHERE {_WRITTEN_SINCE} ORDER BY library_id, folder",
        since=since,
    )
    return [Touched(**row) for row in rows]


# playlists

_PUSHED = "id, account, name, kind, navidrome_id, query, seen, tracks, pushed_at"


def pushed_playlists(tx: Transaction, account: str) -> list[Pushed]:
    rows = tx.all(f"SELECT {_PUSHED} FROM navidrome_playlists WHERE account = :account ORDER BY name", account=account)
    return [Pushed(**row) for row in rows]


def pushed_named(tx: Transaction, account: str, name: str) -> Pushed | None:
    row = tx.one(
        f"SELECT {_PUSHED} FROM navidrome_playlists WHERE account = :account AND name = :name",
        account=account,
        name=name,
    )
    return None if row is None else Pushed(**row)


def get_pushed(tx: Transaction, pushed_id: int) -> Pushed:
    row = tx.one(f"SELECT {_PUSHED} FROM navidrome_playlists WHERE id = :id", id=pushed_id)
    if row is None:
        raise NotFound(f"Pushed playlist not found: {pushed_id}")
    return Pushed(**row)


def remember_pushed(tx: Transaction, facts: Mapping[str, Any]) -> Pushed:
    """Keep what was pushed under this name, in place of what was before."""
    row = tx.one(
        f"""
        INSERT INTO navidrome_playlists ( account,  name,  kind,  navidrome_id,  query,  seen,  tracks,  pushed_at)
        VALUES                          (:account, :name, :kind, :navidrome_id, :query, :seen, :tracks, :pushed_at)
        ON CONFLICT (account, name) DO UPDATE
           SET kind = excluded.kind, navidrome_id = excluded.navidrome_id, query = excluded.query,
               seen = excluded.seen, tracks = excluded.tracks, pushed_at = excluded.pushed_at
        RETURNING {_PUSHED}
        """,
        **facts,
    )
    assert row is not None  # noqa: S101 (it was just written)
    return Pushed(**row)


def forget_pushed(tx: Transaction, pushed_id: int) -> None:
    if tx.run("DELETE FROM navidrome_playlists WHERE id = :id", id=pushed_id) != 1:
        raise NotFound(f"Pushed playlist not found: {pushed_id}")


def _placed(tx: Transaction, condition: str, values: Sequence[str], name: str, **params: Any) -> list[Placed]:
    found: list[Placed] = []
    for some in chunks(values, CHUNK):
        rows = tx.all(
            f"SELECT {_PLACE} FROM library_files AS f WHERE {condition} AND f.missing_since IS NULL",
            **{name: some},
            **params,
        )
        found.extend(map(_file, rows))
    return found


def _file(row: Row) -> Placed:
    return Placed(row["id"], row["library_id"], row["folder"], row["name"], row["duration_s"])
