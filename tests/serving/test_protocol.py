import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

CLICK = b'{"click_id":"%08x-0000-4000-8000-000000000000","impression_id":"%s","timestamp":"2019-11-30T12:00:00Z"}'
IMPRESSION_ID = b"5c1c1c1c-0000-4000-8000-00000000000a"


def click(number: int) -> bytes:
    body = CLICK % (number, IMPRESSION_ID)
    head = b"POST /event/click HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % len(body) + body


@pytest.fixture
def connection(degraded: Any) -> Iterator[socket.socket]:
    address = ("127.0.0.1", degraded.settings.services.serving_port)
    with closing(socket.create_connection(address, timeout=20)) as connected:
        yield connected


def until_closed(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


def statuses(answers: bytes) -> list[int]:
    return [int(part[:3]) for part in answers.split(b"HTTP/1.1 ")[1:]]


def test_requests_in_one_piece_are_answered_in_order(connection: socket.socket) -> None:
    connection.sendall(
        click(1) + click(1) + click(2) + b"GET /nowhere HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    )
    assert statuses(until_closed(connection)) == [201, 200, 201, 404]


def test_a_request_that_is_whole_is_answered_before_nonsense_behind_it_is_hung_up_on(connection: socket.socket) -> None:
    connection.sendall(click(3) + b"nonsense\r\n\r\n")
    answers = until_closed(connection)
    assert statuses(answers) == [201]
    assert b"connection: close" in answers


def test_a_request_in_small_pieces_is_one(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in click(4):
        connection.sendall(bytes([byte]))
        time.sleep(0)
    assert connection.recv(65536).startswith(b"HTTP/1.1 201 Created\r\n")


def test_a_long_body_before_a_short_head_is_no_long_head(connection: socket.socket) -> None:
    body = b"[%s]" % b",".join(CLICK % (100 + number, IMPRESSION_ID) for number in range(140))
    assert len(body) > 16384
    head = b"POST /event/click HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    connection.sendall(head % len(body) + body + b"GET /nowhere HTTP/1.1\r\nhost: x\r\n")
    connection.sendall(b"connection: close\r\n\r\n")
    answers = until_closed(connection)
    assert statuses(answers) == [201, 404]


def test_a_client_that_goes_away_in_its_body_leaves_nothing(degraded: Any, connection: socket.socket) -> None:
    before = len(degraded.logged())
    connection.sendall(click(5)[:-1])
    connection.close()
    assert degraded.client.post("/event/click", content=click(6).partition(b"\r\n\r\n")[2]).status_code == 415
    assert len(degraded.logged()) == before
    answer = degraded.client.post("/event/click", json=json.loads(click(5).partition(b"\r\n\r\n")[2]))
    assert answer.status_code == 201


def test_a_head_in_two_pieces_is_not_blamed_for_the_bodies_before_it(degraded: Any, connection: socket.socket) -> None:
    blanks = b"POST /event/click HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 19000\r\n\r\n"
    for _ in range(60):
        connection.sendall(blanks + b" " * 19000)
        answer = connection.recv(65536)
        while b"\r\n\r\n" not in answer or not answer.endswith(b"}"):
            answer += connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 400 ")
    connection.sendall(b"GET /nowhere HTTP/1.1\r\nhost: x\r\n")
    assert degraded.client.get("/health").status_code == 200
    connection.sendall(b"connection: close\r\n\r\n")
    assert statuses(until_closed(connection)) == [404]
