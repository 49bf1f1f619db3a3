"""Settings, read and checked once at start: defaults < nomarr.yaml in the data directory < environment."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from nomarr.errors import SettingsError

PREFIX = "NOMARR_"
SECRETS = ("admin_password", "database_url")  # these also come as NOMARR_<NAME>_FILE

ALIASES = {"tagger_worker_count": "workers"}  # other names that nomarr.yaml may use
LONGEST_TIMEOUT_S = 10 * 366 * 86400

WriteMode = Literal["native", "moods", "none"]
MtimePolicy = Literal["now", "keep", "keep_plus_1s"]
HardlinkPolicy = Literal["break", "skip", "in_place"]
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
    browse_roots: tuple[Path, ...] | None = None  # where folders may be picked; None: the usual places
    trusted_proxies: tuple[str, ...] = ("127.0.0.1", "::1")  # addresses, networks, * for all, or none
    log_level: Literal["debug", "info", "warning", "error"] | None = None  # by command: server info, others warning
    lease_s: int = Field(60, ge=5, le=3600)
    fixed: frozenset[str] = frozenset({"data_dir"})

    environment_names: ClassVar[frozenset[str]]

    @field_validator("data_dir", "models_dir")
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

    @field_validator("library_ignore_patterns", "browse_roots", "trusted_proxies", "fixed", mode="before")
    @classmethod
    def _lines(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.replace("\n", ",").split(",") if part.strip())
        return value

    @field_validator("browse_roots")
    @classmethod
    def _absolute_roots(cls, value: tuple[Path, ...] | None) -> tuple[Path, ...] | None:
        return None if value is None else tuple(Path(os.path.abspath(root.expanduser())) for root in value)

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

    def as_environment(self) -> dict[str, str]:
        """These very settings for a process to be started; its own environment must not decide otherwise."""
        values = self.model_dump(exclude_none=True)
        secrets = {name: value for name in SECRETS if (value := getattr(self, name)) is not None}
        texts = {name: _text(value) for name, value in values.items()}
        texts.update({name: secret.get_secret_value() for name, secret in secrets.items()})
        return {PREFIX + name.upper(): text for name, text in texts.items()}


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
