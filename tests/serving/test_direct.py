import asyncio

import pytest

from serving.direct import DirectProtocol
from serving.problems import ProblemError, Response
from tests.serving.wire import Asked, request, talked


def test_a_plain_post_is_answered_by_the_route_in_one_piece() -> None:
    asked = Asked()
    wire = talked(asked, lambda protocol: protocol.data_received(request(b"[]")))
    assert (asked.bodies, asked.asgi_paths) == ([b"[]"], [])
    assert wire.written == [
        b"HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}",
    ]
    assert not wire.is_closed


def test_a_body_in_pieces_is_one() -> None:
    asked = Asked()

    def talk(protocol: DirectProtocol) -> None:
        for byte in request(b"[]"):
            protocol.data_received(bytes([byte]))

    assert talked(asked, talk).statuses() == [201]
    assert asked.bodies == [b"[]"]


@pytest.mark.parametrize(
    "other",
    [
        request(start="POST /route?a=b HTTP/1.1"),
        request(start="POST /rout%65 HTTP/1.1"),
        request(start="POST /elsewhere HTTP/1.1"),
        request(start="PUT /route HTTP/1.1"),
        request(start="POST /route HTTP/1.0"),
        request(content_type="application/json; charset=utf-8"),
        request(content_encoding="gzip"),
        request(expect="100-continue"),
        request(b"[123456789]", content_length="11"),
        request(content_length="0" * 5000 + "2"),
        request(upgrade="h2c"),
        request(authorization="refused"),
        request(b"0\r\n\r\n", transfer_encoding="chunked").replace(b"content-length: 2\r\n", b""),
        request().replace(b"content-length", b"content-type: text/plain\r\ncontent-length"),
    ],
)
def test_what_is_not_plain_goes_through_asgi(other: bytes) -> None:
    asked = Asked()
    assert talked(asked, lambda protocol: protocol.data_received(other)).statuses() == [202]
    assert (asked.bodies, len(asked.asgi_paths)) == ([], 1)


def test_a_body_as_large_as_the_limit_is_plain_and_is_let_go_of_once_it_is_answered() -> None:
    asked, protocols = Asked(), []

    def talk(protocol: DirectProtocol) -> None:
        protocols.append(protocol)
        protocol.data_received(request(b"[12345678]", content_length="10"))

    assert talked(asked, talk).statuses() == [201]
    assert protocols[0].cycle.parts == []  # type: ignore[attr-defined]


def test_requests_in_one_piece_are_answered_in_their_order() -> None:
    """The second waits for the first, through ASGI; behind both the short way is free again."""

    async def talk(protocol: DirectProtocol) -> None:
        protocol.data_received(request() + request())
        await asyncio.sleep(0)
        await asyncio.gather(*protocol.tasks)
        await asyncio.gather(*protocol.tasks)
        protocol.data_received(request())

    assert talked(Asked(), talk).statuses() == [201, 202, 201]


def test_a_refusal_of_the_route_is_the_answer() -> None:
    class Refusing(Asked):
        async def route(self, body: bytes) -> Response:
            raise ProblemError(409, "id_conflict", headers={"retry-after": "1"})

    wire = talked(Refusing(), lambda protocol: protocol.data_received(request()))
    assert wire.written[0].startswith(b"HTTP/1.1 409 Conflict\r\ncontent-type: application/problem+json\r\n")
    assert b"\r\nretry-after: 1\r\n" in wire.written[0]
    assert not wire.is_closed


def test_a_route_that_fails_is_told_and_hung_up_on(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Asked):
        async def route(self, body: bytes) -> Response:
            raise RuntimeError("the cause")

    wire = talked(Failing(), lambda protocol: protocol.data_received(request()))
    assert wire.statuses() == [500]
    assert b"\r\nconnection: close\r\n" in wire.written[0]
    assert b"the cause" not in wire.written[0]
    assert wire.is_closed
    assert "the cause" in caplog.text


def test_a_client_that_wants_to_end_is_answered_and_hung_up_on() -> None:
    wire = talked(Asked(), lambda protocol: protocol.data_received(request(connection="close")))
    assert wire.statuses() == [201]
    assert b"\r\nconnection: close\r\n" in wire.written[0]
    assert wire.is_closed


class Slow(Asked):
    """A route that answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.may_answer = asyncio.Event()

    async def route(self, body: bytes) -> Response:
        await self.may_answer.wait()
        return await super().route(body)


def test_to_a_client_that_is_gone_nothing_is_written() -> None:
    async def talk(protocol: DirectProtocol) -> None:
        protocol.data_received(request())
        await asyncio.sleep(0)
        protocol.connection_lost(None)
        slow.may_answer.set()

    slow = Slow()
    assert talked(slow, talk).written == []
    assert slow.bodies == [b"{}"]


def test_to_a_client_that_is_gone_with_two_requests_in_flight_nothing_is_written() -> None:
    async def talk(protocol: DirectProtocol) -> None:
        protocol.data_received(request() + request())
        await asyncio.sleep(0)
        protocol.transport.close()
        protocol.connection_lost(None)
        slow.may_answer.set()

    slow = Slow()
    assert talked(slow, talk).written == []


def test_a_client_that_does_not_read_is_not_written_to_until_it_does() -> None:
    slow = Slow()

    async def talk(protocol: DirectProtocol) -> None:
        protocol.data_received(request())
        protocol.pause_writing()
        slow.may_answer.set()
        for _ in range(5):
            await asyncio.sleep(0)
        assert not protocol.transport.written  # type: ignore[attr-defined]
        protocol.resume_writing()

    assert talked(slow, talk).statuses() == [201]


def test_a_stop_waits_for_the_answer_and_then_hangs_up() -> None:
    slow = Slow()

    async def talk(protocol: DirectProtocol) -> None:
        protocol.data_received(request())
        await asyncio.sleep(0)
        protocol.shutdown()
        assert not protocol.transport.is_closing()
        slow.may_answer.set()

    wire = talked(slow, talk)
    assert wire.statuses() == [201]
    assert wire.is_closed
