"""The settings that can be changed while Nomarr runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from nomarr import config
from nomarr.config import KEYS, Key, KeyType
from nomarr.settings import Settings
from nomarr.web.answers import example, problems
from nomarr.web.auth import require_login
from nomarr.web.context import UseDatabase, UseStartSettings

router = APIRouter(prefix="/api/web/config", tags=["config"], dependencies=[Depends(require_login)])

EXAMPLE = {
    "models_dir": "/app/models",
    "library_auto_tag": True,
    "file_write_mode": "native",
    "namespace": "nom",
    "calibrate_heads": False,
    "tagger_worker_count": None,
    "library_ignore_patterns": ["Podcasts/"],
    "scan_interval_h": 24,
    "work_hours": ["22:00-07:00"],
    "cpu_share": 100,
    "backup_interval_h": 24,
    "backup_keep": 7,
    "session_timeout_s": 86400,
    "mtime_policy": "now",
    "hardlink_policy": "break",
    "standard_fields": [],
    "navidrome_url": "http://navidrome:4533",
    "navidrome_user": "admin",
    "navidrome_password": True,
    "details": {
        "namespace": {
            "type": "text",
            "group": "Files",
            "title": "First part of our fields' names",
            "allowed": "1 to 16 of a-z, 0-9 and _, a letter first",
            "choices": {},
            "about": "What Nomarr's tags begin with. Tags under an earlier name stay in the files.",
            "unit": "",
            "default": "nom",
            "changed": False,
            "locked": True,
            "locked_by": "NOMARR_NAMESPACE",
            "restart_required": False,
        }
    },
}


class ConfigChange(BaseModel):
    key: str = Field(examples=["library_auto_tag"], max_length=100)
    value: str | bool | int | list[str] | None = Field(
        examples=["false"], description="As text; null: back to what the settings file or the default says"
    )


@dataclass(frozen=True)
class KeyDetails:
    """What a key may be set to, in words for people.

    `choices` are those of a choice with what each means; `default` is what holds where nothing was set here, by
    nomarr.yaml or by Nomarr itself; `changed`: something was. `locked_by` is the environment variable that decides,
    or `read-only`.
    """

    type: KeyType
    group: str
    title: str
    allowed: str | tuple[str, ...]
    choices: dict[str, str]
    about: str
    unit: str
    default: str | bool | int | tuple[str, ...] | None
    changed: bool
    locked: bool
    locked_by: str | None
    restart_required: bool


@dataclass(frozen=True)
class Config:
    """What holds now. `tagger_worker_count` is null where the server decides by cores and memory.

    Of a password is only told whether there is one.
    """

    models_dir: str
    library_auto_tag: bool
    file_write_mode: str
    namespace: str
    calibrate_heads: bool
    tagger_worker_count: int | None
    library_ignore_patterns: tuple[str, ...]
    scan_interval_h: int
    work_hours: tuple[str, ...]
    cpu_share: int
    backup_interval_h: int
    backup_keep: int
    session_timeout_s: int
    mtime_policy: str
    hardlink_policy: str
    standard_fields: tuple[str, ...]
    navidrome_url: str | None
    navidrome_user: str | None
    navidrome_password: bool
    details: dict[str, KeyDetails]


@dataclass(frozen=True)
class ConfigChanged:
    """`restart_required`: the change waits for POST /api/web/worker/restart."""

    success: bool
    message: str
    restart_required: bool


@router.get("", summary="Settings that can be changed", responses=example(EXAMPLE) | problems(401, 403, 503))
def get_config(db: UseDatabase, start: UseStartSettings) -> Config:
    with db.read() as tx:
        settings, changed = config.effective(tx, start), config.changed(tx)
    keys = KEYS.values()
    return Config(
        **{key.name: _shown(settings, key) for key in keys},
        details={key.name: _details(start, key, is_changed=key.name in changed) for key in keys},
    )


@router.post(
    "",
    summary="Change a setting",
    responses=example({"success": True, "message": "Configuration updated successfully", "restart_required": False})
    | problems(400, 401, 403, 409, 413, 503),
)
def change_config(body: ConfigChange, db: UseDatabase, settings: UseStartSettings) -> ConfigChanged:
    """Holds at once on every machine, unless the answer says otherwise; the environment wins over it."""
    with db.write() as tx:
        key = config.change(tx, settings, body.key, _text(body.value))
    return ConfigChanged(True, "Configuration updated successfully", key.needs_restart)


def _details(start: Settings, key: Key, *, is_changed: bool) -> KeyDetails:
    lock = config.locked_by(start, key)
    return KeyDetails(
        type=key.type,
        group=key.group,
        title=key.title,
        allowed=key.allowed,
        choices=key.choices,
        about=key.about,
        unit=key.unit,
        default=_shown(start, key),
        changed=is_changed,
        locked=lock is not None,
        locked_by=lock,
        restart_required=key.needs_restart,
    )


def _shown(settings: Settings, key: Key) -> Any:
    """A value as it may be shown: of a secret only whether there is one."""
    value = str(settings.models) if key.name == "models_dir" else getattr(settings, key.setting)
    return value is not None if key.type == "secret" else value


def _text(value: str | bool | int | list[str] | None) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "\n".join(value)
    return None if value is None else str(value)
