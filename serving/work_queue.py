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
from typing import NamedTuple, TypeVar

LOGGER = logging.getLogger(__name__)
Result = TypeVar("Result")
TURN_SECONDS = 0.002
"""A turn takes so long at least while others wait, and half as long as what was between it and the one before: however
much comes, a third of the time goes into work."""
REQUEST_BYTES, LARGEST = 200, 20_000
"""A request takes as long as so many bytes of a body besides its own, so that 1 ad, 50 and 1,000 take about the same a
byte; and no longer than so many, since what is larger has much in it that nobody looks at."""
SECONDS_A_BYTE = 2e-7
"""Until it is known."""
REMEMBERED_BYTES = 200_000
"""Over about as many, 500 requests of one ad, what a byte takes is averaged."""
SURPRISE = 4.0
"""A turn counts as at most so many times what it was expected to take: a halt of a moment is no dearer work."""
LEAST = 16
"""As many requests may always wait, however long they take: so many large slates at once are no overload yet."""


class Waiting(NamedTuple):
    """What is to be done, and its `size` in bytes."""

    work: Callable[[], None]
    size: int


class WorkQueue:
    """Of one event loop. `delay_limit` is in seconds; of requests that wait for the disk, `in_flight`, there may be
    `in_flight_limit`; `turned` is called at the end of each turn, `clock` tells seconds."""

    def __init__(
        self,
        delay_limit: float,
        in_flight_limit: int,
        turned: Callable[[], None],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._delay_limit, self._in_flight_limit = delay_limit, in_flight_limit
        self._turned, self._clock = turned, clock
        self._waiting: deque[Waiting] = deque()
        self._waiting_bytes = self._seen_bytes = 0
        self._seconds_a_byte = SECONDS_A_BYTE
        self._behind_since = 0.0
        self.in_flight = 0

    @property
    def is_full(self) -> bool:
        is_late = self._waiting_bytes * self._seconds_a_byte > self._delay_limit and len(self._waiting) >= LEAST
        return is_late or self.in_flight >= self._in_flight_limit

    def add(self, work: Callable[[], None], body_bytes: int) -> None:
        """`work` on a request with such a body is called in the running event loop, after this has returned."""
        if not self._waiting:
            self._behind_since = self._clock()
            asyncio.get_running_loop().call_soon(self._turn)
        size = min(REQUEST_BYTES + body_bytes, LARGEST)
        self._waiting.append(Waiting(work, size))
        self._waiting_bytes += size

    async def result_of(self, work: Callable[[], Result], body_bytes: int) -> Result:
        """As `add`: what `work` gives, or raises."""
        found: asyncio.Future[Result] = asyncio.get_running_loop().create_future()

        def found_out() -> None:
            if found.cancelled():
                return
            try:
                found.set_result(work())
            except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
                found.set_exception(error)

        self.add(found_out, body_bytes)
        return await found

    def _turn(self) -> None:
        now, worked_bytes = self._clock(), 0
        until = now + max(TURN_SECONDS, (now - self._behind_since) / 2)
        while self._waiting and now < until:
            work, size = self._waiting.popleft()
            try:
                work()
            except Exception:
                LOGGER.exception("a request could not be worked on")
            now, worked_bytes = self._clock(), worked_bytes + size
        self._learn(worked_bytes, now - self._behind_since)
        self._behind_since = now
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._turn)
        self._turned()

    def _learn(self, worked_bytes: int, seconds: float) -> None:
        """What a byte takes, of what was worked off in these seconds."""
        self._waiting_bytes -= worked_bytes
        self._seen_bytes += worked_bytes
        expected = worked_bytes * self._seconds_a_byte
        weight = max(min(self._seen_bytes, REMEMBERED_BYTES), worked_bytes)
        self._seconds_a_byte += (min(seconds, SURPRISE * expected) - expected) / weight
