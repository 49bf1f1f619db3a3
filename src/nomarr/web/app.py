"""The HTTP server as one object: its routers, its error answers, what its routes share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial

from fastapi import FastAPI

from nomarr import __version__
from nomarr.settings import Settings
from nomarr.store.database import Database, Transaction
from nomarr.web import auth, docs, libraries, processing, system
from nomarr.web.answers import explain_errors
from nomarr.web.context import Clock
from nomarr.web.guard import Guard
from nomarr.web.limiter import LoginLimiter
from nomarr.web.system import ModelsCheck

ROUTERS = (auth.router, libraries.router, processing.router, system.router, docs.router)


def create_app(
    settings: Settings,
    db: Database,
    *,
    clock: Clock = Transaction.now_ms,
    monotonic: Callable[[], float] = time.monotonic,
) -> FastAPI:
    """The server over a migrated database, which stays its caller's to close."""
    # No redirects to paths without a slash: they would be made from a header that anybody may forge.
    app = FastAPI(title="Nomarr", version=__version__, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.settings = settings
    app.state.db = db
    app.state.clock = clock
    app.state.monotonic = monotonic
    app.state.limiter = LoginLimiter()
    app.state.verifications = asyncio.Semaphore(auth.VERIFICATIONS)
    app.state.models_check = ModelsCheck(settings.models, monotonic)
    for router in ROUTERS:
        app.include_router(router)
    app.openapi = partial(docs.describe, app)  # type: ignore[method-assign]
    app.add_middleware(Guard)
    explain_errors(app)
    return app
