"""`make run`: from nothing, or from wherever the last run got to, to a prediction by a trained model."""

import time
from collections.abc import Callable

from rich.console import Console

from cli.pipeline import run_pipeline
from cli.report import show_outcome
from cli.samples import as_of, bring, claimed
from cli.startup import services_started
from cli.timings import record, timed
from data_contracts.settings import Settings


def run(load: Callable[[], Settings], console: Console, asked: str | None = None) -> None:
    """Starts the services, brings a sample where the home has no log, runs the DAGs, and shows what came of it.

    What was done before is not done again. CommandError on the first stage that fails; the services then stay up.
    """
    began = time.monotonic()
    sample = claimed(load().home, asked)
    settings = load()  # the home may have a configuration since then
    services_started(settings, console)
    is_new, seconds = timed(lambda: bring(settings, console, sample))
    if is_new:
        record(settings, {"sample": seconds})
    run_pipeline(settings, console, as_of(settings, sample))
    _, seconds = timed(lambda: show_outcome(settings, console))
    record(settings, {"report": seconds})
    seconds = time.monotonic() - began
    console.print(f"\n{seconds:.0f} s in all. The services stay up: `clicklake status`, `clicklake stop`.")
