"""Other models for music that was heard before: what needs no audio at once, then everything by listening again.

New heads are scored from stored embeddings. Thirty-two patches a track are kept. Their scores lie within 0.035 of those
of all patches for nineteen tracks in twenty, which is good enough to use at once; listening again, behind all new
music, makes them exact.
"""

from __future__ import annotations

import logging
import os
import socket
import uuid
from collections.abc import Callable, Sequence

import numpy as np

from nomarr.inference.catalog import Pack, Suite
from nomarr.inference.scoring import HeadRunner, Heard, pooled, spread
from nomarr.rounds import Rounds, Stopped
from nomarr.scores import PackScores
from nomarr.store import leases, runs, scores
from nomarr.store.claims import Scope
from nomarr.store.database import Database, Transaction

log = logging.getLogger(__name__)

BATCH = 200  # files a transaction
LEASE = "renewal"
LEASE_MS = 10_000  # renewed with every batch
ROUND_S = 2.0
BREATH_S = 0.02  # after each batch: for those who want to write, and for the server's answers


def renew(
    db: Database, suite: Suite, scopes: Sequence[Scope] = (), *, progress: Callable[[int], object] = lambda _: None
) -> int:
    """Brings what other models have heard in scope up to date; how many files were left out, in workers' hands.

    Scores and the wish to have the file listened to go together, a batch of files at a time: cut off, it goes on where
    it was. `progress` is told of the files that it came to; what it raises ends it.
    """
    renewal = _Renewal(db, suite, scopes)
    while renewal.step():
        progress(renewal.done)
    if renewal.done:
        log.info("%d files that other models had heard wait to be listened to again", renewal.done)
    return renewal.left_out


class _Renewal:
    """One way through all files that were analysed with other models before now."""

    def __init__(self, db: Database, suite: Suite, scopes: Sequence[Scope]) -> None:
        self.done = self.left_out = 0
        self._db, self._suite, self._scopes = db, suite, scopes
        self._after = 0
        self._runners: list[HeadRunner] | None = None
        with db.read() as tx:
            self._until = tx.now_ms()  # workers with those models may still be at work elsewhere

    def step(self) -> bool:
        """The next batch; False where there is none."""
        suite = self._suite.fingerprint
        with self._db.read() as tx:
            page = runs.heard_by_others(tx, suite, self._scopes, until=self._until, after=self._after, limit=BATCH)
            made = self._score(tx, page)
        if not page:
            return False
        with self._db.write() as tx:
            taken = runs.hear_again(tx, page, suite, now=tx.now_ms())
            for file_id, found in made:
                if file_id in taken:  # else it may have been analysed since, and exactly
                    scores.save(tx, file_id, found)
        self._after = page[-1]
        self.done += len(taken)
        self.left_out += len(page) - len(taken)
        return True

    def _score(self, tx: Transaction, page: Sequence[int]) -> list[tuple[int, PackScores]]:
        """What each pack of head models makes of the files that have no scores of it, but the embeddings for them."""
        if page and self._runners is None:
            self._runners = [HeadRunner(pack) for pack in self._suite.packs if pack.models and not pack.tags]
        return [made for runner in self._runners or () for made in _scored(tx, page, runner)]


def _scored(tx: Transaction, page: Sequence[int], runner: HeadRunner) -> list[tuple[int, PackScores]]:
    pack: Pack = runner.pack
    wanted = sorted({*page} - scores.with_pack(tx, page, pack.name, pack.fingerprint))
    found = [
        (file_id, embedding.patches)
        for file_id, embedding in scores.load_embeddings(tx, wanted, pack.backbone.name).items()
        if embedding.fingerprint == pack.backbone.identity and len(embedding.patches)
    ]
    if not found:
        return []
    patches = np.concatenate([patches for _, patches in found]).astype(np.float32)
    columns = runner.classes(Heard(np.empty((len(patches), 0), np.float32), patches))[:, pack.score_columns]
    ends = np.cumsum([len(patches) for _, patches in found])
    return [
        (
            file_id,
            PackScores(pack.name, pack.fingerprint, pack.scores, pooled(part), spread(part), pack.backbone.name),
        )
        for (file_id, _), part in zip(found, np.split(columns, ends[:-1]), strict=True)
    ]


class _LeaseLost(Exception):
    """This server was away for so long that another may do it."""


class Renewing:
    """A server's thread that renews everything while files are worked on already: one server of several does it."""

    def __init__(self, db: Database, suite: Suite) -> None:
        self._db, self._suite = db, suite
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._rounds = Rounds("renewing results of other models", self._round, ROUND_S)

    def start(self) -> None:
        self._rounds.start()

    def stop(self) -> None:
        """Ends it after the batch in hand; the next start goes on there."""
        self._rounds.stop()

    def _round(self) -> None:
        if not self._hold_lease():
            return
        try:
            is_over = not renew(self._db, self._suite, progress=self._breathe)
        except _LeaseLost:
            return
        finally:
            with self._db.write() as tx:
                leases.give_up(tx, LEASE, owner=self._owner)
        if is_over:
            raise Stopped(LEASE)

    def _breathe(self, _done: int) -> None:
        self._rounds.stopping.wait(BREATH_S)
        self._rounds.go_on()
        if not self._hold_lease():
            raise _LeaseLost

    def _hold_lease(self) -> bool:
        with self._db.write() as tx:
            return leases.take(tx, LEASE, owner=self._owner, now=tx.now_ms(), lease_ms=LEASE_MS)
