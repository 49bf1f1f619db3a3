"""The HTTP server as one object: its routers, its error answers, what its routes share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI
from starlette.datastructures import State

from nomarr import __version__
from nomarr.config import effective
from nomarr.navidrome.rescan import Teller
from nomarr.rounds import Rounds
from nomarr.secretkey import SecretKey
from nomarr.settings import Settings
from nomarr.store.database import Database, Transaction
from nomarr.store.matrix import ScoreMatrix
from nomarr.store.remembered import Remembered
from nomarr.web import (
    analytics,
    assets,
    audio,
    auth,
    backups,
    calibration,
    config,
    corrections,
    docs,
    events,
    files,
    folders,
    info,
    keys,
    levels,
    libraries,
    lidarr,
    lidarr_events,
    logs,
    memory,
    metrics,
    mood_analytics,
    moods,
    navidrome,
    navidrome_link,
    navidrome_push,
    navidrome_rules,
    pages,
    password,
    preview,
    processing,
    spreads,
    system,
    track,
    v1,
    work,
    worker,
    writes,
)
from nomarr.web.answers import explain_errors
from nomarr.web.compression import Compression
from nomarr.web.context import Clock
from nomarr.web.guard import Guard
from nomarr.web.limiter import LoginLimiter
from nomarr.web.origin import Base, Proxies
from nomarr.web.system import ModelsCheck
from nomarr.web.watch import Watch

ROUTERS = (
    auth.router,
    password.router,
    keys.router,
    config.router,
    libraries.router,
    folders.router,
    files.router,
    track.router,
    audio.router,
    processing.router,
    work.router,
    calibration.router,
    spreads.router,
    moods.router,
    corrections.router,
    levels.router,
    analytics.router,
    mood_analytics.router,
    navidrome.router,
    navidrome_link.router,
    navidrome_push.router,
    navidrome_rules.router,
    events.router,
    worker.router,
    writes.router,
    preview.router,
    lidarr.mappings_router,
    lidarr.router,
    lidarr_events.router,
    info.router,
    backups.router,
    v1.router,
    system.router,
    metrics.router,
    logs.router,
    docs.router,
    assets.router,
    pages.router,
)

WARMING_S = 15.0
THREADS = 8  # answers in the making; more would not be quicker, and each holds a connection with its cache


def create_app(
    settings: Settings,
    db: Database,
    *,
    clock: Clock = Transaction.now_ms,
    monotonic: Callable[[], float] = time.monotonic,
    restart: Callable[[], None] | None = None,
) -> FastAPI:
    """The server over a migrated database, which stays its caller's to close.

    `restart` begins to restart the process that serves it, and returns at once.
    """
    # No redirects to paths without a slash: they would be made from a header that anybody may forge.
    app = FastAPI(
        title="Nomarr", version=__version__, docs_url=None, redoc_url=None, redirect_slashes=False, lifespan=_lifespan
    )
    app.state.settings = settings
    app.state.db = db
    app.state.clock = clock
    app.state.monotonic = monotonic
    app.state.limiter = LoginLimiter()
    app.state.verifications = asyncio.Semaphore(auth.VERIFICATIONS)
    app.state.secret_key = SecretKey(settings.data_dir)
    app.state.restart = restart
    app.state.installed_models = info.InstalledModels(monotonic)
    app.state.metrics = metrics.Metrics(monotonic)
    app.state.models_check = ModelsCheck(settings.models, monotonic)
    app.state.matrix = ScoreMatrix()
    app.state.analytics = memory.Memory()
    app.state.applying = calibration.make_applying(db, settings, app.state.matrix)
    app.state.remembered = Remembered()
    app.state.navidrome = navidrome_link.Link()
    app.state.stream_tokens = events.Tokens()
    app.state.events = events.Events(Watch(db, settings, clock, app.state.models_check), app.state.secret_key)
    for router in ROUTERS:
        app.include_router(router)
    app.openapi = partial(docs.describe, app)  # type: ignore[method-assign]  # as FastAPI has one do it
    app.add_middleware(Compression)
    app.add_middleware(Guard)
    app.add_middleware(Base, prefix=settings.url_base)
    app.add_middleware(Proxies, trusted=settings.trusted_proxies)
    explain_errors(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    current_default_thread_limiter().total_tokens = THREADS
    state = app.state
    current = partial(effective, settings=state.settings)
    teller = Teller(state.db, current, state.navidrome.clients, clock=state.clock)
    teller.start()
    state.applying.start()
    warming = Rounds("counting", partial(_warm, state), WARMING_S, at_once=True)
    warming.start()
    yield
    warming.stop()
    state.applying.stop()
    teller.stop()
    state.navidrome.clients.close()
    app.state.events.close()


def _warm(state: State) -> None:
    memory.warm(state.db, state.matrix, state.analytics, state.settings)
