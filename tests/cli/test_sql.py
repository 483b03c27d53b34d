"""DuckDB over the lake, as a person meets it."""

import io

import pytest
from rich.console import Console

from cli.errors import CommandError
from cli.report import CTR_BY_VARIANT
from cli.sql import prompt, run_statement
from data_contracts.settings import Settings


@pytest.fixture
def written() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def console(written: io.StringIO) -> Console:
    return Console(file=written, width=120, highlight=False)


def test_a_statement_prints_a_table(settings: Settings, console: Console, written: io.StringIO) -> None:
    run_statement(settings, "SELECT 1 AS one, 0.25 AS quarter, NULL AS nothing, '[x]' AS text", console)
    assert [line.split() for line in written.getvalue().splitlines()] == [
        ["one", "quarter", "nothing", "text"],
        ["1", "0.25", "NULL", "[x]"],
    ]


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("SELEC 1", 'Parser Error: syntax error at or near "SELEC" (line 1)'),
        ("SELECT clickd FROM clicks", 'Binder Error: Referenced column "clickd" not found in FROM clause!'),
        ("FROM clickz", 'Catalog Error: Table with name clickz does not exist! Did you mean "clicks'),
    ],
)
def test_an_error_is_one_line(settings: Settings, console: Console, statement: str, said: str) -> None:
    with pytest.raises(CommandError) as raised:
        run_statement(settings, statement, console)
    assert str(raised.value).startswith(said)
    assert "\n" not in str(raised.value)


def test_a_long_result_says_that_it_is_cut(settings: Settings, console: Console, written: io.StringIO) -> None:
    run_statement(settings, "SELECT unnest(range(101)) AS n", console)
    lines = [line.strip() for line in written.getvalue().splitlines()]
    assert lines[-2:] == ["99", "the first 100 rows; LIMIT and OFFSET show others"]


def test_the_prompt_takes_statements_over_several_lines_and_goes_on_after_an_error(
    settings: Settings, console: Console, written: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("SELECT\n'first';\nNONSENSE;\nSELECT 'last'\n"))
    prompt(settings, console)
    shown = written.getvalue()
    assert shown.index("first") < shown.index("Parser Error") < shown.rindex("last")


def test_the_query_that_a_run_ends_with_reads_an_empty_lake(settings: Settings, console: Console) -> None:
    run_statement(settings, CTR_BY_VARIANT, console)
