"""Requests over HTTP as fast as a server answers, or as often as is offered, with as little of this core's time a
request as Python allows."""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

HEAD = b"POST %s HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
ANSWER_SECONDS = 30.0


def post(path: bytes, body: bytes) -> bytes:
    """A POST of JSON."""
    return HEAD % (path, len(body), body)


@dataclass
class Outcome:
    """What was seen: seconds from when each request was due until its good answer, and of those that were `refused`
    (503), how many found no free connection (`unsent`), and how long all took."""

    seconds: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    unsent: int = 0
    took: float = 0.0


class Connection(asyncio.Protocol):
    """Asks one thing at a time and then calls `answered`. What is not good fails, but a 503 where it is allowed."""

    def __init__(
        self, outcome: Outcome, status: int, answered: Callable[["Connection"], None], may_be_refused: bool
    ) -> None:
        self._outcome, self._answered, self._may_be_refused = outcome, answered, may_be_refused
        self._good = b"HTTP/1.1 %d" % status
        self._answer, self._due = b"", 0.0
        self.is_waiting = False
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def ask(self, request: bytes, due: float) -> None:
        self.is_waiting, self._due = True, due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, found, body = self._answer.partition(b"\r\n\r\n")
        if not found or len(body) < int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]):
            return
        took, is_good = time.perf_counter() - self._due, head.startswith(self._good)
        if not is_good and not (self._may_be_refused and head.startswith(b"HTTP/1.1 503")):
            self.over.set_exception(RuntimeError(f"not answered as asked: {head[:60]!r} {body[:300]!r}"))
            self._transport.close()
            return
        (self._outcome.seconds if is_good else self._outcome.refused).append(took)
        self._answer, self.is_waiting = b"", False
        self._answered(self)

    def close(self) -> None:
        self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.over.done():
            self.over.set_result(None)


async def closed_loop(
    port: int, requests: Iterator[bytes], connections: int, seconds: float, status: int = 200
) -> Outcome:
    """Each connection asks as soon as it is answered; a refusal fails, too."""
    outcome, until = Outcome(), time.perf_counter() + seconds

    def answered(one: Connection) -> None:
        if (now := time.perf_counter()) < until:
            one.ask(next(requests), now)
        else:
            one.close()

    began = time.perf_counter()
    for one in (every := await _connected(port, connections, outcome, status, answered, False)):
        one.ask(next(requests), time.perf_counter())
    await asyncio.gather(*(one.over for one in every))
    outcome.took = time.perf_counter() - began
    return outcome


async def open_loop(
    port: int, requests: Iterator[bytes], connections: int, seconds: float, rate: float, status: int = 200
) -> Outcome:
    """`rate` requests a second become due (Poisson), whether the server keeps up or not, each on a connection that is
    free; then up to ANSWER_SECONDS for the answers."""
    outcome, free = Outcome(), deque[Connection]()
    every = await _connected(port, connections, outcome, status, free.append, True)
    free.extend(every)
    drawn, began = random.Random(rate), time.perf_counter()
    due = began
    while (due := due + drawn.expovariate(rate)) < began + seconds:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))  # late or not, the answers must be read
        if free:
            free.popleft().ask(next(requests), due)
        else:
            outcome.unsent += 1
    outcome.took = time.perf_counter() - began
    deadline = time.perf_counter() + ANSWER_SECONDS
    while any(one.is_waiting for one in every) and time.perf_counter() < deadline:
        await asyncio.sleep(0.01)
    for one in every:
        one.close()
    await asyncio.gather(*(one.over for one in every))
    return outcome


async def _connected(
    port: int,
    connections: int,
    outcome: Outcome,
    status: int,
    answered: Callable[[Connection], None],
    may_be_refused: bool,
) -> list[Connection]:
    every = [Connection(outcome, status, answered, may_be_refused) for _ in range(connections)]
    for one in every:
        await asyncio.get_running_loop().create_connection(lambda one=one: one, "127.0.0.1", port)
    return every
