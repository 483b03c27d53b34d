"""The prediction that a run ends with, from a real lake and a real endpoint."""

import contextlib
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import httpx
import lmdb
import pytest
from rich.console import Console

from cli.errors import CommandError
from cli.report import show_prediction
from data_contracts.settings import Settings, load
from data_contracts.snapshot import META_KEY, SnapshotMeta, make_current, snapshot_file
from tests.cli.small_lake import NOON, write_lake
from tests.conftest import free_port

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """With ports of its own."""
    overlay = tmp_path / "conf.toml"
    ports = "".join(f"{name}_port = {free_port()}\n" for name in ("spark", "airflow", "mlflow", "serving"))
    overlay.write_text(f"[services]\n{ports}")
    return load({"CLICKLAKE_HOME": str(tmp_path / "home"), "CLICKLAKE_CONF": str(overlay)})


@pytest.fixture
def written() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def console(written: io.StringIO) -> Console:
    """No terminal, and narrower than what is shown."""
    return Console(file=written, width=80, highlight=False)


@pytest.fixture
def endpoint(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`python -m serving` without a registry, its snapshot a global CTR of 1 in 100."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    settings.snapshots.mkdir(parents=True)
    file = snapshot_file(settings.snapshots, int(NOON.timestamp()))
    with (
        lmdb.open(str(file), subdir=False, map_size=1 << 30, lock=False) as environment,
        environment.begin(write=True) as transaction,
    ):
        transaction.put(META_KEY, SnapshotMeta(int(NOON.timestamp()), {}, 10_000, 100).packed())
    make_current(settings.snapshots, file)
    environ = os.environ | {"CLICKLAKE_HOME": str(settings.home), "CLICKLAKE_CONF": str(tmp_path / "conf.toml")}
    with (tmp_path / "serving.log").open("w") as log:
        server = subprocess.Popen([sys.executable, "-m", "serving"], cwd=ROOT, env=environ, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 30
        while not is_serving(settings):
            assert time.monotonic() < deadline, (tmp_path / "serving.log").read_text()
            time.sleep(0.05)
        yield
    finally:
        server.terminate()
        server.wait()


def is_serving(settings: Settings) -> bool:
    try:
        told = httpx.get(f"{settings.serving_url}/health", trust_env=False).json()
    except httpx.TransportError:
        return False
    return told["status"] != "unavailable"


def test_a_prediction_of_the_prior_is_shown_as_it_was_answered_on_one_line(
    settings: Settings, endpoint: None, console: Console, written: io.StringIO
) -> None:
    write_lake(settings)
    show_prediction(settings, console, None)
    _, title, asked, answered = written.getvalue().splitlines()
    assert title == f"POST http://127.0.0.1:{settings.services.serving_port}/predict"
    assert asked == '  {"user_id": "a-visitor", "ad_id": "men-1", "features": {"position": 2}}'
    assert answered.startswith("  200 {")
    assert len(answered) > 160
    told = json.loads(answered.removeprefix("  200 "))
    assert (told["source"], told["model_version"], told["probability"]) == ("prior", "none", 0.01)


@contextlib.contextmanager
def answering(settings: Settings, versions: list[str], status: int) -> Iterator[list[str]]:
    """An endpoint that has the next of `versions` whenever it is asked, and scores with `status`; what it was asked."""
    asked = []

    class Endpoint(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.answer(200, json.dumps({"version": versions.pop(0)}))

        def do_POST(self) -> None:
            asked.append(self.path)
            self.answer(status, '{"title": "said the endpoint"}')

        def answer(self, status: int, text: str) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer((settings.services.host, settings.services.serving_port), Endpoint) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield asked
        server.shutdown()


def test_the_champion_is_asked_once_the_endpoint_has_swapped_to_it(settings: Settings, console: Console) -> None:
    write_lake(settings)
    with answering(settings, ["1", "1", "2"], 200) as asked:
        show_prediction(settings, console, "2")
    assert asked == ["/model/active", "/model/active", "/model/active", "/predict"]


def test_an_endpoint_that_does_not_score_is_an_error_with_its_words(
    settings: Settings, console: Console, written: io.StringIO
) -> None:
    write_lake(settings)
    with answering(settings, [], 503), pytest.raises(CommandError, match="the endpoint did not score"):
        show_prediction(settings, console, None)
    assert written.getvalue().splitlines()[-1] == '  503 {"title": "said the endpoint"}'


def test_where_serving_takes_keys_it_is_not_asked_and_it_is_said_how_to_get_one(
    settings: Settings, console: Console, written: io.StringIO
) -> None:
    show_prediction(replace(settings, serving=replace(settings.serving, access="keys")), console, "2")
    told = " ".join(written.getvalue().split())
    assert told == "POST /predict takes a key: `clicklake key add --role predict`, docs/serving.md"


def test_a_lake_without_an_impression_has_no_ad_to_score(settings: Settings, console: Console) -> None:
    with pytest.raises(CommandError, match="the lake holds no impression"):
        show_prediction(settings, console, None)
