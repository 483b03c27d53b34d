"""A head that was parsed before is not parsed again, and nothing else comes of it."""

import asyncio
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.direct import LONGEST_KNOWN
from serving.timed import TimedProtocol
from tests.serving.wire import Asked, Wire, request, talked


class Watched(TimedProtocol):
    """Counts the heads that are parsed."""

    parsed = 0

    def on_headers_complete(self) -> None:
        type(self).parsed += 1
        super().on_headers_complete()


def conversation(asked: Asked, pieces: list[bytes]) -> Wire:
    """What was written after these `pieces`, each once all before it is answered."""
    Watched.parsed = 0

    async def talk(protocol: Any) -> None:
        for piece in pieces:
            protocol.data_received(piece)
            for _ in range(5):
                await asyncio.sleep(0)

    return talked(asked, lambda protocol: talk(protocol), Watched)


def test_the_second_such_request_is_taken_without_its_head() -> None:
    asked = Asked()
    wire = conversation(asked, [request(b"[1]", content_length="3"), request(b"[2]", content_length="3")])
    assert (wire.statuses(), asked.bodies, Watched.parsed) == ([201, 201], [b"[1]", b"[2]"], 1)
    wire = conversation(asked, [request(b"[3]", content_length="3")])
    assert (wire.statuses(), asked.bodies[-1], Watched.parsed) == ([201], b"[3]", 0)


@pytest.mark.parametrize(
    "other",
    [
        request(b"[]", host="y"),
        request(b"[1]", content_length="3"),
        request(b"[]", content_type="text/plain"),
        request(b"[]", connection="close"),
        request(b"[]", start="POST /elsewhere HTTP/1.1"),
        request(b"[]", authorization="refused"),
    ],
)
def test_another_head_is_parsed(other: bytes) -> None:
    asked = Asked()
    conversation(asked, [request()])
    conversation(asked, [other])
    assert Watched.parsed == 1


@pytest.mark.parametrize(
    "first",
    [
        request(b"[]", connection="close"),
        request(b"[]", authorization="refused"),
        request(b"[]", start="POST /elsewhere HTTP/1.1"),
        request(b"[]", x=LONGEST_KNOWN * "x"),
        request(b"[") + b"]" + request(b"[]"),
    ],
)
def test_what_was_not_one_plain_request_is_not_noted(first: bytes) -> None:
    asked = Asked()
    conversation(asked, [first])
    assert asked.known_heads._new == {}


def test_a_key_that_is_refused_meanwhile_is_refused_though_its_head_is_known() -> None:
    asked = Asked()
    conversation(asked, [request(authorization="good")])
    asked.access = type("Refusing", (), {"refusal": lambda self, role, key: ValueError() if key == b"good" else None})()
    wire = conversation(asked, [request(authorization="good")])
    assert (wire.statuses(), Watched.parsed, asked.asgi_paths) == ([202], 1, ["/route"])


@given(st.lists(st.integers(0, 400), max_size=12), st.integers(1, 5))
def test_however_requests_are_cut_each_is_answered_once(cuts: list[int], requests: int) -> None:
    whole = request() * requests
    edges = [0, *sorted(cut for cut in cuts if cut < len(whole)), len(whole)]
    asked = Asked()
    for _ in range(2):
        wire = conversation(asked, [whole[a:b] for a, b in itertools.pairwise(edges) if a < b])
        assert len(wire.statuses()) == requests
        assert set(wire.statuses()) <= {201, 202}
    assert len(asked.bodies) + len(asked.asgi_paths) == 2 * requests
