"""Writes one training down: an MLflow run with its evidence, metrics and artifacts, and a registered version."""

import json
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import xgboost
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema, TensorSpec

from data_contracts.calibration import Calibration
from data_contracts.features import REQUEST_FIELDS, FeatureSet
from data_contracts.prior import PRIOR_FILE, Prior
from ml.calibration_choice import Candidate

MODEL_CODE = Path(__file__).with_name("ctr_model.py")
BOOSTER_FILE, CALIBRATION_FILE = "model.ubj", "calibration.json"
REQUIREMENTS = ("mlflow", "xgboost-cpu", "numpy", "numba", "pandas")
ABOUT = "One training of the model, its evidence and its verdict."
UNKNOWN_COMMIT = "unknown (not run from a git checkout)"


@dataclass(frozen=True)
class FittedModel:
    """What scores: the feature definitions, the trees and the calibration; `candidates` is what that was chosen by, and
    `prior` answers where the trees cannot."""

    feature_set: FeatureSet
    trees: xgboost.Booster
    calibration: Calibration
    candidates: tuple[Candidate, ...] = ()
    prior: Prior | None = None


@contextmanager
def model_run(experiment: str, name: str, about: str = ABOUT) -> Iterator[str]:
    """A run of `experiment`; gives its id. It is marked as failed when the block raises."""
    mlflow.set_experiment(experiment)
    with mlflow.start_run(run_name=name, description=about) as run:
        yield run.info.run_id


def log_model(model: FittedModel) -> str:
    """Logs `model` in the active run as a pyfunc whose code is ml/ctr_model.py; gives its URI."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model.trees.save_model(folder / BOOSTER_FILE)
        (folder / CALIBRATION_FILE).write_text(json.dumps(model.calibration.as_dict()))
        artifacts = {
            "booster": str(folder / BOOSTER_FILE),
            "calibration": str(folder / CALIBRATION_FILE),
            "feature_set": str(model.feature_set.path),
        }
        if model.prior is not None:
            artifacts["prior"] = str(folder / PRIOR_FILE)
            (folder / PRIOR_FILE).write_text(model.prior.as_json())
        logged = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(MODEL_CODE),
            artifacts=artifacts,
            signature=signature(model.feature_set),
            input_example=pd.DataFrame([dict.fromkeys(model.feature_set.input_names, 1.0)]),
            pip_requirements=[f"{package}=={version(package)}" for package in REQUIREMENTS],
        )
    mlflow.log_artifact(str(model.feature_set.path), "feature_set")
    uri: str = logged.model_uri
    return uri


def signature(feature_set: FeatureSet) -> ModelSignature:
    """Request fields are required, all else optional: an absent count or sum is 0."""
    inputs: list[ColSpec | TensorSpec] = [
        ColSpec(DataType.double, name, required=name in REQUEST_FIELDS) for name in feature_set.input_names
    ]
    return ModelSignature(Schema(inputs), Schema([ColSpec(DataType.double, "probability")]))


def register(name: str, model_uri: str, tags: Mapping[str, Any]) -> str:
    """A new version of the registered model `name`, with its tags from the start; gives the version."""
    registered = mlflow.register_model(model_uri, name, tags={key: str(value) for key, value in tags.items()})
    return str(registered.version)


def git_commit() -> str:
    """The commit this code is of, with -dirty after it when files were changed since."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--match="]
    try:
        found = subprocess.run(command, cwd=MODEL_CODE.parent, capture_output=True, text=True, check=False)
    except OSError:
        return UNKNOWN_COMMIT
    return found.stdout.strip() if found.returncode == 0 else UNKNOWN_COMMIT
