"""What every format gives: the columns of a member, and its rows in batches with what is wrong beside them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

from cli.importing.archive import SourceError

LINE_NUMBER = "line_number"


@dataclass(frozen=True)
class Batch:
    """Consecutive rows of a member: the asked columns of the good ones behind their `line_number`, and by line number
    what is wrong with the others. `last_line` ends the batch, be it good, bad or blank."""

    lines: pa.Table
    malformed: list[tuple[int, str]] = field(default_factory=list)
    last_line: int = 0


class Rows(Protocol):
    """The rows of one member; `schema` has its columns and their types."""

    schema: pa.Schema

    def batches(self, columns: Sequence[str], after: int = 0) -> Iterator[Batch]:
        """All rows after line `after`, with the columns that are asked for."""


def numbered(numbers: pa.Array, columns: dict[str, pa.Array]) -> pa.Table:
    """A table of lines: their numbers and columns."""
    return pa.table({LINE_NUMBER: numbers, **columns})


def text_schema(names: Sequence[str], place: str) -> pa.Schema:
    """Columns of text. Raises SourceError when two names differ by case alone, since SQL takes them for one."""
    check_names(names, place)
    return pa.schema([(name, pa.string()) for name in names])


def check_names(names: Sequence[str], place: str) -> None:
    """Raises SourceError when two names are one in SQL."""
    seen = set[str]()
    for name in names:
        if name.lower() in seen:
            raise SourceError(f"{place}: two columns are called {name.lower()}")
        seen.add(name.lower())
