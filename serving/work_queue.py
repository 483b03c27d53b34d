"""Requests in the order they came, worked off in turns of the event loop, and no more of them than can be in time.

All that has come is read before the next turn, so that who is refused learns it at once, and what is done goes out
between the turns. Full is the queue where one more would wait longer than the limit: by Little's law that is as much as
waits, in bytes, times what a byte takes while others wait.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

LOGGER = logging.getLogger(__name__)
TURN_SECONDS = 0.002
REQUEST_BYTES = 400
"""A request takes as long as so many bytes of a body, besides its own: a slate of 50 ads three times what one ad takes,
one of 1,000 sixty times."""
REMEMBERED_BYTES = 300_000
"""Over about as many, 500 requests of one ad, what a byte takes is averaged: one that halts all for a moment makes
nobody refused."""
LEAST = 16
"""As many requests may always wait, however long they take: so many large slates at once are no overload yet."""


class Waiting(NamedTuple):
    """What is to be done, and its `size` in bytes."""

    work: Callable[[], None]
    size: int


class WorkQueue:
    """Of one event loop. `delay_limit` is in seconds; of requests that wait for the disk, `in_flight`, there may be
    `in_flight_limit`; `turned` is called at the end of each turn."""

    def __init__(self, delay_limit: float, in_flight_limit: int, turned: Callable[[], None]) -> None:
        self._delay_limit, self._in_flight_limit, self._turned = delay_limit, in_flight_limit, turned
        self._waiting: deque[Waiting] = deque()
        self._waiting_bytes = 0
        self._seconds_a_byte = 0.0
        self._behind_since = 0.0
        self.in_flight = 0

    @property
    def is_full(self) -> bool:
        is_late = self._waiting_bytes * self._seconds_a_byte > self._delay_limit and len(self._waiting) >= LEAST
        return is_late or self.in_flight >= self._in_flight_limit

    def add(self, work: Callable[[], None], body_bytes: int) -> None:
        """`work` on a request with such a body is called in the running event loop, after this has returned."""
        if not self._waiting:
            self._behind_since = time.perf_counter()
            asyncio.get_running_loop().call_soon(self._turn)
        size = REQUEST_BYTES + body_bytes
        self._waiting.append(Waiting(work, size))
        self._waiting_bytes += size

    def _turn(self) -> None:
        now, worked_bytes = time.perf_counter(), 0
        until = now + TURN_SECONDS
        while self._waiting and now < until:
            work, size = self._waiting.popleft()
            try:
                work()
            except Exception:
                LOGGER.exception("a request could not be worked on")
            now, worked_bytes = time.perf_counter(), worked_bytes + size
        self._turned()
        self._waiting_bytes -= worked_bytes
        surprise = now - self._behind_since - worked_bytes * self._seconds_a_byte
        self._seconds_a_byte += surprise / max(REMEMBERED_BYTES, worked_bytes)
        self._behind_since = now
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._turn)
