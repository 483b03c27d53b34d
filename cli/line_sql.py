"""SQL expressions evaluated by DuckDB on lines of text; a line that makes one fail costs that value and no other."""

from collections.abc import Sequence
from typing import Any

import duckdb
import pyarrow as pa

LINES = "lines"
ROW_ERRORS = (duckdb.DataError, duckdb.InvalidInputException)
"""What a value may do to an expression: not convertible, out of range, invalid."""


class LineSql:
    """Evaluates expressions on tables of lines. DuckDB reads no file and loads nothing: an expression sees the columns
    of the lines, the constants of `relation`, and nothing else."""

    def __init__(self) -> None:
        switched_off = ("enable_external_access", "autoinstall_known_extensions", "autoload_known_extensions")
        self._connection = duckdb.connect(":memory:", config=dict.fromkeys(switched_off, "false"))
        self._connection.execute("SET TimeZone = 'UTC'")
        self._connection.execute("SET threads = 1")
        # The optimizer computes what two expressions share once, outside of their TRYs, where it fails all lines.
        self._connection.execute("PRAGMA disable_optimizer")
        self._connection.execute("SET lock_configuration = true")

    def complaint(self, expression: str, relation: str, lines: pa.Table) -> str:
        """Why `expression` cannot be used on lines like these; empty when it can. It must be one scalar expression that
        gives a line the same value each time: TRY binds no aggregate, window, subquery, or volatile function."""
        self._connection.register(LINES, lines.slice(0, 0))
        try:
            query = f"SELECT line_number, TRY({expression}) FROM {relation}"
            found = self._connection.execute(query).description
        except duckdb.Error as error:
            return str(error).splitlines()[0]
        return "" if len(found) == 2 else "not one SQL expression"

    def values(self, expressions: Sequence[str], relation: str, lines: pa.Table) -> list[tuple[Any, ...]]:
        """The values of all expressions, a tuple a line in the lines' order; None where a line makes one fail.

        TRY alone is not to be trusted: over many lines, COALESCE in it gives wrong values to the lines beside a failing
        one (DuckDB 1.5.5). On batches of one line it is right, and slower, so it is used only when a line fails.
        """
        try:
            return self._fetched(expressions, relation, lines)
        except ROW_ERRORS:
            guarded = [f"TRY({expression})" for expression in expressions]
            return self._fetched(guarded, relation, pa.Table.from_batches(lines.to_batches(max_chunksize=1)))

    def _fetched(self, expressions: Sequence[str], relation: str, lines: pa.Table) -> list[tuple[Any, ...]]:
        self._connection.register(LINES, lines)
        return self._connection.execute(f"SELECT {', '.join(expressions)} FROM {relation}").fetchall()


def typed(expression: str, kind: str) -> str:
    """SQL for an expression as a value of a contract type, NULL where it is none. An instant is given as microseconds
    since 1970; a time without a zone is taken as UTC. What is not whole is no INT, what is not finite no DOUBLE."""
    inner = f"({expression}\n)"
    if kind == "TIMESTAMP":
        instant = f"TRY_CAST({inner} AS TIMESTAMPTZ)"
        return f"CASE WHEN isfinite({instant}) THEN epoch_us({instant}) END"
    if kind == "INT":
        return f"CASE WHEN TRY_CAST({inner} AS DOUBLE) = TRY_CAST({inner} AS INT) THEN TRY_CAST({inner} AS INT) END"
    if kind == "DOUBLE":
        return f"CASE WHEN isfinite(TRY_CAST({inner} AS DOUBLE)) THEN TRY_CAST({inner} AS DOUBLE) END"
    return f"TRY_CAST({inner} AS {'BOOLEAN' if kind == 'BOOLEAN' else 'VARCHAR'})"


def identifier(name: str) -> str:
    """`name` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
