"""Mature labels joined with the counts that serving could have held when each ad was shown -> training_sets."""

import argparse
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, FloatType, StructField, StructType

from data_contracts.features import FeatureSet, load_feature_set, training_set_id
from data_contracts.known_features import current, keep
from data_contracts.tables import TRAINING_SETS
from spark_jobs.labelled_rows import labelled_rows
from spark_jobs.session import Lake, run_job
from spark_jobs.windows import Then

INSTANT = "timestamp in seconds"
OWN = ("impression_id", "user_id", "timestamp", "snapshot_at", "clicked")


def featurised(feature_set: FeatureSet) -> Then:
    """Counted rows become rows with `features`, computed by the very machine code that serving runs."""
    path = feature_set.path

    def of(rows: pa.Table) -> pa.Table:
        from data_contracts.compiled import compiled

        known = load_feature_set(path)
        given = rows.append_column(INSTANT, pc.divide(pc.cast(rows.column("timestamp"), pa.int64()), 1e6))
        names = ({"timestamp": INSTANT}.get(name, name) for name in known.input_names)
        inputs = [pc.cast(given.column(name), pa.float64()).fill_null(np.nan).to_numpy() for name in names]
        found = compiled(known)(np.stack(inputs, axis=1))
        ends = np.arange(len(found) + 1, dtype=np.int32) * found.shape[1]
        lists = pa.ListArray.from_arrays(pa.array(ends), pa.array(found.ravel()))
        return rows.select(OWN).append_column("features", lists)

    def schema(rows: StructType) -> StructType:
        return StructType([*(rows[name] for name in OWN), StructField("features", ArrayType(FloatType()))])

    return Then(of, schema)


def main(lake: Lake, as_of: datetime, arguments: argparse.Namespace) -> str:
    """Build (again) the training set of `as_of` and the feature set that conf names."""
    feature_set = keep(lake.settings, current(lake.settings))
    rows = labelled_rows(lake, as_of, feature_set.counts, feature_set.numbers, then=featurised(feature_set))
    name = training_set_id(feature_set.hash, as_of)
    marked = rows.withColumns(
        {
            "snapshot_at": F.timestamp_seconds("snapshot_at"),
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
