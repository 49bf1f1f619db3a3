"""What a route may ask for: the database, the settings, the time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request

from nomarr import config
from nomarr.errors import DatabaseProblem
from nomarr.settings import Settings
from nomarr.store.database import Database, Transaction
from nomarr.store.matrix import ScoreMatrix

Clock = Callable[[Transaction], int]  # milliseconds UTC


# async: FastAPI would run a plain function in a thread, only to read an attribute.
async def _db(request: Request) -> Database:
    db: Database = request.app.state.db
    return db


def _settings(request: Request) -> Settings:
    """As they hold at this moment; without a database those that the server started with."""
    settings: Settings = request.app.state.settings
    try:
        return config.current(request.app.state.db, settings)
    except DatabaseProblem:
        return settings


async def _start_settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


async def _clock(request: Request) -> Clock:
    clock: Clock = request.app.state.clock
    return clock


async def _matrix(request: Request) -> ScoreMatrix:
    matrix: ScoreMatrix = request.app.state.matrix
    return matrix


UseDatabase = Annotated[Database, Depends(_db)]
UseSettings = Annotated[Settings, Depends(_settings)]
UseStartSettings = Annotated[Settings, Depends(_start_settings)]  # without what was changed since
UseClock = Annotated[Clock, Depends(_clock)]
UseMatrix = Annotated[ScoreMatrix, Depends(_matrix)]
