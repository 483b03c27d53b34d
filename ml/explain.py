"""Why a prediction was what it was: the same model version on the logged inputs, feature by feature.

The contributions are SHAP values of the trees (Lundberg et al. 2020, by XGBoost's pred_contribs). Platt's calibration
is a straight line, so they are carried through it: on the scale of log-odds, base and contributions add up to the
calibrated probability. The other kinds are curved, and no share of a curve is any one feature's: there contributions
stay on the scale of the margin, before calibration, and add up to that.
"""

import contextlib
import json
import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import xgboost
from mlflow.models import Model
from numpy.typing import NDArray

from data_contracts import registry
from data_contracts.calibration import Platt, calibration_from
from data_contracts.feature_set_files import load_feature_set
from data_contracts.lake import open_lake
from data_contracts.model_versions import RegisteredVersion
from data_contracts.settings import Settings
from data_contracts.tables import MODEL_PREDICTIONS
from ml.model_run import FittedModel
from ml.trees import margins

PRIOR = "prior"
VERSION_OF = "data_version."
"""Begins the names of the run's parameters that hold table versions."""
MARGIN = Platt(slope=1.0, intercept=0.0)
"""Leaves contributions on the scale of the margin."""


class ExplanationError(ValueError):
    """A prediction that is not in the table, or whose model cannot be asked; the message is one line."""


@dataclass(frozen=True)
class Contribution:
    """What one feature did: `log_odds` is what it adds to the log-odds of a click, against an average row. Where not
    `is_calibrated` these are the margin's, before calibration."""

    feature: str
    about: str
    value: float
    log_odds: float
    is_calibrated: bool = True

    @property
    def words(self) -> str:
        """A reason in plain words."""
        change = math.expm1(self.log_odds)
        if abs(change) < 0.0005:
            return "makes no difference"
        scale = "" if self.is_calibrated else " before calibration"
        return f"{'raises' if change > 0 else 'lowers'} the odds{scale} by {abs(change):.1%}"


@dataclass(frozen=True)
class Explanation:
    """A row of model_predictions, and where a model answered: its version, the log-odds of an average row, what each
    feature adds (the greatest first), and the probability computed again from the logged inputs. `base` is on the scale
    of the contributions."""

    prediction: Mapping[str, Any]
    version: RegisteredVersion | None = None
    base: float = math.nan
    contributions: tuple[Contribution, ...] = ()
    probability: float | None = None

    @property
    def is_reproduced(self) -> bool:
        """Is the probability computed again the logged one, bit for bit?"""
        return bool(self.probability == self.prediction["probability"])

    @property
    def data_versions(self) -> dict[str, str]:
        """The versions of the tables that the model was trained from."""
        params = self.version.params if self.version else {}
        return {name.removeprefix(VERSION_OF): at for name, at in params.items() if name.startswith(VERSION_OF)}


def explained(settings: Settings, prediction_id: str) -> Explanation:
    """The explanation of a prediction in model_predictions. Raises ExplanationError, and RegistryError when MLflow does
    not answer or has no such version."""
    found = prediction(settings, prediction_id)
    if found["source"] == PRIOR:
        return Explanation(found)
    version = registry.version(settings, str(found["model_version"]))
    model = model_of(version)
    if model.feature_set.hash != found["feature_set_hash"]:
        raise ExplanationError(
            f"version {version.version} has other feature definitions ({model.feature_set.hash[:16]}) than the"
            f" prediction was made with ({str(found['feature_set_hash'])[:16]})"
        )
    row = np.array([model.feature_set.row(found["features"])], dtype=np.float32)
    added, bias = contributions_to(model, row, base_mean(version))
    scale = model.calibration if isinstance(model.calibration, Platt) else MARGIN
    contributions = [
        Contribution(feature.name, feature.about, value, scale.slope * log_odds, scale is not MARGIN)
        for feature, value, log_odds in zip(model.feature_set.features, row[0].tolist(), added, strict=True)
    ]
    return Explanation(
        found,
        version,
        scale.slope * bias + scale.intercept,
        tuple(sorted(contributions, key=lambda each: -abs(each.log_odds))),
        model.calibration.probability(float(margins(model.trees, row, model.feature_set.base_place)[0])),
    )


def base_mean(version: RegisteredVersion) -> float:
    """What the trees started from in the mean of the holdout; 0 for a model whose trees start from no feature."""
    return float(version.params.get("base_mean", 0.0))


def contributions_to(model: FittedModel, row: NDArray[np.float32], mean: float) -> tuple[list[float], float]:
    """What each feature of one row adds to the margin, and what an average row has. The feature that trees start from
    adds what it is above its `mean`, beside what the trees make of it."""
    place = model.feature_set.base_place
    start = 0.0 if place is None else float(row[0, place])
    given = xgboost.DMatrix(row, base_margin=None if place is None else [start])
    *added, bias = model.trees.predict(given, pred_contribs=True)[0].astype(float).tolist()
    if place is not None:
        added[place] += start - mean
        bias += mean - start
    return added, bias


def prediction(settings: Settings, prediction_id: str) -> dict[str, Any]:
    """The row of model_predictions; ExplanationError when it is not there."""
    with contextlib.closing(open_lake(settings)) as lake:
        asked = lake.execute(f"SELECT * FROM {MODEL_PREDICTIONS.name} WHERE prediction_id = ?", [prediction_id])
        rows = asked.to_arrow_table().to_pylist(maps_as_pydicts="strict")
    if not rows:
        raise ExplanationError(
            f"{MODEL_PREDICTIONS.name} holds no prediction_id {prediction_id}: it is not one, or was just given and is"
            " there after the next run of ingest_events"
        )
    return dict(rows[0])


def model_of(version: RegisteredVersion) -> FittedModel:
    """Feature definitions, trees and calibration of a registered version, from its own artifacts. Raises
    ExplanationError when they are gone or damaged."""
    try:
        return _loaded(version)
    except ExplanationError:
        raise
    except Exception as error:
        reason = str(error).strip().splitlines()[0]
        raise ExplanationError(f"version {version.version} cannot be loaded: {reason}") from error


def _loaded(version: RegisteredVersion) -> FittedModel:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(mlflow.artifacts.download_artifacts(artifact_uri=version.uri, dst_path=folder))
        files = Model.load(str(home)).flavors["python_function"].get("artifacts", {})
        if lacking := {"booster", "calibration", "feature_set"} - set(files):
            raise ExplanationError(f"version {version.version} has no {', '.join(sorted(lacking))}: it is none of ours")
        paths = {name: home / file["path"] for name, file in files.items()}
        return FittedModel(
            load_feature_set(paths["feature_set"]),
            xgboost.Booster({"nthread": 1}, model_file=str(paths["booster"])),
            calibration_from(json.loads(paths["calibration"].read_text())),
        )
