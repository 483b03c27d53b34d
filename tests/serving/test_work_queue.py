"""Under more than can be answered the late are refused at once, and only then."""

import asyncio
from functools import partial
from typing import Any

import pytest

from serving.work_queue import LEAST, REQUEST_BYTES, SECONDS_A_BYTE, TURN_SECONDS, WorkQueue

LIMIT = 0.01
ONE_AD = 200


class Clock:
    """Stands still but where something takes time."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def take(self, seconds: float) -> None:
        self.now += seconds


class Asked:
    """A queue, and requests that take `seconds` of its clock each."""

    def __init__(self, limit: float = LIMIT) -> None:
        self.clock = Clock()
        self.queue = WorkQueue(limit, 10_000, lambda: None, self.clock)

    async def all_at_once(self, requests: int, seconds: float, body_bytes: int = ONE_AD) -> int:
        """How many are let in; waits for their end."""
        let_in = 0
        for _ in range(requests):
            if not self.queue.is_full:
                self.queue.add(partial(self.clock.take, seconds), body_bytes)
                let_in += 1
        while self.queue._waiting:
            await asyncio.sleep(0)
        return let_in

    async def learnt(self, seconds: float, body_bytes: int = ONE_AD) -> "Asked":
        for _ in range(200):
            await self.all_at_once(LEAST, seconds, body_bytes)
        return self


def test_as_many_are_let_in_as_can_be_in_time() -> None:
    async def found() -> int:
        return await (await Asked().learnt(0.0001)).all_at_once(500, 0.0001)

    assert asyncio.run(found()) == pytest.approx(LIMIT / 0.0001, abs=1)


def test_a_few_are_let_in_however_long_they_take() -> None:
    async def found() -> int:
        return await (await Asked().learnt(0.002)).all_at_once(50, 0.002)

    assert asyncio.run(found()) == LEAST


def test_a_queue_that_knows_nothing_yet_does_not_let_all_in() -> None:
    async def found() -> list[int]:
        asked = Asked()
        return [await asked.all_at_once(5000, 0.0001), await asked.all_at_once(5000, 0.0001)]

    first, second = asyncio.run(found())
    assert first == 1 + int(LIMIT / (SECONDS_A_BYTE * (REQUEST_BYTES + ONE_AD)))
    assert 0.8 * LIMIT / 0.0001 < second < 1.2 * LIMIT / 0.0001


def test_a_halt_of_a_moment_makes_hardly_anybody_refused() -> None:
    async def found() -> tuple[int, int]:
        asked = await Asked(0.015).learnt(0.0001)
        before = await asked.all_at_once(500, 0.0001)
        await asked.all_at_once(1, 0.1)
        return before, await asked.all_at_once(500, 0.0001)

    before, after = asyncio.run(found())
    assert 0.95 * before < after <= before


def test_what_takes_longer_than_before_is_noticed() -> None:
    async def found() -> int:
        asked = await Asked().learnt(0.0001)
        return await (await asked.learnt(0.0003)).all_at_once(500, 0.0003)

    assert asyncio.run(found()) == pytest.approx(LIMIT / 0.0003, abs=1)


def test_large_requests_are_known_to_take_longer_and_small_ones_not() -> None:
    async def found() -> tuple[int, int]:
        small = await Asked(5 * LIMIT).learnt(0.0001)
        large = await Asked(5 * LIMIT).learnt(0.001, 10 * ONE_AD + 9 * REQUEST_BYTES)
        return await small.all_at_once(200, 0.0, 50 * ONE_AD), await large.all_at_once(400, 0.0)

    few, many = asyncio.run(found())
    assert few < 30
    assert many == 400


def test_a_huge_body_keeps_nobody_out_for_long() -> None:
    async def found() -> int:
        asked = await Asked(5 * LIMIT).learnt(0.0001)
        asked.queue.add(partial(asked.clock.take, 0.001), 1 << 20)
        return await asked.all_at_once(300, 0.0001)

    assert asyncio.run(found()) == 300


def test_between_turns_the_event_loop_does_other_things_and_what_waits_keeps_its_order() -> None:
    told: list[Any] = []

    async def found() -> None:
        clock = Clock()
        queue = WorkQueue(1.0, 1000, lambda: told.append("turned"), clock)

        def slow(number: int) -> None:
            clock.take(1.5 * TURN_SECONDS)
            told.append(number)

        for number in range(3):
            queue.add(partial(slow, number), 0)
        asyncio.get_running_loop().call_soon(told.append, "other")
        for _ in range(10):
            await asyncio.sleep(0)

    asyncio.run(found())
    assert told == [0, "turned", "other", 1, "turned", 2, "turned"]


def test_a_turn_takes_half_as_long_as_what_came_between_it_and_the_one_before() -> None:
    told: list[str] = []

    async def found() -> None:
        clock = Clock()
        queue = WorkQueue(1.0, 1000, lambda: told.append("turned"), clock)

        def work() -> None:
            clock.take(TURN_SECONDS)
            told.append("worked")

        for _ in range(5):
            queue.add(work, 0)
        asyncio.get_running_loop().call_soon(clock.take, 5 * TURN_SECONDS)
        for _ in range(10):
            await asyncio.sleep(0)

    asyncio.run(found())
    assert told == ["worked", "turned", *["worked"] * 3, "turned", "worked", "turned"]


@pytest.mark.parametrize("turned_fails", [False, True])
def test_what_cannot_be_worked_on_does_not_keep_the_others_from_it(
    caplog: pytest.LogCaptureFixture, turned_fails: bool
) -> None:
    told: list[int] = []

    def broken() -> None:
        raise RuntimeError("gone")

    async def found() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        clock = Clock()
        queue = WorkQueue(1.0, 1000, broken if turned_fails else lambda: None, clock)
        queue.add(broken, 0)
        queue.add(partial(clock.take, 2 * TURN_SECONDS), 0)
        queue.add(lambda: told.append(1), 0)
        for _ in range(5):
            await asyncio.sleep(0)
        queue.add(lambda: told.append(2), 0)
        await asyncio.sleep(0)

    asyncio.run(found())
    assert told == [1, 2]
    assert "could not be worked on" in caplog.text


def test_who_waits_for_a_result_gets_it_or_what_was_raised(caplog: pytest.LogCaptureFixture) -> None:
    async def found() -> list[Any]:
        queue = WorkQueue(1.0, 1000, lambda: None)
        asked = [queue.result_of(work, 0) for work in (lambda: 7, lambda: [][0])]
        given_up = asyncio.ensure_future(queue.result_of(lambda: 8, 0))
        await asyncio.sleep(0)
        given_up.cancel()
        return await asyncio.gather(*asked, given_up, return_exceptions=True)

    result, raised, cancelled = asyncio.run(found())
    assert result == 7
    assert isinstance(raised, IndexError)
    assert isinstance(cancelled, asyncio.CancelledError)
    assert caplog.text == ""


def test_no_more_than_the_limit_may_be_in_flight() -> None:
    queue = WorkQueue(LIMIT, 2, lambda: None)
    queue.in_flight = 2
    assert queue.is_full
    queue.in_flight = 1
    assert not queue.is_full
