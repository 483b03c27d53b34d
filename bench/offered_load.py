"""Our server under a load that is offered whether it keeps up or not: latencies, refusals and goodput by rate."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import uvloop

from bench.http_load import open_loop
from bench.scoring_servers import Server

SHARES = (0.2, 0.4, 0.6, 0.8, 0.9, 1.0, 1.25, 1.5, 2.0)
"""Of the capacity in a closed loop."""
CONNECTIONS = 1024
"""As many requests may wait at once: a client of fewer connections would hold them back itself."""


@dataclass(frozen=True)
class Offered:
    """One rate: requests a second due, answered with a score, refused, and not sent since no connection was free;
    latencies in milliseconds, counted from when a request was due."""

    share: float
    rate: float
    goodput: float
    refused: float
    unsent: float
    p50: float
    p99: float
    p999: float
    refused_p99: float


def offered(server: Server, capacity: float, seconds: float) -> list[Offered]:
    """Requests of one ad, at each of SHARES of `capacity` in turn."""
    found = []
    for share in SHARES:
        rate = share * capacity
        outcome = uvloop.run(open_loop(server.port, server.requests[1], CONNECTIONS, seconds, rate))
        cuts = [1e3 * cut for cut in statistics.quantiles(outcome.seconds, n=1000)]
        late = [1e3 * each for each in outcome.refused]
        found.append(
            Offered(
                share, rate, len(outcome.seconds) / outcome.took, len(outcome.refused) / outcome.took,
                outcome.unsent / outcome.took,
                cuts[499], cuts[989], cuts[998], statistics.quantiles(late, n=100)[98] if len(late) > 1 else 0.0,
            )
        )  # fmt: skip
    return found


def picture(rates: Sequence[Offered], path: Path) -> None:
    """Latencies and goodput against the rate."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (above, below) = pyplot.subplots(2, 1, figsize=(7, 6), sharex=True)
    asked = [each.rate for each in rates]
    for name in ("p50", "p99", "p999"):
        label = name.replace("999", "99.9")
        above.plot(asked, [getattr(each, name) for each in rates], marker="o", label=label)
    above.set(ylabel="ms from when it was due", yscale="log", title="/predict, one ad, open loop")
    below.plot(asked, [each.goodput for each in rates], marker="o", label="scored")
    below.plot(asked, [each.refused for each in rates], marker="o", label="refused (503)")
    below.set(xlabel="requests a second offered", ylabel="answers a second")
    for axes in (above, below):
        axes.legend()
        axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)
