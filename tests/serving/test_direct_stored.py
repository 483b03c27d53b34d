"""Answers that wait for the disk, on the short way."""

import asyncio
from typing import Any

import pytest

from serving.direct import DirectProtocol
from serving.problems import OnceStored, json_response, unavailable
from tests.serving.wire import Asked, request, talked


def stored(body: bytes) -> OnceStored:
    return OnceStored([], json_response({}, 201), lambda error: unavailable("not_stored", str(error)))


@pytest.mark.parametrize(("error", "status"), [(None, 201), (OSError("full"), 503)])
def test_an_answer_that_waits_for_the_disk_is_given_when_the_write_has_ended(
    error: Exception | None, status: int
) -> None:
    asked = Asked()
    asked.json_routes = {"/route": stored}

    async def talk(protocol: DirectProtocol) -> None:
        wire: Any = protocol.transport
        protocol.data_received(request())
        await asyncio.sleep(0)
        assert (wire.statuses(), asked.queue.in_flight) == ([], 1)
        asked.log.told[0](error)
        assert (wire.statuses(), asked.queue.in_flight) == ([status], 0)

    assert talked(asked, talk).statuses() == [status]


def test_a_write_that_ends_after_its_client_has_gone_is_told_to_nobody() -> None:
    asked = Asked()
    asked.json_routes = {"/route": stored}

    async def talk(protocol: DirectProtocol) -> None:
        protocol.data_received(request())
        await asyncio.sleep(0)
        protocol.connection_lost(None)
        asked.log.told[0](None)

    assert talked(asked, talk).statuses() == []
    assert asked.queue.in_flight == 0


def test_for_a_client_that_goes_while_its_request_waits_nothing_is_done() -> None:
    asked = Asked()

    def talk(protocol: DirectProtocol) -> None:
        protocol.data_received(request())
        protocol.connection_lost(None)

    assert talked(asked, talk).statuses() == []
    assert asked.bodies == []


def test_a_waiting_answer_comes_before_that_to_the_next_request() -> None:
    asked = Asked()
    asked.json_routes = {"/route": stored}

    async def talk(protocol: DirectProtocol) -> None:
        protocol.data_received(request() + request(start="GET /other HTTP/1.1", content_length="0")[:-2])
        await asyncio.sleep(0)
        asked.log.told[0](None)

    assert talked(asked, talk).statuses() == [201, 202]


def test_what_comes_while_the_queue_is_full_is_refused_and_not_worked_on() -> None:
    asked = Asked()
    asked.queue.in_flight = 1000
    wire = talked(asked, lambda protocol: protocol.data_received(request()))
    assert (wire.statuses(), asked.bodies) == ([503], [])
    assert b"retry-after: 1" in wire.written[0]
