"""A platform of two small programs, started, watched and stopped by the real supervision."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from cli.services import Service
from cli.supervision import stop
from data_contracts.settings import Settings
from tests.conftest import free_port


@dataclass(frozen=True)
class SmallPlatform:
    """`well` listens; so does `ill`, unless it is `broken` before its start."""

    settings: Settings
    services: tuple[Service, Service]

    def break_ill(self) -> None:
        folder = self.services[1].folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "broken").touch()


def small_service(home: Path, name: str) -> Service:
    port = free_port()
    listen = f"exec {sys.executable} -m http.server {port} --bind 127.0.0.1"
    script = f"if test -e broken; then echo the {name} one is out of order; exit 1; fi; {listen}"
    return Service(
        name=name,
        command=("/bin/sh", "-c", script),
        folder=home / name,
        health=f"tcp://127.0.0.1:{port}",
        port=port,
        steady_seconds=1,
        stop_seconds=5,
    )


@pytest.fixture
def small_platform(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallPlatform]:
    """Not started yet; whatever a test leaves of it is stopped."""
    settings = replace(settings, services=replace(settings.services, least_free_disk_gib=0))
    listed = small_service(settings.home, "well"), small_service(settings.home, "ill")
    for module in ("supervision", "supervisord"):
        monkeypatch.setattr(f"cli.{module}.services", lambda _: listed)
    try:
        yield SmallPlatform(settings, listed)
    finally:
        stop(settings)
