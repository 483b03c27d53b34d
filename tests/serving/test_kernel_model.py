"""A registered model by the kernel gives what it gives by itself, bit for bit; one that cannot be is left as it is."""

from dataclasses import dataclass

import numpy as np
import pytest
import xgboost

from data_contracts.calibration import Calibration, Isotonic, Platt
from data_contracts.compiled import Matrix, compiled
from data_contracts.features import FeatureSet, feature_set_path, load_feature_set
from serving.kernel_model import KernelModel, with_kernel
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
    names = [count.name for count in AD_CTR.counts]
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
    assert len(set(quick.probabilities(rows))) > 30
    assert quick.probabilities(rows) == model.probabilities(rows)
    with pytest.raises(KeyError, match="timestamp"):
        quick.probabilities([{"position": 1.0}])


def test_what_the_kernel_cannot_walk_scores_as_it_is_and_says_why():
    by_dart = trained(Platt(1.0, 0.0), booster="dart")
    assert with_kernel(by_dart) == (by_dart, "a booster of kind dart")
    foreign = TinyModel()
    assert with_kernel(foreign) == (foreign, "it does not show its trees")
