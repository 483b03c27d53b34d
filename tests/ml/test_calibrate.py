"""Calibration: what it puts right, and what it does not take for evidence."""

import numpy as np
import pytest

from data_contracts.calibration import Platt
from ml.calibrate import fitted_beta, fitted_isotonic, fitted_platt, probabilities
from ml.metrics import Floats, Labels, calibration_ratio


def market(rows: int, slope: float, shift: float, seed: int = 3) -> tuple[Floats, Labels]:
    """Margins around a CTR of 5 %, and clicks whose true log-odds are slope * margin + shift."""
    random = np.random.default_rng(seed)
    margins = random.normal(-3.0, 0.8, rows)
    labels = random.random(rows) < 1 / (1 + np.exp(-(slope * margins + shift)))
    return margins, labels.astype(np.int8)


def test_probabilities_are_calibrations_own_bit_for_bit() -> None:
    calibration = Platt(slope=1.1, intercept=-0.3)
    margins = np.random.default_rng(1).normal(-5, 2, 500)
    expected = [calibration.probability(float(margin)) for margin in margins]
    assert probabilities(calibration, margins).tolist() == expected


def test_many_clicks_find_the_true_slope_and_intercept() -> None:
    found = fitted_platt(*market(400_000, slope=0.7, shift=-0.5))
    assert found.slope == pytest.approx(0.7, abs=0.01)
    assert found.intercept == pytest.approx(-0.5, abs=0.03)


def test_many_clicks_are_met_by_the_expected_ones() -> None:
    margins, labels = market(400_000, slope=1.0, shift=0.4)
    assert calibration_ratio(labels, probabilities(fitted_platt(margins, labels), margins)) == pytest.approx(
        1, abs=0.002
    )


def test_a_few_clicks_do_not_bend_the_slope() -> None:
    slopes = [fitted_platt(*market(800, slope=1.0, shift=0.0, seed=seed)).slope for seed in range(20)]
    assert min(slopes) > 0.6
    assert max(slopes) < 1.4


def test_a_few_clicks_pull_the_mean_part_of_the_way() -> None:
    margins = np.full(1000, np.log(0.02 / 0.98))
    labels = np.zeros(1000, dtype=np.int8)
    labels[:40] = 1
    mean = probabilities(fitted_platt(margins, labels), margins).mean()
    assert 0.025 < mean < 0.038


def test_an_order_upside_down_is_flattened_not_turned_around() -> None:
    margins, labels = market(100_000, slope=1.0, shift=0.0)
    found = fitted_platt(-6 - margins, labels)
    assert found.slope == 0.05
    assert calibration_ratio(labels, probabilities(found, -6 - margins)) == pytest.approx(1, abs=0.01)


def test_margins_that_say_nothing_keep_the_least_slope() -> None:
    found = []
    for seed in range(4):
        margins, _ = market(60_000, slope=1.0, shift=0.0, seed=seed)
        _, labels = market(60_000, slope=1.0, shift=0.0, seed=seed + 100)
        found.append(fitted_platt(margins, labels).slope)
    assert found == [0.05] * 4


def test_one_margin_for_all_leaves_the_slope_alone() -> None:
    margins = np.full(50_000, -3.0)
    labels = np.zeros(50_000, dtype=np.int8)
    labels[:5000] = 1
    found = fitted_platt(margins, labels)
    assert found.slope == pytest.approx(1)
    assert found.probability(-3.0) == pytest.approx(0.1, rel=0.01)


def test_margins_far_out_do_not_overflow() -> None:
    margins = np.array([-800.0, -700.0, 700.0, 800.0] * 50)
    labels = np.array([0, 1, 0, 1] * 50, dtype=np.int8)
    found = fitted_platt(margins, labels)
    assert np.isfinite(probabilities(found, margins)).all()


def test_a_model_that_is_right_already_stays_as_it_is() -> None:
    found = fitted_platt(*market(400_000, slope=1.0, shift=0.0))
    assert found.slope == pytest.approx(1.0, abs=0.01)
    assert found.intercept == pytest.approx(0.0, abs=0.03)


def test_beta_finds_the_true_bends() -> None:
    random = np.random.default_rng(4)
    margins = random.normal(0.0, 2.0, 400_000)
    truth = -0.5 + 1.4 * np.logaddexp(0, margins) - 0.7 * np.logaddexp(0, -margins)
    labels = (random.random(400_000) < 1 / (1 + np.exp(-truth))).astype(np.int8)
    found = fitted_beta(margins, labels)
    assert (found.a, found.b, found.c) == (
        pytest.approx(0.7, abs=0.02), pytest.approx(1.4, abs=0.02), pytest.approx(-0.5, abs=0.02),
    )  # fmt: skip
    assert calibration_ratio(labels, probabilities(found, margins)) == pytest.approx(1, abs=0.002)


def test_beta_of_low_margins_leaves_the_bend_it_cannot_see_alone() -> None:
    found = fitted_beta(*market(60_000, slope=1.0, shift=0.0))
    assert found.a == pytest.approx(1.0, abs=0.05)
    assert found.b == pytest.approx(1.0, abs=0.3)


def test_beta_flattens_an_order_upside_down() -> None:
    margins, labels = market(100_000, slope=1.0, shift=0.0)
    found = fitted_beta(-6 - margins, labels)
    assert found.a == 0.05
    assert found.b >= 0.05


def test_isotonic_pools_what_falls_and_joins_what_is_too_small() -> None:
    """By hand: 100 clicks in 1,000 at margin -4 and 2 in 100 at -3.5 fall, so they are pooled to 0.093; 70 in 1,000 at
    -3 fall against that, so all three are 172 in 2,100 at -3.5. Then 300 in 1,000 at -1; the 20 clicked rows at 2 hold
    no non-click, so they join the block before."""
    margins = np.repeat([-4.0, -3.5, -3.0, -1.0, 2.0], [1000, 100, 1000, 1000, 20])
    labels = np.zeros(3120, dtype=np.int8)
    for start, clicks in ((0, 100), (1000, 2), (1100, 70), (2100, 300), (3100, 20)):
        labels[start : start + clicks] = 1
    found = fitted_isotonic(margins, labels)
    assert found.margins == pytest.approx((-3.5, (1000 * -1.0 + 20 * 2.0) / 1020))
    low, high = found.log_odds_at
    assert high - low == pytest.approx(np.log(320 / 700) - np.log(172 / 1928))
    assert probabilities(found, margins).sum() == pytest.approx(492)


def test_isotonic_does_not_hang_on_the_order_of_equal_margins() -> None:
    margins = np.repeat([-3.0, -1.0], 500)
    first, last = np.zeros(1000, dtype=np.int8), np.zeros(1000, dtype=np.int8)
    first[[*range(50), *range(500, 600)]] = 1
    last[[*range(450, 500), *range(900, 1000)]] = 1
    assert fitted_isotonic(margins, first) == fitted_isotonic(margins, last)


def test_isotonic_of_few_clicks_is_one_level() -> None:
    labels = np.zeros(1000, dtype=np.int8)
    labels[:20] = 1
    found = fitted_isotonic(np.linspace(-4, -2, 1000), labels)
    assert len(found.margins) == 1
    assert found.probability(7.0) == pytest.approx(0.02)


def test_isotonic_expects_the_clicks_it_was_fitted_on() -> None:
    margins, labels = market(200_000, slope=1.0, shift=0.3)
    assert probabilities(fitted_isotonic(margins, labels), margins).sum() == pytest.approx(labels.sum())
