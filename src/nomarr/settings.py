"""Settings, read and checked once at start: defaults < nomarr.yaml in the data directory < environment."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from nomarr.errors import SettingsError

PREFIX = "NOMARR_"
ALIASES = {"tagger_worker_count": "workers"}  # other names that nomarr.yaml may use
TIME_OF_DAY = r"(?:[01]\d|2[0-3]):[0-5]\d"
LONGEST_TIMEOUT_S = 10 * 366 * 86400
OWN_PATHS = ("api", "docs", "health", "metrics", "openapi.json", "ping", "static")

WriteMode = Literal["native", "moods", "none"]
MtimePolicy = Literal["now", "keep", "keep_plus_1s"]
HardlinkPolicy = Literal["break", "skip", "in_place"]
StandardField = Literal["mood", "genre"]
Device = Literal["auto", "cpu", "cuda"]
IoClass = Literal["idle", "best-effort", "normal"]
OLD_WRITE_MODES = {"full": "native", "minimal": "moods"}


class Settings(BaseModel):
    """What a person can set. Every field is also an environment variable, NOMARR_ and the name in capitals.

    `fixed` are the names that the environment or the command line decided: nothing set later changes those.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    data_dir: Path = Path("~/.local/share/nomarr")
    models_dir: Path | None = None
    database_url: SecretStr | None = None
    host: str = "127.0.0.1"
    port: int = Field(8356, ge=0, le=65535)
    url_base: str = ""  # /nomarr, where a proxy gives Nomarr only a part of a host
    admin_password: SecretStr | None = None
    workers: int | None = Field(None, ge=0, le=256)
    session_timeout_s: int = Field(86400, ge=60, le=LONGEST_TIMEOUT_S)
    namespace: str = Field("nom", pattern=r"^[a-z][a-z0-9_]{0,15}$")
    file_write_mode: WriteMode = "native"
    library_auto_tag: bool = True
    library_ignore_patterns: tuple[str, ...] = ()
    calibrate_heads: bool = False
    calibration_min_files: int = Field(1, ge=1)
    mtime_policy: MtimePolicy = "now"
    hardlink_policy: HardlinkPolicy = "break"
    standard_fields: tuple[StandardField, ...] = ()  # filled as well, where a file has none of its own
    browse_roots: tuple[Path, ...] | None = None  # where folders may be picked; None: the usual places
    trusted_proxies: tuple[str, ...] = ("127.0.0.1", "::1")  # addresses, networks, * for all, or none
    log_level: Literal["debug", "info", "warning", "error"] | None = None  # by command: server info, others warning
    log_format: Literal["text", "json"] = "text"
    metrics_open: bool = False  # whether /metrics needs no key
    root_mapping: tuple[str, ...] = ()  # where the database's folders are on this machine: /music=/mnt/nas
    lease_s: int = Field(60, ge=5, le=3600)
    scan_interval_h: int = Field(24, ge=0, le=8760)  # 0: no scans on time
    arrival_quiet_s: float = Field(10, ge=0, le=240)  # nothing heard of a folder for so long: it is complete
    backup_interval_h: int = Field(24, ge=0, le=8760)  # of SQLite; 0: none on time
    backup_keep: int = Field(7, ge=1, le=1000)  # days, one backup of each
    backup_dir: Path | None = None  # None: <data>/backups
    backup_patches: bool = True  # with the patch embeddings, ten times the size of all the rest
    watch_poll_s: int = Field(60, ge=1, le=86400)  # how often polled folders are looked through
    device: Device = "auto"
    worker_memory_mb: int | None = Field(None, ge=300)  # None: by what the machine has
    worker_nice: int = Field(10, ge=0, le=19)
    worker_io: IoClass = "idle"
    work_hours: tuple[str, ...] = ()  # 22:00-07:00; workers take files only then
    cpu_share: int = Field(100, ge=1, le=100)  # percent of a core, for each worker
    file_limit_s: int = Field(120, ge=10, le=86400)  # for one file, at least; long ones get as long as they play
    models_idle_s: int = Field(300, ge=1)  # after this without work the models leave memory
    navidrome_url: str | None = None
    navidrome_user: str | None = None
    navidrome_password: SecretStr | None = None
    fixed: frozenset[str] = frozenset({"data_dir"})

    environment_names: ClassVar[frozenset[str]]

    @field_validator("data_dir", "models_dir", "backup_dir")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else Path(os.path.abspath(value.expanduser()))

    @field_validator("file_write_mode", mode="before")
    @classmethod
    def _old_names(cls, value: object) -> object:
        return OLD_WRITE_MODES.get(value, value) if isinstance(value, str) else value

    @field_validator("workers", mode="before")
    @classmethod
    def _by_cores(cls, value: object) -> object:
        return None if value == "auto" else value

    @field_validator("standard_fields", mode="before")
    @classmethod
    def _known_fields(cls, value: object) -> object:  # after `_lines`, which is declared after it
        names = list(dict.fromkeys(str(one).lower() for one in value)) if isinstance(value, list | tuple) else []
        for name in names:
            if name not in get_args(StandardField):
                why = ": Nomarr works out neither tempo nor key" if name in ("bpm", "key") else ""
                raise ValueError(f"{name!r} cannot be filled{why}; mood and genre can")
        return tuple(names) if isinstance(value, list | tuple) else value

    @field_validator(
        "library_ignore_patterns",
        "browse_roots",
        "trusted_proxies",
        "root_mapping",
        "work_hours",
        "standard_fields",
        "fixed",
        mode="before",
    )
    @classmethod
    def _lines(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.replace("\n", ",").split(",") if part.strip())
        return value

    @field_validator("browse_roots")
    @classmethod
    def _absolute_roots(cls, value: tuple[Path, ...] | None) -> tuple[Path, ...] | None:
        return None if value is None else tuple(Path(os.path.abspath(root.expanduser())) for root in value)

    @field_validator("url_base")
    @classmethod
    def _base(cls, value: str) -> str:
        value = value.strip("/")
        if not re.fullmatch(r"[A-Za-z0-9._~-]*(/[A-Za-z0-9._~-]+)*", value) or {".", ".."} & set(value.split("/")):
            raise ValueError("expected the path of an address, such as /nomarr")
        if value.partition("/")[0] in OWN_PATHS:
            raise ValueError(f"/{value} is where Nomarr's own paths begin; choose another, such as /nomarr")
        return f"/{value}" if value else ""

    @field_validator("navidrome_url")
    @classmethod
    def _web_address(cls, value: str | None) -> str | None:
        return web_address(value)

    @field_validator("root_mapping")
    @classmethod
    def _pairs(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple("=".join(map(os.path.normpath, _pair(part))) for part in value)

    @field_validator("work_hours")
    @classmethod
    def _hours(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for part in value:
            if not re.fullmatch(rf"{TIME_OF_DAY}-{TIME_OF_DAY}", part):
                raise ValueError(f"{part!r} is not of the form 22:00-07:00")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple("*" if part == "*" else _address(part) for part in value if part != "none")

    @property
    def models(self) -> Path:
        return self.models_dir or self.data_dir.expanduser() / "models"

    @property
    def database(self) -> str:
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.data_dir.expanduser() / 'nomarr.db'}"

    def here(self, path: str) -> str:
        """Where on this machine lies what the database knows by that path."""
        for there, here in sorted(map(_pair, self.root_mapping), key=lambda pair: -len(pair[0])):
            if path == there or path.startswith(f"{there.rstrip('/')}/"):
                return os.path.join(here, path[len(there) :].lstrip("/")) if path != there else here
        return path

    def secrets(self) -> dict[str, str]:
        """The secrets that are set, as they are: for those they are meant for, and to keep them out of logs."""
        found = {name: getattr(self, name) for name in SECRETS}
        return {name: secret.get_secret_value() for name, secret in found.items() if secret is not None}

    def as_environment(self) -> dict[str, str]:
        """These very settings for a process to be started; its own environment must not decide otherwise."""
        values = self.model_dump(exclude_none=True)
        texts = {name: _text(value) for name, value in values.items()} | self.secrets()
        return {PREFIX + name.upper(): text for name, text in texts.items()}


# These also come as NOMARR_<NAME>_FILE.
SECRETS = tuple(
    name
    for name, field in Settings.model_fields.items()
    if SecretStr in (field.annotation, *get_args(field.annotation))
)
Settings.environment_names = frozenset(
    {PREFIX + name.upper() for name in Settings.model_fields} | {f"{PREFIX}{name.upper()}_FILE" for name in SECRETS}
)


def load_settings(environment: Mapping[str, str] | None = None, **given: Any) -> Settings:
    """Settings from all sources; `given` (command line) wins. Raises SettingsError naming what is wrong."""
    environment = os.environ if environment is None else environment
    values = {**_from_environment(environment), **{k: v for k, v in given.items() if v is not None}}
    values.setdefault("fixed", frozenset({*values, "data_dir"}))
    data_dir = Path(values.get("data_dir", Settings.model_fields["data_dir"].default)).expanduser()
    values = {**_from_file(data_dir / "nomarr.yaml"), **values}
    try:
        return Settings(**{"data_dir": data_dir, **values})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]) or "settings"
        raise SettingsError(f"{name}: {first['msg'].removeprefix('Value error, ')}") from error


