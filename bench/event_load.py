"""Events asked over HTTP as fast as a server answers, with as little of this core's time a request as Python allows."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

CLOCK = "2019-11-30T23:59:59Z"
"""When the events are told."""
EVENTS_A_USER = 5
"""Consecutive events that name the same user."""
HEAD = b"POST %s HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
IMPRESSION = (
    b'{"impression_id":"00000000-0000-4000-8000-%012x","user_id":"user-%012d","ad_id":"men-14",'
    b'"timestamp":"2019-11-30T23:00:00.123456Z","device_type":"phone","location":"DE-BE","campaign_id":"men",'
    b'"position":2,"features":{"site":"news","hour":12,"is_new":true}}'
)
CLICK = (
    b'{"click_id":"00000000-0000-4000-8000-%012x","impression_id":"00000000-0000-4000-8000-%012d",'
    b'"timestamp":"2019-11-30T23:00:30.123456Z"}'
)


@dataclass(frozen=True)
class Load:
    """What is asked: `size` events a request (1: no array) over `connections` at once, each waiting for its answer."""

    kind: str
    size: int
    connections: int

    @property
    def name(self) -> str:
        return f"{self.kind}s, {'singles' if self.size == 1 else f'arrays of {self.size}'}, {self.connections} conn."


class Requests:
    """Requests without end, no event id twice."""

    def __init__(self, load: Load, numbers: Iterator[int]) -> None:
        self._path = b"/event/" + load.kind.encode()
        self._event = IMPRESSION if load.kind == "impression" else CLICK
        self._size, self._numbers = load.size, numbers

    def __next__(self) -> bytes:
        event = self._event
        events = [event % (number, number // EVENTS_A_USER) for number in islice(self._numbers, self._size)]
        body = events[0] if self._size == 1 else b"[%s]" % b",".join(events)
        return HEAD % (self._path, len(body), body)


class Asking(asyncio.Protocol):
    """One connection that asks again as soon as it is answered, until its time is over."""

    def __init__(self, requests: Requests, until: float, over: "asyncio.Future[None]") -> None:
        self._requests, self._until, self._over = requests, until, over
        self._answer = b""
        self._asked_at = 0.0
        self.seconds: list[float] = []

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        request = next(self._requests)
        self._asked_at = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, found, body = self._answer.partition(b"\r\n\r\n")
        if not found or len(body) < int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]):
            return
        now = time.perf_counter()
        if not head.startswith(b"HTTP/1.1 201"):
            self._over.set_exception(RuntimeError(f"not 201: {head[:60]!r} {body[:200]!r}"))
            self._transport.close()
            return
        self.seconds.append(now - self._asked_at)
        self._answer = b""
        if now < self._until:
            self._ask()
        else:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._over.done():
            self._over.set_result(None)


async def asked(port: int, load: Load, requests: Requests, seconds: float) -> tuple[list[float], float]:
    """Latencies of all requests, and how long they took together."""
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    asking = []
    for _ in range(load.connections):
        over: asyncio.Future[None] = loop.create_future()
        protocol = Asking(requests, began + seconds, over)
        await loop.create_connection(lambda protocol=protocol: protocol, "127.0.0.1", port)
        asking.append((protocol, over))
    for _, over in asking:
        await over
    return [latency for protocol, _ in asking for latency in protocol.seconds], time.perf_counter() - began
