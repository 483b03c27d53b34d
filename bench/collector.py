"""Durable events a second of one server core: a real serving process, asked over HTTP from another core.

`python -m bench.collector [--rounds N] [--seconds S] [--quick]`. Every answer is 201 after its events are on disk. The
last line of the output is one JSON object.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path

import httpx
import psutil
import uvloop
from rich.console import Console
from rich.table import Table

from bench.event_load import CLOCK, Load, Requests
from bench.first_run import overlay
from bench.http_load import closed_loop
from cli.jars import ROOT
from data_contracts import settings as conf

SERVER_CORE, CLIENT_CORE = 0, 1
START_SECONDS = 60


@dataclass(frozen=True)
class Measured:
    """One round of one load. Latencies in milliseconds; `client_share` is how busy the generator's core was with it."""

    events_a_second: float
    p50: float
    p99: float
    server_microseconds_an_event: float
    client_share: float


def measured(
    settings: conf.Settings, server: psutil.Process, load: Load, requests: Requests, seconds: float
) -> Measured:
    own = psutil.Process()
    before, own_before = sum(server.cpu_times()[:2]), sum(own.cpu_times()[:2])
    port = settings.services.serving_port
    outcome = uvloop.run(closed_loop(port, requests, load.connections, seconds, status=201))
    after, own_after = sum(server.cpu_times()[:2]), sum(own.cpu_times()[:2])
    cuts = statistics.quantiles(outcome.seconds, n=100)
    events = load.size * len(outcome.seconds)
    return Measured(
        events / outcome.took,
        cuts[49] * 1e3,
        cuts[98] * 1e3,
        (after - before) / events * 1e6,
        (own_after - own_before) / outcome.took,
    )


@contextmanager
def serving(folder: Path) -> Iterator[tuple[conf.Settings, psutil.Process]]:
    """A serving process of its own on its own core, without model, snapshot and MLflow."""
    home = folder / "home"
    home.mkdir()
    (home / conf.HOME_CONF).write_text(f'[clock]\nstated = "{CLOCK}"\n')
    environ = {**os.environ, "CLICKLAKE_HOME": str(home), "CLICKLAKE_CONF": str(overlay(folder))}
    settings = conf.load(environ)
    with (folder / "serving.log").open("w") as log:
        command = [sys.executable, "-m", "serving"]
        child = subprocess.Popen(
            command, cwd=ROOT, env=environ, stdout=log, stderr=log, preexec_fn=lambda: _pin(SERVER_CORE)
        )
    try:
        _wait_until_idle(settings)
        yield settings, psutil.Process(child.pid)
    finally:
        child.terminate()
        child.wait()


def _pin(core: int) -> None:
    os.sched_setaffinity(0, {core})


def _wait_until_idle(settings: conf.Settings) -> None:
    """Until it has looked for its model in vain, which takes seconds of its core."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{settings.serving_url}/health").json()["registry"]["problem"] != "not asked yet":
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    sys.exit(f"serving did not start in {START_SECONDS} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="times each load is measured, the loads in turn")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long a load is measured each time")
    parser.add_argument("--quick", action="store_true", help="one short round of impressions")
    arguments = parser.parse_args()
    if (os.cpu_count() or 1) < 2:
        sys.exit("two cores are needed: one for the server, one to ask from")
    kinds = ("impression",) if arguments.quick else ("impression", "click")
    loads = [Load(kind, size, connections) for kind in kinds for size in (1, 100) for connections in (1, 16, 64)]
    rounds, seconds = (1, 0.5) if arguments.quick else (arguments.rounds, arguments.seconds)
    folder = Path(tempfile.mkdtemp(prefix="clicklake-bench-"))
    _pin(CLIENT_CORE)
    try:
        results = measured_rounds(folder, loads, rounds, seconds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _print(results, file_system(folder.parent))


def measured_rounds(folder: Path, loads: list[Load], rounds: int, seconds: float) -> dict[Load, list[Measured]]:
    """Each load once a round, after a short one that is not counted."""
    numbers, results = count(), {load: [] for load in loads}
    with serving(folder) as (settings, server):
        for load in loads:
            measured(settings, server, load, Requests(load, numbers), seconds / 10)
        for _ in range(rounds):
            for load in loads:
                results[load].append(measured(settings, server, load, Requests(load, numbers), seconds))
    return results


def file_system(path: Path) -> str:
    """The type of the file system that `path` is on: what a sync means depends on it."""
    found = [part for part in psutil.disk_partitions(all=True) if path.is_relative_to(part.mountpoint)]
    return max(found, key=lambda part: len(part.mountpoint)).fstype


def _print(results: dict[Load, list[Measured]], fstype: str) -> None:
    table = Table(title=f"durable events of one server core ({fstype}), median and range of the rounds")
    for column in ("load", "events/s", "p50 ms", "p99 ms", "server CPU us/event", "client busy"):
        table.add_column(column, justify="left" if column == "load" else "right")
    for load, rounds in results.items():
        table.add_row(
            load.name,
            spread([one.events_a_second for one in rounds], ",.0f"),
            spread([one.p50 for one in rounds], ".2f"),
            spread([one.p99 for one in rounds], ".2f"),
            spread([one.server_microseconds_an_event for one in rounds], ".2f"),
            f"{statistics.median(one.client_share for one in rounds):.0%}",
        )
    table.caption = "client busy near 100 %: the generator is the limit, not the server"
    Console(width=140).print(table)
    told = [
        {**asdict(load), **{name: _numbers(rounds, name) for name in Measured.__dataclass_fields__}}
        for load, rounds in results.items()
    ]
    print(json.dumps({"bench": "collector", "file_system": fstype, "loads": told}))


def spread(values: list[float], form: str) -> str:
    low, high = min(values), max(values)
    return f"{statistics.median(values):{form}} ({low:{form}} to {high:{form}})"


def _numbers(rounds: list[Measured], name: str) -> dict[str, float]:
    values = [float(getattr(one, name)) for one in rounds]
    return {"median": round(statistics.median(values), 3), "low": round(min(values), 3), "high": round(max(values), 3)}


if __name__ == "__main__":
    main()
