"""Starts that must leave nothing; the start of everything is in tests/end_to_end."""

import fcntl
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from cli.errors import CommandError
from cli.orphans import marked
from cli.services import Service
from cli.supervision import start, stop
from data_contracts.settings import Settings


def unseen(service: Service, state: str, seconds: float) -> None:
    pass


def test_a_taken_port_leaves_nothing_started(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        taken = replace(settings, services=replace(settings.services, serving_port=port, least_free_disk_gib=0))
        with pytest.raises(
            CommandError, match=rf"port {port}, which serving needs, is taken by pid \d+ .*serving_port"
        ):
            start(taken, unseen)
    assert marked(settings.home) == []
    assert not (settings.home / "run" / "supervisord.conf").exists()


def test_a_second_start_or_stop_of_a_home_is_told_to_wait(settings: Settings) -> None:
    (settings.home / "run").mkdir(parents=True)
    with (settings.home / "run" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for action in (lambda: start(settings, unseen), lambda: stop(settings)):
            with pytest.raises(CommandError, match=f"another start or stop of {settings.home} is at work"):
                action()


def test_a_home_that_the_services_files_cannot_name_is_refused(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="holds '%'"):
        start(replace(settings, home=tmp_path / "50%"), unseen)
