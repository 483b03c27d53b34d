"""Configuration: conf/base.toml and its overlays, read once into frozen dataclasses; an unknown key is an error."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from data_contracts.configuration import CONF, ConfigurationError, configured
from data_contracts.sections import OPEN, Canary, Clock, Features, Gate, Ingest, Retention, Services, Serving, Training

__all__ = ["CONF", "HOME_CONF", "ConfigurationError", "Settings", "load"]

HOME_CONF = "conf.toml"
"""The file of a home whose keys replace those of conf/base.toml: what is true of the rows it holds."""


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
    canary: Canary
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
    def api_keys(self) -> Path:
        """The hashes of the keys that serving takes, with their roles; mode 0600."""
        return self.home / "secrets" / "api_keys.json"

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
    """Settings of base.toml overlaid by <home>/conf.toml, if it is there, and by the file that CLICKLAKE_CONF names,
    with state under CLICKLAKE_HOME.

    Raises ConfigurationError on an unknown or missing key, a wrong type, a file that is not TOML, or open access beyond
    loopback.
    """
    overlay_name = environ.get("CLICKLAKE_CONF")
    home = Path(environ.get("CLICKLAKE_HOME") or CONF.parent / "var").resolve()
    own = home / HOME_CONF
    overlays = [*([own] if own.exists() else []), *([Path(overlay_name)] if overlay_name else [])]
    settings: Settings = configured(Settings, CONF / "base.toml", *overlays, home=home)
    if settings.serving.access == OPEN and not settings.services.is_loopback:
        raise ConfigurationError(
            f'services.host is {settings.services.host!r}, not loopback, and serving.access is "{OPEN}": set access to '
            '"keys" and make some by `clicklake key add`, or listen on 127.0.0.1'
        )
    return settings
