"""Health as a client sees it, asked of real servers."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from cli.health import conditions, is_healthy
from cli.services import Service, services
from data_contracts.settings import Settings

Answering = Callable[[int, str], str]


@pytest.fixture
def answering() -> Iterator[Answering]:
    """Starts a server that answers every GET with a status and a body, and returns its URL."""
    servers: list[HTTPServer] = []

    def serve(status: int, body: str) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                pass

        servers.append(HTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def mlflow(settings: Settings) -> Service:
    return services(settings)[1]


def airflow_says(heartbeat: float) -> str:
    beat = datetime.fromtimestamp(heartbeat, UTC).isoformat()
    return json.dumps({"scheduler": {"status": "healthy", "latest_scheduler_heartbeat": beat}, "triggerer": None})


def test_a_service_is_well_when_its_page_answers_200(mlflow: Service, answering: Answering) -> None:
    assert is_healthy(replace(mlflow, health=answering(200, "OK")), started=0)
    assert not is_healthy(replace(mlflow, health=answering(503, "starting")), started=0)


def test_a_service_that_does_not_listen_is_not_well(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        spark = replace(services(settings)[0], health=f"tcp://127.0.0.1:{server.getsockname()[1]}")
        assert is_healthy(spark, started=0)
    assert not is_healthy(spark, started=0)


def test_the_heartbeat_of_a_scheduler_that_died_does_not_count_for_its_successor(
    settings: Settings, answering: Answering
) -> None:
    now = time.time()
    scheduler = next(service for service in services(settings) if service.heartbeat == "scheduler")
    scheduler = replace(scheduler, health=answering(200, airflow_says(now)))
    assert is_healthy(scheduler, started=now - 5)
    assert not is_healthy(scheduler, started=now + 5)


def test_without_a_supervisord_everything_is_stopped(settings: Settings) -> None:
    found = conditions(services(settings), None)
    assert {(each.state, each.healthy, each.pid, each.memory_bytes) for each in found} == {("stopped", False, 0, 0)}
