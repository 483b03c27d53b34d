"""Two platforms, one after the other: on a small market for most files, in their order, whose last command is that of
the README, which stops it; and on the Open Bandit Dataset."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from cli.orphans import marked
from data_contracts.settings import Settings, load
from tests.conftest import free_port

ROOT = Path(__file__).resolve().parents[2]
CLICKLAKE = str(Path(sys.prefix) / "bin" / "clicklake")
RUN_SECONDS = 900


@dataclass(frozen=True)
class Platform:
    settings: Settings
    environ: dict[str, str]
    first_run: str

    def clicklake(self, *arguments: str) -> str:
        return ran([CLICKLAKE, *arguments], self.environ)


def ran(command: list[str], environ: dict[str, str]) -> str:
    done = subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=RUN_SECONDS, check=False
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout[-8000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="package")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform on a market of its own, smaller than the one of `make run`, after its first `clicklake run`."""
    size = ("--days", "9", "--impressions-per-day", "8000", "--seed", "3")
    with running(tmp_path_factory.mktemp("platform"), "", size) as platform:
        yield platform


@contextmanager
def running(folder: Path, conf: str, market: tuple[str, ...], *words: str) -> Iterator[Platform]:
    """A platform on ports of its own, after `clicklake run [words]` on the market of these words, if there are any."""
    overlay = folder / "conf.toml"
    ports = "".join(f"{name}_port = {free_port()}\n" for name in ("spark", "airflow", "mlflow", "serving"))
    schedules = "".join(f'[{each}]\nschedule = "0 0 1 1 *"\n' for each in ("ingest", "retention", "training"))
    overlay.write_text(f"[services]\n{ports}[serving]\nsegment_limit_seconds = 1.0\n{schedules}{conf}")
    temporary = folder / "tmp"
    temporary.mkdir()
    own = {"CLICKLAKE_HOME": str(folder / "home"), "CLICKLAKE_CONF": str(overlay), "TMPDIR": str(temporary)}
    environ = os.environ | own
    try:
        if market:
            ran([CLICKLAKE, "simulate", *market], environ)
        first_run = ran([CLICKLAKE, "run", *words], environ)
        yield Platform(load(environ), environ, first_run)
    finally:
        subprocess.run([CLICKLAKE, "stop"], env=environ, capture_output=True, check=False)
        assert marked(load(environ).home) == []
