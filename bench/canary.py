"""How soon a canary that is off is gone, and what shadows cost: `python -m bench.canary`.

Two workers on one core answer singles at a fixed rate, the other core asks. Each canary takes half of the users, from
when its alias is given: one whose scores are shifted, and one that is nearly the champion. Then the closed loop of
bench.serving, with and without a shadow, in turn. The last line of the output is one JSON object.
"""

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import uvloop
from mlflow import MlflowClient
from rich.console import Console

from bench.http_load import closed_loop
from bench.scored_world import World, made, registered
from bench.scoring_servers import CLIENT_CORE, OURS, servers
from bench.serving import home
from data_contracts.calibration import Platt
from data_contracts.model_versions import CANARY, SHADOW
from data_contracts.registered_versions import CANARY_SHARE

CANARIES = {"shifted": Platt(0.95, 0.6), "alike": Platt(0.95, -0.03)}
REQUESTS_A_SECOND = 400
LONGEST_SECONDS = 30.0
CONNECTIONS = 16
ASKING_CONNECTIONS = 8


def answers(world: World, requests: Iterator[bytes], seconds: float) -> Iterator[tuple[float, str]]:
    """When each answer came (time.monotonic), and what its source was, at a steady rate, over connections enough to
    reach every worker."""
    began, number = time.monotonic(), 0
    with ExitStack() as stack:
        clients = [
            stack.enter_context(httpx.Client(base_url=world.settings.serving_url)) for _ in range(ASKING_CONNECTIONS)
        ]
        while (due := began + number / REQUESTS_A_SECOND) < began + seconds:
            time.sleep(max(0.0, due - time.monotonic()))
            body = next(requests).partition(b"\r\n\r\n")[2]
            client = clients[number % len(clients)]
            answer = client.post("/predict", content=body, headers={"content-type": "application/json"})
            yield time.monotonic(), answer.raise_for_status().json()["source"]
            number += 1


def restored(world: World, client: MlflowClient, version: str, requests: Iterator[bytes]) -> dict[str, float | None]:
    """Seconds from the alias to the canary's first answer, and from that to its last; None where it stays."""
    name = world.settings.model_name
    client.set_registered_model_tag(name, CANARY_SHARE, "0.5")
    client.set_registered_model_alias(name, CANARY, version)
    began, own = time.monotonic(), []
    for at, source in answers(world, requests, LONGEST_SECONDS):
        own += [at] if source == "canary" else []
        if own and at - own[-1] > 5:
            break
    is_gone = CANARY not in client.get_registered_model(name).aliases
    if not is_gone:
        client.delete_registered_model_alias(name, CANARY)
        time.sleep(3)
    first = own[0] if own else float("nan")
    return {"first": first - began, "gone": own[-1] - first if is_gone else None, "answers": len(own)}


def cost(world: World, client: MlflowClient, version: str, port: int, requests: Iterator[bytes], rounds: int) -> list:
    """Answers a second and p99 (ms) of each round, without and with a shadow."""
    found = []
    for _ in range(rounds):
        for is_shadowed in (False, True):
            if is_shadowed:
                client.set_registered_model_alias(world.settings.model_name, SHADOW, version)
                time.sleep(3)
            outcome = uvloop.run(closed_loop(port, requests, CONNECTIONS, 3.0))
            p99 = statistics.quantiles(outcome.seconds, n=100)[98] * 1e3
            told = httpx.get(f"{world.settings.serving_url}/metrics").text
            found.append((is_shadowed, len(outcome.seconds) / outcome.took, p99, _left_out(told)))
            if is_shadowed:
                client.delete_registered_model_alias(world.settings.model_name, SHADOW)
                time.sleep(3)
    return found


def _left_out(metrics: str) -> float:
    lines = [line for line in metrics.splitlines() if line.startswith("clicklake_shadow_left_out_total")]
    return float(lines[0].split()[-1]) if lines else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--ads", type=int, default=2_000)
    asked = parser.parse_args()
    os.sched_setaffinity(0, {CLIENT_CORE})
    folder = Path(tempfile.mkdtemp(prefix="clicklake-bench-"))
    try:
        with ExitStack() as stack:
            world = made(home(folder, "[serving]\nworkers = 2\n"), asked.users, asked.ads)
            versions = {kind: registered(world.settings, calibration) for kind, calibration in CANARIES.items()}
            (up,) = servers(stack, world, folder, [OURS], [1])
            client = MlflowClient(tracking_uri=os.environ["MLFLOW_TRACKING_URI"])
            gone = {kind: restored(world, client, version, up.requests[1]) for kind, version in versions.items()}
            rounds = cost(world, client, versions["alike"], up.port, up.requests[1], asked.rounds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    console = Console(width=140)
    for kind, told in gone.items():
        console.print(kind, told)
    for is_shadowed, rate, p99, left_out in rounds:
        console.print(
            f"shadow: {is_shadowed}: {rate:,.0f} answers/s, p99 {p99:.1f} ms, left out so far {left_out:,.0f}"
        )
    print(json.dumps({"bench": "canary", "canaries": gone, "shadow": rounds}))


if __name__ == "__main__":
    main()
