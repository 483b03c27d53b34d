import asyncio
from itertools import repeat

import pytest

from bench.http_load import closed_loop, post


def test_an_answer_that_is_not_as_asked_ends_the_measurement():
    async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\n{}")
        await writer.drain()
        writer.close()

    async def measured() -> None:
        server = await asyncio.start_server(answering, "127.0.0.1", 0)
        async with server:
            await closed_loop(server.sockets[0].getsockname()[1], repeat(post(b"/predict", b"{}")), 1, 20.0)

    with pytest.raises(RuntimeError, match="not answered as asked"):
        asyncio.run(measured())
