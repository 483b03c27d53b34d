"""What POST /event/* and /catalog/* take, as msgspec types made from the contract's tables; a table's columns are
written down in data_contracts only."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from data_contracts.schema import Column, Table
from serving.requests import FeatureMap

CANONICAL_UUID = r"\A[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z"
UUIDS = frozenset({"impression_id", "click_id"})
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
        return Annotated[str, msgspec.Meta(pattern=CANONICAL_UUID)]
    longest = LONGEST_LOCATION if column.name == "location" else LONGEST_TEXT
    return Annotated[str, msgspec.Meta(min_length=1, max_length=longest)]


def _bounds(column: Column) -> msgspec.Meta:
    return msgspec.Meta(ge=column.minimum, le=column.maximum)


def _default(column: Column) -> Any:
    assert column.default is not None
    return column.default if column.type == "STRING" else msgspec.json.decode(column.default)
