"""Mature impressions with their labels, keys and counts: what training sets and holdouts are made of."""

from collections.abc import Sequence
from datetime import datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from data_contracts.features import Count, FeatureSet
from data_contracts.keys import key_columns
from data_contracts.tables import AD_IMPRESSIONS, ADS, COUNT_TILES, LABELS, USERS
from spark_jobs.counts import with_counts
from spark_jobs.feature_sums import with_sums
from spark_jobs.keyed import counted_by, entity
from spark_jobs.label_clicks import matures_at
from spark_jobs.session import JobError, Lake
from spark_jobs.windows import Then

OWN = ("impression_id", "user_id", "timestamp", "position")


def mature_impressions(impressions: DataFrame, labels: DataFrame, as_of: datetime) -> DataFrame:
    """Impressions whose label may be believed at `as_of`, with `clicked` (0 or 1).

    Rows are chosen by when they mature, never by their state.
    """
    mature = labels.where(F.col("matures_at") <= F.lit(as_of)).select(
        "impression_id", (F.col("state") == "clicked").cast("int").alias("clicked")
    )
    return impressions.where(F.col("received_at") < F.lit(as_of)).join(mature, on="impression_id", how="inner")


def labelled_rows(
    lake: Lake,
    as_of: datetime,
    feature_sets: Sequence[FeatureSet],
    more_counts: Sequence[Count] = (),
    shown: Column | None = None,
    then: Then | None = None,
) -> DataFrame:
    """impression_id, user_id, timestamp, position, snapshot_at (epoch seconds), clicked, and every number, count and
    sum of the feature sets by the name that it is looked up by, of the mature impressions that the condition `shown`
    lets through; or what `then` makes of these rows. Raises JobError when labels are not made as of then, or a key
    tuple was never counted."""
    counts = tuple(dict.fromkeys((*more_counts, *(count for each in feature_sets for count in each.counts))))
    numbers = tuple(dict.fromkeys(key for each in feature_sets for key in each.numbers))
    labels = lake.read(LABELS)
    labelled_until = labels.agg(F.max(F.unix_seconds("as_of"))).collect()[0][0]
    if labelled_until is None or labelled_until < as_of.timestamp():
        raise JobError(f"labels are not yet made as of {as_of.isoformat()}; run label_impressions first")
    impressions = lake.read(AD_IMPRESSIONS) if shown is None else lake.read(AD_IMPRESSIONS).where(shown)
    mature = mature_impressions(impressions, labels, as_of)
    catalogues, default = [lake.read(table) for table in (ADS, USERS)], lake.settings.serving.default_position
    narrow = counted_by(mature, catalogues, default, counts, numbers, *OWN, "clicked")
    if impressions.where(matures_at() <= F.lit(as_of)).isEmpty():
        raise JobError("no impression is mature: there is nothing to build")
    tiles = lake.read(COUNT_TILES)
    _require_counted(narrow, tiles, counts)
    return with_counts(with_sums(narrow, lake, feature_sets), tiles, counts, then)


def _require_counted(rows: DataFrame, tiles: DataFrame, counts: Sequence[Count]) -> None:
    """A count that was never made is not a count of 0. A key tuple without tiles is right where it has no entity."""
    counted = {row["keys"] for row in tiles.select("keys").distinct().collect()}
    for keys in dict.fromkeys(count.keys for count in counts):
        if key_columns(keys) not in counted and not rows.where(entity(keys).isNotNull()).isEmpty():
            raise JobError(f"{key_columns(keys)} is not counted yet; run count_events first")
