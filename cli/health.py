"""Whether a service is well, asked from outside, the way its clients see it."""

import socket
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import httpx

from cli.services import Service
from cli.supervisord import Supervisord, tree_memory

ANSWER_SECONDS = 3.0


@dataclass(frozen=True)
class Condition:
    """What is known of a service now: supervisord's word for its state, and whether it answers as it should."""

    name: str
    state: str
    healthy: bool
    url: str
    pid: int
    memory_bytes: int


def condition(service: Service, program: Mapping[str, Any] | None) -> Condition:
    """`program` is supervisord's account of it, None when no supervisord runs."""
    state, pid = (program["statename"], program["pid"]) if program else ("STOPPED", 0)
    return Condition(
        name=service.name,
        state=state.lower(),
        healthy=state in {"RUNNING", "STARTING"} and is_healthy(service, program["start"] if program else 0),
        url=service.url,
        pid=pid,
        memory_bytes=tree_memory(pid) if pid else 0,
    )


def conditions(listed: tuple[Service, ...], supervisord: Supervisord | None) -> list[Condition]:
    """The condition of each, all asked at once."""
    programs = supervisord.programs() if supervisord else {}
    with ThreadPoolExecutor(len(listed)) as askers:
        return list(askers.map(condition, listed, (programs.get(service.name) for service in listed)))


def is_healthy(service: Service, started: float) -> bool:
    """Whether it answers; `started`, in epoch seconds, is what its heartbeat, where it has one, must be newer than."""
    target = urlsplit(service.health)
    try:
        if target.scheme == "tcp":
            socket.create_connection((target.hostname, target.port), timeout=ANSWER_SECONDS).close()
            return True
        answer = httpx.get(service.health, timeout=ANSWER_SECONDS, trust_env=False)
        return answer.status_code == httpx.codes.OK and (not service.heartbeat or _beats(answer, service, started))
    except (OSError, httpx.HTTPError):
        return False


def _beats(answer: httpx.Response, service: Service, started: float) -> bool:
    """Airflow keeps saying healthy for 30 s after a component died: a beat of the one before does not count."""
    component = answer.json().get(service.heartbeat) or {}
    beat = component.get(f"latest_{service.heartbeat}_heartbeat")
    return (
        component.get("status") == "healthy" and beat is not None and datetime.fromisoformat(beat).timestamp() > started
    )
