"""The registered model: trees, calibration and feature definitions in one, loaded by MLflow as code from this file.

It travels alone: of the platform it needs data_contracts only, and neither a table nor a key nor a setting.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import xgboost
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from numpy.typing import NDArray

from data_contracts.calibration import Calibration, calibration_from
from data_contracts.compiled import Matrix, compiled
from data_contracts.feature_set_files import load_feature_set
from data_contracts.features import REQUEST_FIELDS, FeatureSet
from data_contracts.prior import Prior


class CtrModel(PythonModel):
    """Probability of a click from request fields, numbers, counts and sums. Safe to call from many threads once loaded.

    Its parts are open to whoever has a quicker way through the trees: `features` makes what the trees see of inputs,
    `calibration` probabilities of the margins of `booster`.
    """

    feature_set: FeatureSet
    features: Matrix
    calibration: Calibration
    booster: xgboost.Booster
    prior: Prior | None

    def load_context(self, context: PythonModelContext) -> None:
        """Artifacts: `booster` (XGBoost UBJ, the best iteration's trees only), `calibration` (JSON), `feature_set`, and
        `prior` (JSON), which is for whoever serves it: versions of before have none."""
        self.feature_set = load_feature_set(Path(context.artifacts["feature_set"]))
        self.features = compiled(self.feature_set)
        self.calibration = calibration_from(json.loads(Path(context.artifacts["calibration"]).read_text()))
        prior = context.artifacts.get("prior")
        self.prior = Prior.from_json(Path(prior).read_text()) if prior else None
        # One thread: a request is a slate of few rows, and waking a pool costs more than scoring them.
        self.booster = xgboost.Booster({"nthread": 1}, model_file=context.artifacts["booster"])

    def probabilities(self, rows: Sequence[Mapping[str, float]]) -> list[float]:
        """Calibrated probability of each row; an absent count or sum is 0. KeyError on a missing request field."""
        if not rows:
            return []
        return self._scored(np.array([self.feature_set.input_row(row) for row in rows]))

    def _scored(self, inputs: NDArray[np.float64]) -> list[float]:
        features, place = self.features(inputs), self.feature_set.base_place
        start = None if place is None else features[:, place]
        margins = self.booster.inplace_predict(features, predict_type="margin", base_margin=start)
        return self.calibration.probabilities(margins.tolist())

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """One column, `probability`. Raises ValueError on a row without a request field."""
        for field in REQUEST_FIELDS:
            if model_input[field].isna().any():
                raise ValueError(f"{field} is missing in a row; every row needs {' and '.join(REQUEST_FIELDS)}")
        known = model_input.reindex(columns=list(self.feature_set.input_names)).fillna(self.feature_set.absent)
        scores = self._scored(known.to_numpy(np.float64)) if len(known) else []
        return pd.DataFrame({"probability": scores}, dtype=np.float64)


mlflow.models.set_model(CtrModel())
