"""A result for a person: aligned columns where they fit, else a line a value; nothing is cut without a word."""

import re
from collections.abc import Sequence

import pyarrow as pa
from rich.cells import cell_len
from rich.console import Console

from cli.result_formats import NUMBERS, columns, text

MOST_ROWS = 100
GAP = "  "
UNPRINTABLE = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


def show_table(result: pa.RecordBatchReader, console: Console) -> None:
    """Prints the first MOST_ROWS rows, and says so when there are more."""
    names, rows = columns(_first(result, MOST_ROWS + 1))
    if not names:
        return
    texts = ", ".join(text(column, kind) for column, kind in zip(rows.columns, rows.types, strict=True))
    found = rows.project(texts).fetchall()
    cells = [[_printable(value) for value in row] for row in found[:MOST_ROWS]]
    headings = [_printable(name).replace("\n", "\\n") for name in names]
    widths = [max(map(cell_len, column)) for column in zip(headings, *cells, strict=True)]
    has_lines = any("\n" in cell for row in cells for cell in row)
    if has_lines or (console.is_terminal and sum(widths) + len(GAP) * (len(widths) - 1) > console.width):
        _show_down(headings, cells, console)
    else:
        _show_across(headings, cells, widths, [kind.id in NUMBERS for kind in rows.types], console)
    if not found:
        console.print("no rows", style="dim")
    if len(found) > MOST_ROWS:
        console.print(f"the first {MOST_ROWS} rows; --format csv, json or parquet gives all", style="dim")


def _first(result: pa.RecordBatchReader, most_rows: int) -> pa.RecordBatchReader:
    """So many of the rows. They are taken here: DuckDB would let its threads read on past a limit, and into Python's
    end, which aborts the program."""
    batches: list[pa.RecordBatch] = []
    missing = most_rows
    while missing > 0 and (batch := next(result, None)) is not None:
        batches.append(batch.slice(0, missing))
        missing -= batch.num_rows
    return pa.RecordBatchReader.from_batches(result.schema, batches)


def _show_across(
    headings: Sequence[str],
    cells: Sequence[Sequence[str]],
    widths: Sequence[int],
    are_numbers: Sequence[bool],
    console: Console,
) -> None:
    for number, row in enumerate([headings, *cells]):
        padded = (
            " " * (width - cell_len(cell)) + cell if is_number else cell + " " * (width - cell_len(cell))
            for cell, width, is_number in zip(row, widths, are_numbers, strict=True)
        )
        _print_line(GAP.join(padded).rstrip(), console, style="" if number else "bold")


def _show_down(headings: Sequence[str], cells: Sequence[Sequence[str]], console: Console) -> None:
    width = max(map(cell_len, headings))
    below = "\n" + " " * (width + len(GAP))
    for number, row in enumerate(cells, 1):
        console.print(f"row {number}", style="dim")
        for heading, cell in zip(headings, row, strict=True):
            shown = cell.replace("\n", below)
            _print_line(f"{heading}{' ' * (width - cell_len(heading))}{GAP}{shown}".rstrip(), console)


def _print_line(line: str, console: Console, style: str = "") -> None:
    console.print(line, style=style or None, markup=False, emoji=False, soft_wrap=True)


def _printable(value: str | None) -> str:
    """A value may hold what moves a terminal's cursor: such characters are shown as their escapes."""
    return "NULL" if value is None else UNPRINTABLE.sub(lambda found: repr(found[0])[1:-1], value)
