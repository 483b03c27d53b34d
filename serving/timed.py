"""uvicorn's HTTP/1.1 protocol with an end to patience, and the quickest of refusals where too much is asked."""

import asyncio
from collections.abc import Container
from functools import lru_cache

from serving.direct import response_bytes
from serving.problems import OVERLOADED, ProblemError
from serving.protocol import LimitedProtocol

SILENCE_SECONDS = 75.0
"""How long a new connection may say nothing."""
STUCK_SECONDS = 10.0
"""How long a client may leave an answer unread."""
HEAD_END = b"\r\n\r\n"
LENGTH = b"\r\ncontent-length:"
LONGEST_PLAIN_HEAD = 2048


class TimedProtocol(LimitedProtocol):
    """Answers 408 to a head, or a body, that is not whole in the application's `receive_seconds`, and hangs up; so it
    does on who never asks, or never reads. Refuses whole plain requests unread where the `queue` is full."""

    _phase = ""
    _deadline: asyncio.TimerHandle | None = None
    _stuck: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.app.connection_limit:
            self._refuse(ProblemError(503, "too_many_connections", headers={"retry-after": "1"}))
        else:
            self._deadline = self.loop.call_later(SILENCE_SECONDS, transport.close)

    def data_received(self, data: bytes) -> None:
        if self.app.queue.is_full and self._is_free() and _is_whole_plain(data, self.app.json_routes):
            self.app.metrics.refused("overloaded")
            self.transport.write(_overloaded(*self.server_state.default_headers))
            return
        super().data_received(data)
        phase = "head" if self._is_in_head else "body" if self._lacks_body() else ""
        if phase != self._phase or self._deadline is not None:
            self._enter(phase)

    def _is_free(self) -> bool:
        """Between two requests: nothing has come of the next, and nothing waits for its answer."""
        return not self._is_in_head and (self.cycle is None or self.cycle.response_complete) and not self._lacks_body()

    def _lacks_body(self) -> bool:
        return self.cycle is not None and self.cycle.more_body

    def _enter(self, phase: str) -> None:
        """Each phase has its own time; more bytes of the same one give no more."""
        if phase == self._phase and phase:
            return
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self._phase = phase
        if phase and not self.transport.is_closing():
            self._deadline = self.loop.call_later(self.app.receive_seconds, self._give_up)

    def _give_up(self) -> None:
        if self.transport.is_closing():
            return
        if self._phase == "body" and self.cycle.response_complete:
            self.transport.close()
            return
        self._problem = ProblemError(408, "too_slow", f"the {self._phase} was not whole in time")
        self.send_400_response("")

    def _refuse(self, problem: ProblemError) -> None:
        self.app.metrics.refused(problem.kind)
        self.write_response(problem.response(), keep_alive=False)
        self.transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stuck = self.loop.call_later(STUCK_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stuck is not None:
            self._stuck.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._deadline, self._stuck):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)


@lru_cache(maxsize=4)
def _overloaded(*default_headers: tuple[bytes, bytes]) -> bytes:
    """The refusal, as it is sent within the second that these headers name."""
    return response_bytes(OVERLOADED, default_headers, keep_alive=True)


def _is_whole_plain(data: bytes, routes: Container[str]) -> bool:
    """Is `data` one request, whole, to one of the routes that take JSON?"""
    end = data.find(HEAD_END)
    if not 0 < end <= LONGEST_PLAIN_HEAD:
        return False
    path, length = _plain_head(data[:end])
    return path in routes and len(data) == end + len(HEAD_END) + length


@lru_cache(maxsize=1024)
def _plain_head(head: bytes) -> tuple[str, int]:
    """Path and Content-Length of a POST that asks for nothing else, or no path. Remembered, since the heads of a client
    are mostly alike."""
    lowered = head.lower()
    at = lowered.find(LENGTH) if lowered.count(LENGTH) == 1 else -1
    asks_more = b"connection:" in lowered or b"expect:" in lowered or b"transfer-encoding:" in lowered
    if not head.startswith(b"POST ") or at < 0 or asks_more:
        return "", 0
    length = lowered[at + len(LENGTH) :].split(b"\r\n", 1)[0].strip()
    return (head[5 : head.find(b" ", 5)].decode("latin-1"), int(length)) if length.isdigit() else ("", 0)
