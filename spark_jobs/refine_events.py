"""raw_events -> the tables their rows are meant for, each id once, and rejected_events with the reason.

The same id twice: the row with the least (received_at, content_hash) wins, whatever the order of arrival; other content
under one id is rejected.
"""

import argparse
from collections.abc import Callable, Mapping
from datetime import datetime

from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from data_contracts.render import quoted
from data_contracts.schema import Table
from data_contracts.settings import Settings
from data_contracts.tables import LANDED, RAW_EVENTS, REJECTED_EVENTS
from spark_jobs.bad_batches import CheckedRows, counted, judge, refusal
from spark_jobs.contract import with_contract_columns
from spark_jobs.delta_log import newest_version
from spark_jobs.durability import is_whole_checkpoint, make_durable, set_aside
from spark_jobs.load_events import NO_TABLE
from spark_jobs.rejections import LOST, REFUSED, refuse, refuse_losers, rejections
from spark_jobs.session import JobError, Lake, drain, run_job, side_by_side
from spark_jobs.steps import reached

ORDER = ("received_at", "content_hash", "origin")
COMPRESSED = 6
"""Landing bytes a byte of raw_events, about."""
ACCEPTED, BROKEN = "reason IS NULL", "reason IS NOT NULL"
NEW = "place = 1 AND NOT is_stored AND NOT is_id_stored"
BETTER = "place = 1 AND NOT is_stored AND is_id_stored"
TABLES_WRITTEN = (REJECTED_EVENTS, *LANDED.values())


def ranked_by_id(contenders: DataFrame, table: Table) -> DataFrame:
    """Rows of `table` with `place`, 1 for the row that wins its id, `winning_hash`, the content of that row, and
    `is_id_stored`, whether one of the rows of its id `is_stored`."""
    same_id = Window.partitionBy(*table.key)
    by_order = same_id.orderBy(*ORDER, F.desc("is_stored"))
    whole = by_order.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    return contenders.select(
        "*",
        F.row_number().over(by_order).alias("place"),
        F.first("content_hash").over(whole).alias("winning_hash"),
        F.max("is_stored").over(whole).alias("is_id_stored"),
    )


def refine_batch(lake: Lake, events: DataFrame, let_bad_batch_through: bool = False) -> None:
    """Bring `events`, rows of raw_events, into the tables of `lake`; doing it again changes nothing.

    Raises BadBatchError, before anything is written, when too many rows break their contract.
    """
    present = {row["table_name"] for row in events.select("table_name").distinct().collect()}
    tables = [LANDED[name] for name in sorted(present & set(LANDED))]
    checked = side_by_side(lambda table: (table, counted(_checked(events, table))), tables)
    unusable = [counted(_unusable(events))] if present - set(LANDED) else []
    if not let_bad_batch_through:
        judge([*(batch for _, batch in checked), *unusable], lake.settings.ingest)
    for batch in unusable:
        refuse(lake, rejections(batch.rows, "unknown"))
    side_by_side(lambda part: _refine_table(lake, *part), checked)


def _checked(events: DataFrame, table: Table) -> DataFrame:
    meant = events.where(F.col("table_name") == table.name)
    return with_contract_columns(meant, table).select(*table.column_names, "reason")


def _unusable(events: DataFrame) -> DataFrame:
    unusable = events.where(~F.col("table_name").isin(list(LANDED)))
    no_id = F.lit(None).cast("bigint").alias("id_hash")
    return unusable.select(*REFUSED[:-1], no_id, F.coalesce("error", F.lit(NO_TABLE)).alias("reason"))


def _refine_table(lake: Lake, table: Table, batch: CheckedRows) -> None:
    """What is refused is safe before anything is accepted: afterwards one could not tell any more who lost its id.

    An id that is new and comes once, as nearly all do, is appended as it is. Only the others are ranked.
    """
    contested = _contested(lake, table, batch.accepted_ids).localCheckpoint()
    if not contested.isEmpty():
        _settle(lake, table, batch, contested)
        return
    if batch.broken:
        refuse(lake, rejections(batch.rows.where(BROKEN), table.name))
    if batch.broken < batch.total:
        _append(lake, table, batch.rows.where(ACCEPTED))


def _settle(lake: Lake, table: Table, batch: CheckedRows, contested: DataFrame) -> None:
    """Rank the rows of contested ids with those that the table holds; the others go in as they are.

    What is read from the table is kept as a checkpoint: anything else that is kept of a table, Spark would make anew
    with each write to it.
    """
    by_id, accepted = F.broadcast(contested.select("id_hash")), batch.rows.where(ACCEPTED).select(*table.column_names)
    arriving = accepted.join(by_id, on="id_hash", how="left_semi").withColumn("is_stored", F.lit(False))
    stored = _stored(lake, table, contested).withColumn("is_stored", F.lit(True))
    ranked = ranked_by_id(arriving.unionByName(stored, allowMissingColumns=True), table).localCheckpoint()
    found = ranked.agg(
        F.count_if(~F.col("is_stored")).alias("arriving"),
        F.count_if(F.expr(LOST)).alias("lost"),
        F.count_if(F.expr(NEW)).alias("new"),
        F.count_if(F.expr(BETTER)).alias("better"),
    ).collect()[0]
    if batch.broken or found["lost"]:
        refuse_losers(lake, table, ranked, batch.rows.where(BROKEN))
    once = accepted.join(by_id, on="id_hash", how="left_anti").select(*table.column_names)
    if found["new"] or batch.total - batch.broken > found["arriving"]:
        _append(lake, table, once.unionByName(ranked.where(NEW).select(*table.column_names)))
    if found["better"]:
        _replace(lake, table, ranked.where(BETTER), contested)


