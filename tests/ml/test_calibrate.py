"""Calibration: what it puts right, and what it does not take for evidence."""

import numpy as np
import pytest

from data_contracts.calibration import Calibration
from ml.calibrate import fitted_calibration, probabilities
from ml.metrics import Floats, Labels, calibration_ratio


def market(rows: int, slope: float, shift: float, seed: int = 3) -> tuple[Floats, Labels]:
    """Margins around a CTR of 5 %, and clicks whose true log-odds are slope * margin + shift."""
    random = np.random.default_rng(seed)
    margins = random.normal(-3.0, 0.8, rows)
    labels = random.random(rows) < 1 / (1 + np.exp(-(slope * margins + shift)))
    return margins, labels.astype(np.int8)


def test_probabilities_are_calibrations_own_bit_for_bit() -> None:
    calibration = Calibration(slope=1.1, intercept=-0.3)
    margins = np.random.default_rng(1).normal(-5, 2, 500)
    expected = [calibration.probability(float(margin)) for margin in margins]
    assert probabilities(calibration, margins).tolist() == expected


def test_many_clicks_find_the_true_slope_and_intercept() -> None:
    found = fitted_calibration(*market(400_000, slope=0.7, shift=-0.5))
    assert found.slope == pytest.approx(0.7, abs=0.01)
    assert found.intercept == pytest.approx(-0.5, abs=0.03)


def test_many_clicks_are_met_by_the_expected_ones() -> None:
    margins, labels = market(400_000, slope=1.0, shift=0.4)
    assert calibration_ratio(labels, probabilities(fitted_calibration(margins, labels), margins)) == pytest.approx(
        1, abs=0.002
    )


def test_a_few_clicks_do_not_bend_the_slope() -> None:
    slopes = [fitted_calibration(*market(800, slope=1.0, shift=0.0, seed=seed)).slope for seed in range(20)]
    assert min(slopes) > 0.6
    assert max(slopes) < 1.4


def test_a_few_clicks_pull_the_mean_part_of_the_way() -> None:
    margins = np.full(1000, np.log(0.02 / 0.98))
    labels = np.zeros(1000, dtype=np.int8)
    labels[:40] = 1
    mean = probabilities(fitted_calibration(margins, labels), margins).mean()
    assert 0.025 < mean < 0.038


def test_an_order_upside_down_is_flattened_not_turned_around() -> None:
    margins, labels = market(100_000, slope=1.0, shift=0.0)
    found = fitted_calibration(-6 - margins, labels)
    assert found.slope == 0.05
    assert calibration_ratio(labels, probabilities(found, -6 - margins)) == pytest.approx(1, abs=0.01)


def test_margins_that_say_nothing_keep_the_least_slope() -> None:
    found = []
    for seed in range(4):
        margins, _ = market(60_000, slope=1.0, shift=0.0, seed=seed)
        _, labels = market(60_000, slope=1.0, shift=0.0, seed=seed + 100)
        found.append(fitted_calibration(margins, labels).slope)
    assert found == [0.05] * 4


def test_one_margin_for_all_leaves_the_slope_alone() -> None:
    margins = np.full(50_000, -3.0)
    labels = np.zeros(50_000, dtype=np.int8)
    labels[:5000] = 1
    found = fitted_calibration(margins, labels)
    assert found.slope == pytest.approx(1)
    assert found.probability(-3.0) == pytest.approx(0.1, rel=0.01)


def test_margins_far_out_do_not_overflow() -> None:
    margins = np.array([-800.0, -700.0, 700.0, 800.0] * 50)
    labels = np.array([0, 1, 0, 1] * 50, dtype=np.int8)
    found = fitted_calibration(margins, labels)
    assert np.isfinite(probabilities(found, margins)).all()


def test_a_model_that_is_right_already_stays_as_it_is() -> None:
    found = fitted_calibration(*market(400_000, slope=1.0, shift=0.0))
    assert found.slope == pytest.approx(1.0, abs=0.01)
    assert found.intercept == pytest.approx(0.0, abs=0.03)
