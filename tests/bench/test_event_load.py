import asyncio
import json
from itertools import count

import pytest

from bench.event_load import Load, Requests, asked


@pytest.mark.parametrize("kind", ["impression", "click"])
@pytest.mark.parametrize("size", [1, 3])
def test_requests_are_whole_and_name_no_event_twice(kind, size):
    requests = Requests(Load(kind, size, 1), count())
    seen = []
    for _ in range(4):
        head, _, body = next(requests).partition(b"\r\n\r\n")
        assert head.startswith(b"POST /event/%s HTTP/1.1\r\n" % kind.encode())
        assert int(head.rpartition(b" ")[2]) == len(body)
        events = json.loads(body)
        seen += [event[f"{kind}_id"] for event in (events if size > 1 else [events])]
    assert len(set(seen)) == len(seen) == 4 * size


def test_an_answer_that_is_not_201_ends_the_measurement():
    async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\n{}")
        await writer.drain()
        writer.close()

    async def measured() -> None:
        server = await asyncio.start_server(answering, "127.0.0.1", 0)
        load = Load("click", 1, 1)
        async with server:
            await asked(server.sockets[0].getsockname()[1], load, Requests(load, count()), 20.0)

    with pytest.raises(RuntimeError, match="not 201"):
        asyncio.run(measured())
