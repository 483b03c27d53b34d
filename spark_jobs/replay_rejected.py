"""rejected_events whose reason a changed contract may have mended -> refined again from raw_events."""

import argparse
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from data_contracts.schema import Table
from data_contracts.tables import CONTRACT_VERSION, LANDED, RAW_EVENTS, REJECTED_EVENTS
from spark_jobs.contract import with_contract_columns
from spark_jobs.delta_log import versions
from spark_jobs.durability import make_durable
from spark_jobs.load_events import NO_TABLE
from spark_jobs.refine_events import TABLES_WRITTEN, refine_batch
from spark_jobs.rejections import REFUSED, SAME_ID, merge, rejections
from spark_jobs.session import Lake, run_job

Counts = Mapping[tuple[str, str], int]
"""Rejections by (table, reason)."""
REJECTIONS = ", ".join(f"{column.name} {column.type}" for column in REJECTED_EVENTS.columns)
KEYED_BY_TIME = [table.name for table in LANDED.values() if "received_at" in table.key]


@dataclass(frozen=True)
class Replay:
    """Rejections before and after (or as they would be), those of before that were asked for, and how many of these
    have no raw line any more."""

    before: Counts
    after: Counts
    asked: Counts
    gone: int = 0

    @property
    def accepted(self) -> int:
        """Rejections taken back: the contract of today accepts their rows."""
        return sum(self.before.values()) - sum(self.after.values())


def chosen(rejected: DataFrame, table: str, reason: str) -> DataFrame:
    """Rejections of `table` (of every one: "") whose reason contains `reason`, but never those of an id that another
    row holds: no contract mends them."""
    of_table = rejected.where(F.col("table_name") == table) if table else rejected
    return of_table.where((F.col("reason") != SAME_ID) & F.contains("reason", F.lit(reason)))


def lines_of(raw: DataFrame, asked: DataFrame) -> DataFrame:
    """The rows of raw_events that the rejections `asked` are about."""
    return raw.alias("line").join(asked.alias("rejection"), on=_is_about(), how="left_semi")


def _is_about() -> Column:
    """Where received_at is part of a table's key, each arrival of a content was rejected for itself."""
    rejection, line = (lambda name, side=side: F.col(f"{side}.{name}") for side in ("rejection", "line"))
    same_time = ~rejection("table_name").isin(KEYED_BY_TIME) | (rejection("received_at") == line("received_at"))
    same_table = (rejection("table_name") == line("table_name")) & same_time
    return (rejection("content_hash") == line("content_hash")) & (same_table | (rejection("table_name") == "unknown"))


def refinable(lines: DataFrame) -> DataFrame:
    """Lines for a table that the contract has, some of which it may not have had when they were loaded. A damaged line
    is for none."""
    error = F.when(F.col("error") != NO_TABLE, F.col("error"))
    return lines.where(F.col("table_name").isin(list(LANDED))).withColumn("error", error)


def checked(events: DataFrame) -> dict[str, DataFrame]:
    """What today's contract says of `events`, which are refinable, table by table; to be unpersisted. Kept, since the
    plan of all its checks would be optimised anew wherever it is used."""
    names = sorted(row["table_name"] for row in events.select("table_name").distinct().collect())
    meant = {name: events.where(F.col("table_name") == name) for name in names}
    return {name: with_contract_columns(rows, LANDED[name]).select(*REFUSED).persist() for name, rows in meant.items()}


def refused_now(lake: Lake, judged: Mapping[str, DataFrame]) -> DataFrame:
    """The rejections that today's contract makes of the `checked` rows."""
    refused = lake.spark.createDataFrame([], REJECTIONS)
    for name, rows in judged.items():
        refused = refused.unionByName(rejections(rows.where("reason IS NOT NULL"), name))
    return refused


