"""DuckDB over the lake for a person: a prompt with a view a table, or one statement."""

import contextlib
import readline
from collections.abc import Iterator

import duckdb
from rich.console import Console
from rich.table import Table

from cli.errors import CommandError
from data_contracts.lake import open_lake
from data_contracts.settings import Settings

MOST_ROWS = 100
HINTS = ("Did you mean", "Candidate bindings")
WELCOME = (
    "A view a table of the contract. End a statement with ; or an empty line.\n"
    "SHOW TABLES; lists the tables, FROM columns; says what each column means. Ctrl-D leaves."
)


def run_statement(settings: Settings, statement: str, console: Console) -> None:
    """Prints the result of one statement; CommandError says in one line why there is none."""
    with contextlib.closing(open_lake(settings)) as lake:
        try:
            show(lake.sql(statement), console)
        except duckdb.Error as error:
            raise CommandError(one_line(error)) from None


def prompt(settings: Settings, console: Console) -> None:
    """Reads statements until the end of the input; what was typed is remembered under home.

    The lake is opened for each statement, so that tables written meanwhile are there.
    """
    console.print(WELCOME, style="dim")
    with _history(settings):
        for statement in _statements():
            try:
                run_statement(settings, statement, console)
            except CommandError as error:
                console.print(str(error), style="red", markup=False)


def show(result: duckdb.DuckDBPyRelation | None, console: Console) -> None:
    """Prints a table of the first MOST_ROWS rows; nothing for a statement without a result."""
    if result is None:
        return
    rows = result.fetchmany(MOST_ROWS + 1)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name, kind in zip(result.columns, result.types, strict=True):
        table.add_column(name, justify="right" if _is_number(kind) else "left", header_style="bold")
    for row in rows[:MOST_ROWS]:
        table.add_row(*map(_shown, row))
    console.print(table)
    if len(rows) > MOST_ROWS:
        console.print(f"the first {MOST_ROWS} rows; LIMIT and OFFSET show others", style="dim")


def one_line(error: duckdb.Error) -> str:
    """What DuckDB says, without the drawing of where."""
    said, _, where = str(error).partition("\nLINE ")
    hint = next((line for line in said.splitlines()[1:] if line.startswith(HINTS)), "")
    place = f" (line {where.split(':')[0]})" if where else ""
    return f"{said.splitlines()[0]}{place}{' ' + hint if hint else ''}"


def _statements() -> Iterator[str]:
    """Statements as they are typed, over several lines where they are."""
    lines: list[str] = []
    while True:
        try:
            line = input("clicklake> " if not lines else "        -> ").rstrip()
        except EOFError:
            print()
            break
        except KeyboardInterrupt:
            print()
            lines = []
            continue
        lines += [line] if line else []
        if lines and (not line or line.endswith(";")):
            yield "\n".join(lines)
            lines = []
    if lines:
        yield "\n".join(lines)


@contextlib.contextmanager
def _history(settings: Settings) -> Iterator[None]:
    path = settings.home / "sql_history"
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(OSError):
        readline.read_history_file(path)
    try:
        yield
    finally:
        readline.set_history_length(1000)
        readline.write_history_file(path)


def _is_number(kind: object) -> bool:
    return str(kind) in {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE"}


def _shown(value: object) -> str:
    if value is None:
        return "[dim]NULL[/]"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text.replace("[", r"\[")
