"""A job's way in: its arguments, its Spark Connect session, and the lake's tables by name."""

import argparse
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.connect.client.retries import DefaultPolicy
from pyspark.sql.streaming import DataStreamWriter

from data_contracts.render import spark_ddl
from data_contracts.schema import Table
from data_contracts.sections import parsed_instant
from data_contracts.settings import ConfigurationError, Settings, load


class JobError(RuntimeError):
    """What keeps a job from its work, in one line for the person who reads the task's log."""


@dataclass(frozen=True)
class Lake:
    """The tables of one lake, seen through one Spark session."""

    spark: SparkSession
    settings: Settings

    def path(self, table: Table) -> str:
        return str(self.settings.lake / table.name)

    def made(self, table: Table) -> None:
        """Make the table, with the contract's schema, where it is missing."""
        if not (self.settings.lake / table.name / "_delta_log").is_dir():
            self.spark.sql(spark_ddl(table, self.path(table)))

    def read(self, table: Table) -> DataFrame:
        """The table as it is now; without rows where it was never written."""
        self.made(table)
        return self.spark.read.format("delta").load(self.path(table))

    def overwrite(self, table: Table, rows: DataFrame, where: str = "") -> None:
        """Replace the rows that `where` matches (all, without it) in one commit."""
        self.made(table)
        writer = rows.select(*table.column_names).write.format("delta").mode("overwrite")
        (writer.option("replaceWhere", where) if where else writer).save(self.path(table))


def run_job(main: Callable[[Lake, datetime, argparse.Namespace], str], parser: argparse.ArgumentParser) -> None:
    """Parse the arguments (`--as-of` is always one), connect, call `main` and print the line that it returns."""
    parser.add_argument("--as-of", required=True, type=_instant, help="exclusive end of what the job knows (ISO 8601)")
    arguments = parser.parse_args()
    try:
        settings = load()
        print(main(Lake(connect(settings), settings), arguments.as_of, arguments), flush=True)
    except (ConfigurationError, JobError) as error:
        sys.exit(f"{parser.prog}: {error}")


def rows_drained(stream: DataStreamWriter, checkpoint: Path, table: str | None = None) -> int:
    """Run a stream over all that is there now, to its end; how many rows it read."""
    started = stream.option("checkpointLocation", str(checkpoint)).trigger(availableNow=True).start(table)
    started.awaitTermination()
    return sum(progress.numInputRows for progress in started.recentProgress)


def connect(settings: Settings) -> SparkSession:
    """A Spark Connect session; JobError at once when no server listens (the client would wait for minutes)."""
    address = urlsplit(settings.spark_remote)
    try:
        socket.create_connection((address.hostname, address.port), timeout=5).close()
    except OSError as error:
        raise JobError(f"no Spark Connect server at {settings.spark_remote} ({error}); `make run` starts it") from None
    session = SparkSession.builder.remote(settings.spark_remote).getOrCreate()
    # A server that comes back has forgotten the session, so the client's ten minutes of retries would be for nothing.
    session.client.set_retry_policies([DefaultPolicy(max_retries=9, max_backoff=10_000)])
    return session


def as_of_seconds(as_of: datetime) -> int:
    """Epoch seconds of an as_of; ValueError unless it is a full hour, as tiles and snapshots are."""
    if as_of.minute or as_of.second or as_of.microsecond:
        raise JobError(f"--as-of {as_of.isoformat()} is not a full hour; tiles and snapshots are hourly")
    return int(as_of.timestamp())


def _instant(text: str) -> datetime:
    try:
        return parsed_instant(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
