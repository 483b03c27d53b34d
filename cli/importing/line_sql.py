"""SQL evaluated by DuckDB on lines; a line that makes an expression fail costs nothing but itself."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

LINES = "lines"
ROW_ERRORS = (duckdb.DataError, duckdb.InvalidInputException)
"""What a value may do to an expression: not convertible, out of range, invalid."""
STAR = "*"


@dataclass(frozen=True)
class LineQuery:
    """A query that gives a row for each line, the same with TRY where an expression may fail on a line, and one that
    says of each line whether any does."""

    query: str
    guarded: str
    failing: str


class LineSql:
    """Evaluates SQL on tables of lines. DuckDB reads no file and loads nothing: an expression sees the columns of the
    lines, the constants of `relation`, and nothing else."""

    def __init__(self) -> None:
        switched_off = ("enable_external_access", "autoinstall_known_extensions", "autoload_known_extensions")
        self._connection = duckdb.connect(":memory:", config=dict.fromkeys(switched_off, "false"))
        self._connection.execute("SET TimeZone = 'UTC'")
        self._connection.execute("SET threads = 1")
        # The optimizer computes what two expressions share once, outside of their TRYs, where it fails all lines.
        self._connection.execute("PRAGMA disable_optimizer")
        self._connection.execute("SET lock_configuration = true")

    def complaint(self, expression: str, relation: str, schema: pa.Schema) -> str:
        """Why `expression` cannot be used on lines of this schema; empty when it can. It must be one scalar expression
        that gives a line the same value each time: TRY binds no aggregate, window, subquery, or volatile function."""
        self._connection.register(LINES, schema.empty_table())
        if error := self._parsed(expression).get("error_message"):
            return f"Parser Error: {str(error).splitlines()[0]}"
        try:
            query = f"SELECT 1, TRY(({expression}\n)) FROM {relation}"
            found = self._connection.execute(query).description
        except duckdb.Error as error:
            return str(error).splitlines()[0]
        if len(found) != 2 or STAR in self.columns_of(expression):
            return "not one SQL expression that names its columns"
        return ""

    def columns_of(self, expression: str) -> set[str]:
        """The columns that an expression names, in lower case; none when it is not valid SQL, which `complaint` tells.
        COLUMNS() and `*` are the STAR."""
        return set(_named(self._parsed(f"({expression}\n)")))

    def _parsed(self, selected: str) -> dict[str, Any]:
        """The syntax tree of a SELECT, or what is wrong with it as its `error_message`."""
        ((tree,),) = self._connection.execute("SELECT json_serialize_sql(?)", [f"SELECT {selected}"]).fetchall()
        return dict(json.loads(tree))

    def rows(self, asked: LineQuery, lines: pa.Table) -> list[tuple[Any, ...]]:
        """The rows of a query on `lines`, one a line and in their order, whatever line makes it fail.

        TRY is not to be trusted beyond one line: over many, COALESCE in it gives wrong values to the lines beside a
        failing one (DuckDB 1.5.5). On batches of one line it is right, and slow. So over many it is only asked which
        lines to try alone; should it have missed one, the query fails on the others, and all are.
        """
        with contextlib.suppress(*ROW_ERRORS):
            return self._fetched(asked.query, lines)
        try:
            is_failing = [value for (value,) in self._fetched(asked.failing, lines)]
            others = self._fetched(asked.query, lines.filter(pc.invert(pa.array(is_failing, pa.bool_()))))
        except ROW_ERRORS:
            is_failing, others = [True] * lines.num_rows, []
        alone = lines.filter(pa.array(is_failing, pa.bool_())).to_batches(max_chunksize=1)
        failing_rows = iter(self._fetched(asked.guarded, pa.Table.from_batches(alone, lines.schema)))
        other_rows = iter(others)
        return [next(failing_rows if fails else other_rows) for fails in is_failing]

    def _fetched(self, query: str, lines: pa.Table) -> list[tuple[Any, ...]]:
        self._connection.register(LINES, lines)
        return self._connection.execute(query).fetchall()


def identifier(name: str) -> str:
    """`name` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _named(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for part in node:
            yield from _named(part)
    elif isinstance(node, dict):
        if node.get("class") == "STAR":
            yield STAR
        # `lines.x` and `x.field` both name x, so each part of a dotted name counts.
        yield from (str(name).lower() for name in node.get("column_names", ()) if node.get("class") == "COLUMN_REF")
        for part in node.values():
            yield from _named(part)
