"""Opens the lake in DuckDB: a view a table, and a view `columns` with the contract's words."""

from datetime import datetime
from pathlib import Path

import duckdb
import duckdb_extension_delta

from data_contracts.render import column_words, duckdb_scan, duckdb_view, quoted
from data_contracts.schema import Table
from data_contracts.settings import Settings, load
from data_contracts.table_history import versions_at
from data_contracts.tables import TABLES


def open_lake(settings: Settings | None = None, at: datetime | None = None) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB with a view a table of the contract; a table not yet written is a view without rows.

    >>> lake = open_lake()
    >>> lake.sql("SELECT count(*) AS impressions, max(timestamp) AS newest FROM ad_impressions").fetchall()
    [(0, None)]

    In a notebook, `.df()` in place of `.fetchall()` gives a pandas frame. Without `settings` they are read as the
    command reads them. `at` shows every table as it was at that instant, by the time of its commits; HistoryError
    when that is no longer known. Nothing is downloaded and nothing in the lake is changed. Times are shown in UTC, and
    nulls are sorted as Spark sorts them.
    """
    settings = settings or load()
    connection = duckdb.connect(":memory:")
    connection.execute("SET autoinstall_known_extensions = false")
    connection.execute("SET autoload_known_extensions = false")
    connection.execute(f"LOAD {quoted(str(_delta_extension()))}")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET default_null_order = 'nulls_first_on_asc_last_on_desc'")
    versions = versions_at(settings.lake, at)
    for table in TABLES.values():
        if table.name in versions:
            _make_view(connection, table, duckdb_scan(settings.lake / table.name, versions[table.name]))
        else:
            connection.execute(duckdb_view(table, None))
    connection.execute("CREATE TABLE columns (table_name VARCHAR, column_name VARCHAR, type VARCHAR, about VARCHAR)")
    connection.executemany("INSERT INTO columns VALUES (?, ?, ?, ?)", column_words())
    return connection


def _make_view(connection: duckdb.DuckDBPyConnection, table: Table, scan: str) -> None:
    """A table written by an older contract lacks the nullable columns that were added since."""
    try:
        connection.execute(duckdb_view(table, scan))
    except duckdb.BinderException:
        own = {name for name, *_ in connection.execute(f"DESCRIBE SELECT * FROM {scan}").fetchall()}
        lacking = {column.name for column in table.columns if column.nullable} - own
        connection.execute(duckdb_view(table, scan, lacking))


def _delta_extension() -> Path:
    extensions = Path(duckdb_extension_delta.__file__).parent / "extensions" / f"v{duckdb.__version__}"
    return extensions / "delta.duckdb_extension"
