"""A bad model to refuse: it answers class labels, as an XGBClassifier served by mlflow.xgboost does."""

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from data_contracts.feature_set_files import load_feature_set


class ClassLabelModel(PythonModel):
    def load_context(self, context: PythonModelContext) -> None:
        self.feature_set = load_feature_set(Path(context.artifacts["feature_set"]))

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        return pd.DataFrame({"probability": (model_input["ad_clicks_7d"] > 100).astype(float)})


mlflow.models.set_model(ClassLabelModel())
