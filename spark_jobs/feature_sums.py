"""Sums of features over all impressions: made hour by hour from the counts of each, and looked up as of any hour.

Where tiles of an hour have changed, or what is told of its impressions, the sums from that hour on are made again: they
are what all anew would give.
"""

import sys
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from data_contracts.features import HOUR, FeatureSet
from data_contracts.keys import key_columns
from data_contracts.tables import AD_IMPRESSIONS, ADS, COUNT_TILES, FEATURE_SUMS, USERS
from spark_jobs.changes import VERSION_COLUMNS, Versions, first_told, is_followable, marked
from spark_jobs.counts import hour_number, with_counts
from spark_jobs.featurised import summed_up
from spark_jobs.keyed import counted_by, snapshot_at
from spark_jobs.session import JobError, Lake

KNOWN_IN = "known_in"
"""The hour since 1970 in which an impression became known."""


def bring_up(lake: Lake, feature_set: FeatureSet, until: Versions, anew: bool = False) -> bool:
    """Make the sums of a feature set as of the tiles, which are as of `until`; gives whether any were to be made."""
    after = None if anew else _followed(lake, feature_set, until)
    since = _first_tile(lake, feature_set, after)
    if after and (told := first_told(lake, after, until)):
        since = min(int(told.timestamp()) // HOUR * HOUR, since or sys.maxsize)
    where = f"feature_set_hash = '{feature_set.hash}'"
    if since is not None:
        made = marked(_hourly_sums(lake, feature_set, since, until), until)
        behind = f" AND unix_seconds(hour) >= {since}" if after else ""
        lake.overwrite(FEATURE_SUMS, made.withColumn("feature_set_hash", F.lit(feature_set.hash)), where=where + behind)
    return since is not None


def is_behind(lake: Lake, feature_set: FeatureSet) -> bool:
    """Are there tiles that came after the sums?"""
    return _first_tile(lake, feature_set, _newest(lake, feature_set)) is not None


def _newest(lake: Lake, feature_set: FeatureSet) -> Versions | None:
    """As of which versions the sums are; None when there are none."""
    sums = lake.read(FEATURE_SUMS).where(F.col("feature_set_hash") == feature_set.hash)
    found = sums.agg(*[F.max(column).alias(name) for name, column in VERSION_COLUMNS.items()]).collect()[0].asDict()
    return None if None in found.values() else found


def _followed(lake: Lake, feature_set: FeatureSet, until: Versions) -> Versions | None:
    """As of which versions the sums are, if what came since can be told from the tables' history."""
    found = _newest(lake, feature_set)
    is_before = found is not None and all(found[name] <= until[name] for name in VERSION_COLUMNS)
    return found if found is not None and is_before and is_followable(lake, found) else None


def _first_tile(lake: Lake, feature_set: FeatureSet, after: Versions | None) -> int | None:
    """The first hour, in epoch seconds, of the tiles that were made after these versions, or of all."""
    own = F.col("keys").isin([key_columns(keys) for keys in feature_set.key_tuples])
    tiles = lake.read(COUNT_TILES).where(own & ((F.col("impressions") != 0) | (F.col("clicks") != 0)))
    if after is not None:
        newer = [F.col(column) > after[name] for name, column in VERSION_COLUMNS.items()]
        tiles = tiles.where(newer[0] | newer[1] | newer[2] | newer[3])
    since: int | None = tiles.agg(F.min(F.unix_seconds("hour"))).collect()[0][0]
    return since


def _hourly_sums(lake: Lake, feature_set: FeatureSet, since: int, until: Versions) -> DataFrame:
    """feature, hour and total of all impressions that became known from `since` on; of that hour in any case, which
    says as of when the sums are."""
    summed = feature_set.summed
    names = list(summed.feature_names)
    shown = lake.read(AD_IMPRESSIONS, until[AD_IMPRESSIONS.name])
    shown = shown.where(F.col("received_at") >= F.timestamp_seconds(F.lit(since)))
    catalogues = [lake.read(table, until[table.name]) for table in (ADS, USERS)]
    known_in = F.floor(F.unix_seconds("received_at") / HOUR).alias(KNOWN_IN)
    default = lake.settings.serving.default_position
    rows = counted_by(shown, catalogues, default, summed.counts, summed.numbers, "timestamp", "position", known_in)
    parts = with_counts(rows, _tiles_for(lake, shown, summed), summed.counts, summed_up(feature_set, KNOWN_IN))
    zero = lake.spark.range(1).select(*[F.lit(0).cast("bigint").alias(name) for name in names])
    whole = parts.unionByName(zero.withColumn(KNOWN_IN, F.lit(since // HOUR).cast("bigint"))).groupBy(KNOWN_IN)
    sums = whole.agg(*[F.sum(name).alias(name) for name in names]).unpivot(KNOWN_IN, names, "feature", "total")
    return sums.withColumn("hour", F.timestamp_seconds(F.col(KNOWN_IN) * HOUR))


def _tiles_for(lake: Lake, shown: DataFrame, summed: FeatureSet) -> DataFrame:
    """The tiles that the counts of these impressions can come from: not all that there ever were."""
    oldest = shown.agg(F.min(snapshot_at())).collect()[0][0] or 0
    longest = max((count.window for count in summed.counts), default=0)
    return lake.read(COUNT_TILES).where(F.col("hour") >= F.timestamp_seconds(F.lit(oldest - longest)))


def with_sums(rows: DataFrame, lake: Lake, feature_sets: Sequence[FeatureSet]) -> DataFrame:
    """`rows` (snapshot_at in epoch seconds) with every sum of the feature sets, by the name that it is looked up by.
    Raises JobError for a feature set whose sums were never made."""
    for feature_set in feature_sets:
        if feature_set.sums:
            rows = _with_sums(rows, lake, feature_set)
    return rows


def _with_sums(rows: DataFrame, lake: Lake, feature_set: FeatureSet) -> DataFrame:
    made = _made(lake, feature_set)
    if is_behind(lake, feature_set) or not len(made):
        raise JobError(f"the sums of feature set {feature_set.hash[:16]} are not made yet; run count_events first")
    first, last = (bound.as_py() for bound in pc.min_max(made.column("hour")).values())
    longest = max(each.window for each in feature_set.sums) // HOUR
    hours = np.arange(first + 1, last + longest + 1)
    found = pa.table({"snapshot_at": hours * HOUR, **_sums(made, feature_set, hours)})
    by_hour = F.broadcast(lake.spark.createDataFrame(found))
    names = [feature_set.looked_up[each.name] for each in feature_set.sums]
    return rows.join(by_hour, on="snapshot_at", how="left").fillna(0, subset=names)


def sums_as_of(lake: Lake, feature_set: FeatureSet, as_of: int) -> dict[str, int]:
    """Every sum as of a full hour (epoch seconds), by the name that it is looked up by; none where they are behind: a
    sum that is not made is no sum of 0."""
    if not feature_set.sums or is_behind(lake, feature_set):
        return {}
    found = _sums(_made(lake, feature_set), feature_set, np.array([as_of // HOUR]))
    return {name: int(values[0]) for name, values in found.items()}


def _made(lake: Lake, feature_set: FeatureSet) -> pa.Table:
    """feature, hour (since 1970) and total of all that is there."""
    own = lake.read(FEATURE_SUMS).where(F.col("feature_set_hash") == feature_set.hash)
    return own.select("feature", hour_number(), "total").orderBy("hour").toArrow()


def _sums(made: pa.Table, feature_set: FeatureSet, hours: NDArray[np.int64]) -> Mapping[str, NDArray[np.int64]]:
    """Each sum as of each of `hours`."""
    found = {}
    for each in feature_set.sums:
        own = made.filter(pc.equal(made.column("feature"), each.feature))
        at, running = own.column("hour").to_numpy(), np.append(0, np.cumsum(own.column("total").to_numpy()))
        ends, starts = (np.searchsorted(at, edge) for edge in (hours, hours - each.window // HOUR))
        found[feature_set.looked_up[each.name]] = running[ends] - running[starts]
    return found
