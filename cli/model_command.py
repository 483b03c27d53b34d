"""The registered model's versions, and which of them takes traffic."""

from typing import Annotated

import typer

from cli.console import console
from cli.errors import CommandError
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


@app.command()
def canary(
    version: Annotated[str, typer.Argument(metavar="[VERSION]", help="The version; none with --end.")] = "",
    share: Annotated[float, typer.Option("--share", help="Of users, above 0 and at most 0.5; 0.05 are 5 %.")] = 0.05,
    approved_by: Annotated[
        str,
        typer.Option("--approved-by", help="Who answers for a verdict that waits for a person, or after a rollback."),
    ] = "",
    end: Annotated[str, typer.Option("--end", metavar="REASON", help="End the canary, and say why.")] = "",
) -> None:
    """Let a version answer a share of users beside the champion, if its verdict says so; it ends by itself where it
    fails or is off (docs/serving.md), or by --end."""
    from cli.models import end_canary, start_canary

    if bool(version) == bool(end):
        raise CommandError("give a VERSION to start, or --end with the reason")
    if end:
        end_canary(load(), console(), end)
    else:
        start_canary(load(), console(), version, share, approved_by)


@app.command()
def shadow(
    version: Annotated[str, typer.Argument(metavar="[VERSION]", help="The version; none with --end.")] = "",
    alias: Annotated[str, typer.Option("--alias", help="Its alias; one that begins with shadow.")] = "shadow",
    end: Annotated[bool, typer.Option("--end", help="Take the alias away.")] = False,
) -> None:
    """Let a version score what others answer, for table model_comparisons; nobody sees its scores."""
    from cli.models import set_shadow

    if bool(version) == end:
        raise CommandError("give a VERSION, or --end")
    set_shadow(load(), console(), version, alias)
