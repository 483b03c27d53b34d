"""`python -m serving` as a process of its own that takes events: a disk that is full, a queue that is."""

import asyncio
import os
import resource
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from data_contracts.settings import Settings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def client(settings: Settings) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=settings.serving_url, timeout=20) as client:
        yield client


def click(number: int) -> dict[str, str]:
    ids = {"click_id": f"{number:08x}-0000-4000-8000-000000000000", "impression_id": str(uuid.UUID(int=0))}
    return {**ids, "timestamp": "2019-11-30T12:00:00Z"}


def is_up(client: httpx.Client) -> bool:
    try:
        return client.get("/health").status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def bare(
    environ: dict[str, str], settings: Settings, client: httpx.Client, waiting: Callable[..., Any], tmp_path: Path
) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts serving without model, snapshot and MLflow, with keys of conf changed; events need none of them."""
    running: list[subprocess.Popen[bytes]] = []

    def started(*lines: str) -> subprocess.Popen[bytes]:
        overlay = Path(environ["CLICKLAKE_CONF"])
        overlay.write_text("\n".join([overlay.read_text(), *lines]))
        with (tmp_path / "serving.log").open("ab") as log:
            command = [sys.executable, "-m", "serving"]
            running.append(subprocess.Popen(command, cwd=ROOT, env=os.environ | environ, stdout=log, stderr=log))
        waiting(lambda: is_up(client))
        return running[-1]

    yield started
    for child in running:
        child.kill()
        child.wait()


def test_events_on_a_full_disk_are_503_and_taken_again_once_there_is_room(
    bare: Callable[..., Any], client: httpx.Client, settings: Settings, landed: Callable[..., Any]
) -> None:
    serving = bare("segment_limit_bytes = 100000000")
    assert [client.post("/event/click", json=click(number)).status_code for number in range(3)] == [201] * 3
    size = sum(path.stat().st_size for path in settings.landing.glob("*/0*"))
    _, hard = resource.prlimit(serving.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(serving.pid, resource.RLIMIT_FSIZE, (100, hard))
    refused = client.post("/event/click", json=click(3))
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert (refused.json()["type"], refused.json()["detail"]) == (
        "event_not_stored",
        "it could not be stored: File too large",
    )
    array = client.post("/event/click", json=[click(0), click(4), {}])
    assert (array.status_code, [item["status"] for item in array.json()]) == (207, [200, 503, 422])
    assert client.get("/health").json()["landing"] == {"state": "error", "problem": "[Errno 27] File too large"}
    assert sum(path.stat().st_size for path in settings.landing.glob("*/0*")) == size
    resource.prlimit(serving.pid, resource.RLIMIT_FSIZE, (hard, hard))
    again = [client.post("/event/click", json=click(number)).status_code for number in range(5)]
    assert again == [200, 200, 200, 201, 201]
    assert client.get("/health").json()["landing"] == {"state": "ok", "problem": None}
    assert [row["click_id"] for row in landed(settings)] == [click(number)["click_id"] for number in range(5)]


def test_what_the_queue_for_the_disk_has_no_room_for_is_503_and_nothing_of_it_stored(
    bare: Callable[..., Any], client: httpx.Client, settings: Settings, landed: Callable[..., Any]
) -> None:
    bare("log_queue_bytes = 1")

    async def asked_at_once(first: int) -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=settings.serving_url, timeout=20) as many:
            return await asyncio.gather(*(many.post("/event/click", json=click(first + place)) for place in range(50)))

    answers: list[httpx.Response] = []
    while all(answer.status_code == 201 for answer in answers):
        assert len(answers) < 1000, "nothing ever waited"
        answers += asyncio.run(asked_at_once(len(answers)))
    refused = [answer for answer in answers if answer.status_code == 503]
    assert {(answer.json()["detail"], answer.headers["retry-after"]) for answer in refused} == {
        ("it could not be stored: over 1 bytes wait for the disk already", "1")
    }
    stored = {answer.json()["id"] for answer in answers if answer.status_code == 201}
    assert len(stored) + len(refused) == len(answers)
    assert {row["click_id"] for row in landed(settings)} == stored
    again = [client.post("/event/click", json=click(number)).status_code for number in range(len(answers))]
    assert again == [201 if answer.status_code == 503 else 200 for answer in answers]
    assert len(landed(settings)) == len(answers)
