"""What POST /event/* and /catalog/* take, as msgspec types made from the contract's tables; a table's columns are
written down in data_contracts only."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from data_contracts.schema import Column, Table
from serving.requests import FeatureMap

UUIDS = frozenset({"impression_id", "click_id"})
"""Columns that are_canonical_uuids must hold of."""
UUID_SHAPE = b"00000000-0000-0000-0000-000000000000,"
SHAPES = bytes.maketrans(b"123456789abcdef", b"0" * 15)
LONGEST_TEXT = 256
LONGEST_LOCATION = 128
"""A place that needs more is not coarse."""


def request_type(table: Table) -> type[msgspec.Struct]:
    """One event of `table`: the columns that an event itself states, by name; one that equals its default is left out
    of the encoded row, as one that is null."""
    columns = sorted(table.event_columns, key=lambda column: column.name)
    return msgspec.defstruct(
        table.name,
        [_field(column) for column in columns],
        kw_only=True,
        omit_defaults=True,
        forbid_unknown_fields=True,
        gc=False,
    )


def are_canonical_uuids(texts: Sequence[str]) -> bool:
    """Is each written as 8-4-4-4-12 digits, in lower case? So an id has one spelling only. All are looked at in one go,
    which costs a tenth of a regular expression for each."""
    return ",".join([*texts, ""]).encode().translate(SHAPES) == UUID_SHAPE * len(texts)


def _field(column: Column) -> tuple[str, Any] | tuple[str, Any, Any]:
    if column.nullable:
        return column.name, _type(column) | None, None
    if column.default is None:
        return column.name, _type(column)
    return column.name, _type(column), _default(column)


def _type(column: Column) -> Any:
    match column.type:
        case "STRING":
            return _text_type(column)
        case "TIMESTAMP":
            return Annotated[datetime, msgspec.Meta(tz=True)]
        case "BOOLEAN":
            return bool
        case "INT" | "BIGINT":
            return Annotated[int, _bounds(column)]
        case "DOUBLE":
            return Annotated[float, _bounds(column)]
        case "MAP<STRING,STRING>":
            return FeatureMap
    raise TypeError(f"{column.name}: no request type for {column.type}")


def _text_type(column: Column) -> Any:
    if column.allowed:
        return Literal[column.allowed]
    if column.name in UUIDS:
        return str
    longest = LONGEST_LOCATION if column.name == "location" else LONGEST_TEXT
    return Annotated[str, msgspec.Meta(min_length=1, max_length=longest)]


def _bounds(column: Column) -> msgspec.Meta:
    return msgspec.Meta(ge=column.minimum, le=column.maximum)


def _default(column: Column) -> Any:
    assert column.default is not None
    return column.default if column.type == "STRING" else msgspec.json.decode(column.default)
