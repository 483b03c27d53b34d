"""The `clicklake` command. A command imports what it needs when it runs, so that --help stays quick."""

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from cli import key_command, model_command
from cli.console import console
from cli.errors import CommandError
from data_contracts.sections import parsed_instant
from data_contracts.settings import ConfigurationError, load

app = typer.Typer(
    help="Clicklake: ad events to tables, features, models and scores, whole on one machine.\n\n"
    "State lives in CLICKLAKE_HOME (default: var/ of the repository); CLICKLAKE_CONF names a file whose keys "
    "replace those of conf/base.toml.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

PLATFORM, TABLES, MODELS = "Platform", "Tables", "Models"

app.add_typer(key_command.app, name="key", rich_help_panel=PLATFORM, help=key_command.__doc__)
app.add_typer(model_command.app, name="model", rich_help_panel=MODELS, help=model_command.__doc__)


@app.command(rich_help_panel=PLATFORM)
def start() -> None:
    """Start the services that do not run yet and wait until all are healthy."""
    settings = load()
    from cli.startup import started

    started(settings, console())


@app.command(rich_help_panel=PLATFORM)
def run(
    data: Annotated[
        Literal["market", "obd"] | None,
        typer.Option(help="The sample of a home without a log: a synthetic market (else), or the Open Bandit Dataset."),
    ] = None,
) -> None:
    """Start, bring a sample log, run the three DAGs, and show a prediction and the champion's numbers.

    A home that has a log, imported or posted, is run on that one. A second run goes on where the first was: nothing is
    started, brought or computed twice.
    """
    from cli.run import run

    run(load, console(), data)


@app.command(rich_help_panel=PLATFORM)
def stop() -> None:
    """Stop every service and whatever job still runs; running it twice does no harm."""
    from cli.supervision import stop

    settings = load()
    shown = console()
    with shown.status("stopping"):
        was_running = stop(settings)
    shown.print("stopped: nothing is left running" if was_running else "nothing was running")


@app.command(rich_help_panel=PLATFORM)
def status(
    json: Annotated[bool, typer.Option("--json", help="One JSON object for programs instead of the table.")] = False,
) -> None:
    """Show each service's state, health, URL and memory; exit code 0 only when all are healthy."""
    from cli.status import show_status

    raise typer.Exit(0 if show_status(load(), console(), as_json=json) else 1)


Statement = Annotated[str | None, typer.Option("-c", help="Run this one statement, print its result and end.")]
Form = Annotated[
    Literal["table", "csv", "json", "parquet"],
    typer.Option(
        "--format", help="table is for people and shows 100 rows; the others hold every row; json is JSON Lines."
    ),
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="Write the result of -c to this file.", dir_okay=False)
]
At = Annotated[
    str | None,
    typer.Option("--at", metavar="INSTANT", help="Every table as it was then, by its commits: 2026-01-31T06:00:00Z."),
]


@app.command(rich_help_panel=TABLES)
def sql(statement: Statement = None, form: Form = "table", output: Output = None, at: At = None) -> None:
    """Query the lake with DuckDB: a view a table, also while the services work or are stopped."""
    from cli.prompt import query
    from cli.sql import duckdb_engine

    settings = load()
    query(duckdb_engine(settings, instant(at)), statement, form, output, settings.home / "sql_history", console())


@app.command("spark-sql", rich_help_panel=TABLES)
def spark_sql(statement: Statement = None, form: Form = "table", output: Output = None, at: At = None) -> None:
    """Query the lake with Spark SQL on the running server: the same views, the same answers."""
    from cli.prompt import query
    from cli.spark_sql import spark_engine

    settings = load()
    with spark_engine(settings, instant(at)) as engine:
        query(engine, statement, form, output, settings.home / "spark_sql_history", console())


