"""The tables read as Spark DDL, DuckDB views, Great Expectations expectations and a page for people."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from data_contracts.schema import Column, Table
from data_contracts.tables import CONTRACT_VERSION, TABLES

DELTA_PROPERTIES = {
    "delta.enableDeletionVectors": "false",  # so that DuckDB, delta-rs and Spark read the same bytes
    "delta.columnMapping.mode": "none",
}
DUCKDB_TYPES = {
    "STRING": "VARCHAR",
    "TIMESTAMP": "TIMESTAMPTZ",
    "MAP<STRING,STRING>": "MAP(VARCHAR, VARCHAR)",
    "MAP<STRING,DOUBLE>": "MAP(VARCHAR, DOUBLE)",
    "ARRAY<FLOAT>": "FLOAT[]",
}


CHANGE_FEED = {"delta.enableChangeDataFeed": "true"}
"""Of landed tables: what is made from them looks at what changed only."""


def spark_ddl(table: Table, path: Path | str, create: str = "CREATE TABLE IF NOT EXISTS") -> str:
    """The statement that makes a Delta table at `path`."""
    columns = ",\n  ".join(
        f"`{column.name}` {column.type}{'' if column.nullable else ' NOT NULL'} COMMENT {quoted(column.about)}"
        for column in table.columns
    )
    partitions = f"\nPARTITIONED BY ({', '.join(table.partition_by)})" if table.partition_by else ""
    # Least and greatest of a column let a reader skip files. Ids and hashes skip none, and cost a third of a write.
    times = [c.name for c in table.columns if c.type in ("TIMESTAMP", "DATE") and c.name not in table.partition_by]
    stats = {"delta.dataSkippingStatsColumns": ",".join(times)} if times else {}
    feed = CHANGE_FEED if table.landed else {}
    properties = ", ".join(f"'{key}' = '{value}'" for key, value in {**DELTA_PROPERTIES, **stats, **feed}.items())
    return (
        f"{create} delta.`{path}` (\n  {columns}\n) USING DELTA{partitions}\n"
        f"COMMENT {quoted(table.about)}\nTBLPROPERTIES ({properties})"
    )


def duckdb_scan(path: Path, version: int | None) -> str:
    """What reads a Delta table in DuckDB, the newest version or the one given."""
    return f"delta_scan({quoted(str(path))}{'' if version is None else f', version => {version}'})"


def spark_scan(path: Path, version: int | None) -> str:
    """The same in Spark SQL."""
    return f"delta.`{path}`{'' if version is None else f' VERSION AS OF {version}'}"


def duckdb_view(table: Table, scan: str | None, lacking: Collection[str] = ()) -> str:
    """CREATE VIEW over `scan`, with NULL for the columns that it is `lacking`; without a scan, a view of the same
    columns and no rows."""
    return f'CREATE OR REPLACE VIEW "{table.name}" AS ' + _selected(table, scan, lacking, DUCKDB_TYPES, quote='"')


def spark_view(table: Table, scan: str | None, lacking: Collection[str] = ()) -> str:
    """The same view for one Spark session."""
    return f"CREATE OR REPLACE TEMP VIEW `{table.name}` AS {_selected(table, scan, lacking, {}, quote='`')}"


def _selected(table: Table, scan: str | None, lacking: Collection[str], types: Mapping[str, str], quote: str) -> str:
    columns = ", ".join(
        f"{quote}{column.name}{quote}"
        if scan and column.name not in lacking
        else f"CAST(NULL AS {types.get(column.type, column.type)}) AS {quote}{column.name}{quote}"
        for column in table.columns
    )
    return f"SELECT {columns} FROM {scan}" if scan else f"SELECT {columns} WHERE false"


def column_words() -> list[tuple[str, str, str, str]]:
    """The rows of the view `columns`: table, column, type and meaning."""
    return [
        (table.name, column.name, column.type, column.about + _rules(column))
        for table in TABLES.values()
        for column in table.columns
    ]


def expectations(table: Table) -> list[dict[str, Any]]:
    """Great Expectations configurations, each {"type", "kwargs"}, that say what the contract says."""
    found: list[dict[str, Any]] = [
        _expectation("expect_table_columns_to_match_set", column_set=list(table.column_names), exact_match=True)
    ]
    for column in table.columns:
        found += _column_expectations(column)
    if len(table.key) == 1:
        found.append(_expectation("expect_column_values_to_be_unique", column=table.key[0]))
    else:
        found.append(_expectation("expect_compound_columns_to_be_unique", column_list=list(table.key)))
    return found


def _column_expectations(column: Column) -> list[dict[str, Any]]:
    found = []
    if not column.nullable:
        found.append(_expectation("expect_column_values_to_not_be_null", column=column.name))
    if column.minimum is not None or column.maximum is not None:
        bounds = {"min_value": column.minimum, "max_value": column.maximum}
        found.append(_expectation("expect_column_values_to_be_between", column=column.name, **bounds))
    if column.allowed:
        values = [int(value) for value in column.allowed] if column.type == "INT" else list(column.allowed)
        found.append(_expectation("expect_column_values_to_be_in_set", column=column.name, value_set=values))
    return found


def _expectation(kind: str, **kwargs: Any) -> dict[str, Any]:
    return {"type": kind, "kwargs": kwargs}


def docs_markdown() -> str:
    """docs/tables.md."""
    head = (
        "# Tables\n\n"
        "Generated by `clicklake docs` from data_contracts/tables.py; do not edit. "
        f"Contract version {CONTRACT_VERSION}.\n"
        "Times are UTC. A column may not be null unless it says so.\n"
    )
    return head + "".join(_table_markdown(table) for table in TABLES.values())


def _table_markdown(table: Table) -> str:
    rows = "".join(
        f"| `{column.name}` | {column.type} | {_cell(column.about + _rules(column))} |\n" for column in table.columns
    )
    partitions = f" Partitioned by `{'`, `'.join(table.partition_by)}`." if table.partition_by else ""
    return (
        f"\n## {table.name}\n\n{table.about} Key: `{'`, `'.join(table.key)}`.{partitions}\n\n"
        f"| column | type | meaning |\n| --- | --- | --- |\n{rows}"
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _rules(column: Column) -> str:
    rules = []
    if column.nullable:
        rules.append("may be null")
    if column.default is not None:
        rules.append(f"`{column.default}` when not stated")
    if column.minimum is not None:
        rules.append(
            f"{column.minimum:g} to {column.maximum:g}"
            if column.maximum is not None
            else f"at least {column.minimum:g}"
        )
    if column.allowed:
        rules.append("one of " + ", ".join(f"`{value}`" for value in column.allowed))
    return f" ({'; '.join(rules)})" if rules else ""


def limits(column: Column, value: str) -> list[tuple[str, str]]:
    """What the contract says of the values of a column: SQL conditions on `value`, which every engine reads the same,
    true for a value that keeps them and null for a null; and what is wrong with another, in words."""
    rules = []
    if column.minimum is not None:
        rules.append((f"{value} >= {column.minimum!r}", f"below {column.minimum:g}"))
    if column.maximum is not None:
        rules.append((f"{value} <= {column.maximum!r}", f"above {column.maximum:g}"))
    if column.allowed:
        accepted = ", ".join(map(quoted, column.allowed))
        rules.append((f"{value} IN ({accepted})", f"not one of {', '.join(column.allowed)}"))
    return rules


def quoted(text: str) -> str:
    """`text` as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"
