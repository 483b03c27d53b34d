"""What the trees rest on: the feature that tells has the gain, and SHAP values add up to margins."""

from pathlib import Path

import numpy as np
import pytest
import xgboost

from data_contracts.settings import Settings
from ml.importance import SAMPLE_ROWS, draw_shap, importances, sampled, shap_values
from ml.trees import fitted_trees, margins, matrices
from tests.ml.test_trees import FREE, STOP, TRAIN, learnable

NAMES = ("telling", "noise", "more noise")


@pytest.fixture
def trees(settings: Settings) -> xgboost.Booster:
    return fitted_trees(matrices(learnable(4000), TRAIN, STOP, keep_rate=1.0), settings.training, FREE)


def test_shap_values_of_a_row_and_the_trees_start_add_up_to_its_margin(trees: xgboost.Booster) -> None:
    rows = learnable(4000).features[:50]
    shap = shap_values(trees, rows)
    assert shap.shape == (50, 3)
    starts = margins(trees, rows) - shap.sum(axis=1)
    assert np.ptp(starts) < 1e-5


def test_the_feature_that_tells_is_first_and_one_without_a_split_is_last(settings: Settings) -> None:
    constant = learnable(4000)
    features = constant.features.copy()
    features[:, 2] = 1.0
    trees = fitted_trees(
        matrices(type(constant)(features, constant.labels, constant.timestamps, constant.hashes, ""), TRAIN, STOP, 1.0),
        settings.training,
        FREE,
    )
    first, _, last = importances(trees, NAMES, shap_values(trees, features[:200]))
    assert (first.feature, last.feature) == ("telling", "more noise")
    assert (last.total_gain, last.splits, last.mean_absolute_shap) == (0.0, 0, 0.0)
    assert first.total_gain > 100
    assert first.mean_absolute_shap > 0.3


def test_a_sample_is_spread_over_all_rows_and_few_rows_are_all_taken() -> None:
    rows = np.arange(10_000, dtype=np.float32)[:, None]
    found = sampled(rows)[:, 0]
    assert len(found) == SAMPLE_ROWS
    assert (found[0], found[-1]) == (0, 9999)
    assert np.diff(found).max() <= 6
    assert sampled(rows[:7]).tolist() == rows[:7].tolist()


def test_the_picture_is_a_png_also_where_a_feature_does_nothing(trees: xgboost.Booster, tmp_path: Path) -> None:
    rows = learnable(4000).features[:300].copy()
    shap = shap_values(trees, rows)
    shap[:, 1] = 0.0
    draw_shap(NAMES, rows, shap, "ad_ctr on the holdout", tmp_path / "shap.png")
    assert (tmp_path / "shap.png").read_bytes().startswith(b"\x89PNG")
