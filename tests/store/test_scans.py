from __future__ import annotations

import pytest

from nomarr.errors import Conflict
from nomarr.store import libraries, scans
from nomarr.store.database import Database
from nomarr.store.libraries import Library

from .conftest import NOW


def test_one_scan_at_a_time_until_it_falls_silent(db: Database, library: Library) -> None:
    with db.write() as tx:
        scans.begin(tx, library.id, owner="one", now=NOW)
        with pytest.raises(Conflict, match="already running"):
            scans.begin(tx, library.id, owner="two", now=NOW + 59_000)
        scans.renew(tx, library.id, owner="one", now=NOW + 50_000)
        with pytest.raises(Conflict, match="already running"):
            scans.begin(tx, library.id, owner="two", now=NOW + 100_000)
        scans.begin(tx, library.id, owner="two", now=NOW + 200_000)
        with pytest.raises(Conflict, match="took over"):
            scans.renew(tx, library.id, owner="one", now=NOW + 200_000)
        scans.end(tx, library.id, owner="one", now=NOW + 200_001, error="late")
        assert libraries.get(tx, library.id).scan_status(now=NOW + 200_001) == "scanning"
        scans.end(tx, library.id, owner="two", now=NOW + 200_002)
        assert libraries.get(tx, library.id).scan_status(now=NOW + 10**9) == "complete"


def test_a_scan_that_falls_silent_has_failed(db: Database, library: Library) -> None:
    with db.write() as tx:
        assert libraries.get(tx, library.id).scan_status(now=NOW) == "never"
        scans.begin(tx, library.id, owner="one", now=NOW)
        found = libraries.get(tx, library.id)
        assert (found.is_being_scanned(now=NOW + 60_000), found.scan_failure(now=NOW + 60_000)) == (True, None)
        assert (found.scan_status(now=NOW + 60_001), found.is_being_scanned(now=NOW + 60_001)) == ("failed", False)
        assert found.scan_failure(now=NOW + 60_001) == libraries.SCAN_DIED
        scans.end(tx, library.id, owner="one", now=NOW, error="the disk is gone")
        assert libraries.get(tx, library.id).scan_failure(now=NOW + 10**9) == "the disk is gone"
