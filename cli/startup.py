"""The start as a person sees it, the seconds it took written down, and Airflow's pools made."""

from rich.console import Console

from cli.airflow import Airflow
from cli.progress import Row, board
from cli.services import Service
from cli.supervision import start
from cli.timings import record
from dags.pools import WRITERS
from data_contracts.settings import Settings


def started(settings: Settings, console: Console) -> None:
    """Starts what does not run yet; when it returns, a task may run: the pool it waits for is there."""
    services_started(settings, console)
    with Airflow(settings) as airflow:
        airflow.make_pools(WRITERS)


def services_started(settings: Settings, console: Console) -> None:
    """Starts what does not run yet, shows each service until it is healthy, and records the seconds it took."""
    with board(console, "services") as shown:

        def watch(service: Service, state: str, seconds: float) -> None:
            shown.show(Row(service.name, state, seconds, service.url))

        seconds = start(settings, watch)
    record(settings, {f"service {name}": taken for name, taken in seconds.items()})
