"""Trains a challenger: python -m ml.train --as-of 2019-11-30T23:00:00Z

Trees are fitted on the oldest slice, stopped on a later one, calibrated on a later one still and measured on the
newest. The same rows, settings and code give the same model bytes; then the version that is there already becomes the
challenger again and no new one is made.

The run's parameters hold, as data_version.TABLE, the Delta version of every table that the training set rests on
(ad_impressions, clicks, labels, count_tiles, training_sets) as seen when training began. The rows were read from that
version of training_sets; the other tables may have grown since the training set was built from them.
"""

import hashlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import mlflow
import xgboost

from data_contracts import calibration, registry
from data_contracts.features import FeatureSet, feature_set_path, load_feature_set, training_set_id
from data_contracts.sections import Training
from data_contracts.settings import Settings
from ml.calibrate import fitted_calibration, probabilities
from ml.command import exit_code, parser
from ml.join_health import check_join_health
from ml.metrics import metrics
from ml.model_run import (
    FittedModel,
    git_commit,
    log_metrics,
    log_model,
    log_reliability,
    model_run,
    register,
)
from ml.splits import Rows, Slice, rows_by_slice, time_slices
from ml.training_sets import RESTS_ON, TrainingSet, read_training_set, table_versions
from ml.trees import fitted_trees, margins, tree_parameters


def train(settings: Settings, as_of: datetime) -> str:
    """Train, log and register; the new (or found) version is the challenger. Gives a summary for people."""
    feature_set = load_feature_set(feature_set_path(settings.features.feature_set))
    name = training_set_id(feature_set.hash, as_of)
    versions = table_versions(settings, RESTS_ON)
    training_set = read_training_set(settings, versions, name, feature_set.feature_names)
    health = check_join_health(settings, versions, as_of)
    slices = time_slices(as_of.timestamp(), float(training_set.timestamps[0]), settings.training)
    rows = rows_by_slice(training_set.timestamps, training_set.labels, slices)
    recipe = training_recipe(training_set, name, settings.training)
    if found := registry.find_version(settings, "recipe", recipe):
        registry.set_challenger(settings, found.version)
        return (
            f"version {found.version} of {settings.model_name} was trained from these very rows, settings and code "
            f"before; it is the challenger"
        )
    model = fitted_model(training_set, rows, feature_set, settings.training)
    scores = probabilities(model.calibration, margins(model.trees, training_set.features))
    by_slice = {part: metrics(training_set.labels[chosen], scores[chosen]) for part, chosen in rows.items()}
    tags = {
        "feature_set_hash": feature_set.hash,
        "training_set_id": name,
        "training_set_checksum": training_set.checksum,
        "as_of": as_of.isoformat(),
        "trained_through": instant(slices["calibration"].end),
        "holdout_start": instant(slices["holdout"].start),
        "holdout_end": instant(slices["holdout"].end),
        "recipe": recipe,
        "join_health": health,
    }
    with model_run(settings.model_name, name):
        log_evidence(model, settings.training, slices, versions, tags)
        log_metrics(by_slice)
        holdout = rows["holdout"]
        title, ratio = f"{settings.model_name} on the holdout", by_slice["holdout"]["calibration_ratio"]
        log_reliability(training_set.labels[holdout], scores[holdout], title, ratio)
        version = register(settings.model_name, log_model(model), tags)
    registry.set_challenger(settings, version)
    return f"{summary(settings.model_name, version, model, slices, by_slice)}\n{health}"


def fitted_model(
    training_set: TrainingSet, rows: Mapping[str, Rows], feature_set: FeatureSet, training: Training
) -> FittedModel:
    """Trees from the train and stop rows, calibration from the calibration rows; the holdout is not looked at."""
    features, labels = training_set.features, training_set.labels
    train_rows, stop_rows, calibration_rows = rows["train"], rows["stop"], rows["calibration"]
    trees = fitted_trees(features[train_rows], labels[train_rows], features[stop_rows], labels[stop_rows], training)
    calibrated = fitted_calibration(margins(trees, features[calibration_rows]), labels[calibration_rows])
    return FittedModel(feature_set, trees, calibrated)


def training_recipe(training_set: TrainingSet, name: str, training: Training) -> str:
    """SHA-256 of everything that decides the model's bytes: rows, settings, this stage's code and XGBoost's version."""
    digest = hashlib.sha256(f"{name} {training_set.checksum} {training} {xgboost.__version__}".encode())
    for path in (*sorted(Path(__file__).parent.glob("*.py")), Path(calibration.__file__)):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def log_evidence(
    model: FittedModel,
    training: Training,
    slices: Mapping[str, Slice],
    versions: Mapping[str, int],
    tags: Mapping[str, str],
) -> None:
    """What the model was made from and with, as parameters of the active run."""
    mlflow.log_params(tree_parameters(training) | asdict(training))
    mlflow.log_params({"trees": model.trees.num_boosted_rounds(), **model.calibration.as_dict()})
    mlflow.log_params({f"{part}_slice": str(bounds) for part, bounds in slices.items()})
    mlflow.log_params({f"data_version.{table}": found for table, found in versions.items()})
    mlflow.log_params({"git_commit": git_commit(), **tags})


def instant(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def summary(
    name: str,
    version: str,
    model: FittedModel,
    slices: Mapping[str, Slice],
    by_slice: Mapping[str, Mapping[str, float]],
) -> str:
    """The training in a few lines for a person."""
    lines = [f"version {version} of {name} is the challenger: {model.trees.num_boosted_rounds()} trees"]
    lines.append(f"{'slice':12} {'rows':>9} {'clicks':>7} {'log loss':>9} {'NE':>7} {'calibration':>12} {'AUC':>6}")
    for part, found in by_slice.items():
        lines.append(
            f"{part:12} {found['rows']:9,.0f} {found['clicks']:7,.0f} {found['log_loss']:9.5f} "
            f"{found['normalized_entropy']:7.4f} {found['calibration_ratio']:12.3f} {found['auc']:6.3f}  {slices[part]}"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    as_of = parser(__doc__).parse_args(arguments).as_of
    return exit_code(lambda settings: train(settings, as_of))


if __name__ == "__main__":
    sys.exit(main())
