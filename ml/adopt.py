"""Registers a booster that was trained elsewhere:

    python -m ml.adopt model.ubj --feature-set HASH --trained-through 2019-11-28T00:00:00Z

Of the newest training set of its feature set it is calibrated on the calibration rows, as a booster of our own is, and
the holdout is what follows. It becomes a version beside the others and takes no alias. The same booster, of the same
feature set, is registered once.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import mlflow
import numpy as np
import xgboost

from data_contracts import registry
from data_contracts.features import FeatureSet
from data_contracts.known_features import known
from data_contracts.model_versions import UPLOAD, UPLOADED_BY, upload_id
from data_contracts.settings import Settings
from data_contracts.tables import TRAINING_SETS
from ml.calibrate import probabilities
from ml.calibration_choice import chosen_calibration
from ml.command import exit_code, instant
from ml.metrics import Floats, metrics
from ml.model_run import FittedModel, git_commit, log_model, model_run, register
from ml.prior import prior_of
from ml.reports import log_calibration, log_metrics
from ml.train import Given, given_rows, log_holdout, tags_of
from ml.train import instant as utc
from ml.training_sets import TrainingSetError, pinned, rows_of, table_versions
from ml.trees import margins


def adopt(settings: Settings, booster: Path, feature_set_hash: str, trained_through: datetime, who: str) -> str:
    """Calibrate, log and register; gives a line for people. Raises TrainingSetError for a feature set without rows."""
    content = booster.read_bytes()
    upload = upload_id(content, feature_set_hash)
    if found := registry.find_version(settings, UPLOAD, upload):
        return f"version {found.version} of {settings.model_name} is this very model"
    feature_set = known(settings, feature_set_hash)
    if feature_set is None:
        raise TrainingSetError(f"no training set was ever built of feature set {feature_set_hash[:16]}")
    as_of = newest_as_of(settings, feature_set)
    given = given_rows(settings, as_of, feature_set)
    fitted, scores = calibrated(given, xgboost.Booster({"nthread": 2}, model_file=bytearray(content)))
    model = replace(fitted, prior=prior_of(settings, given.versions, given.training_set_id))
    seen = max(given.slices["calibration"].end, trained_through.timestamp())
    tags = tags_of(given, as_of) | {"trained_through": utc(seen), UPLOAD: upload, UPLOADED_BY: who}
    labels = given.training_set.labels
    with model_run(settings.model_name, f"uploaded {upload[:16]}", "A model that was trained elsewhere."):
        mlflow.log_params({f"data_version.{table}": found for table, found in given.versions.items()})
        mlflow.log_params({"git_commit": git_commit(), "trees": model.trees.num_boosted_rounds(), **tags})
        log_calibration(model)
        judged = ("calibration", "holdout")
        log_metrics({part: metrics(labels[given.rows[part]], scores[given.rows[part]]) for part in judged})
        log_holdout(settings, given, model, scores)
        version = register(settings.model_name, log_model(model), tags)
    return f"version {version} of {settings.model_name} was uploaded; it is calibrated and waits for its verdict"


def newest_as_of(settings: Settings, feature_set: FeatureSet) -> datetime:
    """Of the training sets of a feature set. Raises TrainingSetError when there is none."""
    table = pinned(settings, table_versions(settings, [TRAINING_SETS.name]), TRAINING_SETS.name)
    query = f"SELECT epoch_us(max(as_of)) AS newest FROM {table} WHERE feature_set_hash = ?"
    (newest,) = rows_of(settings, query, [feature_set.hash]).column("newest").to_pylist()
    if newest is None:
        raise TrainingSetError(f"no training set is there of feature set {feature_set.hash[:16]}")
    return datetime.fromtimestamp(newest / 1e6, UTC)


def calibrated(given: Given, trees: xgboost.Booster) -> tuple[FittedModel, Floats]:
    """The booster with a calibration of its own, and what it says of all rows."""
    base, rows = given.feature_set.base_place, given.rows["calibration"]
    found = margins(trees, given.training_set.features, base)
    if not np.isfinite(found).all():
        raise TrainingSetError("the model gives a margin that is not finite of a row of the training set")
    calibration, candidates = chosen_calibration(found[rows], given.training_set.labels[rows])
    return FittedModel(given.feature_set, trees, calibration, candidates), probabilities(calibration, found)


def main(arguments: Sequence[str] | None = None) -> int:
    reads = argparse.ArgumentParser(description=__doc__)
    reads.add_argument("booster", type=Path, help="JSON or UBJ, as XGBoost saved it")
    reads.add_argument("--feature-set", required=True, metavar="HASH", help="whose features it takes")
    reads.add_argument("--trained-through", required=True, type=instant, help="exclusive end of what it has seen")
    reads.add_argument("--uploaded-by", default="", metavar="WHO")
    asked = reads.parse_args(arguments)
    return exit_code(
        lambda settings: adopt(settings, asked.booster, asked.feature_set, asked.trained_through, asked.uploaded_by)
    )


if __name__ == "__main__":
    sys.exit(main())
