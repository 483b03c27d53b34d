"""Hourly tiles: how many impressions and clicks of an entity became known in an hour."""

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from data_contracts.keys import key_columns
from spark_jobs.keyed import entity
from spark_jobs.label_clicks import clicked


def hourly_tiles(impressions: DataFrame, clicks: DataFrame, key_tuples: Sequence[tuple[str, ...]]) -> DataFrame:
    """keys, entity, hour, impressions and clicks, of `impressions` with their `keys` (spark_jobs.keyed).

    A click counts once an impression and if it makes a label, for the entity of its impression, from when both were
    known. An impression without an entity, since its user denies consent, is in no tile of that key tuple.
    """
    shown = impressions.select("keys", F.col("received_at").alias("known_at"), F.lit(0).alias("is_click"))
    clicks_known = clicked(impressions, clicks).select(
        "keys", F.greatest("clicked_at", "received_at").alias("known_at"), F.lit(1).alias("is_click")
    )
    entities = F.array(
        *[F.struct(F.lit(key_columns(keys)).alias("keys"), entity(keys).alias("entity")) for keys in key_tuples]
    )
    events = shown.unionByName(clicks_known).select(
        F.date_trunc("hour", "known_at").alias("hour"), "is_click", F.explode(entities).alias("counted")
    )
    counted = events.where(F.col("counted.entity").isNotNull()).groupBy("counted.keys", "counted.entity", "hour")
    return counted.agg(F.sum(F.lit(1) - F.col("is_click")).alias("impressions"), F.sum("is_click").alias("clicks"))
