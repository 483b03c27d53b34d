import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from data_contracts.group_commit import QueueFullError
from data_contracts.landing import EncodedRows, LandingWriter
from data_contracts.settings import Settings
from serving.event_log import EventLog

AT = datetime(2019, 11, 30, tzinfo=UTC)


def rows(*numbers: int) -> list[EncodedRows]:
    return [EncodedRows("clicks", AT, [b'{"click_id":"%d"}' % number for number in numbers])]


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[EventLog]:
    log = EventLog(settings)
    log.start()
    try:
        yield log
    finally:
        await asyncio.to_thread(log.stop, 10.0)


def test_what_store_returned_from_is_on_disk(settings: Settings, landed: Callable[[Settings], list[Any]]) -> None:
    async def stored() -> list[Any]:
        async with opened(settings) as log:
            await log.store(rows(1, 2))
            return landed(settings)

    assert asyncio.run(stored()) == [{"click_id": "1"}, {"click_id": "2"}]


def test_what_arrives_together_is_each_stored_once(settings: Settings, landed: Callable[[Settings], list[Any]]) -> None:
    async def store() -> None:
        async with opened(settings) as log:
            await asyncio.gather(*(log.store(rows(2 * number, 2 * number + 1)) for number in range(200)))

    asyncio.run(store())
    assert sorted(int(row["click_id"]) for row in landed(settings)) == list(range(400))


def test_stopping_seals_what_is_open(settings: Settings) -> None:
    async def store() -> None:
        async with opened(settings) as log:
            await log.store(rows(1))

    asyncio.run(store())
    assert [path.name for path in settings.landing.glob("*/0*")] == ["00000000000000000001.jsonl"]


def test_an_open_segment_is_sealed_in_time_without_another_row(settings: Settings, waiting: Callable[..., Any]) -> None:
    async def sealed() -> None:
        async with opened(settings) as log:
            await log.store(rows(1))
            await asyncio.to_thread(waiting, lambda: list(settings.landing.glob("*/*.jsonl")))

    asyncio.run(sealed())


def test_the_segment_of_a_killed_process_is_recovered_at_start(
    settings: Settings, waiting: Callable[..., Any], landed: Callable[[Settings], list[Any]]
) -> None:
    segment = settings.landing / "serving-0" / "00000000000000000007.open"
    segment.parent.mkdir(parents=True)
    other = LandingWriter(settings.landing, "other")
    other.append_rows(rows(1))
    other.close()
    segment.write_bytes((settings.landing / "other-0" / "00000000000000000001.jsonl").read_bytes() + b'{"torn')

    async def recovered() -> None:
        async with opened(settings):
            await asyncio.to_thread(waiting, segment.with_suffix(".jsonl").exists)

    asyncio.run(recovered())
    assert landed(settings) == [{"click_id": "1"}, {"click_id": "1"}]


def test_where_landing_cannot_be_opened_store_fails_and_later_recovers(
    settings: Settings, landed: Callable[[Settings], list[Any]]
) -> None:
    settings.home.mkdir()
    settings.landing.write_text("in the way")

    async def store() -> tuple[str, str]:
        async with opened(settings) as log:
            with pytest.raises(OSError, match="Not a directory"):
                await log.store(rows(1))
            problem = log.problem
            settings.landing.unlink()
            await log.store(rows(2))
            return problem, log.problem

    problem, afterwards = asyncio.run(store())
    assert "Not a directory" in problem
    assert afterwards == ""
    assert landed(settings) == [{"click_id": "2"}]


def test_what_does_not_fit_together_is_stored_as_far_as_it_fits(
    settings: Settings, landed: Callable[[Settings], list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    small = replace(settings, serving=replace(settings.serving, log_queue_bytes=2 * rows(1)[0].size_bytes))
    told: dict[int, Exception | None] = {}
    go_on, sync = threading.Event(), os.fdatasync

    def held(descriptor: int) -> None:
        assert go_on.wait(20)
        sync(descriptor)

    monkeypatch.setattr(os, "fdatasync", held)

    async def store() -> None:
        async with opened(small) as log:
            log.submit(rows(0), partial(told.__setitem__, 0))
            await asyncio.sleep(0.01)
            for number in (1, 2, 3):
                log.submit(rows(number), partial(told.__setitem__, number))
            while len(told) < 2:
                await asyncio.sleep(0.01)
            go_on.set()
            while len(told) < 4:
                await asyncio.sleep(0.01)

    asyncio.run(store())
    assert [type(told[number]) for number in range(4)] == [type(None), type(None), QueueFullError, QueueFullError]
    assert landed(settings) == [{"click_id": "0"}, {"click_id": "1"}]


def blocked_until(condition: Callable[[], Any], seconds: float = 10.0) -> bool:
    """Waits without letting the event loop go on."""
    deadline = time.monotonic() + seconds
    while not (found := bool(condition())) and time.monotonic() < deadline:
        time.sleep(0.005)
    return found


def test_a_round_that_goes_on_may_hand_in_what_it_has(
    settings: Settings, landed: Callable[[Settings], list[Any]]
) -> None:
    told: list[Exception | None] = []

    async def in_one_round() -> None:
        async with opened(settings) as log:
            log.submit(rows(1), told.append)
            assert not blocked_until(lambda: landed(settings), 0.3)
            log.submit_round()
            assert blocked_until(lambda: landed(settings))
            assert told == []
            await log.store(rows(2))

    asyncio.run(in_one_round())
    assert told == [None]


def test_one_that_cannot_be_told_does_not_keep_the_others_from_it(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[Exception | None] = []

    def broken(error: Exception | None) -> None:
        raise RuntimeError("gone")

    async def together() -> None:
        async with opened(settings) as log:
            log.submit(rows(1), broken)
            log.submit(rows(2), told.append)
            await log.store(rows(3))

    asyncio.run(together())
    assert told == [None]
    assert "could not be told" in caplog.text
