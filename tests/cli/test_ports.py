"""A taken port is told with who wants it, who holds it and what to change."""

import os
import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from cli.errors import CommandError
from cli.ports import is_free, require_free_ports
from cli.services import services
from data_contracts.settings import Settings


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_taken_port_names_service_holder_and_conf_key(settings: Settings, taken: int) -> None:
    mlflow = replace(services(settings)[1], port=taken)
    with pytest.raises(CommandError) as raised:
        require_free_ports("127.0.0.1", [mlflow])
    said = str(raised.value)
    assert said.startswith(f"port {taken}, which mlflow needs, is taken by pid {os.getpid()} (")
    assert "set another services.mlflow_port in the file that CLICKLAKE_CONF names" in said


def test_a_service_without_a_port_needs_none(settings: Settings) -> None:
    require_free_ports("127.0.0.1", [service for service in services(settings) if not service.port])


def test_a_port_is_free_again_once_its_server_is_gone(taken: int) -> None:
    assert not is_free("127.0.0.1", taken)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = server.accept()
    accepted.close()
    client.close()
    assert is_free("127.0.0.1", port)
