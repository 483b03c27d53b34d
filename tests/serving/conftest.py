"""Real parts in small: a published snapshot, a registry with sound and broken versions, serving over real HTTP."""

import importlib
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import lmdb
import pytest
import uvicorn

from data_contracts.keys import entity_name
from data_contracts.known_users import is_of_user, user_entries
from data_contracts.settings import Settings, load
from data_contracts.snapshot import (
    A_USER,
    AD,
    META_KEY,
    SnapshotMeta,
    entity_key,
    make_current,
    packed_attributes,
    packed_counts,
    snapshot_file,
    stored_key,
)
from serving.__main__ import server_config
from serving.application import Application
from tests.serving.landed import landed_rows
from tests.serving.tiny_registry import Registry, fill

NOON = 1575115200  # 2019-11-30T12:00:00Z
LAYOUT = {
    "ad_id": ["ad_impressions_7d", "ad_clicks_7d"],
    "ad_id|device_type": ["ad_device_type_impressions_7d", "ad_device_type_clicks_7d"],
    "user_id": ["user_impressions_7d", "user_clicks_7d"],
}
ENTITIES = {
    ("ad_id", "shoes"): (1000, 50),
    ("ad_id", "hats"): (200, 1),
    ("ad_id|device_type", "shoes", "phone"): (600, 40),
    ("ad_id|device_type", "shoes", "unknown"): (400, 10),
}


def wait_for(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    """What `condition` returns once that is true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)
    return found


@pytest.fixture
def waiting() -> Callable[..., Any]:
    return wait_for


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


OVERLAY = """
[clock]
stated = "2019-11-30T12:30:00Z"
[services]
mlflow_port = {}
serving_port = {}
[serving]
champion_poll_seconds = 0.05
segment_limit_seconds = 0.2
slate_limit = 20
body_limit_bytes = 20000
invocations_limit_bytes = 30000
"""


def environment(folder: Path) -> dict[str, str]:
    """For a serving with a home and ports of its own; nobody listens where it looks for MLflow."""
    overlay = folder / "overlay.toml"
    overlay.write_text(OVERLAY.format(free_port(), free_port()))
    return {"CLICKLAKE_HOME": str(folder / "home"), "CLICKLAKE_CONF": str(overlay)}


@pytest.fixture(autouse=True)
def no_mock_module() -> Iterator[None]:
    """MLflow's loading of a model, where two tests' threads did it at once, leaves a `dbutils` without a file among the
    modules, which Hypothesis trips over."""
    yield
    sys.modules.pop("dbutils", None)


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return environment(tmp_path)


@pytest.fixture
def settings(environ: dict[str, str]) -> Settings:
    return load(environ)


@pytest.fixture
def publish(settings: Settings) -> Callable[..., Path]:
    """Writes a snapshot as publish_counts does, and makes it current."""

    def published(
        as_of: int = NOON,
        entities: Mapping[tuple[str, ...], tuple[int, ...]] = ENTITIES,
        layout: Mapping[str, list[str]] = LAYOUT,
        totals: tuple[int, int] = (10_000, 100),
        prior: tuple[str, ...] = ("ad_impressions_7d", "ad_clicks_7d"),
        attributes: Mapping[tuple[str, str], Mapping[str, str]] = MappingProxyType({}),
    ) -> Path:
        settings.snapshots.mkdir(parents=True, exist_ok=True)
        building, file = settings.snapshots / "building", snapshot_file(settings.snapshots, as_of)
        with lmdb.open(str(building), subdir=False, map_size=1 << 36, lock=False) as environment:
            with environment.begin(write=True) as transaction:
                of_users: dict[str, list[tuple[str, bytes]]] = {text: [] for text in layout if is_of_user(text)}
                for (keys, *values), counts in entities.items():
                    if keys in of_users:
                        of_users[keys].append((entity_name(values), packed_counts(counts)))
                    else:
                        transaction.put(entity_key(keys, values), packed_counts(counts))
                for (kind, own_id), known in attributes.items():
                    if kind == AD:
                        transaction.put(stored_key(kind, own_id), packed_attributes(known))
                users = [(own_id, known) for (kind, own_id), known in attributes.items() if kind == A_USER]
                for key, value in user_entries(users, list(of_users.values())):
                    transaction.put(key, value)
                transaction.put(META_KEY, SnapshotMeta(as_of, layout, *totals, prior).packed())
            environment.sync(True)
        building.rename(file)
        make_current(settings.snapshots, file)
        return file

    return published


@pytest.fixture(scope="session")
def filled_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite store with one version a line of FAULTS; made once, since its schema alone costs seconds."""
    folder = tmp_path_factory.mktemp("mlflow")
    fill(folder)
    return folder


@pytest.fixture
def registry(filled_store: Path, tmp_path: Path, environ: object, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """A copy of the store, for data_contracts.registry to use; no version is champion yet."""
    shutil.copy(filled_store / "store.db", tmp_path / "store.db")
    uri = f"sqlite:///{tmp_path / 'store.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    return Registry(uri)


@dataclass(frozen=True)
class Served:
    """Serving over HTTP."""

    application: Application
    client: httpx.Client
    settings: Settings

    def predict(self, body: Any) -> Any:
        answer = self.client.post("/predict", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def health(self) -> Any:
        return self.client.get("/health").json()

    def logged(self) -> list[dict[str, Any]]:
        """The rows of all prediction records on disk, in segments open or sealed."""
        return landed_rows(self.settings.landing)


@pytest.fixture
def landed() -> Callable[[Settings], list[dict[str, Any]]]:
    return lambda settings: landed_rows(settings.landing)


@contextmanager
def running(settings: Settings) -> Iterator[Served]:
    """Serving in a thread of this process."""
    application = Application(settings)
    server = uvicorn.Server(server_config(application, settings))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_for(lambda: server.started)
        with httpx.Client(base_url=settings.serving_url, timeout=20) as client:
            yield Served(application, client, settings)
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def serve(settings: Settings) -> Iterator[Callable[[], Served]]:
    """Starts serving when called, with whatever the test has published and promoted by then."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(running(settings))


@pytest.fixture(scope="module")
def degraded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serving without MLflow and without a snapshot, one for a whole module (that must not use `registry`)."""
    importlib.import_module("mlflow")  # a warning of it, raised in the watch's thread, would leave it half imported
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        with running(load(environment(tmp_path_factory.mktemp("degraded")))) as serving:
            yield serving


@pytest.fixture
def served(publish: Callable[..., Path], registry: Registry, serve: Callable[[], Served]) -> Served:
    """Serving with a fresh snapshot and version 1 as champion, both in use."""
    publish()
    registry.promote(1)
    serving = serve()
    wait_for(lambda: serving.application.models.current and serving.application.snapshots.current)
    wait_for(lambda: not serving.application.models.registry_problem)
    return serving
