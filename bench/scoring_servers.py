"""Servers to be measured, each up on a core of its own: ours, and those that others would take."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from bench.collector import CLIENT_CORE as CLIENT_CORE
from bench.collector import SERVER_CORE
from bench.scored_world import World
from bench.scoring_load import invocations, predict_requests
from cli.jars import ROOT
from data_contracts.feature_set_files import feature_set_path, load_feature_set

START_SECONDS = 120
NAMES = OURS, MLFLOW, FASTAPI, ALONE = "clicklake", "mlflow models serve", "FastAPI + pyfunc", "uvicorn alone"


@dataclass(frozen=True)
class Server:
    """A server that is up: its port, its process, and what is asked of it, by how many ads."""

    name: str
    port: int
    process: psutil.Process
    requests: Mapping[int, Iterator[bytes]]
    start_seconds: float

    def cpu_seconds(self) -> float:
        """Of all its processes."""
        every = [self.process, *self.process.children(recursive=True)]
        return sum(sum(each.cpu_times()[:2]) for each in every)


@contextmanager
def started(command: Sequence[str], environ: Mapping[str, str], log: Path, url: str) -> Iterator[psutil.Process]:
    """A server on its own core, once it answers at `url`."""
    with log.open("w") as output:
        child = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **environ}, stdout=output, stderr=output,
            preexec_fn=lambda: os.sched_setaffinity(0, {SERVER_CORE}), start_new_session=True,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(url):
            if child.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"{command} did not start:\n{log.read_text()[-3000:]}")
            time.sleep(0.02)
        yield psutil.Process(child.pid)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _answers(url: str) -> bool:
    try:
        answer = httpx.get(url)
    except httpx.TransportError:
        return False
    return answer.status_code == 200


def servers(stack: ExitStack, world: World, folder: Path, names: Sequence[str], sizes: Sequence[int]) -> list[Server]:
    """Those asked for, all up; ours once its champion is loaded."""
    feature_set = load_feature_set(feature_set_path(world.settings.features.feature_set))
    uri = f"models:/{world.settings.model_name}/1"
    path_with_us = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environ = {"CLICKLAKE_HOME": str(world.settings.home), "BENCH_MODEL_URI": uri, "PATH": path_with_us}
    found = []
    for name in names:
        port = world.settings.services.serving_port if name == OURS else _free_port()
        modules, answers_at = _command(name, port, uri)
        began = time.monotonic()
        command, url = [sys.executable, "-m", *modules.split()], f"http://127.0.0.1:{port}{answers_at}"
        process = stack.enter_context(started(command, environ, folder / f"{port}.log", url))
        start_seconds = time.monotonic() - began
        path = b"/invocations" if name == MLFLOW else b"/predict"
        asked = {
            ads: predict_requests(world, ads) if name in (OURS, ALONE) else invocations(feature_set, ads, path)
            for ads in sizes
        }
        found.append(Server(name, port, process, asked, start_seconds))
    return found


def _command(name: str, port: int, uri: str) -> tuple[str, str]:
    """What Python is to run, and the path at which it answers once it is up."""
    return {
        OURS: ("serving", "/healthz/ready"),
        MLFLOW: (f"mlflow models serve -m {uri} -p {port} --env-manager local", "/ping"),
        FASTAPI: (f"uvicorn bench.tutorial_app:app --port {port} --log-level warning", "/docs"),
        ALONE: (f"uvicorn bench.echo_app:app --port {port} --log-level critical --no-access-log", "/"),
    }[name]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
