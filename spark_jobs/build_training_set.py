"""Mature labels joined with the counts that serving could have held when each ad was shown -> training_sets."""

import argparse
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DoubleType

from data_contracts.features import (
    PUBLISH_DELAY,
    SNAPSHOT_CADENCE,
    FeatureSet,
    feature_set_path,
    load_feature_set,
    training_set_id,
)
from data_contracts.tables import AD_IMPRESSIONS, COUNT_TILES, LABELS, TRAINING_SETS
from spark_jobs.counts import with_counts, with_default_position
from spark_jobs.session import JobError, Lake, run_job


def mature_impressions(impressions: DataFrame, labels: DataFrame, as_of: datetime) -> DataFrame:
    """Impressions whose label may be believed at `as_of`, with `clicked` (0 or 1) and `snapshot_at` (epoch seconds).

    Rows are chosen by when they mature, never by their state.
    """
    mature = labels.where(F.col("matures_at") <= F.lit(as_of)).select(
        "impression_id", (F.col("state") == "clicked").cast("int").alias("clicked")
    )
    known = impressions.where(F.col("received_at") < F.lit(as_of))
    seconds = F.unix_micros("timestamp") / F.lit(1e6)
    snapshot_at = F.floor((seconds - PUBLISH_DELAY) / SNAPSHOT_CADENCE) * SNAPSHOT_CADENCE
    return known.join(mature, on="impression_id", how="inner").withColumn("snapshot_at", snapshot_at.cast("bigint"))


def with_inputs(counted: DataFrame, feature_set: FeatureSet) -> DataFrame:
    """`counted` with `inputs`: the request fields and counts by name, as serving would have used them."""
    request_fields = {
        "position": F.col("position"),
        "timestamp": F.unix_micros("timestamp") / F.lit(1e6),
    }
    pairs = []
    for name in feature_set.input_names:
        pairs += [F.lit(name), request_fields.get(name, F.col(name)).cast("double")]
    return counted.withColumn("inputs", F.create_map(*pairs))


def _featuriser(feature_set: FeatureSet) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    path = feature_set.path

    def featurise(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        definitions = load_feature_set(path)
        for batch in batches:
            rows = [definitions.row(dict(inputs)) for inputs in batch.column("inputs").to_pylist()]
            features = pa.array(rows, type=pa.list_(pa.float64()))
            yield pa.RecordBatch.from_arrays([*batch.columns, features], names=[*batch.schema.names, "features"])

    return featurise


def with_features(rows: DataFrame, feature_set: FeatureSet) -> DataFrame:
    """`rows` with `features`, computed by the very functions that serving calls."""
    schema = rows.schema.add("features", ArrayType(DoubleType()))
    return rows.mapInArrow(_featuriser(feature_set), schema)


def main(lake: Lake, as_of: datetime, arguments: argparse.Namespace) -> str:
    """Build (again) the training set of `as_of` and the feature set that conf names."""
    settings = lake.settings
    feature_set = load_feature_set(feature_set_path(settings.features.feature_set))
    labels = lake.read(LABELS)
    labelled_until = labels.agg(F.max(F.unix_seconds("as_of"))).collect()[0][0]
    if labelled_until is None or labelled_until < as_of.timestamp():
        raise JobError(f"labels are not yet made as of {as_of.isoformat()}; run label_impressions first")
    impressions = with_default_position(lake.read(AD_IMPRESSIONS), settings.serving.default_position)
    mature = mature_impressions(impressions, labels, as_of)
    counted = with_counts(mature, lake.read(COUNT_TILES), feature_set.counts)
    name = training_set_id(feature_set.hash, as_of)
    rows = with_inputs(counted, feature_set).select(
        F.lit(name).alias("training_set_id"),
        F.lit(feature_set.hash).alias("feature_set_hash"),
        F.lit(as_of).alias("as_of"),
        "impression_id",
        "user_id",
        "timestamp",
        F.timestamp_seconds("snapshot_at").alias("snapshot_at"),
        "clicked",
        "inputs",
    )
    lake.overwrite(TRAINING_SETS, with_features(rows, feature_set), where=f"training_set_id = '{name}'")
    built = lake.read(TRAINING_SETS).where(F.col("training_set_id") == name)
    count, clicks = built.agg(F.count("*"), F.sum("clicked")).collect()[0]
    if not count:
        raise JobError(f"no impression is mature as of {as_of.isoformat()}; the training set is empty")
    return f"training set {name}: {count} rows, {clicks} clicks"


if __name__ == "__main__":
    run_job(main, argparse.ArgumentParser("build_training_set", description=__doc__))
