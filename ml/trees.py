"""Fits the gradient-boosted trees."""

from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

from data_contracts.sections import Training
from ml.metrics import Floats, Labels

THREADS = 2
"""A constant, not the machine's number of cores: sums in another order give other bits."""


def tree_parameters(training: Training) -> dict[str, Any]:
    """XGBoost's parameters, all that are not its defaults."""
    return {
        "objective": "binary:logistic",
        "eval_metric": "logloss",
        "tree_method": "hist",
        "max_depth": training.max_depth,
        "learning_rate": training.learning_rate,
        "min_child_weight": training.min_child_weight,
        "subsample": training.subsample,
        "seed": training.seed,
        "nthread": THREADS,
    }


def fitted_trees(
    features: NDArray[np.float32],
    labels: Labels,
    stop_features: NDArray[np.float32],
    stop_labels: Labels,
    training: Training,
) -> xgboost.Booster:
    """The trees up to the iteration of least log loss on the later `stop` rows; deterministic for its arguments."""
    rows = xgboost.QuantileDMatrix(features, labels)
    later = xgboost.QuantileDMatrix(stop_features, stop_labels, ref=rows)
    grown = xgboost.train(
        tree_parameters(training),
        rows,
        num_boost_round=training.rounds,
        evals=[(later, "stop")],
        early_stopping_rounds=training.early_stopping_rounds,
        verbose_eval=False,
    )
    kept = grown[: grown.best_iteration + 1]
    kept.set_attr(best_iteration=None, best_score=None)
    return kept


def margins(trees: xgboost.Booster, features: NDArray[np.float32]) -> Floats:
    """Log-odds of a click, before calibration."""
    return trees.inplace_predict(features, predict_type="margin").astype(np.float64)
