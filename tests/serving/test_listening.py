"""Who connects while rounds of the loop take long is accepted by several a round."""

import asyncio
import socket

import pytest
import uvicorn
import uvloop

from serving.listening import HANDLES, listening

BURST = 64


async def accepted_in(handles: int) -> list[int]:
    """In which round of the loop each connection of a burst was accepted, all having waited before the first."""
    rounds, made = 0, list[int]()

    class Accepted(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            made.append(rounds)

    loop = asyncio.get_running_loop()
    sockets = listening(uvicorn.Config("none", host="127.0.0.1", port=0, log_config=None))
    port = sockets[0].getsockname()[1]
    servers = [await loop.create_server(Accepted, sock=each, backlog=2048) for each in sockets[:handles]]
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(BURST)]
    while len(made) < BURST:
        rounds += 1
        assert rounds < 100_000
        await asyncio.sleep(0)
    for each in (*clients, *servers, *sockets):
        each.close()
    return made


@pytest.mark.parametrize(("handles", "most"), [(HANDLES, BURST // HANDLES + 4), (1, BURST + 4)])
def test_a_burst_is_accepted_by_as_many_a_round_as_there_are_handles(handles: int, most: int) -> None:
    """One handle is the control: a connection a round."""
    made = uvloop.run(accepted_in(handles))
    assert max(made) - min(made) < most
    assert (max(made) - min(made) >= BURST - 4) is (handles == 1)
