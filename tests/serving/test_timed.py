"""Clients that are slow, silent or too many, over real sockets."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from data_contracts.settings import Settings
from serving import timed
from serving.protocol import LimitedProtocol
from tests.serving.conftest import Served, running, wait_for

BODY = b'{"user_id": "u", "ad_id": "shoes"}'
HEAD = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
WHOLE = HEAD % len(BODY) + BODY


@pytest.fixture
def hurried(settings: Settings, publish: Callable[..., Path]) -> Iterator[Served]:
    """Serving that gives a head, and a body, 0.3 s each, and takes three connections."""
    publish()
    limits = replace(settings.serving, receive_seconds=0.3, connection_limit=3)
    with running(replace(settings, serving=limits)) as serving:
        serving.client.close()
        wait_for(lambda: serving.application.snapshots.current)
        yield serving


@contextmanager
def connected(serving: Served) -> Iterator[socket.socket]:
    services = serving.settings.services
    with socket.create_connection((services.host, services.serving_port), timeout=20) as client:
        yield client


def answered(client: socket.socket) -> tuple[int, Any, bool]:
    """Status and body of the next answer, and whether the server then hung up."""
    content = b""
    while b"\r\n\r\n" not in content:
        content += client.recv(65536)
    head, _, body = content.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += client.recv(65536)
    client.settimeout(0.2)
    try:
        hung_up = client.recv(1) == b""
    except TimeoutError:
        hung_up = False
    client.settimeout(20)
    return int(head.split(b" ", 2)[1]), json.loads(body), hung_up


@pytest.mark.parametrize(
    ("part", "phase"),
    [(b"P", "head"), (HEAD[:40], "head"), (HEAD % len(BODY), "body"), (HEAD % len(BODY) + BODY[:9], "body")],
)
def test_what_is_not_whole_in_time_is_408(hurried: Served, part: bytes, phase: str) -> None:
    with connected(hurried) as client:
        client.sendall(part)
        status, problem, hung_up = answered(client)
    assert (status, problem["type"], hung_up) == (408, "too_slow", True)
    assert problem["detail"] == f"the {phase} was not whole in time"


def test_bytes_that_trickle_in_give_no_more_time(hurried: Served) -> None:
    began = time.monotonic()
    with connected(hurried) as client:
        client.settimeout(0.05)
        for place in range(len(HEAD)):
            client.sendall(HEAD[place : place + 1])
            try:
                content = client.recv(65536)
                break
            except TimeoutError:
                assert time.monotonic() < began + 20
    assert content.startswith(b"HTTP/1.1 408 ")


def test_a_slow_body_has_time_of_its_own_and_a_quick_client_is_left_alone(hurried: Served) -> None:
    with connected(hurried) as client:
        for _ in range(3):
            for part in (HEAD[:50], (HEAD % len(BODY))[50:], BODY[:5], BODY[5:]):
                client.sendall(part)
                time.sleep(0.1)
            assert answered(client)[::2] == (200, False)
        time.sleep(0.5)
        client.sendall(WHOLE)
        assert answered(client)[0] == 200


def test_an_answer_under_way_is_given_before_the_next_is_given_up(hurried: Served) -> None:
    with connected(hurried) as client:
        client.sendall(WHOLE + HEAD[:20])
        content = b""
        while piece := client.recv(65536):
            content += piece
    assert content.startswith(b"HTTP/1.1 200 ")
    assert content.count(b"HTTP/1.1") in (1, 2)


def test_a_connection_more_than_the_limit_is_refused(hurried: Served) -> None:
    with connected(hurried) as first, connected(hurried) as second, connected(hurried) as third:
        for client in (first, second, third):
            client.sendall(WHOLE)
            assert answered(client)[0] == 200
        with connected(hurried) as fourth:
            status, problem, hung_up = answered(fourth)
            assert (status, problem["type"], hung_up) == (503, "too_many_connections", True)
        first.sendall(WHOLE)
        assert answered(first)[0] == 200


def test_a_connection_that_never_asks_is_hung_up_on(
    settings: Settings, publish: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timed, "SILENCE_SECONDS", 0.1)
    with running(settings) as serving, connected(serving) as client:
        assert client.recv(1) == b""


def test_a_client_that_never_reads_is_hung_up_on(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timed, "STUCK_SECONDS", 0.2)
    with running(settings) as serving, connected(serving) as client:
        client.settimeout(1)

        def ask() -> None:
            while True:
                client.sendall(b"GET /no HTTP/1.1\r\nHost: x\r\n\r\n" * 1000)

        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            wait_for(lambda: _raises_timeout(ask) and False)


def _raises_timeout(ask: Callable[[], None]) -> bool:
    try:
        ask()
    except TimeoutError:
        return True
    return False


@pytest.mark.parametrize(
    ("data", "is_whole_plain"),
    [
        (WHOLE, True),
        (WHOLE[:-1], False),
        (WHOLE + b" ", False),
        (WHOLE.replace(b"POST", b"GET"), False),
        (WHOLE.replace(b"/predict", b"/health"), False),
        (WHOLE.replace(b"Host: x", b"Connection: close"), False),
        (WHOLE.replace(b"Host: x", b"Expect: 100-continue"), False),
        (WHOLE.replace(b"Content-Length", b"Transfer-Encoding"), False),
        (WHOLE.replace(b"Host: x", b"Host: " + b"x" * 3000), False),
        (WHOLE.replace(b"Host: x", b"X-Content-Length: 3"), True),
        (WHOLE[:-3].replace(b"Host: x", b"X-Content-Length: 31"), False),
        (WHOLE.replace(b"Host: x", b"Content-Length: 34"), False),
        (BODY, False),
        (b"\r\n\r\n", False),
    ],
)
def test_only_a_whole_plain_request_may_be_refused_unread(data: bytes, is_whole_plain: bool) -> None:
    assert timed._is_whole_plain(data, {"/predict"}) is is_whole_plain


def test_while_the_queue_is_full_a_whole_request_is_refused_unread(
    hurried: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[bytes] = []
    reads = LimitedProtocol.data_received

    def data_received(self: LimitedProtocol, data: bytes) -> None:
        read.append(data)
        reads(self, data)

    monkeypatch.setattr(LimitedProtocol, "data_received", data_received)
    queue, limit = hurried.application.queue, hurried.settings.serving.in_flight_limit
    for in_flight, status in ((limit, 503), (0, 200), (limit, 503)):
        queue.in_flight = in_flight
        with connected(hurried) as client:
            client.sendall(WHOLE)
            assert answered(client)[0] == status
    assert read == [WHOLE]
