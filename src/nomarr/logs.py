"""What Nomarr says of itself: as text or JSON, without secrets, and the last of it kept for those who ask."""

from __future__ import annotations

import json
import logging
import os
import re
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nomarr.settings import Settings

TEXT = "%(asctime)s %(levelname)s %(message)s"
LEVELS = ("debug", "info", "warning", "error")
RECENT = "recent.log"  # in the data directory, a JSON object a line; what came before it is in recent.log.1
RECENT_BYTES = 1_000_000
LONGEST_LINE = 20_000  # characters
SHORTEST_SECRET = 6  # a shorter one would be found in words that are none
HIDDEN = "***"

# Wherever one might be said: in an address, a header, a form, a connection string.
SECRET_PLACES = re.compile(
    r"""
      (?P<name> (?:apikey|api_key|token|password|passwd|secret) (?: = ["']? | ["'] \s* : \s* ["']? ) ) [^\s"'&,;)}]+
    | (?P<header> \b(?:authorization|proxy-authorization|x-api-key|cookie|set-cookie)\b ["']? \s* [:=] \s* ) [^\r\n]+
    | (?P<scheme> \bbearer\s+ ) [A-Za-z0-9._~+/=-]{20,}
    | (?P<subsonic> [?&][pts]= ) [^\s"'&]+
    | (?P<user> ://[^\s/:@]* : ) [^\s@]+ (?= @ )
    | (?P<key> \bnom_ ) [A-Za-z0-9_-]{20,}
    """,
    re.VERBOSE | re.IGNORECASE,
)


@dataclass(frozen=True)
class LogLine:
    """Something that a process of this machine said; `process` is its id."""

    time: str
    level: str
    logger: str
    process: int
    message: str


def set_up(settings: Settings, level: str, *, is_kept: bool) -> None:
    """Log to stderr, and with `is_kept` also to the data directory, for `recent`."""
    shown = logging.StreamHandler()
    secrets = tuple(settings.secrets().values())
    shown.setFormatter(Json(secrets) if settings.log_format == "json" else Text(secrets))
    handlers: list[logging.Handler] = [shown]
    if is_kept:
        kept = Recent(settings.data_dir)
        kept.setFormatter(Json(secrets))
        handlers.append(kept)
    logging.basicConfig(level=level.upper(), handlers=handlers, force=True)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it announces its plug-ins


def without_secrets(text: str, known: Iterable[str] = ()) -> str:
    """The text with what looks like a secret, or is one of the known ones, left out."""
    for secret in known:
        text = text.replace(secret, HIDDEN)
    return SECRET_PLACES.sub(lambda found: f"{found[found.lastgroup or 0]}{HIDDEN}", text)


class Text(logging.Formatter):
    """A line for people."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__(TEXT, "%Y-%m-%d %H:%M:%S")
        self.secrets = _worth_hiding(secrets)

    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(super().format(record), self.secrets)


class Json(logging.Formatter):
    """A JSON object a line, for programs."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__("%(message)s")
        self.secrets = _worth_hiding(secrets)

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "time": at.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "message": without_secrets(super().format(record), self.secrets)[:LONGEST_LINE],
        }
        return json.dumps(line)


class Recent(logging.Handler):
    """Appends to a file that all processes of the data directory share, and begins another when it is long enough."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__()
        self.path = data_dir / RECENT

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError, TypeError, ValueError):  # no line is worth a failure; stderr has it, or says why not
            line = (self.format(record) + "\n").encode("utf-8", "replace")
            # One write at the end of the file: the lines of several processes never mix.
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                os.write(descriptor, line)
                size = os.fstat(descriptor).st_size
            finally:
                os.close(descriptor)
            if (size - len(line)) // RECENT_BYTES < size // RECENT_BYTES:  # true for one of the processes only
                os.replace(self.path, _older(self.path))


def recent(data_dir: Path, *, limit: int, level: str = "debug") -> list[LogLine]:
    """The last lines of at least that level, the newest at the end."""
    levels = LEVELS[LEVELS.index(level) :] if level in LEVELS else LEVELS
    path = data_dir / RECENT
    lines = (line for file in (_older(path), path) for line in _lines(file))
    return list(deque((line for line in lines if line.level in (*levels, "critical")), maxlen=limit))


def _lines(path: Path) -> Iterator[LogLine]:
    with suppress(FileNotFoundError), path.open(encoding="utf-8", errors="replace") as file:
        for text in file:
            with suppress(ValueError, TypeError):  # cut short by a full disk
                yield LogLine(**json.loads(text))


def _older(path: Path) -> Path:
    return path.with_name(f"{path.name}.1")


def _worth_hiding(secrets: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted((s for s in secrets if len(s) >= SHORTEST_SECRET), key=len, reverse=True))
