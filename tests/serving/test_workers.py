"""Several workers behind one port, as processes."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from data_contracts.settings import Settings

ROOT = Path(__file__).parents[2]
SLATE = {"user_id": "u", "ads": [{"ad_id": "shoes"}, {"ad_id": "hats"}]}


@pytest.fixture
def parent(
    environ: dict[str, str], settings: Settings, publish: Callable[..., Path], registry: Any, tmp_path: Path
) -> Iterator[psutil.Process]:
    """Serving with two workers."""
    publish()
    registry.promote(1)
    overlay = Path(environ["CLICKLAKE_CONF"])
    overlay.write_text(overlay.read_text().replace("[serving]", "[serving]\nworkers = 2"))
    with (tmp_path / "serving.log").open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "serving"], cwd=ROOT, env=os.environ | environ, stdout=log, stderr=log
        )
    process = psutil.Process(child.pid)
    yield process
    workers = process.children(recursive=True) if process.is_running() else []
    for each in (process, *workers):
        if each.is_running():
            each.kill()
    child.wait()


def workers(parent: psutil.Process) -> list[psutil.Process]:
    return [each for each in parent.children() if _is_worker(each)]


def _is_worker(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and "spawn_main" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:  # it ended meanwhile; a zombie is one too
        return False


def asked(settings: Settings) -> Any | None:
    """The answer to a request on a connection of its own."""
    try:
        answer = httpx.post(f"{settings.serving_url}/predict", json=SLATE, timeout=20)
    except httpx.TransportError:
        return None
    return answer.json() if answer.status_code == 200 else None


def producers(settings: Settings) -> set[str]:
    return {path.parent.name for path in settings.landing.glob("serving-*/0*")}


def all_answer(settings: Settings, version: str = "1") -> Callable[[], bool]:
    """Do twelve answers asked for at once all come from the version?"""

    def answer() -> bool:
        found: list[Any] = []
        asking = [threading.Thread(target=lambda: found.append(asked(settings))) for _ in range(12)]
        for each in asking:
            each.start()
        for each in asking:
            each.join()
        return all(one is not None and one["model_version"] == version for one in found)

    return answer


def test_each_worker_has_segments_of_its_own_and_all_swap(
    parent: psutil.Process, settings: Settings, registry: Any, waiting: Callable[..., Any], landed: Callable[..., Any]
) -> None:
    waiting(all_answer(settings), 60)
    waiting(lambda: all_answer(settings)() and producers(settings) == {"serving-0", "serving-1"}, 60)
    registry.promote(2)
    waiting(all_answer(settings, "2"), 60)
    told = httpx.get(f"{settings.serving_url}/metrics").text
    counted = sum(
        sample.value
        for family in text_string_to_metric_families(told)
        for sample in family.samples
        if sample.name == "clicklake_predictions_total"
    )
    assert counted == len(landed(settings))


def test_a_killed_worker_is_replaced_and_what_it_acknowledged_is_kept(
    parent: psutil.Process, settings: Settings, waiting: Callable[..., Any], landed: Callable[..., Any]
) -> None:
    waiting(all_answer(settings), 60)
    acknowledged = [answer for _ in range(30) if (answer := asked(settings))]
    before = workers(parent)
    assert len(before) == 2
    before[0].kill()
    waiting(lambda: before[0].pid not in {each.pid for each in workers(parent)} and len(workers(parent)) == 2, 60)
    waiting(all_answer(settings), 60)
    given = {each["prediction_id"] for answer in acknowledged for each in answer["predictions"]}
    assert given <= {row["prediction_id"] for row in landed(settings)}


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_the_workers_end_with_their_parent(
    parent: psutil.Process, settings: Settings, waiting: Callable[..., Any], how: signal.Signals
) -> None:
    waiting(all_answer(settings), 60)
    children = parent.children(recursive=True)
    parent.send_signal(how)
    waiting(lambda: not any(_is_alive(each) for each in children))
    assert list(settings.landing.glob("*/*.open")) == []


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
