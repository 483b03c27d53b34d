"""Events in flight, failed writes, the catalogue; every status is a row that test_statuses sends."""

import asyncio
import json
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from data_contracts.landing import parsed_line
from data_contracts.pseudonym import load_key, pseudonym
from data_contracts.settings import Settings
from serving.collector import TableCollector, collectors
from serving.event_log import EventLog
from serving.problems import ProblemError, Response

ID = "5c1c1c1c-0000-4000-8000-00000000000a"
OTHER = "5c1c1c1c-0000-4000-8000-00000000000b"
CLICK = {"click_id": ID, "impression_id": OTHER, "timestamp": "2019-11-30T12:00:00Z"}


@asynccontextmanager
async def collecting(settings: Settings, path: str = "/event/click") -> AsyncIterator[TableCollector]:
    log = EventLog(settings)
    log.start()
    try:
        yield collectors(settings, log, partial(pseudonym, load_key(settings.pseudonym_key)))[path]
    finally:
        await asyncio.to_thread(log.stop, 10.0)


async def told(collector: TableCollector, event: Any) -> Response:
    try:
        return await collector.collect(json.dumps(event).encode())
    except ProblemError as problem:
        return problem.response()


def statuses(response: Response) -> list[int]:
    return [item["status"] for item in json.loads(response.body)]


class Disk:
    """Lets a sync go on, or fail, when it is told to; `begun` is set by the next that waits."""

    def __init__(self) -> None:
        self.begun, self._go_on, self._fails = threading.Event(), threading.Event(), False

    def sync(self, descriptor: int) -> None:
        self.begun.set()
        assert self._go_on.wait(20)
        if self._fails:
            raise OSError(5, "Input/output error")

    def go_on(self, fails: bool = False) -> None:
        self._fails = fails
        self._go_on.set()

    def is_well(self) -> None:
        self.go_on()

    async def is_reached(self) -> None:
        assert await asyncio.to_thread(self.begun.wait, 20)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    disk = Disk()
    monkeypatch.setattr(os, "fdatasync", disk.sync)
    yield disk
    disk.go_on()


async def two_in_flight(settings: Settings, disk: Disk, first: Any, second: Any, fails: bool) -> list[Response]:
    """The answers to an event and to another that comes while the first is being written, and to the second again."""
    async with collecting(settings) as collector:
        answers = [asyncio.create_task(told(collector, first))]
        await disk.is_reached()
        answers.append(asyncio.create_task(told(collector, second)))
        await asyncio.sleep(0)
        assert not any(answer.done() for answer in answers)
        disk.go_on(fails)
        given = [await answer for answer in answers]
        disk.is_well()
        return [*given, await told(collector, second)]


@pytest.mark.parametrize(
    ("change", "fails", "expected"),
    [
        ({}, False, [201, 200, 200]),
        ({"clicked": False}, False, [201, 409, 409]),
        ({}, True, [503, 503, 201]),
        ({"clicked": False}, True, [503, 503, 201]),
    ],
)
def test_a_repeat_of_an_event_in_flight_hangs_on_the_same_write(
    settings: Settings, disk: Disk, landed: Callable[..., Any], change: Any, fails: bool, expected: list[int]
) -> None:
    answers = asyncio.run(two_in_flight(settings, disk, CLICK, CLICK | change, fails))
    assert [answer.status for answer in answers] == expected
    assert len(landed(settings)) == 1


def test_a_write_that_fails_is_503_for_what_hung_on_it_and_for_nothing_else(settings: Settings, disk: Disk) -> None:
    skewed = CLICK | {"click_id": OTHER, "timestamp": "2019-11-30T12:40:00Z"}

    async def answers() -> tuple[Response, Response]:
        async with collecting(settings) as collector:
            disk.is_well()
            await told(collector, CLICK)
            disk.go_on(fails=True)
            return await told(collector, [CLICK, skewed, {}, skewed]), await told(collector, [skewed, skewed])

    mixed, all_failed = asyncio.run(answers())
    assert (mixed.status, statuses(mixed), mixed.headers) == (207, [200, 503, 422, 503], {"retry-after": "1"})
    assert b"flags" not in mixed.body
    assert (all_failed.status, statuses(all_failed), all_failed.headers) == (503, [503, 503], {"retry-after": "1"})


