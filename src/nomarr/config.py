"""What may be changed while Nomarr runs: defaults < nomarr.yaml < what was set here < environment."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import ValidationError

from nomarr.errors import Conflict, Forbidden, InvalidInput
from nomarr.settings import PREFIX, Settings
from nomarr.store import preferences
from nomarr.store.database import Database, Transaction

log = logging.getLogger(__name__)

PREFERENCE = "config."  # before the name of a setting: what was set for it
PAUSED = "workers_paused"  # the preference that holds workers back on every machine
LONGEST_TEXT = 20_000

KeyType = Literal["boolean", "integer", "choice", "text", "list", "path", "secret"]


@dataclass(frozen=True)
class Key:
    """Something that can be changed, and all that is said about it wherever it is shown.

    `takes` says what it may be set to, in words or as choices with what each of them means.
    """

    name: str
    type: KeyType
    group: str
    title: str
    takes: str | Mapping[str, str]
    about: str
    unit: str = ""
    field: str = ""  # of Settings, where that has another name
    is_read_only: bool = False
    needs_restart: bool = False

    @property
    def setting(self) -> str:
        return self.field or self.name

    @property
    def variable(self) -> str:
        return PREFIX + self.setting.upper()

    @property
    def allowed(self) -> str | tuple[str, ...]:
        return self.takes if isinstance(self.takes, str) else tuple(self.takes)

    @property
    def choices(self) -> dict[str, str]:
        return {} if isinstance(self.takes, str) else dict(self.takes)

    @property
    def expectation(self) -> str:
        return self.takes if isinstance(self.takes, str) else f"one of {', '.join(self.takes)}"


ON_OFF = {"true": "on", "false": "off"}
KEYS = {
    key.name: key
    for key in (
        Key(
            "file_write_mode",
            "choice",
            "Files",
            "What goes into the files",
            {
                "native": "scores and mood words",
                "moods": "mood words only",
                "none": "nothing; results stay in Nomarr",
            },
            "What Nomarr writes into music files. A library may say otherwise.",
        ),
        Key(
            "namespace",
            "text",
            "Files",
            "First part of our fields' names",
            "1 to 16 of a-z, 0-9 and _, a letter first",
            "What Nomarr's tags begin with: nom makes nom:mood-strict. Tags under an earlier name stay in the files.",
        ),
        Key(
            "standard_fields",
            "list",
            "Files",
            "Standard fields to fill as well",
            "mood, genre, both separated by a comma, or nothing; neither bpm nor key: Nomarr does not work them out",
            "What is filled besides Nomarr's own fields, where a file has none of it. A library may say otherwise.",
        ),
        Key(
            "mtime_policy",
            "choice",
            "Files",
            "Time of a written file",
            {"now": "when it was written", "keep": "as it was before", "keep_plus_1s": "a second after what it was"},
            "What other programs see as the time of the last change. Some find changed tags only by a new time.",
        ),
        Key(
            "hardlink_policy",
            "choice",
            "Files",
            "Files with several hard links",
            {
                "break": "write; the other links keep the old content",
                "skip": "do not write",
                "in_place": "write; all links change",
            },
            "A file may have several names, for instance one that a torrent client still shares.",
        ),
        Key(
            "library_auto_tag",
            "boolean",
            "New music",
            "Listen to new music by itself",
            ON_OFF,
            "Whether scans queue what is new or changed.",
        ),
        Key(
            "scan_interval_h",
            "integer",
            "New music",
            "Time between scans",
            "a number from 0 to 8760",
            "Every library is scanned again after so many hours, which finds what nobody announced; 0: never.",
            unit="hours",
        ),
        Key(
            "library_ignore_patterns",
            "list",
            "New music",
            "What to pass over",
            "patterns as in .gitignore, separated by commas or line breaks",
            "What scans pass over, in all libraries.",
        ),
        Key(
            "tagger_worker_count",
            "integer",
            "Workers",
            "Worker processes",
            "a number from 0 to 256, or auto",
            "Worker processes of the server; auto is one a core, as far as the memory reaches.",
            field="workers",
            needs_restart=True,
        ),
        Key(
            "cpu_share",
            "integer",
            "Workers",
            "Share of a core",
            "a number from 1 to 100",
            "How much of a core each worker may use, in percent.",
            unit="%",
        ),
        Key(
            "work_hours",
            "list",
            "Workers",
            "Hours of work",
            "times of day such as 22:00-07:00, separated by commas, or nothing for always",
            "When workers take files: only then, by the clock of their machine.",
        ),
        Key(
            "models_dir",
            "path",
            "Workers",
            "Folder of the models",
            "a folder",
            "Where the models lie.",
            is_read_only=True,
        ),
        Key(
            "calibrate_heads",
            "boolean",
            "Calibration",
            "Calibrate by this music",
            ON_OFF,
            "Whether calibrations may be generated: scores are then spread by what the libraries hold.",
        ),
        Key(
            "backup_interval_h",
            "integer",
            "Backups",
            "Time between backups",
            "a number from 0 to 8760",
            "The database is backed up after so many hours; 0: never. SQLite only.",
            unit="hours",
        ),
        Key(
            "backup_keep",
            "integer",
            "Backups",
            "How many to keep",
            "a number from 1 to 1000",
            "Of so many days one backup each is kept.",
            unit="days",
        ),
        Key(
            "session_timeout_s",
            "integer",
            "Access",
            "How long a login lasts",
            "a number from 60 to 316224000",
            "How long an unused login lasts.",
            unit="seconds",
        ),
        Key(
            "navidrome_url",
            "text",
            "Navidrome",
            "Address",
            "an address such as http://navidrome:4533",
            "Where Navidrome is, as its web pages are reached. Another host or port forgets the password set here.",
        ),
        Key(
            "navidrome_user",
            "text",
            "Navidrome",
            "User",
            "the name of a user there",
            "Who Nomarr is to Navidrome: an administrator there.",
        ),
        Key(
            "navidrome_password",
            "secret",
            "Navidrome",
            "Password",
            "a password",
            "That user's password; it is never shown again.",
        ),
    )
}
_FIELDS = {PREFERENCE + key.setting: key.setting for key in KEYS.values() if not key.is_read_only}


def effective(tx: Transaction, settings: Settings) -> Settings:
    """The settings as they hold at this moment, from those that the process started with.

    The same object as long as nothing was changed.
    """
    return _merged(settings, preferences.texts(tx, tuple(_FIELDS)))


def current(db: Database, settings: Settings) -> Settings:
    """The same in a transaction of its own."""
    with db.read() as tx:
        return effective(tx, settings)


def change(tx: Transaction, settings: Settings, name: str, text: str | None) -> Key:
    """Set a key from text, or with None back to what it is without; effective everywhere, at once.

    `settings` are those that the process started with. InvalidInput for an unknown key or a bad value,
    Forbidden where the key is read-only, Conflict where the environment decides.
    """
    key = changeable(settings, name)
    before = effective(tx, settings)
    if text is None:
        preferences.remove(tx, PREFERENCE + key.setting)
    else:
        preferences.put(tx, PREFERENCE + key.setting, _parsed(key, text))
    if key.name == "navidrome_url" and _origin(effective(tx, settings).navidrome_url) != _origin(before.navidrome_url):
        _keep_password_from_others(tx, settings)
    return key


def _keep_password_from_others(tx: Transaction, settings: Settings) -> None:
    """Whoever changes Navidrome's address must not be sent the password that was meant for the other one."""
    preferences.remove(tx, PREFERENCE + "navidrome_password")
    meant_for, now = settings.navidrome_url, effective(tx, settings).navidrome_url
    if settings.navidrome_password is not None and now and meant_for and _origin(now) != _origin(meant_for):
        raise Conflict(
            "navidrome_url: nomarr.yaml or the environment holds a password for "
            f"{'://'.join(_origin(meant_for))}; change the address there, together with the password"
        )


