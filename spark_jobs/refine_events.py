"""raw_events -> the tables their rows are meant for, each id once, and rejected_events with the reason.

The same id twice: the row with the least (received_at, content_hash) wins, whatever the order of arrival; other content
under one id is rejected.
"""

import argparse
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from data_contracts.schema import Table
from data_contracts.tables import CONTRACT_VERSION, LANDED, RAW_EVENTS, REJECTED_EVENTS
from spark_jobs.contract import with_contract_columns
from spark_jobs.session import Lake, rows_drained, run_job

SAME_ID = "same id, other content: an earlier row holds it"
ORDER = ("received_at", "content_hash", "origin")


def ranked_by_id(contenders: DataFrame, table: Table) -> DataFrame:
    """Rows of `table` with `place`, 1 for the row that wins its id, and `winning_hash`, the content of that row."""
    by_id = Window.partitionBy(*table.key).orderBy(*ORDER)
    whole = by_id.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    return contenders.select(
        "*", F.row_number().over(by_id).alias("place"), F.first("content_hash").over(whole).alias("winning_hash")
    )


def winners(ranked: DataFrame, table: Table) -> DataFrame:
    """The one row of each id."""
    return ranked.where("place = 1").select(*table.column_names)


def losers(ranked: DataFrame) -> DataFrame:
    """Rows that hold other content than the winner of their id; the same content again is no conflict."""
    return ranked.where("content_hash <> winning_hash").withColumn("reason", F.lit(SAME_ID))


def rejections(refused: DataFrame, table_name: str) -> DataFrame:
    """`refused` (origin, received_at, content_hash, reason) as rejected_events, one row a content and reason: the
    earliest arrival stands for all of them. Where received_at is part of the table's key, it is part of the content."""
    keyed_by_time = table_name in LANDED and "received_at" in LANDED[table_name].key
    told_at = [F.unix_micros("received_at").cast("string")] if keyed_by_time else []
    identity = F.concat_ws("|", F.lit(table_name), "content_hash", "reason", *told_at)
    rows = refused.select(
        F.sha2(identity, 256).alias("rejection_id"),
        F.lit(table_name).alias("table_name"),
        "origin",
        "received_at",
        "reason",
        F.lit(CONTRACT_VERSION).alias("contract_version"),
        "content_hash",
    )
    earliest = Window.partitionBy("rejection_id").orderBy("received_at", "origin")
    numbered = rows.withColumn("place", F.row_number().over(earliest))
    return numbered.where("place = 1").select(*REJECTED_EVENTS.column_names)


def refine_batch(spark: SparkSession, lake: Path, events: DataFrame) -> None:
    """Bring `events`, rows of raw_events, into the tables under `lake`; doing it again changes nothing."""
    events = events.persist()  # every table reads it
    present = {row["table_name"] for row in events.select("table_name").distinct().collect()}
    if present - set(LANDED):
        _reject(spark, lake, rejections(_unusable(events), "unknown"))
    for name in sorted(present & set(LANDED)):
        _refine_table(spark, lake, LANDED[name], events.where(F.col("table_name") == name))
    events.unpersist()


def _unusable(events: DataFrame) -> DataFrame:
    unusable = events.where(~F.col("table_name").isin(list(LANDED)))
    return unusable.withColumn("reason", F.coalesce("error", F.lit("meant for no table of the contract")))


def _refine_table(spark: SparkSession, lake: Path, table: Table, events: DataFrame) -> None:
    """Merge what keeps the contract, after what was refused is safe: who lost its id is known only before the merge."""
    checked = with_contract_columns(events, table).persist()
    accepted = checked.where("reason IS NULL").select(*table.column_names)
    stored = spark.read.format("delta").load(str(lake / table.name))
    touched = stored.join(accepted.select(*table.key).distinct(), on=list(table.key), how="left_semi")
    ranked = ranked_by_id(accepted.unionByName(touched), table).persist()
    refused = ("origin", "received_at", "content_hash", "reason")
    broken = checked.where("reason IS NOT NULL").select(*refused)
    lost = losers(ranked)
    _reject(spark, lake, rejections(broken.unionByName(lost.select(*refused)), table.name))
    if not lost.isEmpty():
        won = ranked.where("place = 1").withColumn("reason", F.lit(SAME_ID))
        _readmit(spark, lake, rejections(won, table.name))
    _merge(spark, winners(ranked, table), lake, table, ORDER)
    ranked.unpersist()
    checked.unpersist()


def _reject(spark: SparkSession, lake: Path, rejected: DataFrame) -> None:
    if not rejected.isEmpty():
        _merge(spark, rejected, lake, REJECTED_EVENTS, ("received_at", "origin"))


def _readmit(spark: SparkSession, lake: Path, won: DataFrame) -> None:
    """Take back rejections of content that an earlier arrival of the same has made the winner of its id."""
    won.createOrReplaceTempView("readmitted")
    spark.sql(
        f"MERGE INTO delta.`{lake / REJECTED_EVENTS.name}` t USING readmitted s ON t.rejection_id = s.rejection_id "
        "WHEN MATCHED THEN DELETE"
    )


def _merge(spark: SparkSession, rows: DataFrame, lake: Path, table: Table, order: tuple[str, ...]) -> None:
    """Insert new ids; of an id that is there, keep the row that comes first in `order`."""
    view = f"merging_{table.name}"
    rows.createOrReplaceTempView(view)
    same_id = " AND ".join(f"t.`{column}` = s.`{column}`" for column in table.key)
    theirs, ours = (", ".join(f"{side}.{column}" for column in order) for side in "st")
    spark.sql(
        f"MERGE INTO delta.`{lake / table.name}` t USING {view} s ON {same_id} "
        f"WHEN MATCHED AND struct({theirs}) < struct({ours}) THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"
    )


def _batch_refiner(lake: Path) -> Callable[[DataFrame, int], None]:
    """What runs in the server for each micro-batch; it carries a path, nothing else."""

    def refine(events: DataFrame, batch_number: int) -> None:
        refine_batch(events.sparkSession, lake, events)

    return refine


def main(lake: Lake, as_of: datetime, arguments: argparse.Namespace) -> str:
    """Refine what was loaded since the last run; a batch that was cut short is refined again, to the same result."""
    for table in (RAW_EVENTS, REJECTED_EVENTS, *LANDED.values()):
        lake.made(table)
    events = lake.spark.readStream.format("delta").load(lake.path(RAW_EVENTS))
    stream = events.writeStream.foreachBatch(_batch_refiner(lake.settings.lake))
    refined = rows_drained(stream, lake.settings.checkpoints / "refine_events")
    return f"{refined} raw events refined"


if __name__ == "__main__":
    run_job(main, argparse.ArgumentParser("refine_events", description=__doc__))
