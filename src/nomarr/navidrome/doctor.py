"""Why Navidrome does not show what it should: each step from its address to its playlists, with what was seen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from nomarr.errors import NavidromeProblem
from nomarr.navidrome import rescan, songs
from nomarr.navidrome.client import ADVISED, Client, Song
from nomarr.navidrome.songs import Found
from nomarr.navidrome.tag_config import TagTable
from nomarr.store import navidrome
from nomarr.store.database import Database
from nomarr.store.navidrome import Placed

Verdict = Literal["ok", "warning", "missing", "unknown"]
LOOKED_AT = 5  # files: enough to see a pattern, few enough to wait for
NAMED = 5  # things that one sentence lists


@dataclass(frozen=True)
class Step:
    """One step. `evidence` is what was seen; `advice` what to do about it, "" where nothing is to be done."""

    name: str
    verdict: Verdict
    evidence: str
    advice: str = ""


@dataclass(frozen=True)
class _Sample:
    """A file that holds our tags, and its song."""

    file: Placed
    song: Song | None
    raw: dict[str, list[str]] | None


def examine(db: Database, client: Client, tables: Sequence[TagTable], *, namespace: str, now: int) -> list[Step]:
    """The steps in order. After one without which the next make no sense, they are left out."""
    steps: list[Step] = []
    try:
        steps.extend(_steps(db, client, tables, namespace=namespace, now=now))
    except NavidromeProblem as error:
        steps.append(Step("connection", "missing", str(error), "See what Navidrome's own log says."))
    return steps


def without_account(db: Database, problem: str) -> list[Step]:
    """The steps that can be looked at before Navidrome is set up."""
    advice = "Give navidrome_url, navidrome_user and navidrome_password in the settings."
    return [Step("connection", "missing", problem, advice), _written(db)]


def _steps(db: Database, client: Client, tables: Sequence[TagTable], *, namespace: str, now: int) -> Iterator[Step]:
    yield _connection(client)
    written = _written(db)
    yield written
    if written.verdict == "missing":
        return
    found = songs.find_songs(db, client, now=now)
    yield _files(db, found)
    if not found.matched:
        return
    yield _configured(client.tag_tables(), tables)
    samples = _samples(db, client)
    yield _tags(samples, namespace)
    yield _scanned(samples, tables)
    yield _told(db)
    yield _playlists(db, client)


def _connection(client: Client) -> Step:
    server = client.check()
    who = f"Navidrome {server.version} at {client.account.url}, as {server.user.name}"
    if server.numbers < ADVISED:
        wanted = ".".join(map(str, ADVISED))
        return Step("connection", "warning", who, f"Navidrome {wanted} or newer reads all playlists as they are meant.")
    return Step("connection", "ok", who)


def _written(db: Database) -> Step:
    with db.read() as tx:
        written = navidrome.count_written(tx)
    if not written:
        return Step(
            "files",
            "missing",
            "No file holds Nomarr's tags",
            "Let Nomarr analyse a library whose file_write_mode is native or moods.",
        )
    return Step("files", "ok", f"{written} files hold Nomarr's tags")


def _files(db: Database, found: Found) -> Step:
    with db.read() as tx:
        known = navidrome.count_songs(tx)
    seen = f"{found.matched} of Navidrome's {found.songs} songs are files of Nomarr's"
    if not found.songs:
        return Step("libraries", "missing", "Navidrome has no songs yet", "Run a scan in Navidrome.")
    if not found.matched:
        return Step(
            "libraries",
            "missing",
            seen,
            "The two look at different folders: give both the same music, under whatever path.",
        )
    if found.matched < found.songs or known < found.matched:
        return Step("libraries", "warning", seen, "The others are not in Nomarr's libraries, or not scanned there.")
    return Step("libraries", "ok", seen)


def _configured(have: dict[str, dict[str, object]] | None, tables: Sequence[TagTable]) -> Step:
    if have is None:
        return Step("config", "unknown", "Navidrome does not show its configuration")
    missing = [table.name for table in tables if table.name not in have]
    other = [table.name for table in tables if table.name in have and not _is_same(have[table.name], table)]
    if missing or other:
        seen = [f"{_listed(missing)} missing in navidrome.toml"] if missing else []
        seen += [f"{_listed(other)} with another type or other aliases"] if other else []
        return Step(
            "config",
            "missing" if missing else "warning",
            "; ".join(seen),
            "Append GET /api/web/navidrome/config to navidrome.toml in place of what is there of it, restart "
            "Navidrome, and run a full scan.",
        )
    return Step("config", "ok", f"All {len(tables)} fields are in Navidrome's configuration")


def _is_same(facts: dict[str, object], table: TagTable) -> bool:
    named = facts.get("aliases")
    aliases = {str(alias).lower() for alias in named} if isinstance(named, list) else set()
    kind = str(facts.get("type") or "string").lower()
    return set(table.aliases) <= aliases and (not table.type or kind == table.type)


def _samples(db: Database, client: Client) -> list[_Sample]:
    with db.read() as tx:
        files = navidrome.some_written(tx, limit=LOOKED_AT)
    return [_Sample(file, client.song(song_id), client.raw_tags(song_id)) for file, song_id in files]


def _tags(samples: Sequence[_Sample], namespace: str) -> Step:
    looked = [sample for sample in samples if sample.raw is not None]
    if not samples:
        return Step(
            "tags", "missing", "Of the files that hold Nomarr's tags Navidrome knows none", "Let Navidrome scan them."
        )
    if not looked:
        return Step("tags", "unknown", "Navidrome does not show what it reads in files (Inspect.Enabled)")
    without = [one for one in looked if not any(name.startswith(f"{namespace}:") for name in one.raw or {})]
    if without:
        return Step(
            "tags",
            "missing",
            f"In {len(without)} of {len(looked)} files Navidrome reads no {namespace}: tags, as in "
            f"{without[0].file.folder}/{without[0].file.name}",
            "It reads another copy of the files, or a format whose tags it cannot read.",
        )
    return Step("tags", "ok", f"Navidrome reads {namespace}: tags in all of {len(looked)} files")


def _scanned(samples: Sequence[_Sample], tables: Sequence[TagTable]) -> Step:
    """Whether its database holds what it reads in the files."""
    ours = [table for table in tables if table.type]
    absent: set[str] = set()
    stale, looked = 0, 0
    for sample in samples:
        if sample.song is None or sample.raw is None:
            continue
        looked += 1
        values = {name.lower(): value for name, value in sample.song.tags.items()}
        in_file = {table.name: sample.raw[alias] for table in ours for alias in table.aliases if alias in sample.raw}
        lost = {name for name in in_file if name not in values}
        absent |= lost
        stale += any(sorted(map(str, values[name])) != sorted(in_file[name]) for name in in_file if name not in lost)
    if not looked:
        return Step("fields", "unknown", "There is no file to compare")
    if absent:
        return Step(
            "fields",
            "missing",
            f"Read in the files, but not in Navidrome's database: {_listed(sorted(absent))}",
            "Run a full scan: POST /api/web/navidrome/scan with full, or Full scan in Navidrome.",
        )
    if stale:
        return Step(
            "fields",
            "warning",
            f"In {stale} of {looked} songs the database holds other values than the file",
            "Run a scan; Nomarr asks for one by itself some seconds after it wrote.",
        )
    return Step("fields", "ok", f"What Navidrome's database holds of {looked} songs is what their files say")


def _told(db: Database) -> Step:
    with db.read() as tx:
        known = rescan.standing(tx)
    if known is None:
        return Step("scan", "unknown", "The server has not looked for files to be scanned yet")
    if known.state.problem:
        return Step("scan", "warning", f"{known.waiting_files} files wait for a scan: {known.state.problem}")
    return Step("scan", "ok", f"{known.waiting_files} files were written since Navidrome was last told")


def _playlists(db: Database, client: Client) -> Step:
    with db.read() as tx:
        pushed = navidrome.pushed_playlists(tx, client.account.key)
    gone, empty = [], []
    for one in pushed:
        there = client.playlist(one.navidrome_id)
        if there is None:
            gone.append(one.name)
        elif not client.song_ids(there.id):
            empty.append(one.name)
    if gone:
        return Step(
            "playlists", "warning", f"Deleted in Navidrome: {_listed(gone)}", "Push them again, or forget them."
        )
    if empty:
        return Step(
            "playlists",
            "warning",
            f"Without any song in Navidrome: {_listed(empty)}",
            "Their previews say whether that is right; if not, see the steps above.",
        )
    return Step("playlists", "ok", f"{len(pushed)} pushed playlists are there, with songs")


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    more = f" and {len(every) - NAMED} more" if len(every) > NAMED else ""
    return ", ".join(every[:NAMED]) + more