def changeable(settings: Settings, name: str) -> Key:
    key = KEYS.get(name)
    if key is None:
        raise InvalidInput(f"key: there is no setting {name!r} to change; there are {', '.join(KEYS)}")
    if key.is_read_only:
        raise Forbidden(f"{name} cannot be changed while Nomarr runs; set {key.variable} and start it again")
    if key.setting in settings.fixed:
        raise Conflict(
            f"{name} is decided by {key.variable} in the environment, or on the command line; change it there"
        )
    return key


def changed(tx: Transaction) -> frozenset[str]:
    """The names of the keys that were set here, whether or not the environment wins over them."""
    stored = {name for name, _ in preferences.texts(tx, tuple(_FIELDS))}
    return frozenset(key.name for key in KEYS.values() if PREFERENCE + key.setting in stored)


def locked_by(settings: Settings, key: Key) -> str | None:
    """What keeps the key from being changed, or None."""
    if key.setting in settings.fixed:
        return key.variable
    return "read-only" if key.is_read_only else None


def _parsed(key: Key, text: str) -> Any:
    """The value as JSON can keep it."""
    problem = InvalidInput(f"{key.name}: must be {key.expectation}")
    if len(text) > LONGEST_TEXT or (key.type != "list" and not text.strip()):
        raise problem
    try:
        given = text if key.type == "list" else text.strip()
        value = getattr(Settings.model_validate({key.setting: given}), key.setting)
    except ValidationError as error:
        raise problem from error
    if key.type == "secret":
        return value.get_secret_value()
    return list(value) if key.type == "list" else "auto" if value is None else value


def _origin(url: str | None) -> tuple[str, str]:
    parts = urlsplit(url or "")
    return parts.scheme, parts.netloc


@lru_cache(maxsize=16)
def _merged(settings: Settings, stored: Collection[tuple[str, str]]) -> Settings:
    values = {name: getattr(settings, name) for name in Settings.model_fields}
    result = settings
    for preference, text in stored:
        field = _FIELDS[preference]
        if field in settings.fixed:
            continue
        changed = {**values, field: json.loads(text)}
        try:
            result, values = Settings(**changed), changed
        except ValidationError:  # as another version allowed it
            log.warning("%s: the value that was set is not understood; it is left out", field)
    return result
