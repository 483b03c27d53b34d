"""What came to tables since a version of each: the change data feed of Delta, and which impressions it concerns."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from data_contracts.labels import ATTRIBUTION_WINDOW
from data_contracts.schema import Table
from data_contracts.table_history import committed_at
from data_contracts.tables import AD_IMPRESSIONS, ADS, CLICKS, COUNTED_VERSIONS, USERS
from spark_jobs.delta_log import commit_file, versions
from spark_jobs.keyed import snapshot_at
from spark_jobs.session import Lake

SOURCES = (AD_IMPRESSIONS, CLICKS, ADS, USERS)
"""The tables that decide what is counted."""
VERSION_COLUMNS = {table.name: column.name for table, column in zip(SOURCES, COUNTED_VERSIONS, strict=True)}
"""By source, the column of what is counted that says up to which version."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Versions = Mapping[str, int]
"""Version of each source, by table name; -1 for one that was never written."""


@dataclass(frozen=True)
class Touched:
    """Impressions (impression_id) whose part in the counts may have changed; none was shown before `since`."""

    ids: DataFrame
    since: datetime

    def of(self, rows: DataFrame) -> DataFrame:
        """Those `rows` of impressions or clicks that are about them: nobody clicks before the ad is shown."""
        recent = rows.where(F.col("date") >= F.lit(self.since.date()))
        return recent.join(self.ids, on="impression_id", how="left_semi")


def source_versions(lake: Lake) -> dict[str, int]:
    """The sources as they are now."""
    return {table.name: max(versions(lake.settings.lake / table.name), default=-1) for table in SOURCES}


def marked(counted: DataFrame, versions: Versions) -> DataFrame:
    """`counted` as of these versions."""
    return counted.withColumns(
        {column: F.lit(versions[name]).cast("bigint") for name, column in VERSION_COLUMNS.items()}
    )


def is_followable(lake: Lake, after: Versions) -> bool:
    """Are the commits since `after` still there, and the files as they were then? Deleted files go after
    retention.vacuum_hours."""
    oldest = datetime.now(UTC) - timedelta(hours=lake.settings.retention.vacuum_hours - 1)
    for table in SOURCES:
        path, version = lake.settings.lake / table.name, after[table.name]
        held = versions(path)
        later = [each for each in held if each > version]
        if version > max(held, default=-1):
            return False
        if later and (later[0] != version + 1 or committed_at(commit_file(path, later[0])) < oldest):
            return False
    return True


def touched(lake: Lake, after: Versions, until: Versions) -> Touched | None:
    """What the changes of the sources after one version, up to another, concern; None when nothing."""
    clicks, window = _changed(lake, CLICKS, after, until), F.expr(f"INTERVAL {ATTRIBUTION_WINDOW} SECONDS")
    clicked = clicks.select("impression_id", (F.col("timestamp") - window).alias("timestamp"))
    whole = _told(lake, after, until).select("impression_id", "timestamp").unionByName(clicked)
    ids = whole.groupBy("impression_id").agg(F.min("timestamp").alias("timestamp")).localCheckpoint()
    since = _first(ids, "timestamp")
    return Touched(ids.select("impression_id"), since) if since is not None else None


def first_told(lake: Lake, after: Versions, until: Versions) -> datetime | None:
    """When the first of those impressions became known that came, went or changed after one version, up to another, or
    of which a catalogue says something else since; None when there is none."""
    return _first(_told(lake, after, until), "received_at")


def _told(lake: Lake, after: Versions, until: Versions) -> DataFrame:
    """impression_id, timestamp and received_at of these."""
    columns = ("impression_id", "timestamp", "received_at")
    whole = _changed(lake, AD_IMPRESSIONS, after, until).select(*columns)
    for table, key in ((ADS, "ad_id"), (USERS, "user_id")):
        if after[table.name] < until[table.name] and after[AD_IMPRESSIONS.name] >= 0:
            whole = whole.unionByName(_concerned(lake, table, key, after, until).select(*columns))
    return whole


def _first(rows: DataFrame, column: str) -> datetime | None:
    """The earliest instant of a column, in UTC: a timestamp that is collected is in this machine's time."""
    microseconds = rows.agg(F.min(F.unix_micros(column))).collect()[0][0]
    return None if microseconds is None else EPOCH + timedelta(microseconds=microseconds)


def _concerned(lake: Lake, table: Table, key: str, after: Versions, until: Versions) -> DataFrame:
    """Impressions that were there before, and about which a catalogue now says something else: its row came late."""
    told = _changed(lake, table, after, until).groupBy(key).agg(F.min("received_at").alias("told_at"))
    first = _first(told, "told_at")
    shown = lake.read(AD_IMPRESSIONS, after[AD_IMPRESSIONS.name])
    if first is not None:
        shown = shown.where((F.col("date") >= F.lit(first.date())) & (F.col("timestamp") > F.lit(first)))
    seen_later = snapshot_at() * 1_000_000 > F.unix_micros("told_at")
    return shown.join(told, on=key, how="inner").where(seen_later).drop("told_at")


def _changed(lake: Lake, table: Table, after: Versions, until: Versions) -> DataFrame:
    """Every row that came, went or changed, before and after."""
    if after[table.name] == until[table.name]:
        return lake.read(table, -1)
    feed = lake.spark.read.format("delta").option("readChangeFeed", "true")
    between = feed.option("startingVersion", after[table.name] + 1).option("endingVersion", until[table.name])
    return between.load(lake.path(table))
