"""Counts as of a time, from hourly tiles: the same sums behind training sets and the serving snapshot."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import LongType, StringType, StructField, StructType

from data_contracts.features import HOUR, Count
from data_contracts.keys import key_columns
from spark_jobs.keyed import entity
from spark_jobs.windows import ShippedTiles, Then, counts_as_of, counts_of_rows

Keys = tuple[str, ...]
Layout = Mapping[Keys, Sequence[Count]]
GROUPS = 64
"""Into how many parts entities are dealt: one must fit into the memory of a Python worker with what is asked of it."""
MOST_SHIPPED = 500_000
"""Tiles that are sent to every worker: some 15 MB."""


def by_key_tuple(counts: Sequence[Count]) -> dict[Keys, list[Count]]:
    """The counts of each key tuple."""
    return {keys: [c for c in counts if c.keys == keys] for keys in dict.fromkeys(c.keys for c in counts)}


def with_counts(rows: DataFrame, tiles: DataFrame, counts: Sequence[Count], then: Then | None = None) -> DataFrame:
    """`rows` (with `keys`, and snapshot_at in epoch seconds) with a column a count, 0 for an entity never seen, less
    `keys`; or what `then` makes of these rows where they are, in Python.

    Key tuples with few tiles are counted where the rows are, by tiles that are sent there. Others, as are those of
    users, have nearly as many tiles as there are rows: both are brought together by the first key.
    """
    layout = by_key_tuple(counts)
    few = _few(tiles, layout)
    many = [keys for keys in layout if keys not in few]
    names = {keys: f"entity {number}" for number, keys in enumerate((*many, *sorted(few)))}
    asked = rows.select("*", *[entity(keys).alias(name) for keys, name in names.items()]).drop("keys")
    firsts = list(dict.fromkeys(keys[0] for keys in many))
    for first in firsts[:-1]:
        own = {keys: layout[keys] for keys in many if keys[0] == first}
        asked = _brought(asked, tiles, _Counter(own, names), own)
    own = {keys: layout[keys] for keys in many if keys[0] == firsts[-1]}
    last = _Counter(own | {keys: layout[keys] for keys in few}, names, _shipped(tiles, few), then)
    return _brought(asked, tiles, last, own) if firsts else asked.mapInArrow(last.of_batches, last.schema(asked))


def hourly_counts(tiles: DataFrame, counts: Sequence[Count], as_of: int) -> DataFrame:
    """entity and a column a count of one key tuple, as of a full hour (epoch seconds), where they are not all 0."""
    longest, at = max(count.window for count in counts), F.unix_seconds("hour")
    own = tiles.where((F.col("keys") == key_columns(counts[0].keys)) & (at >= as_of - longest) & (at < as_of))

    def counted(group: pa.Table) -> pa.Table:
        return counts_as_of(group, as_of // HOUR, counts)

    schema = StructType([StructField("entity", StringType()), *_fields(counts)])
    return _dealt(own, F.col("entity")).groupBy("group").applyInArrow(counted, schema)


@dataclass(frozen=True)
class _Counter:
    """Counts rows by the tiles that are shipped or brought to them; the step that knows what is shipped is the last."""

    layout: Layout
    names: Mapping[Keys, str]
    shipped: ShippedTiles | None = None
    then: Then | None = None

    def of_batches(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield from self._counted(pa.Table.from_batches([batch]), None).to_batches()

    def of_groups(self, rows: pa.Table, tiles: pa.Table) -> pa.Table:
        return self._counted(rows.drop_columns("group"), tiles)

    def schema(self, rows: DataFrame) -> StructType:
        kept = [field for field in rows.schema.fields if self.shipped is None or field.name not in self.names.values()]
        counted = StructType([*kept, *(field for counts in self.layout.values() for field in _fields(counts))])
        return self.then.schema(counted) if self.then else counted

    def _counted(self, rows: pa.Table, brought: pa.Table | None) -> pa.Table:
        hours = rows.column("snapshot_at").to_numpy() // HOUR
        found = rows if self.shipped is None else rows.drop_columns(list(self.names.values()))
        for keys, counts in self.layout.items():
            entities = rows.column(self.names[keys])
            if self.shipped is not None and key_columns(keys) in self.shipped.keys:
                sums = self.shipped.counts_of(key_columns(keys), entities, hours, counts)
            else:
                own = brought.filter(pc.equal(brought.column("keys"), key_columns(keys)))
                sums = counts_of_rows(own, entities, hours, counts)
            for count, values in zip(counts, sums, strict=True):
                found = found.append_column(count.name, pa.array(values))
        return self.then.of(found) if self.then else found


def _few(tiles: DataFrame, layout: Layout) -> set[Keys]:
    """The key tuples with the fewest tiles, as many as may be sent; the one without keys at any rate."""
    sizes = {row["keys"]: row["count"] for row in tiles.groupBy("keys").count().collect()}
    found, whole = {()} & layout.keys(), sizes.get(key_columns(()), 0)
    for keys in sorted(layout.keys() - found, key=lambda keys: (sizes.get(key_columns(keys), 0), keys)):
        whole += sizes.get(key_columns(keys), 0)
        if whole <= MOST_SHIPPED:
            found.add(keys)
    return found


def _shipped(tiles: DataFrame, key_tuples: Collection[Keys]) -> ShippedTiles:
    names = [key_columns(keys) for keys in key_tuples]
    sums = [F.sum(event).alias(event) for event in ("impressions", "clicks")]
    own = tiles.where(F.col("keys").isin(names)).groupBy("keys", "entity", hour_number()).agg(*sums)
    return ShippedTiles.packed(own.toArrow(), names)


def _brought(rows: DataFrame, tiles: DataFrame, counter: _Counter, own: Layout) -> DataFrame:
    """Rows and the tiles of key tuples that begin with the same key, in one place by its value."""
    of_keys = tiles.where(F.col("keys").isin([key_columns(keys) for keys in own]))
    first = F.substring_index(counter.names[next(iter(own))], "|", 1)
    asked = rows.withColumn("group", _group(first)).groupBy("group")
    dealt = _dealt(of_keys, F.substring_index("entity", "|", 1), "keys").groupBy("group")
    # Spark tells by the number of parameters, self among them, whether the key is wanted too.
    return asked.cogroup(dealt).applyInArrow(lambda rows, own: counter.of_groups(rows, own), counter.schema(rows))


def _dealt(tiles: DataFrame, of: Column, *columns: str) -> DataFrame:
    return tiles.select(_group(of).alias("group"), *columns, "entity", hour_number(), "impressions", "clicks")


def hour_number() -> Column:
    """The hour since 1970 of the column `hour`."""
    return (F.unix_seconds("hour") / HOUR).cast("bigint").alias("hour")


def _group(of: Column) -> Column:
    return F.pmod(F.xxhash64(of), F.lit(GROUPS))


def _fields(counts: Sequence[Count]) -> list[StructField]:
    return [StructField(count.name, LongType()) for count in counts]
