"""A connection without a network: what the protocol of serving.direct writes to whom."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from serving.direct import DirectProtocol
from serving.metrics import Metrics
from serving.problems import ProblemError, Response, failed, json_response
from serving.work_queue import WorkQueue

HEADERS = {"host": "x", "content-type": "application/json", "content-length": "2"}


class Wire(asyncio.Transport):
    """What the protocol writes, and whether it hung up."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.is_closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.is_closed
        self.written.append(bytes(data))

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def statuses(self) -> list[int]:
        return [int(part[:3]) for part in b"".join(self.written).split(b"HTTP/1.1 ")[1:]]


class Waits:
    """A log that is told how each write ends."""

    def __init__(self) -> None:
        self.told: list[Callable[[Exception | None], None]] = []

    def submit(self, rows: Any, settled: Callable[[Exception | None], None]) -> None:
        self.told.append(settled)


class Asked:
    """An application that answers 201 by its route and 202 by ASGI, and remembers the bodies it got by the route."""

    body_limit_bytes = 10
    access = SimpleNamespace(refusal=lambda _, key: ProblemError(401, "unauthorized") if key == b"refused" else None)

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.asgi_paths: list[str] = []
        self.json_routes: dict[str, Any] = {"/route": self.route}
        self.queue, self.metrics, self.log = WorkQueue(1000.0, 1000, lambda: None), Metrics(), Waits()

    def refusal(self, error: Exception) -> Response:
        return failed(error)

    async def route(self, body: bytes) -> Response:
        self.bodies.append(body)
        return json_response({}, 201)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asgi_paths.append(scope["path"])
        for message in json_response({}, 202).messages():
            await send(message)


def request(body: bytes = b"{}", start: str = "POST /route HTTP/1.1", **headers: str) -> bytes:
    named = {**HEADERS, **{name.replace("_", "-"): value for name, value in headers.items()}}
    lines = [start, *(f"{name}: {value}" for name, value in named.items()), "", ""]
    return "\r\n".join(lines).encode() + body


def talked(application: Any, talk: Callable[[DirectProtocol], Any]) -> Wire:
    """What was written after `talk`, which may be asynchronous, and all tasks of the server."""

    async def conversation() -> Wire:
        wire, state = Wire(), ServerState()
        protocol = DirectProtocol(uvicorn.Config(application, log_config=None, proxy_headers=False), state, {})
        protocol.connection_made(wire)
        if (rest := talk(protocol)) is not None:
            await rest
        await asyncio.sleep(0)  # a turn of the queue
        while state.tasks:
            await asyncio.gather(*state.tasks)
        if protocol.timeout_keep_alive_task is not None:
            protocol.timeout_keep_alive_task.cancel()
        return wire

    return asyncio.run(conversation())
