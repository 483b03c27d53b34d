"""Under more than can be answered the late are refused at once, and only then."""

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from data_contracts.settings import Settings
from serving.work_queue import LEAST, REQUEST_BYTES, TURN_SECONDS, WorkQueue
from tests.serving.conftest import running, wait_for

LIMIT = 0.01


async def worked_off(queue: WorkQueue, requests: int, seconds: float, body_bytes: int = 100) -> int:
    """How many of `requests` that take `seconds` each are let in, if all come at the same time; waits for their end."""
    ended: list[int] = []

    def work() -> None:
        time.sleep(seconds)
        ended.append(1)

    let_in = 0
    for _ in range(requests):
        if not queue.is_full:
            queue.add(work, body_bytes)
            let_in += 1
    while len(ended) < let_in:
        await asyncio.sleep(0)
    return let_in


async def learnt(seconds: float, limit: float = LIMIT, body_bytes: int = 100) -> WorkQueue:
    """A queue that knows what such a request takes."""
    queue = WorkQueue(limit, 10_000, lambda: None)
    for _ in range(200):
        await worked_off(queue, LEAST, seconds, body_bytes)
    return queue


def test_as_many_are_let_in_as_can_be_in_time() -> None:
    async def found() -> int:
        return await worked_off(await learnt(0.0003, 5 * LIMIT), 500, 0.0003)

    assert LEAST < asyncio.run(found()) < 1.5 * 5 * LIMIT / 0.0003


def test_a_few_are_let_in_however_long_they_take() -> None:
    async def found() -> int:
        return await worked_off(await learnt(0.002), 50, 0.002)

    assert asyncio.run(found()) == LEAST


def test_one_long_halt_makes_nobody_refused() -> None:
    async def found() -> int:
        queue = await learnt(0.0001, 5 * LIMIT)
        await worked_off(queue, 1, 0.05)
        return await worked_off(queue, 2 * LEAST, 0.0001)

    assert asyncio.run(found()) == 2 * LEAST


def test_what_takes_longer_than_before_is_noticed() -> None:
    async def found() -> tuple[int, int]:
        queue = await learnt(0.0)
        before = await worked_off(queue, 2 * LEAST, 0.0)
        for _ in range(100):
            await worked_off(queue, LEAST, 0.001)
        return before, await worked_off(queue, 2 * LEAST, 0.0)

    assert asyncio.run(found()) == (2 * LEAST, LEAST)


def test_large_requests_are_known_to_take_longer_and_small_ones_not() -> None:
    async def found() -> tuple[int, int]:
        small = await learnt(0.0003, 5 * LIMIT)
        large = await learnt(0.003, 5 * LIMIT, 10 * (REQUEST_BYTES + 100))
        return await worked_off(small, 200, 0.0, 100 * REQUEST_BYTES), await worked_off(large, 2 * LEAST, 0.0)

    assert asyncio.run(found()) == (LEAST, 2 * LEAST)


def test_between_turns_the_event_loop_does_other_things_and_what_waits_keeps_its_order() -> None:
    told: list[Any] = []

    async def found() -> None:
        queue = WorkQueue(1.0, 1000, lambda: told.append("turned"))
        for number in range(3):
            queue.add(partial(slow, number), 0)
        asyncio.get_running_loop().call_soon(told.append, "other")
        for _ in range(10):
            await asyncio.sleep(0)

    def slow(number: int) -> None:
        time.sleep(1.5 * TURN_SECONDS)
        told.append(number)

    asyncio.run(found())
    assert told == [0, "turned", "other", 1, "turned", 2, "turned"]


def test_what_cannot_be_worked_on_does_not_keep_the_others_from_it(caplog: pytest.LogCaptureFixture) -> None:
    told: list[int] = []

    def broken() -> None:
        raise RuntimeError("gone")

    async def found() -> None:
        queue = WorkQueue(1.0, 1000, lambda: None)
        queue.add(broken, 0)
        queue.add(lambda: told.append(1), 0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(found())
    assert told == [1]
    assert "could not be worked on" in caplog.text


def test_no_more_than_the_limit_may_be_in_flight() -> None:
    queue = WorkQueue(LIMIT, 2, lambda: None)
    queue.in_flight = 2
    assert queue.is_full
    queue.in_flight = 1
    assert not queue.is_full


@pytest.mark.parametrize("is_protected", [True, False])
def test_an_overloaded_server_refuses_with_503_and_answers_the_rest(
    settings: Settings, publish: Callable[..., Path], is_protected: bool
) -> None:
    """Without the limit, the control, nobody is refused."""
    publish()
    limits = replace(settings.serving, queue_delay_seconds=LIMIT if is_protected else 1000.0)
    with running(replace(settings, serving=limits)) as serving:
        wait_for(lambda: serving.application.snapshots.current)
        routes: dict[str, Any] = dict(serving.application.json_routes)
        quick = routes["/predict"]

        def slow(body: bytes) -> Any:
            time.sleep(0.004)
            return quick(body)

        routes["/predict"] = slow
        serving.application.json_routes = routes
        answers: list[httpx.Response] = []
        stopping = threading.Event()

        def ask() -> None:
            with httpx.Client(base_url=settings.serving_url, timeout=20) as own:
                while not stopping.is_set():
                    answers.append(own.post("/predict", json={"user_id": "u", "ad_id": "shoes"}))

        clients = [threading.Thread(target=ask) for _ in range(48)]
        for client in clients:
            client.start()
        wait_for(lambda: len(answers) > 600)
        stopping.set()
        for client in clients:
            client.join()
        refused = [answer for answer in answers if answer.status_code == 503]
        assert {answer.status_code for answer in answers} - {503} == {200}
        assert bool(refused) is is_protected
        for answer in refused:
            assert answer.headers["retry-after"] == "1"
            assert answer.json()["type"] == "overloaded"
        told = serving.client.get("/metrics").text
        assert ('clicklake_refusals_total{type="overloaded"}' in told) is is_protected
