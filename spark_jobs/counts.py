"""Counts as of a time, from hourly tiles: the one function behind training sets and the serving snapshot."""

from collections.abc import Callable, Sequence
from functools import reduce

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import LongType, StructField, StructType

from data_contracts.features import HOUR, Count
from data_contracts.keys import USER, key_columns
from spark_jobs.keyed import entity
from spark_jobs.windows import window_sums

GROUPS = 64
"""Into how many parts entities are dealt: one must fit into the memory of a Python worker with what is asked of it."""


def with_counts(rows: DataFrame, tiles: DataFrame, counts: Sequence[Count]) -> DataFrame:
    """`rows` (with `keys` and snapshot_at in epoch seconds) with a column a count, 0 for an entity never seen.

    Entities that many rows ask for in the same hour are counted once and joined. Those of users are as many as rows:
    there the rows are brought to their user's tiles.
    """
    of_users = [count for count in counts if count.keys[:1] == (USER,)]
    shared = [count for count in counts if count not in of_users]
    counted = reduce(
        lambda so_far, keys: _with_joined_counts(so_far, tiles, keys, [c for c in shared if c.keys == keys]),
        dict.fromkeys(count.keys for count in shared),
        rows,
    )
    return _with_own_counts(counted, tiles, of_users) if of_users else counted


def entity_counts(asked: DataFrame, tiles: DataFrame, counts: Sequence[Count]) -> DataFrame:
    """`asked` (entity, snapshot_at) with a column a count of one key tuple, summed over [snapshot_at - window,
    snapshot_at) of its tiles."""
    keys = key_columns(counts[0].keys)
    return _summed(asked, tiles, {keys: counts}, {keys: "entity"}, F.col("entity"), F.col("entity"))


def _with_joined_counts(rows: DataFrame, tiles: DataFrame, keys: tuple[str, ...], counts: Sequence[Count]) -> DataFrame:
    named = rows.withColumn("entity", entity(keys))
    known = entity_counts(named.select("entity", "snapshot_at").distinct(), tiles, counts)
    return named.join(known, on=["entity", "snapshot_at"], how="left").drop("entity")


def _with_own_counts(rows: DataFrame, tiles: DataFrame, counts: Sequence[Count]) -> DataFrame:
    by_keys = {
        key_columns(keys): [count for count in counts if count.keys == keys]
        for keys in dict.fromkeys(count.keys for count in counts)
    }
    names = {text: f"entity {number}" for number, text in enumerate(by_keys)}
    named = rows.select("*", *[entity(by_keys[text][0].keys).alias(name) for text, name in names.items()])
    of_row, of_tile = (F.substring_index(name, "|", 1) for name in (next(iter(names.values())), "entity"))
    counted = _summed(named, tiles, by_keys, names, of_row, of_tile)
    return counted.drop(*names.values())


def _summed(
    rows: DataFrame,
    tiles: DataFrame,
    by_keys: dict[str, Sequence[Count]],
    names: dict[str, str],
    of_row: Column,
    of_tile: Column,
) -> DataFrame:
    """`rows` with the counts of each key tuple, whose entities are in the column that `names` has; rows and tiles meet
    where `of_row` and `of_tile` are the same."""
    hours = tiles.where(F.col("keys").isin(list(by_keys))).select(
        _group(of_tile),
        "keys",
        "entity",
        (F.unix_seconds("hour") / HOUR).cast("bigint").alias("hour"),
        "impressions",
        "clicks",
    )
    dealt = rows.select(_group(of_row), "*")
    added = [StructField(count.name, LongType()) for counts in by_keys.values() for count in counts]
    schema = StructType([*rows.schema.fields, *added])
    return dealt.groupBy("group").cogroup(hours.groupBy("group")).applyInArrow(_counter(by_keys, names), schema)


def _group(of: Column) -> Column:
    return F.pmod(F.xxhash64(of), F.lit(GROUPS)).alias("group")


def _counter(by_keys: dict[str, Sequence[Count]], names: dict[str, str]) -> Callable[[pa.Table, pa.Table], pa.Table]:
    def counted(rows: pa.Table, tiles: pa.Table) -> pa.Table:
        hours = rows.column("snapshot_at").to_numpy() // HOUR
        found = rows.drop_columns("group")
        for keys, counts in by_keys.items():
            own = tiles.filter(pa.compute.equal(tiles.column("keys"), keys))
            sums = window_sums(own, rows.column(names[keys]).combine_chunks(), hours, counts)
            for count, values in zip(counts, sums, strict=True):
                found = found.append_column(count.name, pa.array(values))
        return found

    return counted
