"""nomarr serve | worker: processes that stay."""

from __future__ import annotations

import gc
import json
import logging
import os
import signal
import socket
import sys
import threading
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, NoReturn

import uvicorn
from rich.console import Console

from nomarr import config
from nomarr.cli.ground import clear_leftovers_beside, open_database, ready_models
from nomarr.errors import ModelProblem, NomarrError, SettingsError
from nomarr.rescoring import Renewing
from nomarr.settings import Settings, load_settings
from nomarr.store.claims import Scope
from nomarr.store.database import Database
from nomarr.watching.keeper import Keeper
from nomarr.worker.loop import Worker
from nomarr.worker.neighbour import share_memory
from nomarr.worker.supervisor import NOTHING_WORKS, Supervisor, default_workers
from nomarr.worker.watchdog import reporter

log = logging.getLogger(__name__)
console = Console(stderr=True, soft_wrap=True)  # a line stays one in the journal

LISTENER = "_NOMARR_LISTENER"  # the file descriptor that a restarted server takes over


def run_serve(*, host: str | None, port: int | None, workers: int | None) -> int:
    _end_when_told()
    share_memory()
    settings = load_settings(host=host, port=port, workers=workers)
    restart = Restart()
    with _listening(settings) as listener, open_database(settings) as db:
        _serve(settings, db, listener, restart)
    if restart.is_wanted:
        console.print("Restarting ...")
        restart.run()
    return 0


def _serve(settings: Settings, db: Database, listener: socket.socket, restart: Restart) -> None:
    from nomarr.web.app import create_app
    from nomarr.web.auth import ensure_password

    suite = ready_models(settings, console)
    password = ensure_password(db, settings)
    if password is not None:
        console.print(f"Your password is {password}  (shown this once; it can be changed later)", highlight=False)
    clear_leftovers_beside(db)
    supervisor = Supervisor(settings, db, _count(config.current(db, settings)))
    supervisor.start()
    keeper = Keeper(db, settings)
    keeper.start()
    renewing = Renewing(db, suite)
    renewing.start()
    address = f"http://{settings.host}:{listener.getsockname()[1]}"
    console.print(f"Nomarr listens at {address} with {len(supervisor.slots)} workers", highlight=False)
    server = Server(
        uvicorn.Config(
            create_app(settings, db, restart=lambda: restart.begin(server, supervisor, listener)),
            log_config=None,
            log_level="warning",
            access_log=False,  # web.guard has a better one
            server_header=False,
            proxy_headers=False,  # web.origin does that
            timeout_graceful_shutdown=10,
        )
    )
    # What start-up made stays for good; the collector would look through all of it again, 100 ms at a time.
    gc.collect()
    gc.freeze()
    told = threading.Event()
    _on_signal(told)  # uvicorn passes a signal on once it has shut down; the workers come after
    try:
        server.run(sockets=[listener])
    finally:
        if told.is_set():
            restart.give_up()
        console.print("Finishing the files in hand ...")
        renewing.stop()
        keeper.stop()
        supervisor.stop()


class Server(uvicorn.Server):
    """Lets go of those who listen to events when it ends; it would wait for them otherwise."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        app: Any = self.config.app
        app.state.events.close()
        await super().shutdown(sockets)


@dataclass
class Restart:
    """Runs the same command in this very process again; the socket stays open, so nobody is refused meanwhile."""

    is_wanted: bool = False
    _listener: int | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, server: uvicorn.Server, supervisor: Supervisor, listener: socket.socket) -> None:
        """Lets the workers finish their files while the server still answers, then ends it."""
        with self._lock:
            if self.is_wanted:
                return
            self.is_wanted = True
            self._listener = os.dup(listener.fileno())

        def finish() -> None:
            try:
                supervisor.stop()
            finally:
                server.should_exit = True

        threading.Thread(target=finish, name="restart", daemon=True).start()

    def give_up(self) -> None:
        """Somebody stopped the server for good meanwhile."""
        with self._lock:
            self.is_wanted = False
            if self._listener is not None:
                os.close(self._listener)
                self._listener = None

    def run(self) -> NoReturn:
        assert self._listener is not None  # noqa: S101 (as it is wanted)
        os.set_inheritable(self._listener, True)
        os.environ[LISTENER] = str(self._listener)
        sys.stdout.flush()
        sys.stderr.flush()
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 (this very program)


def _listening(settings: Settings) -> socket.socket:
    inherited = os.environ.pop(LISTENER, None)
    if inherited is not None:  # from before a restart
        listener = socket.socket(fileno=int(inherited))
        listener.set_inheritable(False)
        return listener
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # Said to be TCP, for asyncio only then sends small answers at once; otherwise each would wait for 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"cannot listen on {settings.host} port {settings.port} ({error.strerror}); "
            "choose another with --port or NOMARR_PORT"
        ) from error
    return listener


def _count(settings: Settings) -> int:
    return default_workers() if settings.workers is None else settings.workers


def run_workers(count: int | None) -> int:
    """Workers alone, until a signal comes."""
    _end_when_told()
    settings = load_settings(workers=count)
    with open_database(settings) as db:
        ready_models(settings, console)
        clear_leftovers_beside(db)
        supervisor = Supervisor(settings, db, max(1, _count(settings)))
        told = threading.Event()
        _on_signal(told)
        supervisor.start()
        console.print(f"Workers that wait for files: {len(supervisor.slots)}", highlight=False)
        told.wait()
        supervisor.stop()
    return 0


def run_worker(order: str) -> int:
    """One worker process, as its supervisor ordered it."""
    facts: dict[str, Any] = json.loads(order)
    stop = threading.Event()
    _on_signal(stop)
    threading.Thread(target=_follow_parent, args=(facts["parent"], stop), daemon=True).start()
    settings = load_settings()
    try:
        with Database(settings.database) as db:
            worker = Worker(
                settings,
                db,
                facts["id"],
                scopes=tuple(_scope(scope) for scope in facts["scopes"]),
                drain=facts["drain"],
                listen_only=facts["listen_only"],
                batch=facts["batch"],
                threads=facts["threads"],
                report_limit=reporter(facts["watchdog"]),
                models_wait_s=facts["models_wait_s"],
                trouble=facts["trouble"],
                stop=stop,
            )
            worker.run()
    except ModelProblem as error:
        log.error("%s", error)
        return NOTHING_WORKS
    except NomarrError as error:
        log.error("%s", error)
        return 1
    return 0


def _scope(facts: dict[str, Any]) -> Scope:
    ids = facts["file_ids"]
    return Scope(facts["library_id"], facts["folder"], None if ids is None else tuple(ids))


def _end_when_told() -> None:
    """Until there is anything to finish. The first process of a container would not hear what it does not handle."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, end)


def _on_signal(told: threading.Event) -> None:
    def tell(_number: int, _frame: FrameType | None) -> None:
        told.set()

    signal.signal(signal.SIGTERM, tell)
    signal.signal(signal.SIGINT, tell)


def _follow_parent(parent: int, stop: threading.Event) -> None:
    """Ends this worker, after the file in hand, when its supervisor is gone."""
    while not stop.wait(1.0):
        if os.getppid() != parent:
            stop.set()
