"""Rejected rows refined again after the contract has changed, as a person sees it."""

from rich.console import Console
from rich.markup import escape

from cli.errors import CommandError
from cli.grid import grid
from data_contracts.settings import Settings
from data_contracts.tables import LANDED
from spark_jobs.locks import LockError
from spark_jobs.rejections import SAME_ID
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
            try:
                done = replayed(Lake(session, settings), table, reason, dry_run)
            finally:
                session.stop()
    except (JobError, LockError) as error:
        raise CommandError(str(error)) from None
    show(done, console, dry_run)


def show(done: Replay, console: Console, dry_run: bool) -> None:
    """A line a table and reason that was chosen or has changed, and what came of the chosen in all; every one where
    none was chosen, since that may be a slip of the pen."""
    if not done.before:
        console.print("rejected_events has no rows")
        return
    if not done.asked:
        console.print(f"no rejection was chosen: rejected_events holds these, and never replays {SAME_ID!r}")
    sides = ("before", "would be" if dry_run else "after")
    shown = grid("table", "reason", *sides, numbers=sides)
    changed = {key for key in {*done.before, *done.after} if done.before.get(key) != done.after.get(key)}
    for key in sorted({*done.asked, *changed} or done.before):
        shown.add_row(*map(escape, key), str(done.before.get(key, 0)), str(done.after.get(key, 0)))
    console.print(shown)
    if done.asked:
        console.print(told(done, dry_run))


def told(done: Replay, dry_run: bool) -> str:
    """What came of the chosen rejections, in one line."""
    number = sum(done.asked.values())
    parts = [f"{done.accepted:,} accepted", f"{number - done.accepted - done.gone:,} still refused"]
    if done.gone:
        parts.append(f"{done.gone:,} not replayed: raw_events has deleted their lines")
    would = "; nothing was written" if dry_run else ""
    return f"{number:,} chosen: {', '.join(parts)}{would}"
