"""clicks and ad_impressions -> click_joins: a day's clicks by whether their impression has come, as known at as_of."""

import argparse
from datetime import UTC, datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from data_contracts.labels import ATTRIBUTION_WINDOW, ORPHAN_AFTER
from data_contracts.tables import AD_IMPRESSIONS, CLICK_JOINS, CLICKS
from spark_jobs.session import Lake, run_job


def click_joins(impressions: DataFrame, clicks: DataFrame, as_of: datetime) -> DataFrame:
    """A row a UTC day of clicks (stated non-clicks are none) known before `as_of`.

    A click waits for its impression over [received_at, received_at + ORPHAN_AFTER), then it is an orphan, until the
    impression does come: then it is joined, however late.
    """
    known = F.col("received_at") < F.lit(as_of)
    shown = impressions.where(known).select("impression_id", F.col("timestamp").alias("shown_at"))
    clicked = clicks.where(known & F.col("clicked")).select("impression_id", "timestamp", "received_at", "date")
    joined = F.col("shown_at").isNotNull()
    waits = F.col("received_at") + F.expr(f"INTERVAL {ORPHAN_AFTER} SECONDS") > F.lit(as_of)
    window_end = F.col("shown_at") + F.expr(f"INTERVAL {ATTRIBUTION_WINDOW} SECONDS")
    return (
        clicked.join(shown, on="impression_id", how="left")
        .groupBy("date")
        .agg(
            F.count("*").alias("clicks"),
            F.count_if(joined).alias("joined"),
            F.count_if(~joined & waits).alias("waiting"),
            F.count_if(~joined & ~waits).alias("orphaned"),
            F.count_if(F.col("timestamp") < F.col("shown_at")).alias("before_impression"),
            F.count_if(F.col("timestamp") >= window_end).alias("after_window"),
        )
        .withColumn("as_of", F.lit(as_of))
        .select(*CLICK_JOINS.column_names)
    )


def main(lake: Lake, as_of: datetime, arguments: argparse.Namespace) -> str:
    """Count anew what is known before `as_of`, or before the as_of that is there when it is later."""
    with lake.writing(CLICK_JOINS):
        newest = lake.read(CLICK_JOINS).agg(F.max(F.unix_seconds("as_of"))).collect()[0][0]
        known_before = as_of if newest is None else max(as_of, datetime.fromtimestamp(newest, UTC))
        lake.overwrite(CLICK_JOINS, click_joins(lake.read(AD_IMPRESSIONS), lake.read(CLICKS), known_before))
    states = ("joined", "waiting", "orphaned")
    counts = lake.read(CLICK_JOINS).agg(*[F.coalesce(F.sum(state), F.lit(0)) for state in states]).collect()[0]
    return "clicks: " + ", ".join(f"{count} {state}" for count, state in zip(counts, states, strict=True))


if __name__ == "__main__":
    run_job(main, argparse.ArgumentParser("join_clicks", description=__doc__))
