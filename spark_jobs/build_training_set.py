"""Mature labels joined with the counts that serving could have held when each ad was shown -> training_sets."""

import argparse
from datetime import datetime

from pyspark.sql import functions as F

from data_contracts.features import training_set_id
from data_contracts.known_features import current, keep
from data_contracts.tables import TRAINING_SETS
from spark_jobs.featurised import featurised
from spark_jobs.labelled_rows import labelled_rows
from spark_jobs.session import Lake, run_job

OWN = ("impression_id", "user_id", "timestamp", "snapshot_at", "clicked")


def main(lake: Lake, as_of: datetime, arguments: argparse.Namespace) -> str:
    """Build (again) the training set of `as_of` and the feature set that conf names."""
    feature_set = keep(lake.settings, current(lake.settings))
    rows = labelled_rows(lake, as_of, [feature_set], then=featurised(feature_set, OWN))
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
