"""What a person sees while the platform works: a live table in a terminal, a plain line a change elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live
from rich.table import Table

MARKS = {
    "healthy": "[green]✓[/]",
    "success": "[green]✓[/]",
    "failed": "[red]✗[/]",
    "upstream failed": "[red]✗[/]",
    "skipped": "[dim]-[/]",
}
SETTLED = frozenset(MARKS)


@dataclass(frozen=True)
class Row:
    """One service or task: `group` is the DAG of a task."""

    name: str
    state: str
    seconds: float
    note: str = ""
    group: str = ""


class Board:
    """Rows by name, shown as they change."""

    def __init__(self, console: Console, title: str) -> None:
        self._console, self._title = console, title
        self._rows: dict[tuple[str, str], Row] = {}
        self._is_titled = False
        self._began = time.monotonic()

    def show(self, row: Row) -> None:
        """Puts the row in place of the one of its group and name; outside a terminal, prints it once it is settled."""
        before = self._rows.get((row.group, row.name))
        self._rows[row.group, row.name] = row
        changed = before is None or (before.state, before.note) != (row.state, row.note)
        if changed and row.state in SETTLED and not self._console.is_terminal:
            if not self._is_titled:
                self._console.print(self._title)
                self._is_titled = True
            name = f"{row.group}.{row.name}" if row.group else row.name
            self._console.print(f"  {name}: {row.state} {row.seconds:.1f} s {row.note}".rstrip(), highlight=False)

    def __rich__(self) -> Table:
        passed = time.monotonic() - self._began
        table = Table(title=f"[bold]{self._title}[/] [dim]{passed:.0f} s[/]", title_justify="left", title_style="none")
        table.box, table.pad_edge, table.padding, table.show_header = None, False, (0, 2, 0, 0), False
        for justify in ("left", "left", "left", "right", "left"):
            table.add_column(justify=justify)
        for (group, name), row in self._rows.items():
            seconds = f"{row.seconds:.1f}" if row.seconds else ""
            table.add_row(MARKS.get(row.state, " "), f"{group} {name}".strip(), row.state, seconds, row.note)
        return table


@contextmanager
def board(console: Console, title: str) -> Iterator[Board]:
    """A Board that stays on the screen as it was last."""
    shown = Board(console, title)
    if console.is_terminal:
        with Live(shown, console=console, refresh_per_second=8):
            yield shown
    else:
        yield shown
