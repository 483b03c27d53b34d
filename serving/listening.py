"""The port, listened at by several handles: libuv accepts one connection a handle in a round of its loop. Under load,
when rounds take long, those who connect would wait for seconds before anyone reads what they ask.
"""

import socket

import uvicorn

HANDLES = 16


def listening(config: uvicorn.Config) -> list[socket.socket]:
    """What a uvicorn server is to be run with: the same bound socket HANDLES times. Exits where it cannot be bound."""
    bound = config.bind_socket()
    return [bound, *(bound.dup() for _ in range(HANDLES - 1))]
