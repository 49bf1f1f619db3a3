"""What a route may ask for: the database, the settings, the time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request

from nomarr.settings import Settings
from nomarr.store.database import Database, Transaction

Clock = Callable[[Transaction], int]  # milliseconds UTC


# async: FastAPI would run a plain function in a thread, only to read an attribute.
async def _db(request: Request) -> Database:
    db: Database = request.app.state.db
    return db


async def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


async def _clock(request: Request) -> Clock:
    clock: Clock = request.app.state.clock
    return clock


UseDatabase = Annotated[Database, Depends(_db)]
UseSettings = Annotated[Settings, Depends(_settings)]
UseClock = Annotated[Clock, Depends(_clock)]
