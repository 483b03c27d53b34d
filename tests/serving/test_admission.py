"""Under more than can be answered the late are refused at once, and only then."""

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from data_contracts.settings import Settings
from serving.admission import LEAST_A_ROUND, Admission
from tests.serving.conftest import running, wait_for

LIMIT = 0.01


async def admitted(admission: Admission, rounds: int, each: int, seconds: float) -> list[list[bool]]:
    """What becomes of `each` requests that take `seconds` each, in every one of `rounds`."""
    found = []
    for _ in range(rounds):
        answers = []
        for _ in range(each):
            is_let_in = admission.admits()
            answers.append(is_let_in)
            if is_let_in:
                time.sleep(seconds)
        found.append(answers)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    return found


def test_rounds_that_are_short_enough_refuse_nobody() -> None:
    found = asyncio.run(admitted(Admission(LIMIT, 100), rounds=30, each=3, seconds=0.001))
    assert all(all(answers) for answers in found)


def test_a_burst_passes() -> None:
    async def burst() -> list[list[bool]]:
        admission = Admission(LIMIT, 1000)
        first = await admitted(admission, rounds=1, each=20, seconds=0.002)
        return first + await admitted(admission, rounds=20, each=1, seconds=0.001)

    assert all(all(answers) for answers in asyncio.run(burst()))


def test_where_rounds_stay_too_long_the_late_are_refused_and_the_early_are_not() -> None:
    found = asyncio.run(admitted(Admission(LIMIT, 1000), rounds=20, each=30, seconds=0.002))
    assert all(found[0])
    for answers in found[-5:]:
        assert sum(answers) == LEAST_A_ROUND
        assert all(answers[:LEAST_A_ROUND])


def test_of_quick_requests_as_many_are_let_in_as_fit_the_limit() -> None:
    found = asyncio.run(admitted(Admission(LIMIT, 10_000), rounds=20, each=200, seconds=0.0003))
    for answers in found[-5:]:
        assert answers == sorted(answers, reverse=True)
        assert LEAST_A_ROUND < sum(answers) < 60


def test_what_was_too_much_is_over_with_the_first_short_round() -> None:
    async def over() -> list[list[bool]]:
        admission = Admission(LIMIT, 1000)
        await admitted(admission, rounds=20, each=30, seconds=0.002)
        assert admission.is_late
        await admitted(admission, rounds=1, each=1, seconds=0.0)
        assert not admission.is_late
        return await admitted(admission, rounds=1, each=20, seconds=0.002)

    assert all(all(answers) for answers in asyncio.run(over()))


def test_no_more_than_the_limit_may_be_in_flight() -> None:
    async def full() -> list[bool]:
        admission = Admission(LIMIT, 2)
        admission.in_flight = 2
        first = admission.admits()
        admission.in_flight = 1
        return [first, admission.admits()]

    assert asyncio.run(full()) == [False, True]


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
