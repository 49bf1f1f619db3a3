"""nomarr serve | worker: processes that stay."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import threading
from types import FrameType
from typing import Any

import uvicorn
from rich.console import Console

from nomarr.cli.ground import open_database, ready_models, renew
from nomarr.errors import ModelProblem, NomarrError, SettingsError
from nomarr.settings import Settings, load_settings
from nomarr.store.claims import Scope
from nomarr.store.database import Database
from nomarr.worker.loop import Worker
from nomarr.worker.supervisor import NOTHING_WORKS, Supervisor, default_workers

log = logging.getLogger(__name__)
console = Console(stderr=True)


def run_serve(*, host: str | None, port: int | None, workers: int | None) -> int:
    settings = load_settings(host=host, port=port, workers=workers)
    from nomarr.web.app import create_app
    from nomarr.web.auth import ensure_password

    with _listening(settings) as listener, open_database(settings) as db:
        suite = ready_models(settings, console)
        password = ensure_password(db, settings)
        if password is not None:
            console.print(f"Your password is {password}  (shown this once; it can be changed later)", highlight=False)
        renew(db, suite)
        supervisor = Supervisor(settings, db, _count(settings))
        supervisor.start()
        address = f"http://{settings.host}:{listener.getsockname()[1]}"
        console.print(f"Nomarr listens at {address} with {len(supervisor.slots)} workers", highlight=False)
        config = uvicorn.Config(
            create_app(settings, db), log_level="warning", server_header=False, timeout_graceful_shutdown=10
        )
        _on_signal(threading.Event())  # uvicorn passes a signal on once it has shut down; the workers come after
        try:
            uvicorn.Server(config).run(sockets=[listener])
        finally:
            console.print("Finishing the files in hand ...")
            supervisor.stop()
    return 0


def _listening(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
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
    settings = load_settings(workers=count)
    with open_database(settings) as db:
        ready_models(settings, console)
        supervisor = Supervisor(settings, db, max(1, _count(settings)))
        told = threading.Event()
        _on_signal(told)
        supervisor.start()
        console.print(f"{len(supervisor.slots)} workers are waiting for files", highlight=False)
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
