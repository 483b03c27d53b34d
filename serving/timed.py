"""uvicorn's HTTP/1.1 protocol with an end to patience, and the quickest of refusals where too much is asked."""

import asyncio
from collections.abc import Container

from serving.problems import OVERLOADED, ProblemError
from serving.protocol import LimitedProtocol

SILENCE_SECONDS = 75.0
"""How long a new connection may say nothing."""
STUCK_SECONDS = 10.0
"""How long a client may leave an answer unread."""
HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length:"


class TimedProtocol(LimitedProtocol):
    """Answers 408 to a head, or a body, that is not whole in the application's `receive_seconds`, and hangs up; so it
    does on who never asks, or never reads. Refuses whole plain requests unread where the `admission` does."""

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
        if self.app.admission.is_late and self._is_refused_unread(data):
            self.app.metrics.refused("overloaded")
            self.write_response(OVERLOADED, keep_alive=True)
            return
        super().data_received(data)
        phase = "head" if self._is_in_head else "body" if self._lacks_body() else ""
        if phase != self._phase or self._deadline is not None:
            self._enter(phase)

    def _is_refused_unread(self, data: bytes) -> bool:
        return self._is_free() and _is_whole_plain(data, self.app.json_routes) and not self.app.admission.admits()

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
        self.app.metrics.refused("too_slow")
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


def _is_whole_plain(data: bytes, routes: Container[str]) -> bool:
    """Is `data` one request, whole, to one of the routes that take JSON?"""
    if not data.startswith(b"POST ") or data[5 : data.find(b" ", 5)].decode("latin-1") not in routes:
        return False
    end = data.find(HEAD_END)
    head = data[:end].lower()
    at = head.find(LENGTH)
    if end < 0 or at < 0 or b"connection:" in head or b"expect:" in head or b"transfer-encoding:" in head:
        return False
    length = head[at + len(LENGTH) :].split(b"\r\n", 1)[0].strip()
    return length.isdigit() and len(data) == end + len(HEAD_END) + int(length)