def counts(rejected: DataFrame) -> dict[tuple[str, str], int]:
    rows = rejected.groupBy("table_name", "reason").count().orderBy("table_name", "reason").collect()
    return {(row["table_name"], row["reason"]): row["count"] for row in rows}


def replayed(lake: Lake, table: str = "", reason: str = "", dry_run: bool = False) -> Replay:
    """Refine again what `table` and `reason` choose; with `dry_run` only say what would come of it, as far as the
    contract says: that an accepted row loses its id to another is known once it is refined."""
    with nullcontext() if dry_run else lake.writing(*TABLES_WRITTEN):
        rejected, raw = _as_it_is(lake, REJECTED_EVENTS), _as_it_is(lake, RAW_EVENTS)
        asked = chosen(rejected, table, reason)
        before, of_them = counts(rejected), counts(asked)
        first_day = asked.agg(F.to_date(F.min("received_at"))).collect()[0][0]
        if first_day is None:
            return Replay(before, before, of_them)
        lines = lines_of(raw.where(F.col("received_date") >= F.lit(first_day)), asked)
        gone = asked.alias("rejection").join(lines.alias("line"), on=_is_about(), how="left_anti").count()
        events = refinable(lines).persist()
        judged = checked(events)
        try:
            refused = refused_now(lake, judged)
            known = asked.alias("rejection").join(events.alias("line"), on=_is_about(), how="left_semi")
            over = known.join(refused, on="rejection_id", how="left_anti")
            if dry_run:
                added = refused.join(rejected, on="rejection_id", how="left_anti")
                left = rejected.join(over, on="rejection_id", how="left_anti")
                return Replay(before, counts(left.unionByName(added)), of_them, gone)
            _refine(lake, events)
            _take_back(lake, known.select("rejection_id"), over.select("rejection_id"))
        finally:
            for kept in (events, *judged.values()):
                kept.unpersist()
        return Replay(before, counts(lake.read(REJECTED_EVENTS)), of_them, gone)


def _refine(lake: Lake, events: DataFrame) -> None:
    """What is accepted is on disk before its rejection is taken back: a run cut short is finished by the next."""
    refine_batch(lake, events, let_bad_batch_through=True)
    for table in TABLES_WRITTEN:
        make_durable(lake.settings.lake / table.name)


def _as_it_is(lake: Lake, table: Table) -> DataFrame:
    """The table at its present version, also once it has another."""
    held = versions(lake.settings.lake / table.name)
    if not held:
        return lake.read(table)
    return lake.spark.read.format("delta").option("versionAsOf", held[-1]).load(lake.path(table))


def _take_back(lake: Lake, replayed: DataFrame, over: DataFrame) -> None:
    """Delete those of the `replayed` rejections that are `over`; today's contract has made the others again."""
    marked = replayed.join(over.withColumn("is_over", F.lit(True)), on="rejection_id", how="left")
    merge(
        lake,
        marked,
        "WHEN MATCHED AND s.is_over THEN DELETE "
        f"WHEN MATCHED AND t.contract_version <> '{CONTRACT_VERSION}' "
        f"THEN UPDATE SET contract_version = '{CONTRACT_VERSION}'",
    )


def main(lake: Lake, as_of: datetime, arguments: argparse.Namespace) -> str:
    """Replay what --table and --reason choose."""
    replay = replayed(lake, arguments.table, arguments.reason, arguments.dry_run)
    would = "would be " if arguments.dry_run else ""
    gone = f"; the raw lines of {replay.gone} are gone" if replay.gone else ""
    return f"rejected_events: {replay.accepted} of {sum(replay.asked.values())} chosen {would}taken back{gone}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser("replay_rejected", description=__doc__)
    parser.add_argument("--table", default="", choices=["", "unknown", *LANDED], help="only rejections of this table")
    parser.add_argument("--reason", default="", help="only rejections whose reason contains this text")
    parser.add_argument("--dry-run", action="store_true", help="write nothing, say what would come of it")
    run_job(main, parser)