@app.command("import", rich_help_panel=TABLES)
def import_(
    mapping: Annotated[Path, typer.Argument(help="TOML: source columns to contract columns (conf/imports/obd.toml).")],
    sources: Annotated[
        list[Path],
        typer.Argument(metavar="SOURCE...", help="The log: files, folders or tar archives (data/obd_small.tar.gz)."),
    ],
    check: Annotated[
        bool,
        typer.Option("--check", help="Show what the first 1,000 lines become and what is rejected; write nothing."),
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Import even if it was imported before; the tables end the same.")
    ] = False,
) -> None:
    """Bring a log of another system into landing, the way live events take; what is there already adds nothing.

    CSV, TSV, JSON Lines and Parquet, also packed by gzip or zstd. One that was cut off goes on where it was.
    """
    from cli.importing.check import check_import
    from cli.importing.import_log import import_log
    from cli.importing.shown import show_next

    settings, shown = load(), console()
    if check:
        check_import(settings, mapping, sources, shown)
    elif tally := import_log(settings, mapping, sources, shown, again=again):
        show_next(shown, settings, tally.newest)


@app.command(rich_help_panel=TABLES)
def simulate(
    days: Annotated[int, typer.Option("--days", min=1, max=366, help="How long the market runs.")] = 14,
    impressions: Annotated[
        int,
        typer.Option(
            "--impressions-per-day",
            min=1_000,
            max=2_000_000,
            help="How busy it is; a day is held in memory, 3 GB a million.",
        ),
    ] = 200_000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed is another market.")] = 7,
    start: Annotated[
        str | None,
        typer.Option("--start", metavar="DAY", help="Its first day, 2026-01-01; else it ends at the current hour."),
    ] = None,
    knobs: Annotated[
        Path | None, typer.Option("--knobs", help="TOML whose keys replace those of conf/market.toml.", dir_okay=False)
    ] = None,
) -> None:
    """Write events of a synthetic ad market to landing, and beside the lake the truth that no model is told."""
    from cli.importing.shown import show_next
    from cli.simulate import simulate

    settings, shown = load(), console()
    if end := simulate(settings, shown, days, impressions, seed, start, knobs):
        show_next(shown, settings, end)


@app.command(rich_help_panel=TABLES)
def replay(
    table: Annotated[str, typer.Option("--table", help="Only rejections of this table.")] = "",
    reason: Annotated[str, typer.Option("--reason", help="Only rejections whose reason contains this text.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing; show what would come of it.")] = False,
) -> None:
    """Refine rejected rows again, once the contract that refused them has changed; a row still refused stays."""
    from cli.replay import replay

    replay(load(), console(), table, reason, dry_run)


@app.command(rich_help_panel=MODELS)
def explain(
    prediction_id: Annotated[str, typer.Argument(help="The prediction_id that /predict answered with.")],
) -> None:
    """Show why a prediction was what it was: the logged inputs, what each adds, and the tables behind the model."""
    from cli.explain import explain

    explain(load(), console(), prediction_id)


@app.command(rich_help_panel=TABLES)
def docs(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit code 1 when the page is stale.")] = False,
) -> None:
    """Write docs/tables.md from the contracts."""
    from cli.docs import is_fresh, write_tables_page

    if not check:
        write_tables_page()
    elif not is_fresh():
        print("docs/tables.md is stale: run `clicklake docs` and commit it", file=sys.stderr)
        raise typer.Exit(1)


@app.command(hidden=True)
def jars() -> None:
    """Fetch the Delta jars, unless they are here, and check them against conf/jars.sha256."""
    from cli.jars import install_jars
    from cli.services import SPARK_HOME

    install_jars(SPARK_HOME)


def instant(text: str | None) -> datetime | None:
    try:
        return parsed_instant(text) if text else None
    except ValueError as error:
        raise CommandError(f"--at: {error}") from None


def main() -> None:
    """The entry point: what a person can mend is one line on stderr and exit code 2."""
    try:
        app()
    except (CommandError, ConfigurationError) as error:
        print(f"clicklake: {error}", file=sys.stderr)
        sys.exit(2)
