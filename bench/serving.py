"""Predictions a second of one server core, beside the servers that others would take: `python -m bench.serving`.

One core serves, the other asks; what is asked is in bench/scoring_load.py, of whom in bench/scored_world.py. Ours looks
counts up and answers once its record is on disk; the peers are told every input and keep nothing. All take turns in one
run. The last line of the output is one JSON object.
"""

import argparse
import json
import os
import shutil
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
import uvloop
from rich.console import Console
from rich.table import Table

from bench.first_run import overlay
from bench.http_load import closed_loop
from bench.offered_load import Offered, offered, picture
from bench.scored_world import made
from bench.scoring_servers import CLIENT_CORE, NAMES, OURS, Server, servers
from data_contracts.settings import HOME_CONF, Settings, load

Load = tuple[str, int, int]
"""Server, ads a request, connections."""
SLATE_CONNECTIONS = 16
"""Slates that wait for one core at once; of more the last would be late, and refused."""


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
    outcome = uvloop.run(closed_loop(server.port, server.requests[ads], connections, seconds))
    latencies, took = outcome.seconds, outcome.took
    used, own_used = server.cpu_seconds() - before, sum(own.cpu_times()[:2]) - own_before
    cuts, predictions = statistics.quantiles(latencies, n=100), ads * len(latencies)
    return Measured(predictions / took, cuts[49] * 1e3, cuts[98] * 1e3, used / predictions * 1e6, own_used / took)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="times each load is measured, all in turn")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--users", type=int, default=200_000)
    parser.add_argument("--ads", type=int, default=20_000)
    parser.add_argument("--slates", type=int, nargs="+", default=[1, 50])
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 64])
    parser.add_argument("--servers", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--picture", type=Path, help="write a picture of ours under offered load (open loop) there")
    asked = parser.parse_args()
    os.sched_setaffinity(0, {CLIENT_CORE})
    folder = Path(tempfile.mkdtemp(prefix="clicklake-bench-"))
    at_rates: list[Offered] = []
    try:
        with ExitStack() as stack:
            world = made(home(folder), asked.users, asked.ads)
            up = servers(stack, world, folder, asked.servers, asked.slates)
            results = _in_turn(up, asked.slates, asked.connections, asked.rounds, asked.seconds)
            up_ours = next((server for server in up if server.name == OURS), None)
            if up_ours is not None and asked.picture is not None:
                at_rates = offered(up_ours, _capacity(results), asked.seconds)
            told = {server.name: _of_process(server) for server in up}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if at_rates:
        picture(at_rates, asked.picture)
    _print(results, told, at_rates)


def home(folder: Path, more: str = "") -> Settings:
    """Settings of a home in `folder`, ports of its own, and `more` of TOML."""
    conf = overlay(folder)
    conf.write_text(f"{conf.read_text()}\n{more}")
    settings = load({"CLICKLAKE_HOME": str(folder / "home"), "CLICKLAKE_CONF": str(conf)})
    settings.home.mkdir(parents=True)
    (settings.home / HOME_CONF).write_text(conf.read_text())
    return settings


def _in_turn(
    up: Sequence[Server], slates: Sequence[int], connections: Sequence[int], rounds: int, seconds: float
) -> dict[Load, list[Measured]]:
    """All loads on all servers, round by round."""
    most = {ads: [min(each, SLATE_CONNECTIONS) if ads > 1 else each for each in connections] for ads in slates}
    loads = [(server, ads, each) for ads in slates for each in most[ads] for server in up]
    for server, ads, each in loads:
        measured(server, ads, each, seconds / 5)
    results: dict[Load, list[Measured]] = {}
    for _ in range(rounds):
        for server, ads, each in loads:
            results.setdefault((server.name, ads, each), []).append(measured(server, ads, each, seconds))
    return results


def _capacity(results: Mapping[Load, Sequence[Measured]]) -> float:
    """Requests of one ad a second at the most connections measured."""
    singles = {key[2]: rounds for key, rounds in results.items() if key[:2] == (OURS, 1)}
    return statistics.median(each.predictions_a_second for each in singles[max(singles)])


def _of_process(server: Server) -> dict[str, float]:
    """What its process took: seconds from the start until it was ready, resident memory in MB."""
    memory = sum(each.memory_info().rss for each in (server.process, *server.process.children(recursive=True)))
    return {"start_seconds": round(server.start_seconds, 2), "memory_mb": round(memory / 1e6)}


def _print(
    results: Mapping[Load, Sequence[Measured]],
    processes: Mapping[str, Mapping[str, float]],
    at_rates: Sequence[Offered],
) -> None:
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
    rates = [asdict(each) for each in at_rates]
    print(json.dumps({"bench": "serving", "loads": told, "processes": processes, "offered": rates}))


if __name__ == "__main__":
    main()
