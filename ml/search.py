"""A small search for better tree parameters, bounded in trials and in time.

What is looked at is the stop slice only, which early stopping looks at too, so its log loss flatters whoever wins; the
calibration and the holdout are later and judge afresh.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import optuna

from data_contracts.sections import Training
from ml.trees import Matrices, fitted_trees, least_log_loss

KNOBS = ("max_depth", "learning_rate", "min_child_weight", "subsample", "colsample_bytree", "reg_lambda")
"""The keys of conf [training] that are looked for."""


@dataclass(frozen=True)
class Trial:
    """One try: its KNOBS, the mean log loss on the stop rows, how many trees that took, and the seconds."""

    knobs: Mapping[str, Any]
    log_loss: float
    trees: int
    seconds: float


def searched(
    rows: Matrices, training: Training, directions: Sequence[int], trials: int, seconds: float
) -> tuple[Training, tuple[Trial, ...]]:
    """The `training` of least log loss on the stop rows, and all trials in order.

    Trial 0 has conf's own parameters, so the search never ends worse on these rows; then come up to `trials` proposals
    of TPE (Bergstra et al. 2011) with conf's seed, until `seconds` are over. A trial that has begun is finished.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    done = [_tried(rows, training, directions)]

    def log_loss(proposal: optuna.Trial) -> float:
        done.append(_tried(rows, replace(training, **proposed(proposal)), directions))
        return done[-1].log_loss

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=training.seed))
    study.optimize(log_loss, n_trials=trials, timeout=seconds)
    best = min(done, key=lambda trial: trial.log_loss)
    return replace(training, **best.knobs), tuple(done)


def proposed(proposal: optuna.Trial) -> dict[str, Any]:
    """Knobs within bounds that click logs of some 10 thousand to 10 million rows call for."""
    return {
        "max_depth": proposal.suggest_int("max_depth", 2, 8),
        "learning_rate": proposal.suggest_float("learning_rate", 0.01, 0.3, log=True),
        "min_child_weight": proposal.suggest_float("min_child_weight", 1.0, 100.0, log=True),
        "subsample": proposal.suggest_float("subsample", 0.5, 1.0),
        "colsample_bytree": proposal.suggest_float("colsample_bytree", 0.3, 1.0),
        "reg_lambda": proposal.suggest_float("reg_lambda", 0.1, 100.0, log=True),
    }


def _tried(rows: Matrices, training: Training, directions: Sequence[int]) -> Trial:
    began = time.monotonic()
    trees = fitted_trees(rows, training, directions)
    knobs = {name: getattr(training, name) for name in KNOBS}
    return Trial(knobs, least_log_loss(trees, rows), trees.num_boosted_rounds(), time.monotonic() - began)
