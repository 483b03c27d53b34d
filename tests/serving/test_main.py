"""`python -m serving` as a process of its own: killed, stopped, and with a disk that is full."""

import os
import resource
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from data_contracts.settings import Settings

ROOT = Path(__file__).parents[2]
SLATE = {"user_id": "jane.doe@example.org", "ads": [{"ad_id": "shoes"}, {"ad_id": "hats"}]}


@pytest.fixture
def process(
    environ: dict[str, str], settings: Settings, publish: Callable[..., Path], tmp_path: Path
) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Starts serving with a snapshot and without MLflow, and waits until the prior answers."""
    publish()
    running: list[subprocess.Popen[bytes]] = []

    def started() -> subprocess.Popen[bytes]:
        with (tmp_path / "serving.log").open("ab") as log:
            command = [sys.executable, "-m", "serving"]
            child = subprocess.Popen(command, cwd=ROOT, env=os.environ | environ, stdout=log, stderr=log)
        running.append(child)
        return child

    yield started
    for child in running:
        child.kill()
        child.wait()


@pytest.fixture
def client(settings: Settings) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=settings.serving_url, timeout=20) as client:
        yield client


def is_answering(client: httpx.Client) -> bool:
    try:
        return client.post("/predict", json=SLATE).status_code == 200
    except httpx.TransportError:
        return False


def given_ids(answers: list[Any]) -> set[str]:
    return {prediction["prediction_id"] for answer in answers for prediction in answer["predictions"]}


def landed_ids(rows: list[Any]) -> set[str]:
    return {row["prediction_id"] for row in rows}


def test_what_was_answered_before_a_kill_is_in_landing(
    process: Callable[[], Any],
    client: httpx.Client,
    settings: Settings,
    waiting: Callable[..., Any],
    landed: Callable[..., Any],
) -> None:
    acknowledged: list[Any] = []

    def ask_until_it_dies() -> None:
        with httpx.Client(base_url=settings.serving_url, timeout=20) as own:
            try:
                while True:
                    acknowledged.append(own.post("/predict", json=SLATE).json())
            except httpx.TransportError:
                return

    for _ in range(2):
        serving = process()
        waiting(lambda: is_answering(client))
        clients = [threading.Thread(target=ask_until_it_dies) for _ in range(4)]
        for asking in clients:
            asking.start()
        seen = len(acknowledged)
        waiting(lambda seen=seen: len(acknowledged) > seen + 100)
        serving.kill()
        for asking in clients:
            asking.join()
        serving.wait()
    process()
    waiting(lambda: is_answering(client))
    waiting(lambda: len(list(settings.landing.glob("*/*.open"))) <= 1)
    rows = landed(settings)
    assert given_ids(acknowledged) <= landed_ids(rows)
    assert len(landed_ids(rows)) == len(rows)


def test_sigterm_seals_the_segment_and_ends_well_within_three_seconds(
    environ: dict[str, str],
    process: Callable[[], Any],
    client: httpx.Client,
    settings: Settings,
    waiting: Callable[..., Any],
    landed: Callable[..., Any],
) -> None:
    overlay = Path(environ["CLICKLAKE_CONF"])
    overlay.write_text(overlay.read_text().replace("segment_limit_seconds = 0.2", "segment_limit_seconds = 600"))
    serving = process()
    waiting(lambda: is_answering(client))
    answer = client.post("/predict", json=SLATE).json()
    serving.send_signal(signal.SIGTERM)
    assert serving.wait(timeout=3) == 0
    assert list(settings.landing.glob("*/*.open")) == []
    assert given_ids([answer]) <= landed_ids(landed(settings))


def test_a_full_disk_is_503_and_nothing_acknowledged_is_lost(
    process: Callable[[], Any],
    client: httpx.Client,
    settings: Settings,
    waiting: Callable[..., Any],
    landed: Callable[..., Any],
) -> None:
    serving = process()
    waiting(lambda: is_answering(client))
    acknowledged = [client.post("/predict", json=SLATE).json() for _ in range(3)]
    _, hard = resource.prlimit(serving.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(serving.pid, resource.RLIMIT_FSIZE, (1500, hard))
    refused = waiting(lambda: (answer := client.post("/predict", json=SLATE)).status_code != 200 and answer)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert (refused.json()["type"], refused.json()["detail"]) == (
        "prediction_not_stored",
        "the prediction could not be stored: File too large",
    )
    told = client.get("/health").json()
    assert (told["status"], told["landing"]["state"]) == ("unavailable", "error")
    resource.prlimit(serving.pid, resource.RLIMIT_FSIZE, (hard, hard))
    acknowledged += [client.post("/predict", json=SLATE).json() for _ in range(3)]
    assert client.get("/health").json()["landing"]["state"] == "ok"
    rows = landed(settings)
    assert given_ids(acknowledged) <= landed_ids(rows)
    counts = [len([row for row in rows if row["request_id"] == one["request_id"]]) for one in rows]
    assert set(counts) == {2}


def test_a_raw_user_id_is_in_no_file(
    process: Callable[[], Any], client: httpx.Client, waiting: Callable[..., Any], tmp_path: Path
) -> None:
    serving = process()
    waiting(lambda: is_answering(client))
    client.post("/predict", json=SLATE | {"age": 7})
    event = {"click_id": str(uuid.UUID(int=1)), "impression_id": str(uuid.UUID(int=2))}
    event |= {"timestamp": "2019-11-30T12:00:00Z", "user_id": "jane.doe@example.org"}
    assert client.post("/event/click", json=event).status_code == 201
    assert client.post("/catalog/users", json=[{"user_id": "jane.doe@example.org"}]).status_code == 201
    client.post("/event/click", json=[event | {"age": 7}, event | {"clicked": "no"}])
    client.post("/predict", content=b'{"user_id": "jane.doe@example.org"', headers={"content-type": "application/json"})
    serving.terminate()
    serving.wait()
    files = [path for path in tmp_path.rglob("*") if path.is_file() and not path.is_symlink()]
    assert {"serving.log", "00000000000000000001.jsonl", "pseudonym.key"} <= {path.name for path in files}
    assert [path for path in files if b"jane" in path.read_bytes()] == []


def test_health_is_there_before_and_without_mlflow(
    process: Callable[[], Any], client: httpx.Client, waiting: Callable[..., Any]
) -> None:
    process()
    waiting(lambda: is_answering(client))
    told = waiting(lambda: (told := client.get("/health").json())["registry"]["problem"] != "not asked yet" and told)
    assert (told["status"], told["registry"]["state"]) == ("degraded", "unreachable")
    assert "is it running?" in told["model"]["problem"]


def test_a_mistake_in_conf_is_one_line(environ: dict[str, str], settings: Settings) -> None:
    Path(environ["CLICKLAKE_CONF"]).write_text("[serving]\nspeed = 7\n")
    command = [sys.executable, "-m", "serving"]
    ended = subprocess.run(command, cwd=ROOT, env=os.environ | environ, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "unknown key serving.speed" in ended.stderr
    assert ended.stderr.count("\n") == 1
