"""A registered model by the kernel gives what it gives by itself, bit for bit; one that cannot be is left as it is."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
import xgboost

from data_contracts.calibration import Calibration, Isotonic, Platt
from data_contracts.compiled import Matrix, compiled
from data_contracts.feature_set_files import feature_set_path, load_feature_set
from data_contracts.features import FeatureSet
from serving.kernel_model import KernelModel, PlainModel, with_kernel
from tests.serving.tiny_model import TinyModel

AD_CTR = load_feature_set(feature_set_path("ad_ctr"))


@dataclass
class Trained:
    """What the registered model shows of itself, with probabilities by XGBoost."""

    feature_set: FeatureSet
    features: Matrix
    booster: xgboost.Booster
    calibration: Calibration

    def probabilities(self, rows):
        features = self.features(np.array([self.feature_set.input_row(row) for row in rows]))
        start = features[:, self.feature_set.base_place]
        margins = self.booster.inplace_predict(features, predict_type="margin", base_margin=start)
        return self.calibration.probabilities(margins.tolist())


def drawn_inputs(count):
    """Counts as they may be, clicks too many for the impressions among them; some are absent."""
    random = np.random.default_rng(5)
    names = list(AD_CTR.looked_up)
    return [
        {"position": float(random.integers(1, 9)), "timestamp": float(random.integers(10**9, 2 * 10**9))}
        | {name: float(random.poisson(30)) for name in names if random.random() < 0.9}
        for _ in range(count)
    ]


def trained(calibration, **more):
    features = compiled(AD_CTR)(np.array([AD_CTR.input_row(row) for row in drawn_inputs(600)]))
    labels = np.random.default_rng(6).random(600) < 0.3
    rows = xgboost.DMatrix(features, label=labels, base_margin=features[:, AD_CTR.base_place])
    booster = xgboost.train({"objective": "binary:logistic", "max_depth": 4, "nthread": 1, **more}, rows, 30)
    return Trained(AD_CTR, compiled(AD_CTR), booster, calibration)


@pytest.mark.parametrize("calibration", [Platt(0.9, -0.2), Isotonic((-4.0, -2.0, 0.0), (-5.0, -2.5, -0.1))])
def test_the_probabilities_are_the_models_own_bit_for_bit(calibration):
    model = trained(calibration)
    quick, problem = with_kernel(model)
    assert isinstance(quick, KernelModel)
    assert problem == ""
    assert quick.feature_set is AD_CTR
    rows = drawn_inputs(300)
    inputs = np.array([AD_CTR.input_row(row) for row in rows])
    assert len(set(quick.scored(inputs))) > 30
    assert quick.scored(inputs) == model.probabilities(rows)


def test_what_the_kernel_cannot_walk_scores_as_it_is_and_says_why():
    by_dart = trained(Platt(1.0, 0.0), booster="dart")
    plain, problem = with_kernel(by_dart)
    assert isinstance(plain, PlainModel)
    assert problem == "a booster of kind dart"
    rows = drawn_inputs(20)
    assert plain.scored(np.array([AD_CTR.input_row(row) for row in rows])) == by_dart.probabilities(rows)
    foreign = TinyModel()
    foreign.feature_set = AD_CTR
    assert with_kernel(foreign)[1] == "it does not show its trees"


def test_a_number_that_is_not_there_is_left_out_of_a_row():
    class Echo:
        feature_set = replace(AD_CTR, counts=AD_CTR.counts[:1], sums=(), numbers=("features.bid",))

        def probabilities(self, rows):
            self.rows = rows
            return [0.5] * len(rows)

    echo = Echo()
    PlainModel(echo).scored(np.array([[1.0, 2.0, math.nan, 3.0], [1.0, 2.0, 0.5, 4.0]]))
    count = AD_CTR.counts[0].name
    assert echo.rows == [
        {"position": 1.0, "timestamp": 2.0, count: 3.0},
        {"position": 1.0, "timestamp": 2.0, "bid": 0.5, count: 4.0},
    ]
