"""ad_impressions and clicks -> labels: pending, clicked or not_clicked, as known at as_of."""

import argparse
from datetime import UTC, datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from data_contracts.tables import AD_IMPRESSIONS, CLICKS, LABELS
from spark_jobs.label_clicks import clicked, matures_at
from spark_jobs.session import Lake, run_job


def labelled(impressions: DataFrame, clicks: DataFrame, as_of: datetime) -> DataFrame:
    """A label an impression known before `as_of`, by the rule of data_contracts.labels.label_state."""
    shown = impressions.where(F.col("received_at") < F.lit(as_of)).select("impression_id", "timestamp", "date")
    known = clicks.where(F.col("received_at") < F.lit(as_of))
    is_clicked = clicked(shown, known).select("impression_id", F.lit(True).alias("is_clicked"))
    marked = shown.join(is_clicked, on="impression_id", how="left")
    is_mature = matures_at() <= F.lit(as_of)
    state = F.when(F.col("is_clicked"), "clicked").when(is_mature, "not_clicked").otherwise("pending")
    return marked.select(
        "impression_id",
        "timestamp",
        state.alias("state"),
        matures_at().alias("matures_at"),
        F.lit(as_of).alias("as_of"),
        "date",
    )


def main(lake: Lake, as_of: datetime, arguments: argparse.Namespace) -> str:
    """Label everything known before `as_of`, or before the as_of of the labels that are there when it is later: a label
    once mature stays, and a row that came late gets its own."""
    with lake.writing(LABELS):
        newest = lake.read(LABELS).agg(F.max(F.unix_seconds("as_of"))).collect()[0][0]
        known_before = as_of if newest is None else max(as_of, datetime.fromtimestamp(newest, UTC))
        lake.overwrite(LABELS, labelled(lake.read(AD_IMPRESSIONS), lake.read(CLICKS), known_before))
    states = lake.read(LABELS).groupBy("state").count().orderBy("state").collect()
    return "labels: " + ", ".join(f"{row['count']} {row['state']}" for row in states)


if __name__ == "__main__":
    run_job(main, argparse.ArgumentParser("label_impressions", description=__doc__))
