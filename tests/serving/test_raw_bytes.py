"""Bytes that nobody should send, over many real sockets at once: 2xx, 4xx or the end of the connection, no more."""

import asyncio
import json
import logging
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from serving import predict

QUIET_SECONDS, ANSWER_SECONDS = 0.1, 20.0
TOGETHER = 20
UNHURRIED: dict[str, Any] = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
ID = "2c7d0c3e-5a55-4b8e-9f0e-1f6a0d3b9c11"
AT = "2019-11-30T12:00:00Z"
BODIES = {
    "/predict": {"user_id": "u", "ads": [{"ad_id": "shoes"}, {"ad_id": "hats", "features": {"position": 2}}]},
    "/event/impression": {"impression_id": ID, "user_id": "u", "ad_id": "a", "timestamp": AT, "features": {"x": 1.5}},
    "/event/click": [{"click_id": ID, "impression_id": ID, "timestamp": AT}],
    "/catalog/ads": {"ad_id": "a", "topic": "shoes", "features": {"new": True}},
    "/catalog/users": {"user_id": "u", "consent": "denied"},
    "/invocations": {"dataframe_records": [{"position": 1.0, "timestamp": 1.0}]},
}
HEALTH = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"


class Talk(NamedTuple):
    """What is sent over one connection, piece by piece, and how many answers must come."""

    pieces: Sequence[bytes]
    answers: int = 0


def post(path: str, body: bytes, headers: bytes = b"") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
    return head.encode() + headers + b"\r\n" + body


JSON_HEAD = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
SOUND = [post(path, json.dumps(body).encode()) for path, body in BODIES.items()] + [
    HEALTH,
    b"GET /docs HTTP/1.1\r\nhost: x\r\n\r\n",
    JSON_HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
]
PATHS = st.sampled_from(list(BODIES))
LINE_ENDS = [b"\r\n", b"\r\n\r\n", b"\n", b"\0", b"\xff", b" ", b"\t", b"chunked", b"HTTP/2.0"]
PARTS_OF_JSON = [b"\\u0000", b"\\ud800", b"\xed\xa0\x80", b'"', b"{", b"[", b"]", b"}", b":", b","]
NUMBERS = [b"1e999", b"NaN", b"-1", b"0", b"99999999999999999999"]
TOKENS = st.sampled_from(LINE_ENDS + PARTS_OF_JSON + NUMBERS)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["ad_id", "ads"]) | st.text(), inner),
    max_leaves=8,
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A sound request with up to six places cut out or written over."""
    request = draw(st.sampled_from(SOUND))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(request)))
        behind = at + draw(st.integers(0, 8))
        request = request[:at] + draw(TOKENS | st.binary(max_size=4)) + request[behind:]
    return request


@st.composite
def cut(draw: st.DrawFn, requests: Sequence[bytes], answers: int) -> Talk:
    """`requests` behind each other, in pieces that end anywhere."""
    whole = b"".join(requests)
    places = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    pieces = [whole[start:end] for start, end in zip([0, *places], [*places, len(whole)], strict=True)]
    return Talk([piece for piece in pieces if piece], answers)


NAMES = st.sampled_from([b"content-length", b"transfer-encoding", b"expect", b"upgrade", b"connection", b"host"])
HEADERS = st.lists(st.tuples(NAMES | st.binary(max_size=20), TOKENS | st.binary(max_size=40)), max_size=6)
LINES = HEADERS.map(lambda headers: b"".join(name + b": " + value + b"\r\n" for name, value in headers))
ODD = st.one_of(
    st.binary(max_size=400),
    st.builds(post, PATHS, st.binary(max_size=400)),
    st.builds(post, PATHS, JSON.map(lambda value: json.dumps(value).encode())),
    st.builds(post, PATHS, st.just(b"{}"), LINES),
    mutated(),
    st.lists(mutated(), min_size=2, max_size=3).map(b"".join),
)
SOUND_ROWS = st.lists(st.sampled_from(SOUND), min_size=1, max_size=5)
TALKS = st.lists(
    ODD.flatmap(lambda request: cut([request], 0)) | SOUND_ROWS.flatmap(lambda rows: cut(rows, len(rows))),
    min_size=TOGETHER,
    max_size=TOGETHER,
)


def statuses(received: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", received) if status != b"100"]


async def answered(port: int, talk: Talk) -> list[int]:
    """What came back until nothing more did, or the connection ended."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received = b""
    with suppress(ConnectionError, TimeoutError):
        for piece in talk.pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.001)
        while True:
            is_due = len(statuses(received)) < talk.answers
            chunk = await asyncio.wait_for(reader.read(1 << 16), ANSWER_SECONDS if is_due else QUIET_SECONDS)
            if not chunk:
                break
            received += chunk
    writer.transport.abort()
    return statuses(received)


def sent(served: Any, requests: int, caplog: pytest.LogCaptureFixture, phases: Sequence[Phase] = tuple(Phase)) -> None:
    """Sends `requests` at least, odd ones and sound ones; fails at the first that is answered as it may not be."""
    port = served.settings.services.serving_port
    caplog.set_level(logging.ERROR)

    async def together(talks: Sequence[Talk]) -> list[list[int]]:
        return await asyncio.gather(*(answered(port, talk) for talk in talks))

    @settings(max_examples=requests // TOGETHER, phases=phases, **UNHURRIED)
    @given(TALKS)
    def each_is_answered(talks: Sequence[Talk]) -> None:
        caplog.clear()
        for talk, found in zip(talks, asyncio.run(together(talks)), strict=True):
            assert [status for status in found if not 200 <= status < 500] == []
            assert len(found) >= talk.answers
        assert [record.getMessage() for record in caplog.records] == []
        assert asyncio.run(answered(port, Talk([HEALTH], 1))) == [200]

    each_is_answered()


@pytest.mark.parametrize("requests", [400, pytest.param(100_000, marks=pytest.mark.soak)])
def test_no_bytes_end_in_a_5xx_and_sound_requests_are_answered(
    served: Any, requests: int, caplog: pytest.LogCaptureFixture
) -> None:
    sent(served, requests, caplog)
    assert served.health()["status"] == "ok"
    assert served.predict(BODIES["/predict"])["source"] == "model"


def test_a_route_that_fails_for_some_input_is_found(
    served: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The negative control of the test above."""
    sound = predict.parsed

    def failing(body: bytes, *limits: int) -> Any:
        if not body.startswith(b"{"):
            raise RuntimeError("serving does not expect this")
        return sound(body, *limits)

    monkeypatch.setattr(predict, "parsed", failing)
    with pytest.raises(AssertionError, match="500"):
        sent(served, 1000, caplog, [Phase.generate])
