"""The keys of serving, which is asked for them where conf says `access = "keys"`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from cli.console import console
from cli.errors import CommandError
from data_contracts import api_keys
from data_contracts.api_keys import ROLES, ApiKey
from data_contracts.sections import OPEN
from data_contracts.settings import load

app = typer.Typer(no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})


@app.command()
def add(
    role: Annotated[list[str], typer.Option("--role", help=f"What the key may do, once for each: {', '.join(ROLES)}.")],
    name: Annotated[str, typer.Option("--name", help="Whose it is, or what for.")] = "",
    days: Annotated[int | None, typer.Option("--days", min=1, max=3650, help="How long it holds; else always.")] = None,
) -> None:
    """Make a key and print it, once: only its hash is kept."""
    settings, now = load(), datetime.now(UTC).replace(microsecond=0)
    with _plain():
        key = api_keys.add(settings.api_keys, role, name, now, now + timedelta(days=days) if days else None)
    print(key)
    print("this is the only time it is shown: keep it where secrets are kept", file=sys.stderr)
    if settings.serving.access == OPEN:
        print(f'conf\'s serving.access is "{OPEN}": nobody is asked for a key', file=sys.stderr)


@app.command("list")
def list_() -> None:
    """Show the keys: their roles, when they were made and until when they hold."""
    from cli.grid import grid

    with _plain():
        keys = api_keys.listed(load().api_keys)
    if not keys:
        print("no key yet: `clicklake key add` makes one")
        return
    table = grid("id", "name", "roles", "created", "expires")
    for key in keys:
        table.add_row(*_row(key, datetime.now(UTC)))
    console().print(table, markup=False)


@app.command()
def remove(id_: Annotated[str, typer.Argument(metavar="ID", help="As `clicklake key list` says.")]) -> None:
    """Revoke a key: serving takes it for a second or two more at most."""
    with _plain():
        api_keys.remove(load().api_keys, id_)
    print(f"key {id_} is removed")


def _row(key: ApiKey, now: datetime) -> tuple[str, ...]:
    expires = "never" if key.expires_at is None else key.expires_at.isoformat()
    ended = " (expired)" if key.roles_at(now) is None else ""
    return key.id, key.name, ", ".join(sorted(key.roles)), key.created_at.isoformat(), expires + ended


@contextmanager
def _plain() -> Iterator[None]:
    """What cannot be done is one line for a person."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise CommandError(str(error)) from None
