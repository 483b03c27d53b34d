"""Counts as of a time, from hourly tiles: the one function behind training sets and the serving snapshot."""

from collections.abc import Iterable, Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from data_contracts.features import Count
from data_contracts.snapshot import key_columns


def entity(keys: Iterable[str]) -> Column:
    """data_contracts.features.entity_name over key columns."""
    escaped = [
        F.replace(
            F.replace(F.coalesce(F.col(key).cast("string"), F.lit("")), F.lit("\\"), F.lit("\\\\")),
            F.lit("|"),
            F.lit("\\|"),
        )
        for key in keys
    ]
    return F.concat_ws("|", *escaped)


def with_default_position(impressions: DataFrame, position: int) -> DataFrame:
    """What does not say its slot is taken for `position`, as serving takes a request that does not say it."""
    return impressions.fillna(position, subset=["position"])


def hourly_tiles(impressions: DataFrame, clicks: DataFrame, key_tuples: Sequence[tuple[str, ...]]) -> DataFrame:
    """Impressions and clicks an entity and hour of knowledge, as count_tiles.

    A click counts once an impression, for the entity of its impression, from when both were known.
    """
    clicked = clicks.where("clicked").groupBy("impression_id").agg(F.min("received_at").alias("clicked_at"))
    shown = impressions.select("*", F.col("received_at").alias("known_at"), F.lit(0).alias("is_click"))
    clicks_known = impressions.join(clicked, on="impression_id", how="inner").select(
        *impressions.columns, F.greatest("clicked_at", "received_at").alias("known_at"), F.lit(1).alias("is_click")
    )
    events = shown.unionByName(clicks_known).withColumn("hour", F.date_trunc("hour", "known_at"))
    return reduce(DataFrame.unionByName, [_tiles_of(events, keys) for keys in key_tuples])


def _tiles_of(events: DataFrame, keys: tuple[str, ...]) -> DataFrame:
    grouped = events.groupBy(entity(keys).alias("entity"), "hour").agg(
        F.sum(F.lit(1) - F.col("is_click")).alias("impressions"), F.sum("is_click").alias("clicks")
    )
    return grouped.select(F.lit(key_columns(keys)).alias("keys"), "entity", "hour", "impressions", "clicks")


def with_counts(asked: DataFrame, tiles: DataFrame, counts: Sequence[Count]) -> DataFrame:
    """`asked` (key columns and snapshot_at, epoch seconds) with a column a count, 0 for an entity never seen."""
    counted = asked
    for keys in dict.fromkeys(count.keys for count in counts):
        pairs = asked.select(entity(keys).alias("entity"), "snapshot_at").distinct()
        own = [count for count in counts if count.keys == keys]
        known = entity_counts(pairs, tiles.where(F.col("keys") == key_columns(keys)), own)
        named = counted.withColumn("entity", entity(keys))
        counted = named.join(known, on=["entity", "snapshot_at"], how="left").drop("entity")
    return counted


def entity_counts(asked: DataFrame, tiles: DataFrame, counts: Sequence[Count]) -> DataFrame:
    """`asked` (entity, snapshot_at) with a column a count of one key tuple, summed over [snapshot_at - window,
    snapshot_at) of its tiles."""
    seen = tiles.select(
        "entity", F.unix_seconds("hour").alias("at"), "impressions", "clicks", F.lit(False).alias("is_asked")
    )
    asking = asked.select(
        "entity",
        F.col("snapshot_at").alias("at"),
        F.lit(0).cast("bigint").alias("impressions"),
        F.lit(0).cast("bigint").alias("clicks"),
        F.lit(True).alias("is_asked"),
    )
    by_entity = Window.partitionBy("entity").orderBy("at")
    sums = [
        F.coalesce(F.sum(count.event).over(by_entity.rangeBetween(-count.window, -1)), F.lit(0)).alias(count.name)
        for count in counts
    ]
    summed = seen.unionByName(asking).select("entity", "at", "is_asked", *sums)
    return summed.where("is_asked").select(
        "entity", F.col("at").alias("snapshot_at"), *[count.name for count in counts]
    )
