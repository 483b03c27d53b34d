"""The registered model's versions, and which of them takes traffic."""

from typing import Annotated

import typer

from cli.console import console
from data_contracts.settings import load

app = typer.Typer(no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})
Number = Annotated[str, typer.Argument(metavar="VERSION", help="The version's number, as `clicklake model list` says.")]


@app.command("list")
def list_(newest: Annotated[int, typer.Option("--newest", min=1, help="How many to show.")] = 20) -> None:
    """Show the newest versions: which alias they have, their verdict, and what they were on their holdout."""
    from cli.models import show_versions

    show_versions(load(), console(), newest)


@app.command()
def show(version: Number) -> None:
    """Show one version: the verdict's reasons, its numbers by slice, what it was trained from, and where to look."""
    from cli.models import show_version

    show_version(load(), console(), version)


@app.command()
def promote(
    version: Number,
    approved_by: Annotated[
        str,
        typer.Option("--approved-by", help="Who answers for a verdict that waits for a person, or after a rollback."),
    ] = "",
) -> None:
    """Let a version take traffic, if its verdict says so; the champion before it is kept as previous."""
    from cli.models import promote

    promote(load(), console(), version, approved_by)


@app.command()
def rollback(
    reason: Annotated[str, typer.Option("--reason", help="Why; kept as a tag of the version that loses traffic.")],
) -> None:
    """Let the previous champion take traffic again; no run promotes the version it replaces by itself from then on."""
    from cli.models import roll_back

    roll_back(load(), console(), reason)
