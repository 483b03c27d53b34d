"""Fixtures that more than one package's tests need: settings of their own, and one Spark Connect server for the run."""

import os
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
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
# A shell that runs the tests in the background has them ignore Ctrl-C, and so would all that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

TEST_CONF = Path(__file__).resolve().parent.parent / "conf" / "test.toml"
QUICK_JVM = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m"
"""A JVM that lives for minutes spends more on its best compiler than that gives back. Without it the JVM would reserve
48 MB for compiled code, which Spark fills in a minute: then it has no room for what it must compile, and stops."""
SMALL_DATA = "".join(
    f" -Dspark.sql.{setting}"
    for setting in ("codegen.wholeStage=false", "codegen.factoryMode=NO_CODEGEN", "adaptive.enabled=false")
)
"""A few rows a statement: compiling a plan, and planning it again half-way, take longer than running it. The tests that
start a platform or a server of their own have the platform's settings."""


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


@pytest.fixture
def add_version(store: "MlflowClient", tmp_path: Path) -> Callable[..., str]:
    """Registers a version with a run of its own; gives it."""

    def add(**tags: str) -> str:
        if not store.search_registered_models():
            store.create_registered_model("ad_ctr")
        experiment = store.get_experiment_by_name("ad_ctr")
        run = store.create_run(experiment.experiment_id)
        store.log_metric(run.info.run_id, "holdout_log_loss", 0.03)
        return str(store.create_model_version("ad_ctr", str(tmp_path), run.info.run_id, tags=tags).version)

    return add


@pytest.fixture(scope="session")
def spark_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings whose spark_remote has a real Spark Connect server behind it, the one of `make run`."""
    from bench.spark_server import ended, started

    home = tmp_path_factory.mktemp("spark")
    overlay = home / "conf.toml"
    overlay.write_text(f'[services]\nspark_port = {free_port()}\nspark_driver_memory = "2g"\n')
    settings = load({"CLICKLAKE_HOME": str(home), "CLICKLAKE_CONF": str(overlay)})
    server = started(settings, {"JAVA_TOOL_OPTIONS": QUICK_JVM + SMALL_DATA})
    try:
        yield settings
    finally:
        ended(server)
