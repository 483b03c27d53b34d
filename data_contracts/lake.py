"""Opens the lake in DuckDB: a view a table, and a view `columns` with the contract's words."""

from pathlib import Path

import duckdb
import duckdb_extension_delta

from data_contracts.render import duckdb_view, quoted
from data_contracts.settings import Settings
from data_contracts.tables import TABLES


def open_lake(settings: Settings) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB with a view a table of the contract; a table not yet written is a view without rows.

    Nothing is downloaded and nothing in the lake is changed. Times are shown in UTC.
    """
    connection = duckdb.connect(":memory:")
    connection.execute("SET autoinstall_known_extensions = false")
    connection.execute("SET autoload_known_extensions = false")
    connection.execute(f"LOAD {quoted(str(_delta_extension()))}")
    connection.execute("SET TimeZone = 'UTC'")
    for table in TABLES.values():
        path = settings.lake / table.name
        connection.execute(duckdb_view(table, path if (path / "_delta_log").is_dir() else None))
    connection.execute("CREATE TABLE columns (table_name VARCHAR, column_name VARCHAR, type VARCHAR, about VARCHAR)")
    rows = [
        (table.name, column.name, column.type, column.about) for table in TABLES.values() for column in table.columns
    ]
    connection.executemany("INSERT INTO columns VALUES (?, ?, ?, ?)", rows)
    return connection


def _delta_extension() -> Path:
    extensions = Path(duckdb_extension_delta.__file__).parent / "extensions" / f"v{duckdb.__version__}"
    return extensions / "delta.duckdb_extension"
