"""Configuration: conf/base.toml and one overlay, read once into frozen dataclasses; an unknown key is an error."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_type_hints

CONF = Path(__file__).resolve().parent.parent / "conf"


class ConfigurationError(ValueError):
    """A configuration file that cannot be used; the message names file and key."""


@dataclass(frozen=True)
class Clock:
    """`stated` is a fixed ISO 8601 instant that lets an old log be served as if it were then; empty: the real time."""

    stated: str

    def __post_init__(self) -> None:
        try:
            self.now()
        except ValueError as error:
            raise ValueError(f"stated: {error}") from None

    def now(self) -> datetime:
        """The current instant, aware, in UTC."""
        return parsed_instant(self.stated) if self.stated else datetime.now(UTC)


@dataclass(frozen=True)
class Services:
    """Where the services listen (always loopback unless `host` says otherwise) and how long a start may take."""

    host: str
    spark_port: int
    airflow_port: int
    mlflow_port: int
    serving_port: int
    spark_driver_memory: str
    spark_cores: int
    airflow_user: str
    start_timeout_seconds: int
    least_free_disk_gib: int

    def __post_init__(self) -> None:
        ports = [self.spark_port, self.airflow_port, self.mlflow_port, self.serving_port]
        if not all(0 < port < 65536 for port in ports) or len(set(ports)) < len(ports):
            raise ValueError(f"*_port: the four ports must differ and lie within 1 and 65535, not {ports}")


@dataclass(frozen=True)
class Features:
    """`feature_set` names a file of data_contracts/feature_sets, or is the path of one elsewhere."""

    feature_set: str


@dataclass(frozen=True)
class Training:
    """Sizes of the time slices (newest last: train, early stopping, calibration, holdout) and XGBoost's knobs."""

    early_stopping_hours: int
    calibration_hours: int
    holdout_hours: int
    rounds: int
    early_stopping_rounds: int
    max_depth: int
    learning_rate: float
    min_child_weight: float
    subsample: float
    seed: int


@dataclass(frozen=True)
class Gate:
    """What a challenger must meet before it may take traffic (see ml/evaluate.py)."""

    calibration_ratio_low: float
    calibration_ratio_high: float
    worst_relative_entropy_change: float
    suspicious_relative_entropy_gain: float
    slice_columns: tuple[str, ...]
    slice_least_clicks: int
    bootstrap_rounds: int
    seed: int


@dataclass(frozen=True)
class Serving:
    """How the scoring endpoint behaves."""

    champion_poll_seconds: float
    default_position: int
    prior_strength: float
    slate_limit: int
    body_limit_bytes: int
    segment_limit_bytes: int
    segment_limit_seconds: float


@dataclass(frozen=True)
class Settings:
    """Everything an operator may tune, plus `home`, the folder that holds all state."""

    home: Path
    model_name: str
    clock: Clock
    services: Services
    features: Features
    training: Training
    gate: Gate
    serving: Serving

    @property
    def landing(self) -> Path:
        """Where events wait to be loaded: landing/<producer>/<number>.jsonl."""
        return self.home / "landing"

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


def parsed_instant(text: str) -> datetime:
    """An aware UTC instant from ISO 8601 text that states its zone; ValueError otherwise."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; write for example 2019-11-30T23:00:00Z")
    return instant.astimezone(UTC)


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
