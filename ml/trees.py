"""Fits the gradient-boosted trees, from rows that are read in batches."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

from data_contracts.sections import Training
from ml.metrics import Floats
from ml.sampling import is_kept, sampled_offset
from ml.splits import Rows, SliceError
from ml.staging import TrainingSet

THREADS = 2
"""A constant, not the machine's number of cores: sums in another order give other bits."""
BATCH_ROWS = 65_536
"""Read at once. A constant too: XGBoost's bins depend on it."""


@dataclass(frozen=True)
class Matrices:
    """What trees are fitted from: binned train rows, sampled where keep_rate says so, and the later `stop` rows, all of
    them. `base_rate` is the CTR of the train rows before sampling."""

    train: xgboost.QuantileDMatrix
    stop: xgboost.QuantileDMatrix
    base_rate: float


class _Batches(xgboost.DataIter):
    """Some rows of a training set, BATCH_ROWS at a time, with where their trees start from: the feature at the place
    `base`, if there is one, and `raised` above it; or `raised` alone."""

    def __init__(
        self, training_set: TrainingSet, chosen: NDArray[np.int64], base: int | None, raised: float | None
    ) -> None:
        super().__init__()
        self._training_set, self._chosen, self._base, self._raised = training_set, chosen, base, raised
        self._place = 0

    def next(self, input_data: Callable[..., Any]) -> bool:
        rows = self._chosen[self._place : self._place + BATCH_ROWS]
        if not len(rows):
            return False
        self._place += len(rows)
        features, start = self._training_set.features[rows], {}
        if self._base is not None or self._raised is not None:
            given = np.zeros(len(rows), np.float32) if self._base is None else features[:, self._base]
            start["base_margin"] = given + np.float32(self._raised or 0.0)
        input_data(data=features, label=self._training_set.labels[rows], **start)
        return True

    def reset(self) -> None:
        self._place = 0


def matrices(training_set: TrainingSet, train: Rows, stop: Rows, keep_rate: float, base: int | None = None) -> Matrices:
    """The rows to fit and to stop on; `base` is the place of the feature that trees start from, if there is one.

    Sampled rows are given a base margin that is sampled_offset(keep_rate) above the model's own. Their trees are then
    those of the sampled rows, and what the model says by itself, to the stop rows and to all later ones, is
    margin + ln(keep_rate): early stopping, serving and SHAP see true log-odds and know nothing of the sampling.
    """
    base_rate = float(training_set.labels[train].mean())
    kept = np.flatnonzero(is_kept(training_set.labels[train], training_set.hashes[train], keep_rate))
    if training_set.labels[train.start + kept].all():
        raise SliceError(f"keep_rate {keep_rate:g} leaves no non-click of the train slice (conf [training] keep_rate)")
    own = float(np.log(base_rate / (1 - base_rate))) if base is None else 0.0
    raised = None if keep_rate == 1 else own + sampled_offset(keep_rate)
    fitted = xgboost.QuantileDMatrix(_Batches(training_set, train.start + kept, base, raised))
    later = _Batches(training_set, np.arange(stop.start, stop.stop), base, None)
    return Matrices(fitted, xgboost.QuantileDMatrix(later, ref=fitted), base_rate)


def tree_parameters(training: Training, directions: Sequence[int]) -> dict[str, Any]:
    """XGBoost's parameters, all that are not its defaults; `directions` of the features as in FeatureSet."""
    return {
        "objective": "binary:logistic",
        "eval_metric": "logloss",
        "tree_method": "hist",
        "max_depth": training.max_depth,
        "learning_rate": training.learning_rate,
        "min_child_weight": training.min_child_weight,
        "subsample": training.subsample,
        "colsample_bytree": training.colsample_bytree,
        "reg_lambda": training.reg_lambda,
        "monotone_constraints": f"({','.join(map(str, directions))})",
        "seed": training.seed,
        "nthread": THREADS,
    }


def fitted_trees(rows: Matrices, training: Training, directions: Sequence[int]) -> xgboost.Booster:
    """The trees up to the iteration of least log loss on the stop rows; deterministic for its arguments."""
    grown = xgboost.train(
        tree_parameters(training, directions) | {"base_score": rows.base_rate},
        rows.train,
        num_boost_round=training.rounds,
        evals=[(rows.stop, "stop")],
        early_stopping_rounds=training.early_stopping_rounds,
        verbose_eval=False,
    )
    kept = grown[: grown.best_iteration + 1]
    kept.set_attr(best_iteration=None, best_score=None)
    return kept


def least_log_loss(trees: xgboost.Booster, rows: Matrices) -> float:
    """Mean log loss on the stop rows, in nats."""
    return float(trees.eval(rows.stop).rpartition(":")[2])


def margins(trees: xgboost.Booster, features: NDArray[np.float32], base: int | None = None) -> Floats:
    """Log-odds of a click, before calibration, read in batches; `base` as the trees were fitted."""
    found = np.empty(len(features), dtype=np.float64)
    for place in range(0, len(features), BATCH_ROWS):
        part = slice(place, place + BATCH_ROWS)
        rows = np.ascontiguousarray(features[part])
        start = None if base is None else rows[:, base]
        found[part] = trees.inplace_predict(rows, predict_type="margin", base_margin=start)
    return found
