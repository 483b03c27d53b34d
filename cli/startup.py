"""The start as a person sees it, and the seconds it took written down."""

from rich.console import Console

from cli.progress import Row, board
from cli.services import Service
from cli.supervision import start
from cli.timings import record
from data_contracts.settings import Settings


def started(settings: Settings, console: Console) -> None:
    """Starts what does not run yet, shows each service until it is healthy, and records the seconds it took."""
    with board(console, "services") as shown:

        def watch(service: Service, state: str, seconds: float) -> None:
            shown.show(Row(service.name, state, seconds, service.url))

        seconds = start(settings, watch)
    record(settings, {f"service {name}": taken for name, taken in seconds.items()})
