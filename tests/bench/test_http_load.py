import asyncio
from collections.abc import Callable
from itertools import cycle, repeat

import pytest

from bench.http_load import Outcome, closed_loop, open_loop, post

GOOD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
REFUSED = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\n{}"
REQUESTS = repeat(post(b"/predict", b"{}"))


async def served(answers: list[bytes], seconds: float, load: Callable[[int], object]) -> Outcome:
    """What `load(port)` sees of a server that gives these answers in turn, each after so many seconds."""
    given = cycle(answers)

    async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n{}")
                await asyncio.sleep(seconds)
                writer.write(next(given))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(answering, "127.0.0.1", 0)
    async with server:
        return await load(server.sockets[0].getsockname()[1])


def test_an_answer_that_is_not_as_asked_ends_the_measurement():
    with pytest.raises(RuntimeError, match="not answered as asked"):
        asyncio.run(served([REFUSED], 0, lambda port: closed_loop(port, REQUESTS, 1, 20.0)))


def test_in_a_closed_loop_each_connection_asks_again_once_it_is_answered():
    outcome = asyncio.run(served([GOOD], 0.01, lambda port: closed_loop(port, REQUESTS, 4, 0.3)))
    assert 4 < len(outcome.seconds) <= 4 * 31
    assert min(outcome.seconds) >= 0.01
    assert (outcome.refused, outcome.unsent) == ([], 0)


def test_in_an_open_loop_refusals_are_counted_and_the_rest_is_good():
    outcome = asyncio.run(served([GOOD, REFUSED], 0, lambda port: open_loop(port, REQUESTS, 8, 0.5, 400.0)))
    total = len(outcome.seconds) + len(outcome.refused) + outcome.unsent
    assert 100 < total < 320
    assert abs(len(outcome.seconds) - len(outcome.refused)) <= 1


def test_in_an_open_loop_what_finds_no_free_connection_is_unsent():
    outcome = asyncio.run(served([GOOD], 0.2, lambda port: open_loop(port, REQUESTS, 2, 0.5, 400.0)))
    assert len(outcome.seconds) <= 2 * 4
    assert outcome.unsent > 50
