"""Compacts tables, deletes what no version and no retention needs, and writes how large each is to table_sizes."""

import argparse
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from data_contracts.landing import instant_text
from data_contracts.schema import Table
from data_contracts.sections import Retention
from data_contracts.tables import RAW_EVENTS, TABLE_SIZES, TABLES
from spark_jobs.delta_log import versions
from spark_jobs.raw_retention import expired_days, require_whole
from spark_jobs.session import Lake, run_job

SMALL = 4
"""A file under 1/SMALL of the target size counts as small."""


def main(lake: Lake, as_of: datetime, arguments: argparse.Namespace) -> str:
    """Maintain the named tables (all of them by default) that are there; a second run changes table_sizes only."""
    retention = lake.settings.retention
    spark = lake.spark
    spark.conf.set("spark.databricks.delta.optimize.maxFileSize", str(retention.file_bytes))
    # A file past half the size stays as it is, so that a table that grows is not rewritten every night.
    spark.conf.set("spark.databricks.delta.optimize.minFileSize", str(retention.file_bytes // 2))
    # Else each VACUUM makes two commits, also when it deletes nothing.
    spark.conf.set("spark.databricks.delta.vacuum.logging.enabled", "false")
    named = [TABLES[name] for name in arguments.tables or TABLES]
    tables = [table for table in named if versions(lake.settings.lake / table.name)]
    said, sizes = [], []
    for table in tables:
        with lake.writing(table) as was_cut_short:
            if table is RAW_EVENTS:
                require_whole(was_cut_short)
            said.append(_maintained(lake, table, as_of))
            sizes.append(size(lake, table, as_of))
    _record(lake, as_of, sizes)
    return "\n".join(said) or "none of the tables is there yet"


def _maintained(lake: Lake, table: Table, as_of: datetime) -> str:
    path = lake.path(table)
    days = expired_days(lake, as_of) if table is RAW_EVENTS else []
    if days:
        listed = ", ".join(f"DATE'{day}'" for day in days)
        lake.spark.sql(f"DELETE FROM delta.`{path}` WHERE received_date IN ({listed})")
    lake.set_properties(table, kept_for(lake.settings.retention))
    rewritten = 0
    while replaced := lake.spark.sql(f"OPTIMIZE delta.`{path}`").collect()[0]["metrics"]["numFilesRemoved"]:
        rewritten += replaced
    lake.spark.sql(f"VACUUM delta.`{path}`").collect()
    gone = f", {len(days)} days deleted ({days[0]} to {days[-1]})" if days else ""
    return f"{table.name}: {rewritten} files compacted{gone}"


def kept_for(retention: Retention) -> dict[str, str]:
    """VACUUM takes its age from the table's property (Delta 4.4 ignores any RETAIN but 0), the log's clean-up at each
    checkpoint takes its own."""
    return {
        "delta.deletedFileRetentionDuration": f"interval {retention.vacuum_hours} hours",
        "delta.logRetentionDuration": f"interval {retention.log_days} days",
    }


def size(lake: Lake, table: Table, as_of: datetime) -> dict[str, Any]:
    """The row of table_sizes for `table` as it is now."""
    path = lake.path(table)
    files = [Path(unquote(urlsplit(uri).path)) for uri in lake.read(table).inputFiles()]
    sizes = [file.stat().st_size for file in files]
    return {
        "table_name": table.name,
        "as_of": as_of,
        "version": versions(Path(path))[-1],
        "files": len(sizes),
        "small_files": sum(file_bytes * SMALL < lake.settings.retention.file_bytes for file_bytes in sizes),
        "size_bytes": sum(sizes),
        "folder_bytes": sum(file.stat().st_size for file in Path(path).rglob("*") if file.is_file()),
    }


def _record(lake: Lake, as_of: datetime, sizes: list[dict[str, Any]]) -> None:
    if not sizes:
        return
    rows = lake.spark.createDataFrame(sizes, schema=lake.read(TABLE_SIZES).schema)
    names = ", ".join(f"'{row['table_name']}'" for row in sizes)
    lake.overwrite(TABLE_SIZES, rows, where=f"table_name IN ({names}) AND as_of = '{instant_text(as_of)}'")


if __name__ == "__main__":
    parser = argparse.ArgumentParser("maintain_tables", description=__doc__)
    parser.add_argument("tables", nargs="*", choices=[[], *TABLES], help="tables to maintain; all by default")
    run_job(main, parser)
