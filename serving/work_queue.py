"""Requests in the order they came, worked off in turns of the event loop, and no more of them than can be in time.

All that has come is read before the next turn, so that who is refused learns it at once, and what is done goes out
between the turns. Full is the queue where one more would wait longer than the limit: by Little's law that is as many as
wait, times what each takes while others wait.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable

LOGGER = logging.getLogger(__name__)
TURN_SECONDS = 0.002
REMEMBERED = 512
"""Over about as many requests what each takes is averaged: one that halts all for a moment makes nobody refused."""
LEAST = 16
"""As many may always wait, however long they take: so many large slates at once are no overload yet."""


class WorkQueue:
    """Of one event loop. `delay_limit` is in seconds; of requests that wait for the disk, `in_flight`, there may be
    `in_flight_limit`; `turned` is called at the end of each turn."""

    def __init__(self, delay_limit: float, in_flight_limit: int, turned: Callable[[], None]) -> None:
        self._delay_limit, self._in_flight_limit, self._turned = delay_limit, in_flight_limit, turned
        self._waiting: deque[Callable[[], None]] = deque()
        self._seconds_each = 0.0
        self._behind_since = 0.0
        self.in_flight = 0

    @property
    def is_full(self) -> bool:
        waiting = len(self._waiting)
        is_late = waiting >= LEAST and waiting * self._seconds_each > self._delay_limit
        return is_late or self.in_flight >= self._in_flight_limit

    def add(self, work: Callable[[], None]) -> None:
        """`work` is called in the running event loop, after this has returned."""
        if not self._waiting:
            self._behind_since = time.perf_counter()
            asyncio.get_running_loop().call_soon(self._turn)
        self._waiting.append(work)

    def _turn(self) -> None:
        now, worked = time.perf_counter(), 0
        until = now + TURN_SECONDS
        while self._waiting and now < until:
            try:
                self._waiting.popleft()()
            except Exception:
                LOGGER.exception("a request could not be worked on")
            now, worked = time.perf_counter(), worked + 1
        self._turned()
        self._seconds_each += (now - self._behind_since - worked * self._seconds_each) / max(REMEMBERED, worked)
        self._behind_since = now
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._turn)
