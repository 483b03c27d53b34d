"""A Spark Connect server apart from any platform, as `make run` would start it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping

from cli.services import environment, services
from cli.spark_server import write_spark_properties
from data_contracts.settings import Settings

START_SECONDS = 120


def started(settings: Settings, variables: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """The server of these settings, once it listens; its output is in <home>/spark.log. `ended` ends it."""
    service = next(service for service in services(settings) if service.name == "spark")
    service.folder.mkdir(parents=True, exist_ok=True)
    write_spark_properties(settings)
    with (settings.home / "spark.log").open("a") as log:
        server = subprocess.Popen(
            service.command,
            cwd=service.folder,
            env={**environment(settings), **service.environment, **(variables or {})},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + START_SECONDS
    while not _listens(settings):
        if server.poll() is not None or time.monotonic() > deadline:
            ended(server)
            sys.exit(f"Spark did not start:\n{(settings.home / 'spark.log').read_text()[-4000:]}")
        time.sleep(0.2)
    return server


def ended(server: subprocess.Popen[bytes]) -> None:
    """Kills a server with all that it started."""
    os.killpg(server.pid, signal.SIGKILL)
    server.wait()


def _listens(settings: Settings) -> bool:
    try:
        socket.create_connection((settings.services.host, settings.services.spark_port), timeout=1).close()
    except OSError:
        return False
    return True
