"""Requests over HTTP as fast as a server answers, with as little of this core's time a request as Python allows."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

HEAD = b"POST %s HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"


def post(path: bytes, body: bytes) -> bytes:
    """A POST of JSON."""
    return HEAD % (path, len(body), body)


class Asking(asyncio.Protocol):
    """One connection that asks again as soon as it is answered, until its time is over. Any other status fails."""

    def __init__(self, requests: Iterator[bytes], until: float, status: int) -> None:
        self._requests, self._until, self._good = requests, until, b"HTTP/1.1 %d" % status
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
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
        if not found or len(body) < int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]):
            return
        now = time.perf_counter()
        if not head.startswith(self._good):
            self.over.set_exception(RuntimeError(f"not answered as asked: {head[:60]!r} {body[:300]!r}"))
            self._transport.close()
            return
        self.seconds.append(now - self._asked_at)
        self._answer = b""
        if now < self._until:
            self._ask()
        else:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.over.done():
            self.over.set_result(None)


async def closed_loop(
    port: int, requests: Iterator[bytes], connections: int, seconds: float, status: int = 200
) -> tuple[list[float], float]:
    """Latencies in seconds of all requests, and how long they took together."""
    began = time.perf_counter()
    asking = [Asking(requests, began + seconds, status) for _ in range(connections)]
    for one in asking:
        await asyncio.get_running_loop().create_connection(lambda one=one: one, "127.0.0.1", port)
    for one in asking:
        await one.over
    return [latency for one in asking for latency in one.seconds], time.perf_counter() - began
