"""Ports: whether one is free, and who holds it when it is not."""

import socket
from collections.abc import Iterable

import psutil

from cli.errors import CommandError
from cli.services import Service


def require_free_ports(host: str, listed: Iterable[Service]) -> None:
    """Raises CommandError with a line for each port that is taken: the service, the holder, the conf key to change."""
    taken = [service for service in listed if service.port and not is_free(host, service.port)]
    if taken:
        raise CommandError("\n".join(map(_complaint, taken)))


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now; a closed connection still lingering does not count against it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def holder(port: int) -> str:
    """ "pid 123 (name)" of what listens on the port, or "another program" when the system does not tell."""
    for connection in psutil.net_connections(kind="tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
            try:
                return f"pid {connection.pid} ({psutil.Process(connection.pid).name()})"
            except psutil.NoSuchProcess:
                break
    return "another program"


def _complaint(service: Service) -> str:
    return (
        f"port {service.port}, which {service.name} needs, is taken by {holder(service.port)}: "
        f"stop that, or set another {service.port_key} in the file that CLICKLAKE_CONF names"
    )
