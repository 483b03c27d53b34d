"""Trains a challenger: python -m ml.train --as-of 2019-11-30T23:00:00Z

Trees are fitted on the oldest slice, stopped on a later one, calibrated on a later one still and measured on the
newest. The same rows, settings and code give the same model bytes; then the version that is there already becomes the
challenger again and no new one is made. --trials looks for better parameters than conf's first, at the stop slice.

The run's parameters hold, as data_version.TABLE, the Delta version of every table that the training set rests on
(ad_impressions, clicks, labels, count_tiles, training_sets; feature_sums too where features need sums) as seen when
training began. The rows were read from that
version of training_sets; the other tables may have grown since the training set was built from them.
"""

import argparse
import hashlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import mlflow
import xgboost

from data_contracts import calibration, registry
from data_contracts.feature_set_files import feature_set_path, load_feature_set
from data_contracts.features import FeatureSet, training_set_id
from data_contracts.sections import Training
from data_contracts.settings import Settings
from data_contracts.tables import FEATURE_SUMS
from ml.calibrate import probabilities
from ml.command import exit_code, parser
from ml.fitting import fitted_model
from ml.join_health import check_join_health
from ml.metrics import Floats, metrics
from ml.model_run import FittedModel, git_commit, log_model, model_run, register
from ml.prior import prior_of
from ml.reports import log_calibration, log_importance, log_metrics, log_reliability, log_table, log_trials
from ml.search import Trial, searched
from ml.slice_metrics import check_slice_columns, metrics_by_slice, slice_values
from ml.splits import Rows, Slice, rows_by_slice, time_slices
from ml.staging import TrainingSet
from ml.training_sets import RESTS_ON, read_training_set, table_versions
from ml.trees import margins, matrices, tree_parameters

TRIAL_SECONDS = 600.0


@dataclass(frozen=True)
class Given:
    """What a training starts from: the rows, which of them each slice holds, and where all that comes from."""

    feature_set: FeatureSet
    training_set_id: str
    versions: Mapping[str, int]
    training_set: TrainingSet
    slices: Mapping[str, Slice]
    rows: Mapping[str, Rows]


def train(settings: Settings, as_of: datetime, trials: int = 0, trial_seconds: float = TRIAL_SECONDS) -> str:
    """Train, log and register; the new (or found) version is the challenger. Gives a summary for people."""
    check_slice_columns(settings.gate.slice_columns)
    given = given_rows(settings, as_of)
    health = check_join_health(settings, given.versions, as_of)
    training, tried = best_parameters(given, settings.training, trials, trial_seconds)
    recipe = training_recipe(given.training_set, given.training_set_id, training)
    if found := registry.find_version(settings, "recipe", recipe):
        registry.set_challenger(settings, found.version)
        return (
            f"version {found.version} of {settings.model_name} was trained from these very rows, settings and code "
            f"before; it is the challenger"
        )
    fitted = fitted_model(given.training_set, given.rows, given.feature_set, training)
    model = replace(fitted, prior=prior_of(settings, given.versions, given.training_set_id))
    scores = probabilities(
        model.calibration, margins(model.trees, given.training_set.features, given.feature_set.base_place)
    )
    labels = given.training_set.labels
    by_slice = {part: metrics(labels[chosen], scores[chosen]) for part, chosen in given.rows.items()}
    tags = tags_of(given, as_of) | {"recipe": recipe, "join_health": health}
    with model_run(settings.model_name, given.training_set_id):
        log_evidence(model, training, given, tags)
        log_trials(tried)
        log_metrics(by_slice)
        log_holdout(settings, given, model, scores)
        version = register(settings.model_name, log_model(model), tags)
    registry.set_challenger(settings, version)
    return f"{summary(settings.model_name, version, model, given.slices, by_slice)}\njoin health: {health}"


