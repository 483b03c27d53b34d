"""A registered model in small, logged as code from this file: a logistic curve over two features.

Its artifact `traits` says how it behaves: `scale` sets versions apart, `fault` is how it is broken.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.pyfunc import PythonModel, PythonModelContext

from data_contracts.feature_set_files import load_feature_set
from data_contracts.prior import Prior


class TinyModel(PythonModel):
    def load_context(self, context: PythonModelContext) -> None:
        self.traits = json.loads(Path(context.artifacts["traits"]).read_text())
        if self.traits["fault"] == "does not load":
            raise RuntimeError("the trees are rotten")
        self.feature_set = load_feature_set(Path(context.artifacts["feature_set"]))
        if "prior" in context.artifacts:
            self.prior = Prior.from_json(Path(context.artifacts["prior"]).read_text())

    def probabilities(self, rows: Sequence[Mapping[str, float]]) -> list[float]:
        return [self._probability(row) for row in rows]

    def _probability(self, row: Mapping[str, float]) -> float:
        if self.traits["fault"] == "gives NaN":
            return math.nan
        if self.traits["fault"] == "fails in slot 13" and row["position"] == 13:
            raise ZeroDivisionError("slot 13")
        ctr, position, *_ = self.feature_set.row(row)
        return 1.0 / (1.0 + math.exp(4.0 - self.traits["scale"] * (20.0 * ctr + 1.0 / position)))

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        return pd.DataFrame({"probability": self.probabilities(model_input.to_dict("records"))})


mlflow.models.set_model(TinyModel())
