"""Artifacts of a training run that are for people: tables and pictures."""

import csv
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import mlflow
from numpy.typing import NDArray

from ml.calibration_choice import Candidate
from ml.importance import draw_shap, importances, sampled, shap_values
from ml.metrics import Floats, Labels, calibration_ratio
from ml.model_run import FittedModel
from ml.reliability import draw_reliability, reliability_bins
from ml.search import Trial


def log_file(name: str, write: Callable[[Path], Any]) -> None:
    """What `write` writes to the path it is given, as the artifact `name` of the active run."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write(path)
        mlflow.log_artifact(str(path))


def log_table(name: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Rows of the same keys as a CSV; nothing is logged without rows."""
    listed = list(rows)

    def write(path: Path) -> None:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(listed[0]))
            writer.writeheader()
            writer.writerows(listed)

    if listed:
        log_file(name, write)


def log_metrics(by_slice: Mapping[str, Mapping[str, float]]) -> None:
    """Metrics named <slice>_<metric>, and the same as a table, metrics.csv."""
    mlflow.log_metrics({f"{part}_{name}": value for part, found in by_slice.items() for name, value in found.items()})
    log_table("metrics.csv", ({"slice": part, **found} for part, found in by_slice.items()))


def log_reliability(labels: Labels, probabilities: Floats, title: str) -> None:
    """The reliability curve as reliability.png."""
    bins, ratio = reliability_bins(labels, probabilities), calibration_ratio(labels, probabilities)
    log_file("reliability.png", lambda path: draw_reliability(bins, title, ratio, path))


def log_importance(model: FittedModel, features: NDArray[Any], title: str) -> None:
    """feature_importance.csv, and shap_summary.png of a sample of `features`."""
    rows, names = sampled(features), model.feature_set.feature_names
    shap = shap_values(model.trees, rows, model.feature_set.base_place)
    log_table("feature_importance.csv", map(asdict, importances(model.trees, names, shap)))
    log_file("shap_summary.png", lambda path: draw_shap(names, rows, shap, title, path))


def log_calibration(model: FittedModel) -> None:
    """The winner as a parameter; what it was chosen by as parameters and calibration_choice.csv."""
    found = model.calibration.as_dict()
    mlflow.log_params({"calibration_kind": found["kind"]})
    mlflow.log_params({name: value for name, value in found.items() if isinstance(value, float)})
    mlflow.log_params({f"calibration_log_loss.{each.kind}": each.log_loss for each in model.candidates})
    log_table("calibration_choice.csv", map(_chosen_by, model.candidates))


def _chosen_by(candidate: Candidate) -> dict[str, Any]:
    return {**asdict(candidate), "is_better_than_platt": candidate.is_better}


def log_trials(trials: Sequence[Trial]) -> None:
    """Each trial as a child of the active run."""
    for number, trial in enumerate(trials):
        with mlflow.start_run(run_name=f"trial {number}", nested=True):
            mlflow.log_params(dict(trial.knobs))
            mlflow.log_metrics({"stop_log_loss": trial.log_loss, "trees": trial.trees, "seconds": trial.seconds})
