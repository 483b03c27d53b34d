"""Requests over HTTP as fast as a server answers, or as often as is offered, with as little of this core's time a
request as Python allows."""

import asyncio
import random
import time
from collections.abc import Iterator
from itertools import repeat
from typing import Any

HEAD = b"POST %s HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"


def post(path: bytes, body: bytes) -> bytes:
    """A POST of JSON."""
    return HEAD % (path, len(body), body)


class Asking(asyncio.Protocol):
    """One connection that asks again as soon as it is answered and the next request is due, until its time is over.

    `seconds` are counted from when each request was due: one that had to wait for the answer before it was late. What
    is not answered with `status` is counted in `refused`, and fails the whole where `is_strict`.
    """

    def __init__(
        self, requests: Iterator[bytes], dues: Iterator[float], until: float, status: int, is_strict: bool
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._requests, self._dues, self._until = requests, dues, until
        self._good, self._is_strict = b"HTTP/1.1 %d" % status, is_strict
        self.over: asyncio.Future[None] = self._loop.create_future()
        self._answer = b""
        self._due_at = 0.0
        self.seconds: list[float] = []
        self.refused: list[float] = []

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._ask_when_due()

    def _ask_when_due(self) -> None:
        now = time.perf_counter()
        self._due_at = next(self._dues) or now
        if self._due_at >= self._until:
            self._transport.close()
        elif self._due_at <= now:
            self._ask()
        else:
            self._loop.call_later(self._due_at - now, self._ask)

    def _ask(self) -> None:
        self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, found, body = self._answer.partition(b"\r\n\r\n")
        if not found or len(body) < int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]):
            return
        took = time.perf_counter() - self._due_at
        if head.startswith(self._good):
            self.seconds.append(took)
        elif self._is_strict:
            self.over.set_exception(RuntimeError(f"not answered as asked: {head[:60]!r} {body[:300]!r}"))
            self._transport.close()
            return
        else:
            self.refused.append(took)
        self._answer = b""
        self._ask_when_due()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.over.done():
            self.over.set_result(None)


class Outcome:
    """What the connections saw together: latencies in seconds of good answers and of others, and how long it took."""

    def __init__(self, asking: list[Asking], took: float) -> None:
        self.seconds = [each for one in asking for each in one.seconds]
        self.refused = [each for one in asking for each in one.refused]
        self.took = took


async def closed_loop(
    port: int, requests: Iterator[bytes], connections: int, seconds: float, status: int = 200
) -> Outcome:
    """Each connection asks as soon as it is answered; any other status fails."""
    until = time.perf_counter() + seconds
    return await _asked(port, [Asking(requests, repeat(0.0), until, status, True) for _ in range(connections)])


async def open_loop(
    port: int, requests: Iterator[bytes], connections: int, seconds: float, rate: float, status: int = 200
) -> Outcome:
    """`rate` requests a second are due, whether the server keeps up or not: a Poisson process a connection."""
    began = time.perf_counter()
    dues = [_poisson(began, rate / connections, seed) for seed in range(connections)]
    return await _asked(port, [Asking(requests, each, began + seconds, status, False) for each in dues])


def _poisson(began: float, rate: float, seed: int) -> Iterator[float]:
    drawn, due = random.Random(seed), began
    while True:
        due += drawn.expovariate(rate)
        yield due


async def _asked(port: int, asking: list[Asking]) -> Outcome:
    began = time.perf_counter()
    for one in asking:
        await asyncio.get_running_loop().create_connection(lambda one=one: one, "127.0.0.1", port)
    for one in asking:
        await one.over
    return Outcome(asking, time.perf_counter() - began)
