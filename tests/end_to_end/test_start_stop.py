"""All services, started and stopped for real: whole, twice the same, and nothing left."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cli.health import conditions
from cli.orphans import marked
from cli.ports import is_free
from cli.services import Service, services
from cli.supervision import start, stop
from cli.supervisord import running
from data_contracts.settings import Settings, load

pytestmark = pytest.mark.end_to_end


def unseen(service: Service, state: str, seconds: float) -> None:
    pass


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A platform that is started, on ports of its own; whatever a test leaves of it is stopped."""
    folder = tmp_path_factory.mktemp("platform")
    overlay = folder / "conf.toml"
    keys = ("spark_port", "airflow_port", "mlflow_port", "serving_port")
    probes = {key: socket.create_server(("127.0.0.1", 0)) for key in keys}
    overlay.write_text("[services]\n" + "".join(f"{key} = {probes[key].getsockname()[1]}\n" for key in keys))
    for probe in probes.values():
        probe.close()
    settings = load({"CLICKLAKE_HOME": str(folder / "home"), "CLICKLAKE_CONF": str(overlay)})
    os.environ["CLICKLAKE_CONF"] = str(overlay)
    try:
        start(settings, unseen)
        yield settings
    finally:
        stop(settings)
        del os.environ["CLICKLAKE_CONF"]


def unhealthy(settings: Settings) -> list[str]:
    return [each.name for each in conditions(services(settings), running(settings.home)) if not each.healthy]


def pids(settings: Settings) -> dict[str, int]:
    return {each.name: each.pid for each in conditions(services(settings), running(settings.home))}


def healthy_again(settings: Settings, seconds: float = 90) -> bool:
    deadline = time.monotonic() + seconds
    while unhealthy(settings) and time.monotonic() < deadline:
        time.sleep(0.5)
    return not unhealthy(settings)


def test_everything_is_healthy_and_a_second_start_starts_nothing(platform: Settings) -> None:
    assert unhealthy(platform) == []
    before = pids(platform)
    assert start(platform, unseen) == {}
    assert pids(platform) == before


def test_everything_listens_on_loopback_only(platform: Settings) -> None:
    listening = {
        connection.laddr.ip
        for program in marked(platform.home)
        for connection in program.net_connections(kind="tcp")
        if connection.status == "LISTEN"
    }
    assert listening <= {"127.0.0.1", "::ffff:127.0.0.1"}


def test_other_settings_are_refused_while_it_runs(platform: Settings) -> None:
    from cli.errors import CommandError

    with pytest.raises(CommandError, match="run `clicklake stop` first"):
        start(replace(platform, model_name="another"), unseen)


def test_killed_services_are_replaced_and_their_children_do_not_stay(platform: Settings) -> None:
    before = pids(platform)
    count = len(marked(platform.home))
    for name in ("mlflow", "airflow-scheduler"):
        os.kill(before[name], signal.SIGKILL)
    time.sleep(2)
    assert healthy_again(platform)
    after = pids(platform)
    assert after["mlflow"] != before["mlflow"]
    assert after["airflow-scheduler"] != before["airflow-scheduler"]
    assert len(marked(platform.home)) == count


def test_stop_clears_up_after_a_supervisord_that_was_killed(platform: Settings) -> None:
    os.kill(int((platform.home / "run" / "supervisord.pid").read_text()), signal.SIGKILL)
    assert stop(platform)
    assert_nothing_left(platform)


def test_stop_leaves_nothing_and_start_goes_on(platform: Settings) -> None:
    assert set(start(platform, unseen)) == {service.name for service in services(platform)}
    assert stop(platform)
    assert_nothing_left(platform)
    assert not stop(platform)


def assert_nothing_left(settings: Settings) -> None:
    assert marked(settings.home) == []
    host = settings.services.host
    assert all(is_free(host, service.port) for service in services(settings) if service.port)
    left = {path.name for path in Path(settings.home / "run").iterdir()}
    assert left == {"lock", "supervisord.conf"}
