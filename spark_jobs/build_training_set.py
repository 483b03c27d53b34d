"""Mature labels joined with the counts that serving could have held when each ad was shown -> training_sets."""

import argparse
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, FloatType

from data_contracts.features import FeatureSet, load_feature_set, training_set_id
from data_contracts.known_features import current, keep
from data_contracts.tables import TRAINING_SETS
from spark_jobs.labelled_rows import inputs_of, labelled_rows
from spark_jobs.session import Lake, run_job

INPUT = "input "


def with_features(rows: DataFrame, feature_set: FeatureSet) -> DataFrame:
    """Labelled rows with `features`, computed by the very machine code that serving runs."""
    inputs = [column.alias(f"{INPUT}{number}") for number, column in enumerate(inputs_of(feature_set))]
    own = ["impression_id", "user_id", "timestamp", "snapshot_at", "clicked"]
    given = rows.withColumn("snapshot_at", F.timestamp_seconds("snapshot_at")).select(*own, *inputs)
    schema = given.select(*own).schema.add("features", ArrayType(FloatType()))
    return given.mapInArrow(_featuriser(feature_set, own), schema)


def _featuriser(
    feature_set: FeatureSet, own: list[str]
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    path = feature_set.path

    def featurise(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from data_contracts.compiled import compiled

        features = compiled(load_feature_set(path))
        for batch in batches:
            columns = [batch.column(name) for name in batch.schema.names if name.startswith(INPUT)]
            inputs = np.stack([column.fill_null(np.nan).to_numpy() for column in columns], axis=1)
            found = features(inputs)
            ends = np.arange(len(found) + 1, dtype=np.int32) * found.shape[1]
            lists = pa.ListArray.from_arrays(pa.array(ends), pa.array(found.ravel()))
            yield pa.RecordBatch.from_arrays([*(batch.column(name) for name in own), lists], names=[*own, "features"])

    return featurise


def main(lake: Lake, as_of: datetime, arguments: argparse.Namespace) -> str:
    """Build (again) the training set of `as_of` and the feature set that conf names."""
    feature_set = current(lake.settings)
    keep(lake.settings, feature_set)
    rows = labelled_rows(lake, as_of, feature_set.counts, feature_set.numbers)
    name = training_set_id(feature_set.hash, as_of)
    marked = with_features(rows, feature_set).withColumns(
        {
            "training_set_id": F.lit(name),
            "feature_set_hash": F.lit(feature_set.hash),
            "as_of": F.lit(as_of),
        }
    )
    lake.overwrite(TRAINING_SETS, marked, where=f"training_set_id = '{name}'")
    built = lake.read(TRAINING_SETS).where(F.col("training_set_id") == name)
    count, clicks = built.agg(F.count("*"), F.sum("clicked")).collect()[0]
    return f"training set {name}: {count} rows, {clicks} clicks"


if __name__ == "__main__":
    run_job(main, argparse.ArgumentParser("build_training_set", description=__doc__))
