"""uvicorn's HTTP/1.1 protocol with a short way for what comes by the thousand.

A plain POST to one of the application's `json_routes` waits in its queue once its body is whole, and goes without the
messages of ASGI. All else, and what comes while a request before it waits for its answer, goes through ASGI to the same
routes; so a refusal that hangs on headers is made there only.
"""

import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from functools import lru_cache, partial
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.access import role_for
from serving.problems import OnceStored, Response, overloaded
from serving.requests import is_within

JsonRoute = Callable[[bytes], Response | OnceStored | Awaitable[Response]]
"""The answer to a POST with this JSON body; raises ProblemError."""
NOT_PLAIN = frozenset({b"content-encoding", b"expect", b"sec-gpc", b"transfer-encoding", b"upgrade"})


class NobodyWaits:
    """In place of the event by which ASGI learns of more of a body."""

    @staticmethod
    def set() -> None:
        """Nobody is told."""


class DirectCycle:
    """A request on the short way, with what uvicorn asks of a request in flight."""

    message_event = NobodyWaits

    def __init__(self, path: str, route: JsonRoute, keep_alive: bool) -> None:
        self.path, self.route, self.keep_alive = path, route, keep_alive
        self.began = time.perf_counter()
        self.parts: list[bytes] = []
        self.more_body, self.response_complete, self.disconnected = True, False, False


class DirectProtocol(HttpToolsProtocol):
    """One connection to the application, which says by `json_routes` what may go the short way, its bodies' limit by
    `body_limit_bytes`, and by `access` who may."""

    def on_message_begin(self) -> None:
        self.url, self.headers, self.expect_100_continue = b"", [], False

    def on_headers_complete(self) -> None:
        is_free = self.cycle is None or self.cycle.response_complete
        if is_free and (route := self._plain_route()) is not None:
            path = self.url.decode("latin-1")
            self.cycle = DirectCycle(path, route, self.parser.should_keep_alive())  # type: ignore[assignment]
            return
        head = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.headers, self.expect_100_continue = head
        self.scope["headers"] = self.headers
        super().on_headers_complete()

    def _plain_route(self) -> JsonRoute | None:
        """The route of a request that asks for nothing but an answer to its JSON."""
        routes: Mapping[str, JsonRoute] = self.app.json_routes
        path = self.url.decode("latin-1")
        route = routes.get(path)
        if route is None or self.parser.get_method() != b"POST" or self.parser.get_http_version() != "1.1":
            return None
        headers = dict(self.headers)
        length = headers.get(b"content-length", b"")
        is_plain = headers.get(b"content-type") == b"application/json" and NOT_PLAIN.isdisjoint(headers)
        if not is_plain or not length or not is_within(length, self.app.body_limit_bytes):
            return None
        refusal = self.app.access.refusal(role_for(path), headers.get(b"authorization"))
        return route if refusal is None else None

    def on_body(self, body: bytes) -> None:
        if isinstance(self.cycle, DirectCycle):
            self.cycle.parts.append(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        cycle = self.cycle
        if not isinstance(cycle, DirectCycle):
            super().on_message_complete()
            return
        cycle.more_body = False
        body = b"".join(cycle.parts)
        cycle.parts.clear()  # uvicorn holds on to the cycle until the connection's next
        if self.app.queue.is_full:
            self._begin(self._give_awaited(cycle, self.app.refusal(overloaded())))
        else:
            self.app.queue.add(partial(self._work, cycle, body), len(body))

    def _work(self, cycle: DirectCycle, body: bytes) -> None:
        """Not for who has gone meanwhile, and was told nothing."""
        if cycle.disconnected:
            return
        try:
            answer = cycle.route(body)
            if isinstance(answer, OnceStored):
                self.app.queue.in_flight += 1
                self.app.log.submit(answer.rows, partial(self._give_stored, cycle, answer))
            else:
                self._begin(self._give_awaited(cycle, answer))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is answered
            self._begin(self._give_awaited(cycle, self.app.refusal(error)))

    def _begin(self, giving: Coroutine[Any, Any, None]) -> None:
        task = self.loop.create_task(giving)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def _give_stored(self, cycle: DirectCycle, answer: OnceStored, error: Exception | None) -> None:
        self.app.queue.in_flight -= 1
        response = answer.response if error is None else self.app.refusal(answer.refused(error))
        if self.flow.write_paused:
            self._begin(self._give_awaited(cycle, response))
        else:
            self._give(cycle, response)

    async def _give_awaited(self, cycle: DirectCycle, answer: Response | Awaitable[Response]) -> None:
        """A stop that does not wait for the disk any longer hangs up: nobody can say then whether it is stored."""
        try:
            response = answer if isinstance(answer, Response) else await answer
        except Exception as error:  # noqa: BLE001 - whatever it is, it is answered
            response = self.app.refusal(error)
        if self.flow.write_paused and not cycle.disconnected:
            await self.flow.drain()
        self._give(cycle, response)

    def _give(self, cycle: DirectCycle, response: Response) -> None:
        if cycle.disconnected or self.transport.is_closing():
            return
        cycle.keep_alive = cycle.keep_alive and not response.hangs_up
        cycle.response_complete = True
        self.write_response(response, cycle.keep_alive)
        self.app.metrics.answered(cycle.path, response.status, time.perf_counter() - cycle.began)
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def write_response(self, response: Response, keep_alive: bool) -> None:
        """The whole answer in one piece."""
        self.transport.write(response_bytes(response, self.server_state.default_headers, keep_alive))


def response_bytes(response: Response, default_headers: Iterable[tuple[bytes, bytes]], keep_alive: bool) -> bytes:
    """A response as it is sent."""
    lines = [_header_line(*header) for header in default_headers]
    if response.headers:
        lines += [f"{name}: {value}\r\n".encode() for name, value in response.headers.items()]
    if not keep_alive and not response.hangs_up:
        lines.append(b"connection: close\r\n")
    start, body = _response_start(response.status, response.content_type), response.body
    return b"%s%d\r\n%s\r\n%s" % (start, len(body), b"".join(lines), body)


@lru_cache(maxsize=16)
def _header_line(name: bytes, value: bytes) -> bytes:
    return b"%s: %s\r\n" % (name, value)


@lru_cache(maxsize=256)
def _response_start(status: int, content_type: str) -> bytes:
    """A response up to the length of its body."""
    status_line = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"
    return f"{status_line}\r\ncontent-type: {content_type}\r\ncontent-length: ".encode()