def _contested(lake: Lake, table: Table, ids: DataFrame) -> DataFrame:
    """The id_hash of those `ids` that come twice, or that the table holds, and then its partition of them."""
    repeated = ids.groupBy("id_hash").count().where("count > 1").select("id_hash")
    held = lake.read(table).select("id_hash", *table.partition_by).join(F.broadcast(ids), on="id_hash", how="left_semi")
    return held.unionByName(repeated, allowMissingColumns=True)


def _stored(lake: Lake, table: Table, contested: DataFrame) -> DataFrame:
    """What the table holds of the contested ids: key, order and partition."""
    narrow = dict.fromkeys((*table.key, *ORDER, *table.partition_by, "id_hash"))
    rows = lake.read(table).where(_partitions(table, contested)).select(*narrow)
    return rows.join(F.broadcast(contested.select("id_hash")), on="id_hash", how="left_semi")


def _partitions(table: Table, contested: DataFrame, side: str = "") -> str:
    """SQL that keeps a reader of the table within the partitions that hold contested ids."""
    rules = ["true"]
    for column in table.partition_by:
        values = contested.select(F.col(column).cast("string")).where(f"{column} IS NOT NULL").distinct().collect()
        rules.append(f"{side}`{column}` IN ({', '.join(quoted(value[0]) for value in values) or 'NULL'})")
    return " AND ".join(rules)


def _append(lake: Lake, table: Table, rows: DataFrame) -> None:
    rows.select(*table.column_names).write.format("delta").mode("append").save(lake.path(table))


def _replace(lake: Lake, table: Table, won: DataFrame, contested: DataFrame) -> None:
    """Put the rows that win an id in the place of the stored ones."""
    view = f"won_{table.name}"
    won.select(*table.column_names).createOrReplaceTempView(view)
    rules = [f"t.`{column}` = s.`{column}`" for column in table.key] + [_partitions(table, contested, "t.")]
    target = f"delta.`{lake.path(table)}`"
    lake.spark.sql(f"MERGE INTO {target} t USING {view} s ON {' AND '.join(rules)} WHEN MATCHED THEN UPDATE SET *")


def _batch_refiner(settings: Settings, let_bad_batch_through: bool) -> Callable[[DataFrame, int], None]:
    """What runs in the server for each micro-batch. Spark notes a batch as done only after this, so that what it notes
    is on disk."""

    def refine(events: DataFrame, batch_number: int) -> None:
        reached(settings.home, "refine_events.plan")
        refine_batch(Lake(events.sparkSession, settings), events, let_bad_batch_through)
        reached(settings.home, "refine_events.committed")
        for table in TABLES_WRITTEN:
            make_durable(settings.lake / table.name)
        reached(settings.home, "refine_events.durable")

    return refine


def main(lake: Lake, as_of: datetime, arguments: argparse.Namespace) -> str:
    """Refine what was loaded since the last run; a batch that was cut short is refined again, to the same result."""
    checkpoint = lake.settings.checkpoints / "refine_events"
    with lake.writing(*TABLES_WRITTEN):
        if not is_whole_checkpoint(checkpoint):
            set_aside(checkpoint, lake.settings.home / "damaged")
        events = (
            lake.spark.readStream.format("delta")
            .option("ignoreDeletes", "true")
            .option("maxBytesPerTrigger", lake.settings.ingest.batch_bytes // COMPRESSED)
            .load(lake.path(RAW_EVENTS))
        )
        stream = events.writeStream.foreachBatch(_batch_refiner(lake.settings, arguments.let_bad_batch_through))
        before = {table: newest_version(lake.settings.lake / table.name) for table in TABLES_WRITTEN}
        try:
            drain(stream, checkpoint)
        except StreamingQueryException as error:
            if words := refusal(error):
                raise JobError(words) from None
            raise
        more = [f"{name} {rows:+,}" for name, rows in _growth(lake, before) if rows]
    return "refined: " + (", ".join(more) or "nothing new")


def _growth(lake: Lake, before: Mapping[Table, int]) -> list[tuple[str, int]]:
    """By how many rows each table has grown since its version of `before`."""
    written = [table for table, version in before.items() if newest_version(lake.settings.lake / table.name) != version]
    return side_by_side(lambda table: (table.name, lake.count(table) - lake.count(table, before[table])), written)


if __name__ == "__main__":
    parser = argparse.ArgumentParser("refine_events", description=__doc__)
    parser.add_argument(
        "--let-bad-batch-through",
        action="store_true",
        help="bring in what is good of a batch even if more of it is broken than ingest.worst_rejected_share",
    )
    run_job(main, parser)
