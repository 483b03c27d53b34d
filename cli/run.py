"""`make run`: from nothing, or from wherever the last run got to, to a prediction on real data."""

import time

from rich.console import Console

from cli.importing.import_log import import_log
from cli.jars import ROOT
from cli.pipeline import run_pipeline
from cli.report import show_outcome
from cli.startup import services_started
from cli.timings import record, timed
from data_contracts.settings import Settings

MAPPING = ROOT / "conf" / "imports" / "obd.toml"
SOURCE = ROOT / "data" / "obd_small.tar.gz"


def run(settings: Settings, console: Console) -> None:
    """Starts the services, imports the Open Bandit Dataset, runs the DAGs, and shows what came of it.

    What was done before is not done again. CommandError on the first stage that fails; the services then stay up.
    """
    began = time.monotonic()
    services_started(settings, console)
    tally, seconds = timed(lambda: import_log(settings, MAPPING, [SOURCE], console))
    if tally:
        record(settings, {"import": seconds})
    run_pipeline(settings, console)
    _, seconds = timed(lambda: show_outcome(settings, console))
    record(settings, {"report": seconds})
    seconds = time.monotonic() - began
    console.print(f"\n{seconds:.0f} s in all. The services stay up: `clicklake status`, `clicklake stop`.")