def test_what_could_not_be_stored_is_said_with_the_reason(settings: Settings, disk: Disk) -> None:
    async def answer() -> Response:
        async with collecting(settings) as collector:
            disk.go_on(fails=True)
            return await told(collector, CLICK)

    given = asyncio.run(answer())
    assert (given.status, given.headers) == (503, {"retry-after": "1"})
    assert json.loads(given.body)["type"] == "event_not_stored"
    assert json.loads(given.body)["detail"] == "it could not be stored: Input/output error"


def test_an_event_whose_client_went_away_is_known_once_it_is_on_disk(settings: Settings, disk: Disk) -> None:
    async def answer() -> Response:
        async with collecting(settings) as collector:
            asking = asyncio.create_task(told(collector, CLICK))
            await disk.is_reached()
            asking.cancel()
            await asyncio.wait([asking])
            disk.go_on()
            while (given := await told(collector, CLICK)).status == 503:
                pass
            return given

    assert asyncio.run(answer()).status == 200


def received(settings: Settings) -> list[tuple[str, Any]]:
    """When each catalogue row became known, and what it says, in order of arrival."""
    segments = sorted([*settings.landing.glob("*/*.jsonl"), *settings.landing.glob("*/*.open")])
    lines = [parsed_line(line) for path in segments for line in path.read_bytes().splitlines(keepends=True)]
    return [(line["received_at"], line["row"].get("topic")) for line in lines]


def test_a_later_word_on_an_ad_is_known_later_even_where_the_clock_stands(settings: Settings) -> None:
    async def tell() -> list[int]:
        async with collecting(settings, "/catalog/ads") as collector:
            ads = [{"ad_id": "a", "topic": topic} for topic in ("shoes", "hats", "hats", "shoes")]
            array = await told(collector, ads)
            return [*statuses(array), (await told(collector, ads[1])).status, (await told(collector, ads[1])).status]

    assert asyncio.run(tell()) == [201, 201, 200, 201, 201, 200]
    assert received(settings) == [
        ("2019-11-30T12:30:00.000000Z", "shoes"),
        ("2019-11-30T12:30:00.000001Z", "hats"),
        ("2019-11-30T12:30:00.000002Z", "shoes"),
        ("2019-11-30T12:30:00.000003Z", "hats"),
    ]


def test_an_id_that_left_the_window_is_new_again(settings: Settings) -> None:
    small = replace(settings, serving=replace(settings.serving, event_window=4))

    def click(number: int) -> Any:
        return CLICK | {"click_id": f"{number:08x}-0000-4000-8000-000000000000"}

    async def tell() -> list[int]:
        async with collecting(small) as collector:
            return [(await told(collector, click(number))).status for number in (1, 1, 2, 3, 4, 5, 1)]

    assert asyncio.run(tell()) == [201, 200, 201, 201, 201, 201, 201]


def test_an_impression_joins_its_prediction_by_the_id_that_the_prediction_gave(served: Any) -> None:
    predicted = served.predict({"user_id": "u-1", "ads": [{"ad_id": "shoes"}, {"ad_id": "hats"}]})
    assert all("prediction_id" in row for row in served.logged())
    shown = predicted["predictions"][1]
    impression = {
        "impression_id": shown["impression_id"],
        "user_id": "u-1",
        "ad_id": shown["ad_id"],
        "timestamp": "2019-11-30T12:30:01Z",
    }
    assert served.client.post("/event/impression", json=impression).status_code == 201
    *predictions, landed = served.logged()
    assert [row for row in predictions if row["impression_id"] == landed["impression_id"]] == [predictions[1]]
    assert {name: predictions[1][name] for name in ("user_id", "ad_id")} == {
        name: landed[name] for name in ("user_id", "ad_id")
    }
    assert "probability" not in landed
