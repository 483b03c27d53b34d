"""Rows in columns without lines, as every command shows them."""

from collections.abc import Collection

from rich.table import Table


def grid(*headings: str, numbers: Collection[str] = ()) -> Table:
    """A table with these headings; those of `numbers` are set to the right."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(heading, header_style="bold", justify="right" if heading in numbers else "left")
    return table
