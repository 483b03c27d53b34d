"""What a person sees of an import: a bar with rows/s while it works, and at the end what was rejected and why."""

import time
from collections import Counter
from collections.abc import Mapping
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from cli.importing.tally import Tally
from data_contracts.landing import instant_text
from data_contracts.settings import Settings
from data_contracts.tables import RAW_EVENTS

REASONS_SHOWN = 5


class Bar:
    """How much of the sources' bytes has been read, and rows/s; only on a terminal."""

    def __init__(self, console: Console, size: int, rows_before: int) -> None:
        self._rows_before, self._began = rows_before, time.monotonic()
        self._progress = Progress(
            TextColumn("importing"),
            BarColumn(),
            DownloadColumn(),
            TextColumn("{task.fields[rows]:,} rows, {task.fields[speed]:,.0f} rows/s"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("", total=size, rows=0, speed=0.0)

    def __enter__(self) -> "Bar":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, position: int, rows: int) -> None:
        """Byte `position` of all sources has been read, and `rows` are done, those of earlier runs too."""
        speed = (rows - self._rows_before) / max(time.monotonic() - self._began, 1e-9)
        self._progress.update(self._task, completed=position, rows=rows, speed=speed)


def show_summary(console: Console, tally: Tally, new_rows: int, seconds: float) -> None:
    """Rows of each table, and what was rejected, by reason."""
    for table in sorted({*tally.rows, *tally.rejected}):
        reasons = tally.rejected.get(table, Counter())
        rejected = f", {sum(reasons.values()):,} rejected" if reasons else ""
        console.print(f"{table}: {tally.rows.get(table, 0):,} rows{rejected}")
        show_reasons(console, reasons)
    if tally.rejected:
        console.print("rejected lines go to rejected_events, with their file and line")
    console.print(f"{new_rows:,} rows in {seconds:.1f} s, {new_rows / max(seconds, 1e-9):,.0f} rows/s")


def show_next(console: Console, settings: Settings, newest: str) -> None:
    """What brings landed rows into the tables, and that a stated clock keeps from the models what is after it; `newest`
    is the latest received_at, as landing writes it."""
    has_run = (settings.lake / RAW_EVENTS.name).exists()
    with_dags = f"trigger ingest_events at {settings.airflow_url}, and then train_ad_ctr for a model"
    step = with_dags if has_run else "`clicklake run` brings them into the tables, counts and trains"
    console.print(f"next: {step}", soft_wrap=True)
    if settings.clock.stated and newest > (now := instant_text(settings.clock.now())):
        console.print(
            f"the newest row is of {newest}, after the stated clock ({now}): the tables hold it, but counts,"
            " labels and models see nothing after clock.stated (docs/operations.md)",
            soft_wrap=True,
        )


def show_reasons(console: Console, reasons: Mapping[str, int]) -> None:
    """The most frequent reasons, with their counts."""
    ranked = sorted(reasons.items(), key=lambda reason: (-reason[1], reason[0]))
    for reason, number in ranked[:REASONS_SHOWN]:
        console.print(f"  {number:>9,}  {reason}", markup=False)
    if ranked[REASONS_SHOWN:]:
        console.print(f"  {sum(number for _, number in ranked[REASONS_SHOWN:]):>9,}  for other reasons")
