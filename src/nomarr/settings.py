"""Settings, read and checked once at start: defaults < nomarr.yaml in the data directory < environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from nomarr.errors import SettingsError

PREFIX = "NOMARR_"
SECRETS = ("admin_password", "database_url")  # these also come as NOMARR_<NAME>_FILE

WriteMode = Literal["native", "moods", "none"]
OLD_WRITE_MODES = {"full": "native", "minimal": "moods"}


class Settings(BaseModel):
    """What a person can set. Every field is also an environment variable, NOMARR_ and the name in capitals."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data_dir: Path = Path("~/.local/share/nomarr")
    models_dir: Path | None = None
    database_url: SecretStr | None = None
    host: str = "127.0.0.1"
    port: int = Field(8356, ge=0, le=65535)
    admin_password: SecretStr | None = None
    workers: int | None = Field(None, ge=0, le=256)
    session_timeout_s: int = Field(86400, ge=60)
    namespace: str = Field("nom", pattern=r"^[a-z][a-z0-9_]{0,15}$")
    file_write_mode: WriteMode = "native"
    library_auto_tag: bool = True
    library_ignore_patterns: tuple[str, ...] = ()
    log_level: Literal["debug", "info", "warning", "error"] | None = None  # by command: server info, others warning
    lease_s: int = Field(60, ge=5, le=3600)

    environment_names: ClassVar[frozenset[str]]

    @field_validator("data_dir", "models_dir")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else Path(os.path.abspath(value.expanduser()))

    @field_validator("file_write_mode", mode="before")
    @classmethod
    def _old_names(cls, value: object) -> object:
        return OLD_WRITE_MODES.get(value, value) if isinstance(value, str) else value

    @field_validator("library_ignore_patterns", mode="before")
    @classmethod
    def _lines(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.replace("\n", ",").split(",") if part.strip())
        return value

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
        texts = {name: "\n".join(v) if isinstance(v, tuple) else str(v) for name, v in values.items()}
        texts.update({name: secret.get_secret_value() for name, secret in secrets.items()})
        return {PREFIX + name.upper(): text for name, text in texts.items()}


Settings.environment_names = frozenset(
    {PREFIX + name.upper() for name in Settings.model_fields} | {f"{PREFIX}{name.upper()}_FILE" for name in SECRETS}
)


def load_settings(environment: Mapping[str, str] | None = None, **given: Any) -> Settings:
    """Settings from all sources; `given` (command line) wins. Raises SettingsError naming what is wrong."""
    environment = os.environ if environment is None else environment
    values = {**_from_environment(environment), **{k: v for k, v in given.items() if v is not None}}
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
    unknown = sorted(str(k) for k in loaded if k not in Settings.model_fields)
    if unknown:
        raise SettingsError(f"{file}: unknown setting {unknown[0]!r}")
    return loaded
