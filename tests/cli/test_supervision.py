"""Starts that must leave nothing; the start of everything is in tests/end_to_end."""

import fcntl
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from cli.errors import CommandError
from cli.orphans import marked
from cli.ports import is_free
from cli.services import Service
from cli.supervision import start, stop
from cli.supervisord import running
from data_contracts.settings import Settings
from tests.cli.conftest import SmallPlatform


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


def test_a_service_that_fails_half_way_leaves_nothing_running(small_platform: SmallPlatform) -> None:
    settings, well = small_platform.settings, small_platform.services[0]
    small_platform.break_ill()
    seen = []
    with pytest.raises(CommandError, match=r"ill did not start: (.|\n)*\n    the ill one is out of order$"):
        start(settings, lambda service, state, seconds: seen.append((service.name, state)))
    assert seen.index(("well", "healthy")) < seen.index(("ill", "failed")) < seen.index(("well", "stopping"))
    assert marked(settings.home) == []
    assert running(settings.home) is None
    assert is_free("127.0.0.1", well.port)
    assert {path.name for path in (settings.home / "run").iterdir()} == {"lock", "supervisord.conf"}


def test_what_ran_before_a_start_that_fails_goes_on_running(small_platform: SmallPlatform) -> None:
    settings = small_platform.settings
    assert set(start(settings, unseen)) == {"well", "ill"}
    supervisord = running(settings.home)
    assert supervisord is not None
    before = supervisord.programs()["well"]["pid"]
    supervisord.stop("ill")
    small_platform.break_ill()
    with pytest.raises(CommandError, match="ill did not start"):
        start(settings, unseen)
    after = supervisord.programs()
    assert (after["well"]["statename"], after["well"]["pid"]) == ("RUNNING", before)
    assert after["ill"]["statename"] in {"FATAL", "STOPPED"}


def test_temporary_files_of_spark_are_cleared_when_it_is_started_and_never_while_it_runs(
    small_platform: SmallPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, (well, ill) = small_platform.settings, small_platform.services
    monkeypatch.setattr("cli.supervision.services", lambda _: (replace(well, name="spark"), ill))
    monkeypatch.setattr("cli.supervisord.services", lambda _: (replace(well, name="spark"), ill))
    left = settings.home / "spark" / "scratch" / "liblz4-java-1.so"
    left.parent.mkdir(parents=True)
    left.touch()
    assert set(start(settings, unseen)) == {"spark", "ill"}
    assert list(left.parent.iterdir()) == []
    left.touch()
    assert start(settings, unseen) == {}
    assert left.exists()
