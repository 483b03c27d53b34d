"""A result as a person sees it, in a terminal and elsewhere."""

import io

import duckdb
from rich.console import Console

from cli.result_table import show_table


def shown(statement: str, width: int = 60, is_terminal: bool = True) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=is_terminal, color_system=None, highlight=False)
    show_table(duckdb.connect().sql(statement).to_arrow_reader(), console)
    return console.file.getvalue().splitlines()


def test_what_fits_is_a_table() -> None:
    assert shown("SELECT 1 AS one, 0.25::DOUBLE AS quarter, NULL AS nothing, '[x] :smile:' AS text") == [
        "one  quarter  nothing  text",
        "  1     0.25     NULL  [x] :smile:",
    ]


def test_what_is_too_wide_for_the_terminal_is_a_line_a_value() -> None:
    statement = "SELECT 'short' AS a, repeat('x', 60) AS long_name UNION ALL SELECT NULL, 'y'"
    assert shown(statement) == [
        "row 1",
        "a          short",
        f"long_name  {'x' * 60}",
        "row 2",
        "a          NULL",
        "long_name  y",
    ]


def test_outside_a_terminal_a_line_is_as_long_as_it_must_be() -> None:
    assert shown("SELECT 'short' AS a, repeat('x', 60) AS b", is_terminal=False) == [
        "a      b",
        f"short  {'x' * 60}",
    ]


def test_lines_of_a_value_stand_below_each_other() -> None:
    assert shown("SELECT 'two' || chr(10) || 'lines' AS plan") == ["row 1", "plan  two", "      lines"]


def test_a_long_result_says_that_it_is_cut() -> None:
    lines = shown("SELECT range AS n FROM range(101)")
    assert lines[-2:] == ["99", "the first 100 rows; --format csv, json or parquet gives all"]
    assert shown("SELECT range AS n FROM range(100)")[-1] == "99"


def test_a_result_without_rows_says_so() -> None:
    assert shown("SELECT 1 AS n WHERE false") == ["n", "no rows"]


def test_what_would_move_the_cursor_is_shown_as_its_escape() -> None:
    assert shown("SELECT chr(27) || '[2J' || chr(9) AS text") == ["text", "\\x1b[2J\\t"]


def test_wide_characters_count_as_what_they_take() -> None:
    assert shown("SELECT '広告' AS ad, 1 AS n UNION ALL SELECT 'ab', 2") == ["ad    n", "広告  1", "ab    2"]
