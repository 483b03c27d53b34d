"""All services, started and stopped for real: whole, twice the same, and nothing left."""

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from cli.health import conditions
from cli.jars import ROOT
from cli.orphans import marked, still_there
from cli.ports import is_free
from cli.services import Service, services
from cli.supervision import start, stop
from cli.supervisord import running
from data_contracts.settings import Settings, load
from spark_jobs.session import connect
from tests.conftest import free_port

pytestmark = pytest.mark.end_to_end


def unseen(service: Service, state: str, seconds: float) -> None:
    pass


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A platform that is started, on ports of its own; whatever a test leaves of it is stopped."""
    folder = tmp_path_factory.mktemp("platform")
    overlay = folder / "conf.toml"
    keys = ("spark_port", "airflow_port", "mlflow_port", "serving_port")
    overlay.write_text("[services]\n" + "".join(f"{key} = {free_port()}\n" for key in keys))
    settings = load({"CLICKLAKE_HOME": str(folder / "home"), "CLICKLAKE_CONF": str(overlay)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLICKLAKE_CONF", str(overlay))
        try:
            start(settings, unseen)
            yield settings
        finally:
            stop(settings)


def unhealthy(settings: Settings) -> list[str]:
    return [each.name for each in conditions(services(settings), running(settings.home)) if not each.healthy]


def pids(settings: Settings) -> dict[str, int]:
    return {each.name: each.pid for each in conditions(services(settings), running(settings.home))}


def are_replaced(settings: Settings, killed: dict[str, int], seconds: float = 90) -> bool:
    """Whether everything is healthy within `seconds`, and each of `killed` has another pid."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        now = pids(settings)
        if not unhealthy(settings) and all(now[name] != pid for name, pid in killed.items()):
            return True
        time.sleep(0.5)
    return False


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


def test_no_program_has_a_file_in_the_machines_temporary_folder(platform: Settings) -> None:
    spark = connect(platform)
    assert spark.range(10).selectExpr("id % 2 AS odd").groupBy("odd").count().count() == 2
    spark.stop()
    used = {file.path for program in marked(platform.home) for file in program.memory_maps() + program.open_files()}
    temporary = {Path(path) for path in used if Path(path).is_relative_to(tempfile.gettempdir())}
    own = (platform.home, ROOT)  # the checkout itself may lie in a temporary folder
    assert [path for path in temporary if not any(path.is_relative_to(folder) for folder in own)] == []
    scratch = platform.home / "spark" / "scratch"
    assert any(path.startswith(str(scratch / "liblz4")) for path in used)


def test_other_settings_are_refused_while_it_runs(platform: Settings) -> None:
    from cli.errors import CommandError

    with pytest.raises(CommandError, match="run `clicklake stop` first"):
        start(replace(platform, model_name="another"), unseen)


def test_killed_services_are_replaced_and_their_children_do_not_stay(platform: Settings) -> None:
    killed = {name: pid for name, pid in pids(platform).items() if name in ("mlflow", "airflow-scheduler")}
    children = [child for pid in killed.values() for child in psutil.Process(pid).children(recursive=True)]
    assert len(children) >= len(killed)
    for pid in killed.values():
        os.kill(pid, signal.SIGKILL)
    assert are_replaced(platform, killed)
    assert still_there(children, 0) == []


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
