"""The services as they are now: state, health, URL and memory."""

import json
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from cli.airflow_home import login
from cli.grid import grid
from cli.health import Condition, conditions
from cli.orphans import marked
from cli.services import services
from cli.supervisord import running
from data_contracts.settings import Settings


def show_status(settings: Settings, console: Console, as_json: bool = False) -> bool:
    """Prints the state of every service and returns whether all are healthy."""
    supervisord = running(settings.home)
    found = conditions(services(settings), supervisord)
    if as_json:
        print(json.dumps({"home": str(settings.home), "services": [asdict(each) for each in found]}, indent=2))
    else:
        console.print(_table(found))
        if not supervisord and (left := marked(settings.home)):
            console.print(f"{len(left)} programs run that no supervisord looks after: `clicklake stop` ends them")
        if supervisord:
            console.print(f"Airflow: {login(settings)}", markup=False)
        if settings.validation_page.exists():
            console.print(f"the contracts' checks: {settings.validation_page}", markup=False, soft_wrap=True)
    return all(each.healthy for each in found)


def _table(found: list[Condition]) -> Table:
    table = grid("service", "state", "health", "pid", "memory", "URL", numbers=("pid", "memory"))
    for each in found:
        health = "[green]healthy[/]" if each.healthy else "[red]not healthy[/]"
        memory = f"{each.memory_bytes / 2**20:.0f} MB" if each.memory_bytes else ""
        table.add_row(each.name, each.state, health, str(each.pid or ""), memory, each.url)
    return table
