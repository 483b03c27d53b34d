"""Counts as of a time, from hourly tiles: the same sums behind training sets and the serving snapshot."""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import LongType, StringType, StructField, StructType

from data_contracts.features import HOUR, Count
from data_contracts.keys import USER, key_columns
from spark_jobs.keyed import entity
from spark_jobs.windows import counts_by_hour, counts_of_rows

GROUPS = 64
"""Into how many parts entities are dealt: one must fit into the memory of a Python worker with what is asked of it."""


def by_key_tuple(counts: Sequence[Count]) -> dict[tuple[str, ...], list[Count]]:
    """The counts of each key tuple."""
    return {keys: [c for c in counts if c.keys == keys] for keys in dict.fromkeys(c.keys for c in counts)}


def with_counts(rows: DataFrame, tiles: DataFrame, counts: Sequence[Count], first: int, last: int) -> DataFrame:
    """`rows` (with `keys`, and snapshot_at from `first` to `last`, epoch seconds) with a column a count, 0 for an
    entity never seen.

    Of entities that many rows share, the counts of every hour are joined. The entities of users are nearly as many as
    rows: there the rows are brought to the tiles of their user.
    """
    of_users = [count for count in counts if count.keys[:1] == (USER,)]
    shared = by_key_tuple([count for count in counts if count not in of_users])
    joined = reduce(lambda so_far, own: _with_shared(so_far, tiles, own, first, last), shared.values(), rows)
    return _with_own(joined, tiles, by_key_tuple(of_users)) if of_users else joined


def hourly_counts(tiles: DataFrame, counts: Sequence[Count], first: int, last: int) -> DataFrame:
    """entity, snapshot_at and a column a count of one key tuple, as of each hour from `first` to `last` (epoch seconds)
    that is not all 0."""
    own = tiles.where(F.col("keys") == key_columns(counts[0].keys))
    longest = max(count.window for count in counts)
    at = F.unix_seconds("hour")
    recent = own.where((at >= first - longest) & (at < last))
    hours = range(first // HOUR, last // HOUR + 1)

    def counted(group: pa.Table) -> pa.Table:
        return counts_by_hour(group, hours, counts)

    schema = StructType([StructField("entity", StringType()), StructField("snapshot_at", LongType()), *_fields(counts)])
    return _dealt(recent, F.col("entity")).groupBy("group").applyInArrow(counted, schema)


def _with_shared(rows: DataFrame, tiles: DataFrame, counts: Sequence[Count], first: int, last: int) -> DataFrame:
    known = hourly_counts(tiles, counts, first, last)
    joined = rows.withColumn("entity", entity(counts[0].keys)).join(known, on=["entity", "snapshot_at"], how="left")
    return joined.fillna(0, subset=[count.name for count in counts]).drop("entity")


def _with_own(rows: DataFrame, tiles: DataFrame, by_keys: Mapping[tuple[str, ...], Sequence[Count]]) -> DataFrame:
    names = {keys: f"entity {number}" for number, keys in enumerate(by_keys)}
    named = rows.select("*", *[entity(keys).alias(name) for keys, name in names.items()])
    of_users = tiles.where(F.col("keys").isin([key_columns(keys) for keys in by_keys]))
    own = _dealt(of_users, F.substring_index("entity", "|", 1), "keys")
    asked = named.withColumn("group", _group(F.substring_index(next(iter(names.values())), "|", 1)))
    schema = StructType([*named.schema.fields, *(each for counts in by_keys.values() for each in _fields(counts))])
    counted = asked.groupBy("group").cogroup(own.groupBy("group")).applyInArrow(_counter(by_keys, names), schema)
    return counted.drop(*names.values())


def _counter(
    by_keys: Mapping[tuple[str, ...], Sequence[Count]], names: Mapping[tuple[str, ...], str]
) -> Callable[[pa.Table, pa.Table], pa.Table]:
    def counted(rows: pa.Table, tiles: pa.Table) -> pa.Table:
        hours: Any = rows.column("snapshot_at").to_numpy() // HOUR
        found = rows.drop_columns("group")
        for keys, counts in by_keys.items():
            own = tiles.filter(pc.equal(tiles.column("keys"), key_columns(keys)))
            sums = counts_of_rows(own, rows.column(names[keys]), hours, counts)
            for count, values in zip(counts, sums, strict=True):
                found = found.append_column(count.name, pa.array(values))
        return found

    return counted


def _dealt(tiles: DataFrame, of: Column, *columns: str) -> DataFrame:
    hour = (F.unix_seconds("hour") / HOUR).cast("bigint").alias("hour")
    return tiles.select(_group(of).alias("group"), *columns, "entity", hour, "impressions", "clicks")


def _group(of: Column) -> Column:
    return F.pmod(F.xxhash64(of), F.lit(GROUPS))


def _fields(counts: Sequence[Count]) -> list[StructField]:
    return [StructField(count.name, LongType()) for count in counts]