def unknown_names(environment: Mapping[str, str] | None = None) -> list[str]:
    """NOMARR_ variables that mean nothing to this version, most likely misspelt."""
    environment = os.environ if environment is None else environment
    return sorted(n for n in environment if n.startswith(PREFIX) and n not in Settings.environment_names)


def _text(value: object) -> str:
    if isinstance(value, frozenset):
        return "\n".join(sorted(value))
    return "\n".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _pair(text: str) -> tuple[str, str]:
    there, separator, here = text.partition("=/")
    if not separator or not there.startswith("/"):
        raise ValueError(f"{text!r} is not of the form /music=/mnt/nas/music")
    return there, f"/{here}"


def web_address(text: str | None) -> str | None:
    """An address without a slash at its end; ValueError if it is none, or holds more than an address."""
    if not text:
        return None
    parts = urlsplit(text.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.port == 0:
        raise ValueError("it must begin with http:// or https://, and hold no name and no password")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text, strict=False) if "/" in text else ipaddress.ip_address(text))
    except ValueError as error:
        raise ValueError(f"{text!r} is neither an address nor a network") from error


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in Settings.model_fields:
        variable = PREFIX + name.upper()
        if environment.get(variable, "") != "":
            values[name] = environment[variable]
        elif name in SECRETS and environment.get(f"{variable}_FILE"):
            file = Path(environment[f"{variable}_FILE"])
            try:
                values[name] = file.read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise SettingsError(f"{variable}_FILE: cannot read {file}: {error}") from error
            if not values[name]:
                raise SettingsError(f"{variable}_FILE: {file} is empty")
    return values


def _from_file(file: Path) -> dict[str, Any]:
    try:
        loaded = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"{file}: {error}") from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise SettingsError(f"{file}: expected lines of the form name: value")
    values = {ALIASES.get(str(name), str(name)): value for name, value in loaded.items()}
    unknown = sorted(name for name in values if name not in Settings.model_fields or name == "fixed")
    if unknown:
        raise SettingsError(f"{file}: unknown setting {unknown[0]!r}")
    return values