def given_rows(settings: Settings, as_of: datetime, feature_set: FeatureSet | None = None) -> Given:
    """The training set as of `as_of`, of conf's feature set unless another is given, and its slices. Raises
    TrainingSetError and SliceError."""
    feature_set = feature_set or load_feature_set(feature_set_path(settings.features.feature_set))
    name = training_set_id(feature_set.hash, as_of)
    versions = table_versions(settings, [*RESTS_ON, *([FEATURE_SUMS.name] if feature_set.sums else [])])
    training_set = read_training_set(settings, versions, name, feature_set.feature_names)
    slices = time_slices(as_of.timestamp(), float(training_set.timestamps[0]), settings.training)
    rows = rows_by_slice(training_set.timestamps, training_set.labels, slices)
    return Given(feature_set, name, versions, training_set, slices, rows)


def best_parameters(
    given: Given, training: Training, trials: int, trial_seconds: float
) -> tuple[Training, tuple[Trial, ...]]:
    """Conf's parameters, or the best that `trials` trials find, and the trials."""
    if not trials:
        return training, ()
    train, stop, base = given.rows["train"], given.rows["stop"], given.feature_set.base_place
    rows = matrices(given.training_set, train, stop, training.keep_rate, base)
    return searched(rows, training, given.feature_set.directions, trials, trial_seconds)


def tags_of(given: Given, as_of: datetime) -> dict[str, str]:
    """What a version says of itself: its rows and what it has seen of them."""
    return {
        "feature_set_hash": given.feature_set.hash,
        "training_set_id": given.training_set_id,
        "training_set_checksum": given.training_set.checksum,
        "as_of": as_of.isoformat(),
        "trained_through": instant(given.slices["calibration"].end),
        "holdout_start": instant(given.slices["holdout"].start),
        "holdout_end": instant(given.slices["holdout"].end),
    }


def training_recipe(training_set: TrainingSet, name: str, training: Training) -> str:
    """SHA-256 of what decides the model's bytes: rows, settings, the code of this stage and XGBoost's version. The
    rest of the lock is not in it: a model is not trained again for a newer NumPy."""
    knobs = replace(training, schedule="")
    digest = hashlib.sha256(f"{name} {training_set.checksum} {knobs} {xgboost.__version__}".encode())
    for path in (*sorted(Path(__file__).parent.glob("*.py")), Path(calibration.__file__)):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def log_evidence(model: FittedModel, training: Training, given: Given, tags: Mapping[str, str]) -> None:
    """What the model was made from and with, as parameters of the active run."""
    mlflow.log_params(tree_parameters(training, given.feature_set.directions) | asdict(training))
    mlflow.log_param("trees", model.trees.num_boosted_rounds())
    mlflow.log_params({f"{part}_slice": str(bounds) for part, bounds in given.slices.items()})
    mlflow.log_params({f"data_version.{table}": found for table, found in given.versions.items()})
    mlflow.log_params({"git_commit": git_commit(), **tags})
    log_calibration(model)


def log_holdout(settings: Settings, given: Given, model: FittedModel, scores: Floats) -> None:
    """How the model does on the holdout, as pictures and tables for people."""
    rows, title = given.rows["holdout"], f"{settings.model_name} on the holdout"
    labels = given.training_set.labels[rows]
    log_reliability(labels, scores[rows], title)
    features, base = given.training_set.features[rows], given.feature_set.base_place
    mlflow.log_param("base_mean", 0.0 if base is None else float(features[:, base].mean(dtype=float)))
    log_importance(model, features, title)
    slices = slice_values(settings, given.versions, given.training_set_id, given.slices["holdout"])
    log_table("slice_metrics.csv", metrics_by_slice(labels, scores[rows], slices))


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


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    reads = parser(__doc__)
    reads.add_argument("--trials", type=_count, default=0, metavar="N", help="look for better parameters in N trials")
    reads.add_argument(
        "--trial-seconds", type=float, default=TRIAL_SECONDS, metavar="S", help="begin no trial after S seconds of them"
    )
    asked = reads.parse_args(arguments)
    return exit_code(lambda settings: train(settings, asked.as_of, asked.trials, asked.trial_seconds))


if __name__ == "__main__":
    sys.exit(main())
