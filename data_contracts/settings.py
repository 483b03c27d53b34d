"""Configuration: conf/base.toml and one overlay, read once into frozen dataclasses; an unknown key is an error."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from data_contracts.sections import Clock, Features, Gate, Ingest, Retention, Services, Serving, Training

CONF = Path(__file__).resolve().parent.parent / "conf"


class ConfigurationError(ValueError):
    """A configuration file that cannot be used; the message names file and key."""


@dataclass(frozen=True)
class Settings:
    """Everything an operator may tune, plus `home`, the folder that holds all state."""

    home: Path
    model_name: str
    clock: Clock
    services: Services
    ingest: Ingest
    retention: Retention
    features: Features
    training: Training
    gate: Gate
    serving: Serving

    @property
    def landing(self) -> Path:
        """Where events wait to be loaded: landing/<producer>/<number>.jsonl."""
        return self.home / "landing"

    @property
    def validation_page(self) -> Path:
        """What Great Expectations found, as a page for people; it is there once a table was checked."""
        return self.home / "reports" / "validation.html"

    @property
    def lake(self) -> Path:
        """One Delta table a folder."""
        return self.home / "lake"

    @property
    def checkpoints(self) -> Path:
        """Structured Streaming's progress, a folder a stream."""
        return self.home / "checkpoints"

    @property
    def snapshots(self) -> Path:
        """The online snapshots of counts; `current` points at the one in use."""
        return self.home / "snapshots"

    @property
    def pseudonym_key(self) -> Path:
        """The secret that turns a raw user id into its pseudonym; mode 0600, outside the lake."""
        return self.home / "secrets" / "pseudonym.key"

    @property
    def spark_remote(self) -> str:
        return f"sc://{self.services.host}:{self.services.spark_port}"

    @property
    def mlflow_url(self) -> str:
        return f"http://{self.services.host}:{self.services.mlflow_port}"

    @property
    def airflow_url(self) -> str:
        return f"http://{self.services.host}:{self.services.airflow_port}"

    @property
    def serving_url(self) -> str:
        return f"http://{self.services.host}:{self.services.serving_port}"


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings of base.toml overlaid by the file that CLICKLAKE_CONF names, with state under CLICKLAKE_HOME.

    Raises ConfigurationError on an unknown or missing key, a wrong type, or a file that is not TOML.
    """
    base = CONF / "base.toml"
    tables = _read(base)
    origins = dict.fromkeys(_keys(tables), base)
    if overlay_name := environ.get("CLICKLAKE_CONF"):
        overlay = Path(overlay_name)
        changes = _read(overlay)
        origins |= dict.fromkeys(_keys(changes), overlay)
        tables = _overlaid(tables, changes)
    home = Path(environ.get("CLICKLAKE_HOME") or CONF.parent / "var").resolve()
    settings: Settings = _value(Settings, {"home": home, **tables}, "", origins)
    return settings


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode())
    except FileNotFoundError:
        raise ConfigurationError(f"{path}: no such file (CLICKLAKE_CONF names the overlay)") from None
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigurationError(f"{path}: not valid TOML: {error}") from None


def _keys(table: Mapping[str, Any], prefix: str = "") -> list[str]:
    own = [prefix + key for key in table]
    return own + [
        inner for key, value in table.items() if isinstance(value, dict) for inner in _keys(value, f"{prefix}{key}.")
    ]


def _overlaid(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        nested = isinstance(value, dict) and isinstance(under.get(key), dict)
        merged[key] = _overlaid(under[key], value) if nested else value
    return merged


def _value(kind: Any, given: Any, key: str, origins: Mapping[str, Path]) -> Any:
    """`given` as `kind`, a dataclass or a plain type, or a ConfigurationError that names file and key."""
    where = f"{origins.get(key, CONF / 'base.toml')}: {key}"
    if is_dataclass(kind):
        return _section(kind, given, key, origins, where)
    if kind == tuple[str, ...]:
        if isinstance(given, list) and all(isinstance(item, str) for item in given):
            return tuple(given)
        raise ConfigurationError(f"{where} is {given!r}, not a list of strings")
    if kind is float and type(given) is int:
        return float(given)
    if not isinstance(given, kind) or (kind is int and isinstance(given, bool)):
        raise ConfigurationError(f"{where} is {given!r}, not {'text' if kind is str else kind.__name__}")
    return given


def _section(kind: Any, given: Any, key: str, origins: Mapping[str, Path], where: str) -> Any:
    if not isinstance(given, dict):
        raise ConfigurationError(f"{where} is {given!r}, not a section")
    types, prefix = get_type_hints(kind), f"{key}." if key else ""
    known = [field.name for field in fields(kind)]
    for name in given:
        if name not in known:
            file = origins.get(prefix + name, CONF / "base.toml")
            raise ConfigurationError(f"{file}: unknown key {prefix + name}; known here: {', '.join(known)}")
    for name in known:
        if name not in given:
            raise ConfigurationError(f"{CONF / 'base.toml'}: missing key {prefix + name}")
    values = {name: _value(types[name], given[name], prefix + name, origins) for name in known}
    try:
        return kind(**values)
    except ValueError as error:
        raise ConfigurationError(f"{where}.{error}") from None
