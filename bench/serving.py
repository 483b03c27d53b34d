"""Predictions a second of one server core, beside the servers that others would take: `python -m bench.serving`.

One core serves, the other asks; what is asked is in bench/scoring_load.py, of whom in bench/scored_world.py. Ours looks
counts up and answers once its record is on disk; the peers are told every input and keep nothing. All take turns in one
run. The last line of the output is one JSON object.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import psutil
import uvloop
from rich.console import Console
from rich.table import Table

from bench.collector import CLIENT_CORE, SERVER_CORE
from bench.first_run import overlay
from bench.http_load import closed_loop
from bench.scored_world import World, made
from bench.scoring_load import invocations, predict_requests
from cli.jars import ROOT
from data_contracts.features import feature_set_path, load_feature_set
from data_contracts.settings import HOME_CONF, load

START_SECONDS = 120


@dataclass(frozen=True)
class Server:
    """A server that is up: its port, its process, and what is asked of it, by how many ads."""

    name: str
    port: int
    process: psutil.Process
    requests: Mapping[int, Iterator[bytes]]

    def cpu_seconds(self) -> float:
        """Of all its processes."""
        every = [self.process, *self.process.children(recursive=True)]
        return sum(sum(each.cpu_times()[:2]) for each in every)


@dataclass(frozen=True)
class Measured:
    """One round: latencies in milliseconds, server CPU microseconds a prediction, how busy the asking core was."""

    predictions_a_second: float
    p50: float
    p99: float
    microseconds: float
    client_share: float


def measured(server: Server, ads: int, connections: int, seconds: float) -> Measured:
    own, before = psutil.Process(), server.cpu_seconds()
    own_before = sum(own.cpu_times()[:2])
    latencies, took = uvloop.run(closed_loop(server.port, server.requests[ads], connections, seconds))
    used, own_used = server.cpu_seconds() - before, sum(own.cpu_times()[:2]) - own_before
    cuts, predictions = statistics.quantiles(latencies, n=100), ads * len(latencies)
    return Measured(predictions / took, cuts[49] * 1e3, cuts[98] * 1e3, used / predictions * 1e6, own_used / took)


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
            time.sleep(0.1)
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
    return answer.status_code == 200 and '"version":null' not in answer.text.replace(" ", "")


def servers(stack: ExitStack, world: World, folder: Path, names: Sequence[str], sizes: Sequence[int]) -> list[Server]:
    """Those asked for, all up; ours once its champion is loaded."""
    feature_set = load_feature_set(feature_set_path(world.settings.features.feature_set))
    python, uri = sys.executable, f"models:/{world.settings.model_name}/1"
    found = []
    for name in names:
        port = world.settings.services.serving_port if name == "clicklake" else _free_port()
        path = b"/invocations" if name == "mlflow models serve" else b"/predict"
        command, url = {
            "clicklake": ([python, "-m", "serving"], f"http://127.0.0.1:{port}/health"),
            "mlflow models serve": (
                [python, "-m", "mlflow", *f"models serve -m {uri} -p {port} --env-manager local".split()],
                f"http://127.0.0.1:{port}/ping",
            ),
            "FastAPI + pyfunc": (
                [python, "-m", "uvicorn", "bench.tutorial_app:app", "--port", str(port), "--log-level", "warning"],
                f"http://127.0.0.1:{port}/docs",
            ),
        }[name]
        path_with_us = f"{Path(python).parent}{os.pathsep}{os.environ['PATH']}"
        environ = {"CLICKLAKE_HOME": str(world.settings.home), "BENCH_MODEL_URI": uri, "PATH": path_with_us}
        process = stack.enter_context(started(command, environ, folder / f"{port}.log", url))
        asked = {
            ads: predict_requests(world, ads) if name == "clicklake" else invocations(feature_set, ads, path)
            for ads in sizes
        }
        found.append(Server(name, port, process, asked))
    return found


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="times each load is measured, all in turn")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--users", type=int, default=200_000)
    parser.add_argument("--ads", type=int, default=20_000)
    parser.add_argument("--slates", type=int, nargs="+", default=[1, 50])
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 64])
    names = ["clicklake", "mlflow models serve", "FastAPI + pyfunc"]
    parser.add_argument("--servers", nargs="+", choices=names, default=names)
    asked = parser.parse_args()
    os.sched_setaffinity(0, {CLIENT_CORE})
    folder = Path(tempfile.mkdtemp(prefix="clicklake-bench-"))
    conf = overlay(folder)
    settings = load({"CLICKLAKE_HOME": str(folder / "home"), "CLICKLAKE_CONF": str(conf)})
    settings.home.mkdir(parents=True)
    (settings.home / HOME_CONF).write_text(conf.read_text())
    results: dict[tuple[str, int, int], list[Measured]] = {}
    try:
        with ExitStack() as stack:
            up = servers(stack, made(settings, asked.users, asked.ads), folder, asked.servers, asked.slates)
            loads = [(server, ads, conn) for ads in asked.slates for conn in asked.connections for server in up]
            for server, ads, connections in loads:
                measured(server, ads, connections, asked.seconds / 5)
            for _ in range(asked.rounds):
                for server, ads, connections in loads:
                    found = measured(server, ads, connections, asked.seconds)
                    results.setdefault((server.name, ads, connections), []).append(found)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _print(results)


def _print(results: Mapping[tuple[str, int, int], Sequence[Measured]]) -> None:
    table = Table(title="one server core, medians of the rounds")
    for column in ("server", "ads", "connections", "predictions/s", "p50 ms", "p99 ms", "CPU us/prediction", "client"):
        table.add_column(column, justify="left" if column == "server" else "right")
    told = []
    for (name, ads, connections), rounds in results.items():
        middle = {key: statistics.median(asdict(each)[key] for each in rounds) for key in asdict(rounds[0])}
        table.add_row(
            name, str(ads), str(connections), f"{middle['predictions_a_second']:,.0f}", f"{middle['p50']:.2f}",
            f"{middle['p99']:.2f}", f"{middle['microseconds']:,.1f}", f"{middle['client_share']:.0%}",
        )  # fmt: skip
        told.append({"server": name, "ads": ads, "connections": connections, **middle})
    Console(width=140).print(table)
    print(json.dumps({"bench": "serving", "loads": told}))


if __name__ == "__main__":
    main()
