"""A result as CSV, JSON Lines or Parquet: whichever engine gave it, DuckDB writes it, so the bytes are the same."""

import json
from collections import Counter
from typing import Any, BinaryIO

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from cli.errors import CommandError

BATCH_ROWS = 20_000
WHOLE_NUMBERS = "DECIMAL(38,0)"  # what DuckDB's sum of whole numbers is to Arrow
INSTANT = "'%Y-%m-%dT%H:%M:%S.%fZ'"
FLOATS = {"float", "double"}
NUMBERS = FLOATS | {
    "tinyint", "smallint", "integer", "bigint", "utinyint", "usmallint", "uinteger", "ubigint", "hugeint", "decimal",
}  # fmt: skip


def write_csv(result: pa.RecordBatchReader, sink: BinaryIO) -> None:
    """A header and a line a row (RFC 4180, but lines end in a line feed). NULL is an empty field, empty text is "";
    maps and lists are JSON."""
    names, rows = columns(result)
    sink.write((",".join(map(_quoted_field, names)) + "\n").encode())
    fields = (_csv_field(expression, kind) for expression, kind in zip(rows.columns, rows.types, strict=True))
    _write_lines(rows, " || ',' || ".join(fields), sink)


def write_json(result: pa.RecordBatchReader, sink: BinaryIO) -> None:
    """JSON Lines: one object a row, every column in it, NULL as null."""
    names, rows = columns(result)
    _refuse_twins(names)
    members = (
        f"{_literal(json.dumps(name, ensure_ascii=False) + ':')} || coalesce({_json(column, kind)}::VARCHAR, 'null')"
        for name, column, kind in zip(names, rows.columns, rows.types, strict=True)
    )
    _write_lines(rows, "'{' || " + " || ',' || ".join(members) + " || '}'", sink)


def write_parquet(result: pa.RecordBatchReader, sink: BinaryIO) -> None:
    """One Parquet file; instants are UTC microseconds, sums of whole numbers 64 bits or an error."""
    names, rows = columns(result)
    _refuse_twins(names)
    kept = (f"{_kept(column, kind)} AS {column}" for column, kind in zip(rows.columns, rows.types, strict=True))
    batches = rows.project(", ".join(kept)).to_arrow_reader(BATCH_ROWS)
    schema = pa.schema([field.with_name(name) for field, name in zip(batches.schema, names, strict=True)])
    with pq.ParquetWriter(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))


def columns(result: pa.RecordBatchReader) -> tuple[list[str], duckdb.DuckDBPyRelation]:
    """The names of the result's columns, and its rows in a DuckDB of their own, where the columns are c0, c1, ..."""
    names = list(result.schema.names)
    schema = pa.schema([field.with_name(f"c{place}") for place, field in enumerate(result.schema)])
    renamed = (pa.RecordBatch.from_arrays(batch.columns, schema=schema) for batch in result)
    connection = duckdb.connect(":memory:")
    connection.execute("SET TimeZone = 'UTC'")
    return names, connection.from_arrow(pa.RecordBatchReader.from_batches(schema, renamed))


def text(expression: str, kind: Any) -> str:
    """SQL for the text of a value, the same for CSV and for people; NULL stays NULL."""
    if kind.id in {"list", "map", "struct", "array"}:
        return f"{_json(expression, kind)}::VARCHAR"
    if kind.id in FLOATS:
        # A NaN has a sign, which means nothing and differs from engine to engine.
        return f"CASE WHEN isnan({expression}) THEN 'nan' ELSE {expression}::VARCHAR END"
    return f"{_plain(expression, kind)}::VARCHAR" if kind.id not in _INSTANTS else _instant(expression)


_INSTANTS = {"timestamp", "timestamp with time zone", "timestamp_s", "timestamp_ms", "timestamp_ns"}


def _instant(expression: str) -> str:
    return f"strftime({expression}, {INSTANT})"


def _kept(expression: str, kind: Any) -> str:
    """SQL for a value as Parquet has it."""
    return f"{expression}::BIGINT" if str(kind) == WHOLE_NUMBERS else _plain(expression, kind)


def _plain(expression: str, kind: Any) -> str:
    """SQL that takes from a value what only one of the engines knows."""
    if kind.id in _INSTANTS:
        return f"{expression}::TIMESTAMPTZ"
    if kind.id == "interval":
        # Days are 24 hours to Spark; months are no length of time.
        hours = f"to_microseconds(epoch_us({expression}))"
        return f"CASE WHEN datepart('month', {expression}) = 0 THEN {hours} ELSE {expression} END::VARCHAR"
    if kind.id in {"enum", "uuid", "time with time zone"}:
        return f"{expression}::VARCHAR"
    return expression


def _json(expression: str, kind: Any) -> str:
    """SQL for the value as JSON; NULL, or the JSON null inside a list, map or struct."""
    if kind.id in {"list", "array"}:
        return f"to_json(list_transform({expression}, lambda e: {_json('e', kind.children[0][1])}))"
    if kind.id == "map":
        entry = f"{{'key': {text('e.key', kind.children[0][1])}, 'value': {_json('e.value', kind.children[1][1])}}}"
        return f"to_json(map_from_entries(list_transform(map_entries({expression}), lambda e: {entry})))"
    if kind.id == "struct":
        names = [f'"{name.replace(chr(34), chr(34) * 2)}"' for name, _ in kind.children]
        packed = (
            f"{name} := {_json(f'{expression}.{name}', inner)}"
            for name, (_, inner) in zip(names, kind.children, strict=True)
        )
        return f"CASE WHEN {expression} IS NOT NULL THEN to_json(struct_pack({', '.join(packed)})) END"
    if kind.id in FLOATS:
        written = text(expression, kind)
        return f"CASE WHEN isfinite({expression}) THEN {written}::JSON ELSE to_json({written}) END"
    if kind.id in NUMBERS:
        return f"{_plain(expression, kind)}::VARCHAR::JSON"
    return f"to_json({expression})" if kind.id in {"boolean", "varchar"} else f"to_json({text(expression, kind)})"


def _csv_field(expression: str, kind: Any) -> str:
    written = text(expression, kind)
    if kind.id in NUMBERS | _INSTANTS | {"boolean", "date"}:
        return f"coalesce({written}, '')"
    quoted = f"""'"' || replace({written}, '"', '""') || '"'"""
    needs_quotes = f"""{written} = '' OR regexp_matches({written}, '[",\\r\\n]')"""
    return f"(CASE WHEN {expression} IS NULL THEN '' WHEN {needs_quotes} THEN {quoted} ELSE {written} END)"


def _quoted_field(name: str) -> str:
    return '"' + name.replace('"', '""') + '"' if name == "" or set(name) & set('",\r\n') else name


def _write_lines(rows: duckdb.DuckDBPyRelation, line: str, sink: BinaryIO) -> None:
    for batch in rows.project(f"{line} AS line").to_arrow_reader(BATCH_ROWS):
        sink.write("".join(f"{written}\n" for written in batch.column(0).to_pylist()).encode())


def _refuse_twins(names: list[str]) -> None:
    if twins := [name for name, count in Counter(names).items() if count > 1]:
        raise CommandError(f"two columns are named {twins[0]}: this format needs a name each, as in `SELECT x AS name`")


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
