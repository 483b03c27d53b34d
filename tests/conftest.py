"""Fixtures that more than one package's tests need: settings of their own, and one Spark Connect server for the run."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from data_contracts.settings import Settings, load

if TYPE_CHECKING:
    from mlflow import MlflowClient

# Spark Connect's collect gives local times, naive: wherever the tests run, local is UTC.
os.environ["TZ"] = "UTC"
time.tzset()

TEST_CONF = Path(__file__).resolve().parent.parent / "conf" / "test.toml"
SPARK_START_SECONDS = 120


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without `-m soak` the long forms stay out, whatever else is asked for."""
    if "soak" in config.option.markexpr:
        return
    long = [item for item in items if item.get_closest_marker("soak")]
    config.hook.pytest_deselected(items=long)
    items[:] = [item for item in items if item not in long]


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """conf/test.toml with a home of its own; nothing is started."""
    return load({"CLICKLAKE_HOME": str(tmp_path / "home"), "CLICKLAKE_CONF": str(TEST_CONF)})


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow store with a schema and nothing else; made once, since that costs a second."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("store") / "store.db"
    MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def store(empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "MlflowClient":
    """A store of its own, which the registry uses, with the experiment ad_ctr."""
    from mlflow import MlflowClient

    shutil.copy(empty_store, tmp_path / "store.db")
    uri = f"sqlite:///{tmp_path / 'store.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    client = MlflowClient(tracking_uri=uri)
    client.create_experiment("ad_ctr", artifact_location=str(tmp_path / "artifacts"))
    return client


@pytest.fixture(scope="session")
def spark_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings whose spark_remote has a real Spark Connect server behind it, the one of `make run`."""
    from cli.services import environment, services
    from cli.spark_server import write_spark_properties

    home = tmp_path_factory.mktemp("spark")
    overlay = home / "conf.toml"
    overlay.write_text(f'[services]\nspark_port = {free_port()}\nspark_driver_memory = "2g"\n')
    settings = load({"CLICKLAKE_HOME": str(home), "CLICKLAKE_CONF": str(overlay)})
    service = next(service for service in services(settings) if service.name == "spark")
    service.folder.mkdir(parents=True, exist_ok=True)
    write_spark_properties(settings)
    log = home / "spark.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            service.command,
            cwd=service.folder,
            # A JVM that lives for minutes spends more on its best compiler than that gives back.
            env={**environment(settings), **service.environment, "JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1"},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        _wait_for_port(settings, server, log)
        yield settings
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _wait_for_port(settings: Settings, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + SPARK_START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        try:
            socket.create_connection((settings.services.host, settings.services.spark_port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"the Spark Connect server did not start:\n{log.read_text()[-4000:]}")
