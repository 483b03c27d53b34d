"""The trees: deterministic, and only those up to the best iteration."""

import numpy as np
import pytest
import xgboost

from data_contracts.settings import Settings
from ml.trees import fitted_trees, margins, tree_parameters


@pytest.fixture
def rows() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    features = random.normal(size=(4000, 3)).astype(np.float32)
    clicked = random.random(4000) < 1 / (1 + np.exp(2 - features[:, 0]))
    return features, clicked.astype(np.int8)


def trees(rows: tuple[np.ndarray, np.ndarray], settings: Settings) -> xgboost.Booster:
    features, labels = rows
    return fitted_trees(features[:3000], labels[:3000], features[3000:], labels[3000:], settings.training)


def test_the_same_rows_give_the_same_bytes(rows: tuple[np.ndarray, np.ndarray], settings: Settings) -> None:
    assert trees(rows, settings).save_raw("ubj") == trees(rows, settings).save_raw("ubj")


def test_trees_after_the_best_iteration_are_cut_off(rows: tuple[np.ndarray, np.ndarray], settings: Settings) -> None:
    features, labels = rows
    later = xgboost.DMatrix(features[3000:], labels[3000:])
    losses: dict[str, dict[str, list[float]]] = {}
    xgboost.train(
        tree_parameters(settings.training),
        xgboost.QuantileDMatrix(features[:3000], labels[:3000]),
        num_boost_round=settings.training.rounds,
        evals=[(later, "stop")],
        evals_result=losses,
        verbose_eval=False,
    )
    best = int(np.argmin(losses["stop"]["logloss"])) + 1
    assert 1 < best < settings.training.rounds
    assert trees(rows, settings).num_boosted_rounds() == best


def test_margins_are_the_boosters_own_log_odds(rows: tuple[np.ndarray, np.ndarray], settings: Settings) -> None:
    booster = trees(rows, settings)
    expected = booster.predict(xgboost.DMatrix(rows[0]), output_margin=True)
    assert np.array_equal(margins(booster, rows[0]), expected.astype(np.float64))
