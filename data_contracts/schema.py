"""What a table is: columns with their rules, a key, a partition."""

from dataclasses import dataclass
from typing import Literal

Type = Literal[
    "STRING", "TIMESTAMP", "DATE", "INT", "BIGINT", "DOUBLE", "BOOLEAN",
    "MAP<STRING,STRING>", "MAP<STRING,DOUBLE>", "ARRAY<FLOAT>",
]  # fmt: skip


ADDED_ON_THE_WAY = ("received_at", "content_hash", "origin", "date", "is_clock_skewed", "id_hash")
"""Columns of landed tables that an event does not state itself."""
OWN_TIMES = ("timestamp", "predicted_at")


@dataclass(frozen=True)
class Column:
    """One column. `default` fills in for a value an event does not state; without one, and not nullable, a row that
    lacks the value is rejected. `minimum` and `maximum` are inclusive; `allowed` lists all legal values."""

    name: str
    type: Type
    about: str
    nullable: bool = False
    default: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    allowed: tuple[str, ...] = ()

    @property
    def is_required(self) -> bool:
        """Whether a row must state it."""
        return not self.nullable and self.default is None


@dataclass(frozen=True)
class Table:
    """One Delta table. `landed` tables are filled from landing segments by refine_events; `key` is unique. A `derived`
    table can be made anew from others: when its contract changes, it begins again without rows."""

    name: str
    about: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    partition_by: tuple[str, ...] = ()
    landed: bool = False
    derived: bool = False

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def own_time(self) -> str | None:
        """The column that says when the row's own event happened; None where only received_at is known."""
        return next((name for name in OWN_TIMES if name in self.column_names), None)

    @property
    def event_columns(self) -> tuple[Column, ...]:
        """The columns that an event itself states; the others are added on the way."""
        return tuple(column for column in self.columns if column.name not in ADDED_ON_THE_WAY)
