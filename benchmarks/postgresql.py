"""A PostgreSQL server of one's own, to be stopped, killed and started again."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

import psycopg


class Server:
    """Made in a temporary folder, with the settings of a fresh installation; `addresses` to listen at besides."""

    def __init__(self, *addresses: str, port: int = 5432) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))
        self.addresses, self.port = addresses, port
        self.user = next(n for n in ("postgres", "nobody") if _exists(n)) if os.geteuid() == 0 else None
        if self.user:
            shutil.chown(self.folder, self.user)
        options = ["-A", "trust", "-U", "nomarr", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        subprocess.run([binary("initdb"), "-D", self.data, *options], check=True, capture_output=True, **self._as_user)
        with (self.data / "pg_hba.conf").open("a") as file:
            file.write("host all all samenet trust\n")
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Server:
        self.start()
        self.administer("CREATE DATABASE nomarr")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def url(self) -> str:
        return f"postgresql://nomarr@/nomarr?host={self.folder}&port={self.port}"

    @property
    def _as_user(self) -> dict[str, object]:
        if self.user is None:
            return {}
        return {"user": self.user, "group": pwd.getpwnam(self.user).pw_gid, "extra_groups": [], "cwd": self.folder}

    def start(self) -> None:
        options = {
            "listen_addresses": ",".join(self.addresses),
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
            "max_connections": "200",
        }
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [binary("postgres"), "-D", self.data, *arguments], stdout=log, stderr=log, **self._as_user
            )
        deadline = time.monotonic() + 60
        while True:
            try:
                self.administer("SELECT 1")
                return
            except psycopg.OperationalError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit((self.folder / "log").read_text()) from None
            time.sleep(0.1)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT drops all connections and ends; SIGQUIT ends as in a crash."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(timeout=60)

    def administer(self, statement: str) -> None:
        with psycopg.connect(
            f"host={self.folder} port={self.port} user=nomarr dbname=postgres", autocommit=True
        ) as connection:
            connection.execute(statement.encode())


def binary(name: str) -> str:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(found[-1]) if found else name


def _exists(user: str) -> bool:
    return any(entry.pw_name == user for entry in pwd.getpwall())
