"""Who is let in when more is asked than can be answered: the late are refused at once, so that the others are not late.

What is ready at the same time is worked off in one round of the event loop. A request that comes up late in its round
has waited as long already. One long round is a burst, and passes; where rounds stay longer than the limit for a while,
what comes up past it is refused (after CoDel: Nichols and Jacobson 2012). So is what is more than may be in flight.
"""

import asyncio
import time

PATIENCE_SECONDS = 0.05
"""How long rounds must have been too long before anything is refused."""
LEAST_A_ROUND = 16
"""As many requests are let in at least, however long they take: so many large slates at once are no overload yet."""


class Admission:
    """Of one event loop. `delay_limit` is in seconds, `in_flight_limit` in requests that wait for the disk; `is_late`
    says whether the last round was too long."""

    def __init__(self, delay_limit: float, in_flight_limit: int) -> None:
        self._delay_limit, self._in_flight_limit = delay_limit, in_flight_limit
        self._loop: asyncio.AbstractEventLoop | None = None
        self._round_began, self._let_in = 0.0, 0
        self._late_since = 0.0
        self.is_late = False
        self.in_flight = 0

    def admits(self) -> bool:
        """May a request that comes up now be worked on?"""
        now = time.perf_counter()
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._round_began, self._let_in = now, 0
            self._loop.call_soon(self._end_round)
        if self.in_flight >= self._in_flight_limit:
            return False
        is_for_long = self.is_late and now - self._late_since >= PATIENCE_SECONDS
        if is_for_long and self._let_in >= LEAST_A_ROUND and now - self._round_began >= self._delay_limit:
            return False
        self._let_in += 1
        return True

    def _end_round(self) -> None:
        self._loop = None
        if time.perf_counter() - self._round_began <= self._delay_limit:
            self.is_late = False
        elif not self.is_late:
            self.is_late, self._late_since = True, self._round_began
