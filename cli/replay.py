"""Rejected rows refined again after the contract has changed, as a person sees it."""

from rich.console import Console
from rich.table import Table

from cli.errors import CommandError
from data_contracts.settings import Settings
from data_contracts.tables import LANDED
from spark_jobs.locks import LockError
from spark_jobs.replay_rejected import Replay, replayed
from spark_jobs.session import JobError, Lake, connect


def replay(settings: Settings, console: Console, table: str, reason: str, dry_run: bool) -> None:
    """Prints the rejections by reason, before and after; CommandError when the table or the server is not there."""
    accepted = (*LANDED, "unknown")
    if table and table not in accepted:
        raise CommandError(f"--table {table}: no table that events land in; accepted: {', '.join(accepted)}")
    try:
        session = connect(settings)
        with console.status("replaying"):
            done = replayed(Lake(session, settings), table, reason, dry_run)
        session.stop()
    except (JobError, LockError) as error:
        raise CommandError(str(error)) from None
    show(done, console, dry_run)


def show(done: Replay, console: Console, dry_run: bool) -> None:
    """A line a table and reason."""
    if not done.before:
        console.print("rejected_events has no rows")
        return
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("table", "reason"):
        shown.add_column(name, header_style="bold")
    for name in ("before", "would be" if dry_run else "after"):
        shown.add_column(name, header_style="bold", justify="right")
    for key in sorted({*done.before, *done.after}):
        shown.add_row(*key, str(done.before.get(key, 0)), str(done.after.get(key, 0)))
    console.print(shown)
    if done.gone:
        console.print(f"{done.gone} of those asked for cannot be replayed: raw_events has deleted their lines")
