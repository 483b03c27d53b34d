"""How long each stage of a run took, kept in <home>/run/first_run.json for bench/first_run.py."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from data_contracts.settings import Settings

Result = TypeVar("Result")


def timings_path(settings: Settings) -> Path:
    return settings.home / "run" / "first_run.json"


def record(settings: Settings, seconds: Mapping[str, float]) -> None:
    """Adds stage -> seconds; a stage done again replaces its figure, one that was skipped keeps it."""
    path = timings_path(settings)
    known = json.loads(path.read_text()) if path.exists() else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(known | {name: round(taken, 2) for name, taken in seconds.items()}, indent=2) + "\n")


def timed(action: Callable[[], Result]) -> tuple[Result, float]:
    """What `action` returns, and the seconds it took."""
    began = time.monotonic()
    result = action()
    return result, time.monotonic() - began
