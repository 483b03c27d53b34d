"""A job's way in: its arguments, its Spark Connect session, and the lake's tables by name."""

import argparse
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.connect.client.retries import DefaultPolicy
from pyspark.sql.streaming import DataStreamWriter

from data_contracts.feature_set_files import FeatureSetError
from data_contracts.render import CHANGE_FEED, spark_ddl
from data_contracts.schema import Table
from data_contracts.sections import parsed_instant
from data_contracts.settings import ConfigurationError, Settings, load
from spark_jobs.delta_log import versions
from spark_jobs.durability import make_checkpoint_durable, make_durable, set_aside_damaged
from spark_jobs.evolution import ContractChangeError, alterations
from spark_jobs.locks import LockError, TableLock, end_session

Item = TypeVar("Item")
Result = TypeVar("Result")


class JobError(RuntimeError):
    """What keeps a job from its work, in one line for the person who reads the task's log."""


@dataclass(frozen=True)
class Lake:
    """The tables of one lake, seen through one Spark session."""

    spark: SparkSession
    settings: Settings
    _held: set[str] = field(default_factory=set, compare=False)

    def path(self, table: Table) -> str:
        return str(self.settings.lake / table.name)

    def read(self, table: Table, version: int | None = None) -> DataFrame:
        """The table as it is now, or was at a version, with the contract's columns: without rows where it was never
        written (version -1), and null in a column that it does not have yet."""
        if version == -1 or not versions(self.settings.lake / table.name):
            schema = ", ".join(f"`{column.name}` {column.type}" for column in table.columns)
            return self.spark.createDataFrame([], schema)
        reader = self.spark.read.format("delta")
        rows = (reader if version is None else reader.option("versionAsOf", version)).load(self.path(table))
        known = set(rows.columns)
        return rows.select(
            *(F.col(c.name) if c.name in known else F.lit(None).cast(c.type).alias(c.name) for c in table.columns)
        )

    def count(self, table: Table, version: int | None = None) -> int:
        """The table's rows, now or at a version, from its statistics."""
        reader = self.spark.read.format("delta")
        return (reader if version is None else reader.option("versionAsOf", version)).load(self.path(table)).count()

    @contextmanager
    def writing(self, *tables: Table) -> Iterator[bool]:
        """Keep other writers from these tables, which are made, or brought to their contract, first; what was committed
        is on disk when this ends. Yields whether the last writer of one of them did not come to its end: then its
        statements are ended here, and what a power cut tore of its commits is set aside."""
        asked = [table for table in sorted(tables, key=lambda table: table.name) if table.name not in self._held]
        with ExitStack() as stack:
            locks = {table: stack.enter_context(self._locked(table)) for table in asked}
            cut_short = {table: lock.unfinished for table, lock in locks.items() if lock.unfinished}
            for session_id in {*cut_short.values()} - {self.spark.session_id}:
                end_session(self.settings.spark_remote, session_id)
            for table, session_id in cut_short.items():
                self._fence(table, session_id)
            for lock in locks.values():
                lock.hold(self.spark.session_id)
            side_by_side(self._made, asked)
            yield bool(cut_short)
            for table in asked:
                make_durable(self.settings.lake / table.name)

    def overwrite(self, table: Table, rows: DataFrame, where: str = "") -> None:
        """Replace the rows that `where` matches (all, without it) in one commit."""
        with self.writing(table):
            writer = rows.select(*table.column_names).write.format("delta").mode("overwrite")
            (writer.option("replaceWhere", where) if where else writer).save(self.path(table))

    def append(self, table: Table, rows: DataFrame) -> None:
        """Add rows in one commit."""
        with self.writing(table):
            rows.select(*table.column_names).write.format("delta").mode("append").save(self.path(table))

    @contextmanager
    def _locked(self, table: Table) -> Iterator[TableLock]:
        """Hold one table's lock; what ends in anything but a JobError may have left a statement that runs on."""
        lock, is_done = TableLock(self.settings.home / "locks", table.name), False
        self._held.add(table.name)
        try:
            yield lock
            is_done = True
        except JobError:
            is_done = True
            raise
        finally:
            self._held.discard(table.name)
            lock.release(is_done)

    def _fence(self, table: Table, session_id: str) -> None:
        """Nothing the ended session began is committed any more: a change of metadata fails what runs beside it."""
        path = self.settings.lake / table.name
        if gone := set_aside_damaged(path, self.settings.home / "damaged" / table.name / session_id):
            print(f"{table.name}: versions {gone} did not survive and are written again", flush=True)
        if versions(path):
            self.spark.sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES ('clicklake.ended' = '{session_id}')")

    def _made(self, table: Table) -> None:
        path = self.path(table)
        if not versions(Path(path)):
            self.spark.sql(spark_ddl(table, path))
            return
        try:
            for change in alterations(self.spark.read.format("delta").load(path).schema, table):
                self.spark.sql(f"ALTER TABLE delta.`{path}` {change}")
        except ContractChangeError as error:
            if not table.derived:
                raise JobError(str(error)) from None
            print(f"{error}; {table.name} is made anew", flush=True)
            self.spark.sql(spark_ddl(table, path, "CREATE OR REPLACE TABLE"))
        if table.landed:
            self.set_properties(table, CHANGE_FEED)  # one from before there was a feed has one from here on

    def set_properties(self, table: Table, wanted: Mapping[str, str]) -> None:
        """Nothing where they are so already: setting them is a commit."""
        path = self.path(table)
        present = {row["key"]: row["value"] for row in self.spark.sql(f"SHOW TBLPROPERTIES delta.`{path}`").collect()}
        if wanted.items() - present.items():
            pairs = ", ".join(f"'{key}' = '{value}'" for key, value in wanted.items())
            self.spark.sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES ({pairs})")


def run_job(main: Callable[[Lake, datetime, argparse.Namespace], str], parser: argparse.ArgumentParser) -> None:
    """Parse the arguments (`--as-of` is always one), connect, call `main` and print the line that it returns."""
    parser.add_argument("--as-of", required=True, type=_instant, help="exclusive end of what the job knows (ISO 8601)")
    arguments = parser.parse_args()
    try:
        settings = load()
        spark = connect(settings)
        try:
            print(main(Lake(spark, settings), arguments.as_of, arguments), flush=True)
        finally:
            spark.stop()
    except (ConfigurationError, FeatureSetError, JobError, LockError) as error:
        sys.exit(f"{parser.prog}: {error}")


def drain(stream: DataStreamWriter, checkpoint: Path, table: str | None = None) -> None:
    """Run a stream over all that is there now, to its end; what it notes of that is on disk then."""
    stream.option("checkpointLocation", str(checkpoint)).trigger(availableNow=True).start(table).awaitTermination()
    make_checkpoint_durable(checkpoint)


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


def side_by_side(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """What `work` makes of each item, all at once: planning and commits leave the server's cores idle."""
    with ThreadPoolExecutor(len(items) or 1) as pool:
        return list(pool.map(work, items))


def as_of_seconds(as_of: datetime) -> int:
    """Epoch seconds of an as_of; JobError unless it is a full hour, as tiles and snapshots are."""
    if as_of.minute or as_of.second or as_of.microsecond:
        raise JobError(f"--as-of {as_of.isoformat()} is not a full hour; tiles and snapshots are hourly")
    return int(as_of.timestamp())


def _instant(text: str) -> datetime:
    try:
        return parsed_instant(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
