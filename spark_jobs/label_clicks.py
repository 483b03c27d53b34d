"""Which clicks make a label: the rule of data_contracts.labels.label_state in Spark."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from data_contracts.labels import ATTRIBUTION_WINDOW, LATE_CLICK_ALLOWANCE


def matures_at() -> Column:
    """From when the label of an impression shown at `timestamp` may be believed."""
    return F.expr(f"timestamp + INTERVAL {ATTRIBUTION_WINDOW + LATE_CLICK_ALLOWANCE} SECONDS")


def clicked(impressions: DataFrame, clicks: DataFrame, known_before: Column | None = None) -> DataFrame:
    """The `impressions` that were clicked within the attribution window, with `clicked_at`: when the first such click
    became known, which was before the label matured, or before an instant of the impression that is given."""
    known_before = matures_at() if known_before is None else known_before
    known = clicks.where("clicked").select(
        F.col("impression_id"), F.col("timestamp").alias("click_time"), F.col("received_at").alias("click_known_at")
    )
    shown = impressions.select("impression_id", "timestamp")
    is_in_time = (
        (F.col("click_time") >= F.col("timestamp"))
        & (F.col("click_time") < F.expr(f"timestamp + INTERVAL {ATTRIBUTION_WINDOW} SECONDS"))
        & (F.col("click_known_at") < known_before)
    )
    first = shown.join(known, on="impression_id", how="inner").where(is_in_time).groupBy("impression_id")
    return impressions.join(first.agg(F.min("click_known_at").alias("clicked_at")), on="impression_id", how="inner")
